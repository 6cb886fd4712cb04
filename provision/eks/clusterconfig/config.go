// Package clusterconfig turns a lab's list of node groups into the file eksctl makes a cluster from, and reads what matters of a user's own file.
package clusterconfig

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"

	"sigs.k8s.io/yaml"

	"github.com/compspec/ocifit-lab/webhook/compat"
)

// Tags that mark what the lab has made. Everything that down removes bears TagLab with the lab's name.
const (
	TagLab     = "ocifit-lab/lab"
	TagManaged = "ocifit-lab/managed"
)

// LabelPool is the node label that tells the sticky group ("sticky") from those the experiments start ("experiment").
const LabelPool = "ocifit-lab/pool"

// APIVersion and Kind are those of the only file format that the pinned eksctl reads.
const (
	APIVersion = "eksctl.io/v1alpha5"
	Kind       = "ClusterConfig"
)

const autoscalerTag = "k8s.io/cluster-autoscaler/"

// TemplateTypeTag is the tag of a scaling group from which the autoscaler knows the instance type of a group without nodes.
const TemplateTypeTag = autoscalerTag + "node-template/label/" + compat.LabelInstanceType

// Options are the facts a cluster is generated from.
type Options struct {
	Name              string // of the cluster, and of the lab
	Region            string
	KubernetesVersion string            // minor, as "1.34"
	Zones             []string          // availability zones of the cluster's subnets: none (eksctl chooses) or at least two
	NodeGroups        []NodeGroup       // in the order of the lab file
	Tags              map[string]string // put on everything, beside the lab's own
	NAT               string            // gateway of the private subnets: "Disable" (default; nodes live in public subnets), "Single", "HighlyAvailable"
}

// NodeGroup is one managed node group of one instance type.
type NodeGroup struct {
	Name, InstanceType string
	Architecture       string // amd64 or arm64; empty leaves the architecture out of the autoscaler's template
	VCPU               int    // of the type; 0 leaves it out of the autoscaler's template
	MemoryMiB          int64  // likewise
	Min, Desired, Max  int
	Sticky             bool              // always there, without taints: the place of the addons
	Zones              []string          // where its nodes may start; none: all zones of the cluster
	VolumeGiB          int               // root volume; 0 means 80
	Labels             map[string]string // node labels beside the lab's own
}

var (
	clusterName = regexp.MustCompile(fmt.Sprintf(`^[A-Za-z][A-Za-z0-9-]{0,%d}$`, nameLimit-1))
	groupName   = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9-]{0,62}$`)
	minor       = regexp.MustCompile(`^1\.[0-9]{1,3}$`)
)

// longestPart is the longest of what eksctl puts after a cluster's name in the names of stacks, which CloudFormation limits to 128 letters.
const longestPart = "-addon-iamserviceaccount-" + AutoscalerNamespace + "-" + AutoscalerAccount

const (
	stackLimit  = 128
	stackPrefix = "eksctl-"
)

func nameError(name string) error {
	return fmt.Errorf("cluster name %q: letters, digits and hyphens only, starting with a letter, at most %d characters", name, nameLimit)
}

// nameLimit leaves room for the names of stacks.
const nameLimit = stackLimit - len(stackPrefix) - len(longestPart)

// Validate tells the first thing in o that AWS or eksctl would refuse later.
func (o Options) Validate() error {
	switch {
	case !clusterName.MatchString(o.Name):
		return nameError(o.Name)
	case o.Region == "":
		return fmt.Errorf("cluster %s: no region", o.Name)
	case !minor.MatchString(o.KubernetesVersion):
		return fmt.Errorf("kubernetes version %q: write a minor version such as 1.34", o.KubernetesVersion)
	case len(o.Zones) == 1:
		return fmt.Errorf("zones: EKS needs at least two, %s is one", o.Zones[0])
	case len(o.NodeGroups) == 0:
		return fmt.Errorf("cluster %s: no node groups", o.Name)
	}
	seen := map[string]bool{}
	for _, g := range o.NodeGroups {
		if err := g.validate(o.Zones); err != nil {
			return err
		}
		if stack := stackPrefix + o.Name + "-nodegroup-" + g.Name; len(stack) > stackLimit {
			return fmt.Errorf("node group %s: its stack would be called %s, which is longer than CloudFormation's %d letters; shorten the lab's name or the group's", g.Name, stack, stackLimit)
		}
		if seen[g.Name] {
			return fmt.Errorf("node group %s appears twice", g.Name)
		}
		seen[g.Name] = true
	}
	return nil
}

func (g NodeGroup) validate(zones []string) error {
	switch {
	case !groupName.MatchString(g.Name):
		return fmt.Errorf("node group name %q: letters, digits and hyphens only, at most 63 characters", g.Name)
	case g.InstanceType == "":
		return fmt.Errorf("node group %s: no instance type", g.Name)
	case g.Min < 0 || g.Desired < g.Min || g.Max < g.Desired || g.Max < 1:
		return fmt.Errorf("node group %s: want 0 <= min <= desired <= max and max >= 1, got %d, %d, %d", g.Name, g.Min, g.Desired, g.Max)
	case g.Sticky && g.Desired < 1:
		return fmt.Errorf("node group %s is sticky but desires no node", g.Name)
	}
	for _, z := range g.Zones {
		if len(zones) > 0 && !slices.Contains(zones, z) {
			return fmt.Errorf("node group %s: zone %s is not one of the cluster's zones %v", g.Name, z, zones)
		}
	}
	return nil
}

// Generate writes the eksctl file of o. The same options give the same bytes.
func Generate(o Options) ([]byte, error) {
	if err := o.Validate(); err != nil {
		return nil, err
	}
	tags := map[string]string{}
	maps.Copy(tags, o.Tags)
	tags[TagLab], tags[TagManaged] = o.Name, "true"

	nat := o.NAT
	if nat == "" {
		nat = "Disable"
	}
	f := file{
		APIVersion: APIVersion,
		Kind:       Kind,
		Metadata:   metadata{Name: o.Name, Region: o.Region, Version: o.KubernetesVersion, Tags: tags},
		Zones:      o.Zones,
		VPC:        vpc{NAT: natGateway{Gateway: nat}},
		IAM:        iam{WithOIDC: true, ServiceAccounts: []serviceAccount{autoscaler(o.Name)}},
		// Only the addons a cluster cannot do without; eksctl's further defaults have no use here.
		AddonsConfig: addonsConfig{DisableDefaultAddons: true},
	}
	for _, name := range Networking {
		f.Addons = append(f.Addons, addon{Name: name})
	}
	for _, g := range o.NodeGroups {
		f.ManagedNodeGroups = append(f.ManagedNodeGroups, g.managed(o.Name))
	}
	return yaml.Marshal(f)
}

// volume is the size of the root disk in GiB.
func (g NodeGroup) volume() int {
	if g.VolumeGiB == 0 {
		return 80
	}
	return g.VolumeGiB
}

func (g NodeGroup) managed(cluster string) managedNodeGroup {
	return managedNodeGroup{
		Name:             g.Name,
		InstanceType:     g.InstanceType,
		AMIFamily:        "AmazonLinux2023",
		Min:              g.Min,
		Desired:          g.Desired,
		Max:              g.Max,
		Zones:            g.Zones,
		VolumeSize:       g.volume(),
		VolumeType:       "gp3",
		DisableIMDSv1:    true,
		Labels:           g.labels(),
		Tags:             g.tags(cluster),
		PropagateASGTags: true,
	}
}

func (g NodeGroup) labels() map[string]string {
	l := map[string]string{LabelPool: "experiment"}
	maps.Copy(l, g.Labels)
	if g.Sticky {
		l[LabelPool] = "sticky"
	}
	return l
}

// tags are what the cluster-autoscaler reads from the scaling group: whose it is, and what a node would look like while none runs.
func (g NodeGroup) tags(cluster string) map[string]string {
	t := map[string]string{
		autoscalerTag + "enabled":                  "true",
		autoscalerTag + cluster:                    "owned",
		labelTag("kubernetes.io/os"):               "linux",
		TemplateTypeTag:                            g.InstanceType,
		labelTag("eks.amazonaws.com/nodegroup"):    g.Name,
		labelTag("alpha.eksctl.io/cluster-name"):   cluster,
		labelTag("alpha.eksctl.io/nodegroup-name"): g.Name,
	}
	for k, v := range g.labels() {
		t[labelTag(k)] = v
	}
	if g.Architecture != "" {
		t[labelTag("kubernetes.io/arch")] = g.Architecture
	}
	if len(g.Zones) == 1 {
		t[labelTag("topology.kubernetes.io/zone")] = g.Zones[0]
	}
	if g.VCPU > 0 {
		t[resourceTag("cpu")] = strconv.Itoa(g.VCPU)
	}
	if g.MemoryMiB > 0 {
		t[resourceTag("memory")] = strconv.FormatInt(g.MemoryMiB, 10) + "Mi"
	}
	t[resourceTag("ephemeral-storage")] = strconv.Itoa(g.volume()) + "Gi"
	return t
}

func labelTag(label string) string { return autoscalerTag + "node-template/label/" + label }
func resourceTag(name string) string {
	return autoscalerTag + "node-template/resources/" + name
}
