package clusterconfig_test

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	api "github.com/weaveworks/eksctl/pkg/apis/eksctl.io/v1alpha5"
	"github.com/weaveworks/eksctl/pkg/ctl/cmdutils"
	"github.com/weaveworks/eksctl/pkg/eks"

	"github.com/compspec/ocifit-lab/provision/eks/clusterconfig"
)

var update = flag.Bool("update", false, "rewrite golden files")

type kind struct {
	name, arch string
	vcpu       int
	memory     int64
}

// The procedure's 22 types; vCPU and memory are public facts of them.
var kinds = []kind{
	{"hpc7g.16xlarge", "arm64", 64, 131072},
	{"i4i.8xlarge", "amd64", 32, 262144},
	{"t3.2xlarge", "amd64", 8, 32768},
	{"d3.4xlarge", "amd64", 16, 131072},
	{"r6a.12xlarge", "amd64", 48, 393216},
	{"r7g.12xlarge", "arm64", 48, 393216},
	{"c6in.12xlarge", "amd64", 48, 98304},
	{"r6i.8xlarge", "amd64", 32, 262144},
	{"c6id.12xlarge", "amd64", 48, 98304},
	{"m6g.12xlarge", "arm64", 48, 196608},
	{"c7a.12xlarge", "amd64", 48, 98304},
	{"m7g.16xlarge", "arm64", 64, 262144},
	{"c6a.16xlarge", "amd64", 64, 131072},
	{"m6a.12xlarge", "amd64", 48, 196608},
	{"t4g.2xlarge", "arm64", 8, 32768},
	{"r7iz.8xlarge", "amd64", 32, 262144},
	{"t3a.2xlarge", "amd64", 8, 32768},
	{"m6id.12xlarge", "amd64", 48, 196608},
	{"c6i.16xlarge", "amd64", 64, 131072},
	{"inf2.xlarge", "amd64", 4, 16384},
	{"m6i.12xlarge", "amd64", 48, 196608},
	{"c7g.16xlarge", "arm64", 64, 131072},
}

func options() clusterconfig.Options {
	o := clusterconfig.Options{
		Name: "study", Region: "us-east-1", KubernetesVersion: "1.34",
		Zones: []string{"us-east-1a", "us-east-1b"},
		NodeGroups: []clusterconfig.NodeGroup{{
			Name: "sticky", InstanceType: "t3.2xlarge", Architecture: "amd64", VCPU: 8, MemoryMiB: 32768,
			Min: 1, Desired: 1, Max: 1, Sticky: true,
		}},
	}
	for _, k := range kinds {
		g := clusterconfig.NodeGroup{
			Name: "ng-" + strings.ReplaceAll(k.name, ".", "-"), InstanceType: k.name, Architecture: k.arch,
			VCPU: k.vcpu, MemoryMiB: k.memory, Max: 1,
		}
		if k.name == "hpc7g.16xlarge" {
			g.Zones = []string{"us-east-1a"}
		}
		o.NodeGroups = append(o.NodeGroups, g)
	}
	return o
}

func TestGenerateGolden(t *testing.T) {
	got, err := clusterconfig.Generate(options())
	if err != nil {
		t.Fatal(err)
	}
	golden := filepath.Join("testdata", "study.yaml")
	if *update {
		if err := os.WriteFile(golden, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Errorf("generated file differs from %s (-want +got):\n%s", golden, diff)
	}
}

// What is generated must pass eksctl's own loader, defaults and validation, and mean there what was meant here.
func TestGenerateIsWhatEksctlReads(t *testing.T) {
	if err := api.Register(); err != nil {
		t.Fatal(err)
	}
	o := options()
	data, err := clusterconfig.Generate(o)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "cluster.yaml")
	if err := os.WriteFile(file, data, 0o600); err != nil {
		t.Fatal(err)
	}
	cfg, err := eks.LoadConfigFromFile(file)
	if err != nil {
		t.Fatalf("eksctl does not load the file: %v", err)
	}
	cmd := &cmdutils.Cmd{ClusterConfig: cfg, Validate: true}
	if err := cmd.InitializeClusterConfig(); err != nil {
		t.Fatalf("eksctl does not accept the file: %v", err)
	}
	if len(cfg.ManagedNodeGroups) != 23 {
		t.Fatalf("%d node groups, want 22 and the sticky one", len(cfg.ManagedNodeGroups))
	}
	if cfg.Metadata.Tags[clusterconfig.TagLab] != "study" || !api.IsEnabled(cfg.IAM.WithOIDC) || !cfg.AddonsConfig.DisableDefaultAddons {
		t.Errorf("tags %v, OIDC %v, default addons off %v", cfg.Metadata.Tags, api.IsEnabled(cfg.IAM.WithOIDC), cfg.AddonsConfig.DisableDefaultAddons)
	}
	for i, ng := range cfg.ManagedNodeGroups {
		checkGroup(t, o.NodeGroups[i], ng)
	}
}

func checkGroup(t *testing.T, want clusterconfig.NodeGroup, ng *api.ManagedNodeGroup) {
	t.Helper()
	if ng.Name != want.Name || ng.InstanceType != want.InstanceType {
		t.Errorf("group %s of %s, want %s of %s", ng.Name, ng.InstanceType, want.Name, want.InstanceType)
	}
	if *ng.MinSize != want.Min || *ng.DesiredCapacity != want.Desired || *ng.MaxSize != want.Max {
		t.Errorf("%s: sizes %d/%d/%d, want %d/%d/%d", ng.Name, *ng.MinSize, *ng.DesiredCapacity, *ng.MaxSize, want.Min, want.Desired, want.Max)
	}
	ami := string(api.GetAMIType(ng.AMIFamily, ng.InstanceType, false))
	if arm := strings.Contains(ami, "ARM_64"); !strings.HasPrefix(ami, "AL2023_") || arm != (want.Architecture == "arm64") {
		t.Errorf("%s of %s gets image type %s", ng.Name, want.Architecture, ami)
	}
	if !api.IsEnabled(ng.PropagateASGTags) {
		t.Errorf("%s: tags do not reach the scaling group", ng.Name)
	}
	if len(ng.Tags) > 25 {
		t.Errorf("%s: %d tags", ng.Name, len(ng.Tags))
	}
	for _, key := range []string{"enabled", "study", "node-template/resources/cpu", "node-template/label/node.kubernetes.io/instance-type"} {
		if ng.Tags["k8s.io/cluster-autoscaler/"+key] == "" {
			t.Errorf("%s: no tag for the autoscaler's %s", ng.Name, key)
		}
	}
}

func TestValidate(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*clusterconfig.Options)
		want   string
	}{
		"name":      {func(o *clusterconfig.Options) { o.Name = "a_b" }, "letters, digits and hyphens"},
		"no name":   {func(o *clusterconfig.Options) { o.Name = "" }, "cluster name"},
		"long name": {func(o *clusterconfig.Options) { o.Name = strings.Repeat("a", 67) }, "at most 66 characters"},
		"long group": {func(o *clusterconfig.Options) {
			o.Name, o.NodeGroups[1].Name = strings.Repeat("a", 60), strings.Repeat("b", 60)
		}, "longer than CloudFormation's 128"},
		"region":     {func(o *clusterconfig.Options) { o.Region = "" }, "no region"},
		"version":    {func(o *clusterconfig.Options) { o.KubernetesVersion = "latest" }, "minor version"},
		"one zone":   {func(o *clusterconfig.Options) { o.Zones = o.Zones[:1] }, "at least two"},
		"no groups":  {func(o *clusterconfig.Options) { o.NodeGroups = nil }, "no node groups"},
		"twice":      {func(o *clusterconfig.Options) { o.NodeGroups[1].Name = "sticky" }, "appears twice"},
		"sizes":      {func(o *clusterconfig.Options) { o.NodeGroups[1].Min = 3 }, "min <= desired"},
		"max zero":   {func(o *clusterconfig.Options) { o.NodeGroups[1].Max = 0 }, "max >= 1"},
		"no sticky":  {func(o *clusterconfig.Options) { o.NodeGroups[0].Min, o.NodeGroups[0].Desired = 0, 0 }, "desires no node"},
		"no type":    {func(o *clusterconfig.Options) { o.NodeGroups[1].InstanceType = "" }, "no instance type"},
		"other zone": {func(o *clusterconfig.Options) { o.NodeGroups[1].Zones = []string{"us-east-1f"} }, "not one of the cluster's zones"},
	} {
		t.Run(name, func(t *testing.T) {
			o := options()
			c.change(&o)
			_, err := clusterconfig.Generate(o)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %v, want one with %q", err, c.want)
			}
		})
	}
}

func TestRead(t *testing.T) {
	o := options()
	data, err := clusterconfig.Generate(o)
	if err != nil {
		t.Fatal(err)
	}
	facts, err := clusterconfig.Read(data)
	if err != nil {
		t.Fatal(err)
	}
	if facts.Name != o.Name || facts.Region != o.Region || facts.KubernetesVersion != o.KubernetesVersion || len(facts.NodeGroups) != len(o.NodeGroups) {
		t.Errorf("facts %+v", facts)
	}
	for i, g := range facts.NodeGroups {
		w := o.NodeGroups[i]
		if g.Name != w.Name || g.InstanceType != w.InstanceType || g.Min != w.Min || g.Max != w.Max || g.Sticky != w.Sticky {
			t.Errorf("group %+v, want %+v", g, w)
		}
	}
}

const (
	head   = "apiVersion: eksctl.io/v1alpha5\nkind: ClusterConfig\nmetadata: {name: mine, region: us-east-1, version: \"1.34\"}\n"
	groups = "managedNodeGroups:\n- {name: s, instanceType: t3.2xlarge, minSize: 1, desiredCapacity: 1, maxSize: 1}\n"
)

// What a group may have besides does not stand against it.
func TestReadTakes(t *testing.T) {
	for name, more := range map[string]string{
		"soft taint": "taints: [{key: db, value: \"true\", effect: PreferNoSchedule}]", "template": "launchTemplate: {id: lt-1}", "family": "amiFamily: Bottlerocket",
	} {
		if f, err := clusterconfig.Read([]byte(head + groups + "- {name: a, instanceType: m5.large, " + more + "}\n")); err != nil || len(f.NodeGroups) != 2 {
			t.Errorf("%s: %+v, %v", name, f, err)
		}
	}
}

func TestReadRefuses(t *testing.T) {
	for name, c := range map[string]struct{ data, want string }{
		"other version":  {"apiVersion: eksctl.io/v1alpha4\nkind: ClusterConfig\nmetadata: {name: a, region: b}", "v1alpha5 only"},
		"other kind":     {"apiVersion: eksctl.io/v1alpha5\nkind: Pod\nmetadata: {name: a, region: b}", `kind is "Pod"`},
		"no name":        {"apiVersion: eksctl.io/v1alpha5\nkind: ClusterConfig\nmetadata: {region: b}", "metadata.name"},
		"no region":      {"apiVersion: eksctl.io/v1alpha5\nkind: ClusterConfig\nmetadata: {name: b}", "metadata.region"},
		"not yaml":       {"\x00\x01: [", "not an eksctl cluster file"},
		"empty":          {"", `kind is ""`},
		"auto mode":      {head + "autoModeConfig: {enabled: true}\n", "autoModeConfig is enabled"},
		"self-managed":   {head + "nodeGroups:\n- {name: s, instanceType: t3.2xlarge}\n", "need managedNodeGroups"},
		"no groups":      {head, "no managedNodeGroups"},
		"mixed types":    {head + "managedNodeGroups:\n- {name: a, instanceTypes: [c7a.12xlarge, c6i.16xlarge]}\n", "a has 2 instance types"},
		"selector":       {head + groups + "- {name: a, instanceSelector: {vCPUs: 2}}\n", "a lets eksctl choose the instance types"},
		"template":       {head + groups + "- {name: a, launchTemplate: {id: lt-1}}\n", "a has its instance type in a launch template"},
		"Windows":        {head + groups + "- {name: a, instanceType: m5.large, amiFamily: WindowsServer2022FullContainer}\n", "a runs WindowsServer2022FullContainer"},
		"Windows beside": {head + groups + "nodeGroups:\n- {name: w, instanceType: m5.large, amiFamily: WindowsServer2022CoreContainer}\n", "nodeGroups: w runs Windows"},
		"taint":          {head + groups + "- {name: a, instanceType: m5.large, taints: [{key: db, value: \"true\", effect: NoSchedule}]}\n", "a has the taint db=true:NoSchedule"},
		"older taint":    {head + groups + "- {name: a, instanceType: m5.large, taints: {db: \"true:NoExecute\"}}\n", "a has the taint db=true:NoExecute"},
		"odd taint":      {head + groups + "- {name: a, instanceType: m5.large, taints: yes}\n", "a has taints that are neither"},
		"two documents":  {head + groups + "---\n" + head + groups, "more than one YAML document"},
		"float version":  {strings.Replace(head, `"1.34"`, "1.30", 1) + groups, `write it in quotes: "1.30"`},
		"odd version":    {strings.Replace(head, `"1.34"`, `"1.3.0"`, 1) + groups, "write a minor version"},
		"bad name":       {strings.Replace(head, "mine", "my_cluster.x", 1) + groups, "letters, digits and hyphens"},
		"long name":      {strings.Replace(head, "mine", strings.Repeat("a", 101), 1) + groups, "at most 66 characters"},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := clusterconfig.Read([]byte(c.data)); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %v, want one with %q", err, c.want)
			}
		})
	}
}
