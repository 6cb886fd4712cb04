package clusterconfig

import (
	"fmt"

	"sigs.k8s.io/yaml"
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
	var f struct {
		APIVersion string       `json:"apiVersion"`
		Kind       string       `json:"kind"`
		Metadata   metadata     `json:"metadata"`
		Zones      []string     `json:"availabilityZones"`
		Managed    []group      `json:"managedNodeGroups"`
		Unmanaged  []group      `json:"nodeGroups"`
		Addons     []addon      `json:"addons"`
		Config     addonsConfig `json:"addonsConfig"`
		IAM        struct {
			ServiceAccounts []serviceAccount `json:"serviceAccounts"`
		} `json:"iam"`
	}
	if err := yaml.Unmarshal(data, &f); err != nil {
		return Facts{}, fmt.Errorf("not an eksctl cluster file: %w", err)
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
