package clusterconfig

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/hashicorp/go-multierror"
	yamlv3 "go.yaml.in/yaml/v3"
	"sigs.k8s.io/yaml"

	"github.com/compspec/ocifit-lab/provision/step"
)

// Facts are what the lab has to know of an eksctl file, its own or a user's.
type Facts struct {
	Name, Region, KubernetesVersion string
	Zones                           []string
	NodeGroups                      []NodeGroup
	ServiceAccounts                 []string // with roles of their own, as namespace/name
	Addons                          []string // that eksctl makes as EKS addons
}

// Networking are the addons that every generated cluster has, and every other one that does not turn eksctl's defaults off.
var Networking = []string{"vpc-cni", "kube-proxy", "coredns"}

// Read takes the facts from an eksctl file. It refuses a file of another kind or API version, and one that names no cluster; what else is
// wrong with it only eksctl's own loader can tell. A file without a version has an empty KubernetesVersion.
func Read(data []byte) (Facts, error) {
	var f givenFile
	if err := yaml.Unmarshal(data, &f); err != nil {
		return Facts{}, fmt.Errorf("not an eksctl cluster file: %w", err)
	}
	if err := checkText(data); err != nil {
		return Facts{}, err
	}
	switch {
	case f.Kind != Kind:
		return Facts{}, fmt.Errorf("kind is %q, want %s", f.Kind, Kind)
	case f.APIVersion != APIVersion:
		return Facts{}, fmt.Errorf("apiVersion is %q, this program reads %s only", f.APIVersion, APIVersion)
	case f.Metadata.Name == "":
		return Facts{}, fmt.Errorf("metadata.name is missing")
	case f.Metadata.Region == "":
		return Facts{}, fmt.Errorf("metadata.region is missing")
	}
	if !clusterName.MatchString(f.Metadata.Name) {
		return Facts{}, nameError(f.Metadata.Name)
	}
	if v := f.Metadata.Version; v != "" && !minor.MatchString(v) {
		return Facts{}, fmt.Errorf("metadata.version %q: write a minor version such as \"1.35\"", v)
	}
	if err := f.usable(); err != nil {
		return Facts{}, err
	}
	facts := Facts{Name: f.Metadata.Name, Region: f.Metadata.Region, KubernetesVersion: f.Metadata.Version, Zones: f.Zones}
	for _, g := range append(f.Managed, f.Unmanaged...) {
		facts.NodeGroups = append(facts.NodeGroups, g.facts())
	}
	for _, a := range f.Addons {
		facts.Addons = append(facts.Addons, a.Name)
	}
	if !f.Config.DisableDefaultAddons {
		facts.Addons = append(facts.Addons, Networking...)
	}
	for _, a := range f.IAM.ServiceAccounts {
		facts.ServiceAccounts = append(facts.ServiceAccounts, a.Metadata.Namespace+"/"+a.Metadata.Name)
	}
	return facts, nil
}

// givenFile is what matters of a user's file.
type givenFile struct {
	APIVersion string       `json:"apiVersion"`
	Kind       string       `json:"kind"`
	Metadata   metadata     `json:"metadata"`
	Zones      []string     `json:"availabilityZones"`
	Managed    []group      `json:"managedNodeGroups"`
	Unmanaged  []group      `json:"nodeGroups"`
	Addons     []addon      `json:"addons"`
	Config     addonsConfig `json:"addonsConfig"`
	AutoMode   struct {
		Enabled *bool `json:"enabled"`
	} `json:"autoModeConfig"`
	IAM struct {
		ServiceAccounts []serviceAccount `json:"serviceAccounts"`
	} `json:"iam"`
}

// usable refuses a cluster on which no trial could run, or whose nodes could be of a type that nobody knows before.
func (f *givenFile) usable() error {
	switch {
	case f.AutoMode.Enabled != nil && *f.AutoMode.Enabled:
		return errors.New("autoModeConfig is enabled: EKS would choose the instance types itself; the lab needs managedNodeGroups, one of each type")
	case len(f.Managed) == 0 && len(f.Unmanaged) > 0:
		return errors.New("there are nodeGroups only: the lab's trials need managedNodeGroups, one of each instance type, which the autoscaler finds")
	case len(f.Managed) == 0:
		return errors.New("there are no managedNodeGroups: the lab needs one of each instance type")
	}
	var errs *multierror.Error
	for _, g := range f.Managed {
		if err := g.usable(); err != nil {
			errs = multierror.Append(errs, fmt.Errorf("managedNodeGroups: %s %w", g.Name, err))
		}
	}
	for _, g := range f.Unmanaged {
		if err := g.runsLinux(); err != nil {
			errs = multierror.Append(errs, fmt.Errorf("nodeGroups: %s %w", g.Name, err))
		}
	}
	return step.Listed(errs)
}

// usable refuses a managed group on which no pod of the lab could run, or whose instance type is not known before it is there.
func (g *group) usable() error {
	typed := g.InstanceType != "" || len(g.InstanceTypes) > 0
	switch {
	case len(g.InstanceTypes) > 1:
		return fmt.Errorf("has %d instance types: the lab needs a group of its own for each, as trials ask for a type", len(g.InstanceTypes))
	case len(g.Selector) > 0 && !typed:
		return errors.New("lets eksctl choose the instance types (instanceSelector): the lab needs a group of its own for each; write instanceType")
	case len(g.LaunchTemplate) > 0 && !typed:
		return errors.New("has its instance type in a launch template, where the lab does not see it; write instanceType, and take it out of the template")
	}
	if err := g.runsLinux(); err != nil {
		return err
	}
	taints, err := readTaints(g.Taints)
	if err != nil {
		return err
	}
	for _, t := range taints {
		if t.Effect == "NoSchedule" || t.Effect == "NoExecute" {
			return fmt.Errorf("has the taint %s=%s:%s, which no pod of the lab tolerates; take it away, or leave the group out", t.Key, t.Value, t.Effect)
		}
	}
	return nil
}

// runsLinux refuses Windows: neither the add-ons nor the daemons that the lab has on every node run there.
func (g *group) runsLinux() error {
	if strings.HasPrefix(g.AMIFamily, "Windows") {
		return fmt.Errorf("runs %s: nothing of the lab can; leave it out of the lab's file", g.AMIFamily)
	}
	return nil
}

type taint struct{ Key, Value, Effect string }

// readTaints reads taints in both of eksctl's forms: a list, and a mapping of keys to value:effect.
func readTaints(raw json.RawMessage) ([]taint, error) {
	if len(raw) == 0 {
		return nil, nil
	}
	var list []taint
	if err := json.Unmarshal(raw, &list); err == nil {
		return list, nil
	}
	var older map[string]string
	if err := json.Unmarshal(raw, &older); err != nil {
		return nil, errors.New("has taints that are neither a list of key, value and effect nor a mapping of key to value:effect")
	}
	for _, key := range slices.Sorted(maps.Keys(older)) {
		value, effect, _ := strings.Cut(older[key], ":")
		list = append(list, taint{key, value, effect})
	}
	return list, nil
}

// checkText refuses what a decoder would pass over: a second document, and a version that YAML reads as a number, so that 1.30 becomes 1.3.
func checkText(data []byte) error {
	dec := yamlv3.NewDecoder(bytes.NewReader(data))
	var doc, next yamlv3.Node
	if err := dec.Decode(&doc); err != nil {
		return nil // an empty file lacks everything, which others say better
	}
	if err := dec.Decode(&next); !errors.Is(err, io.EOF) {
		return errors.New("there is more than one YAML document: only the first would be read; make it one")
	}
	v := child(child(&doc, "metadata"), "version")
	if v != nil && v.Tag == "!!float" {
		return fmt.Errorf("line %d: metadata.version: %s is a number to YAML, so that 1.30 becomes 1.3; write it in quotes: %q", v.Line, v.Value, v.Value)
	}
	return nil
}

// child is the value of a key of a mapping, nil if there is none.
func child(n *yamlv3.Node, key string) *yamlv3.Node {
	if n == nil {
		return nil
	}
	if n.Kind == yamlv3.DocumentNode && len(n.Content) > 0 {
		n = n.Content[0]
	}
	for i := 0; n.Kind == yamlv3.MappingNode && i+1 < len(n.Content); i += 2 {
		if n.Content[i].Value == key {
			return n.Content[i+1]
		}
	}
	return nil
}

// group is what a managed and an unmanaged node group of eksctl have in common, sizes being optional there.
type group struct {
	Name          string            `json:"name"`
	InstanceType  string            `json:"instanceType"`
	InstanceTypes []string          `json:"instanceTypes"`
	Min           *int              `json:"minSize"`
	Desired       *int              `json:"desiredCapacity"`
	Max           *int              `json:"maxSize"`
	Zones         []string          `json:"availabilityZones"`
	VolumeSize    int               `json:"volumeSize"`
	Labels        map[string]string `json:"labels"`

	AMIFamily      string          `json:"amiFamily"`
	Taints         json.RawMessage `json:"taints"`
	Selector       map[string]any  `json:"instanceSelector"`
	LaunchTemplate map[string]any  `json:"launchTemplate"`
}

// eksctl's own defaults: two nodes unless a size is given, and sizes not given follow the one that is.
func (g group) facts() NodeGroup {
	first := func(values ...*int) int {
		for _, v := range values {
			if v != nil {
				return *v
			}
		}
		return 2
	}
	desired := first(g.Desired, g.Min)
	n := NodeGroup{
		Name: g.Name, InstanceType: g.InstanceType, Zones: g.Zones, VolumeGiB: g.VolumeSize, Labels: g.Labels,
		Desired: desired, Min: first(g.Min, &desired), Max: max(first(g.Max, &desired), desired),
	}
	if n.InstanceType == "" && len(g.InstanceTypes) > 0 {
		n.InstanceType = g.InstanceTypes[0]
	}
	if n.InstanceType == "" {
		n.InstanceType = "m5.large"
	}
	n.Sticky = n.Labels[LabelPool] == "sticky" || n.Min > 0
	return n
}
