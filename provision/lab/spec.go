// Package lab says what a lab is: the spec that a user writes as lab.yaml, and the folder where its state is kept.
package lab

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/compspec/ocifit-lab/provision/yamlfile"
	"github.com/compspec/ocifit-lab/templates"
)

// APIVersion is the version of lab.yaml that this program reads and writes.
const APIVersion = "ocifit-lab/v1alpha1"

// Providers are the places where a lab can run.
var Providers = []string{"eks", "kind", "sim"}

// Spec is one lab as its user describes it.
type Spec struct {
	// APIVersion is always ocifit-lab/v1alpha1.
	APIVersion string `yaml:"apiVersion"`
	// Name becomes part of the cluster's name and of the state folder.
	Name string `yaml:"name"`
	// Provider is eks, kind or sim.
	Provider string `yaml:"provider"`
	// Region is the AWS region of provider eks, and the one whose prices are used everywhere.
	Region string `yaml:"region"`
	// KubernetesVersion is the minor version of the control plane on eks; sim and kind carry their own.
	KubernetesVersion string `yaml:"kubernetesVersion,omitempty"`
	// NodeGroups are the nodes that the lab may have. The default is one group for each instance type of the catalogue.
	NodeGroups []NodeGroup `yaml:"nodeGroups"`
	Webhook    Webhook     `yaml:"webhook"`
	Artifact   Artifact    `yaml:"artifact"`
	Experiment Experiment  `yaml:"experiment"`
	Sim        Sim         `yaml:"sim"`
	EKS        EKS         `yaml:"eks,omitempty"`
	Kind       Kind        `yaml:"kind,omitempty"`
	Components Components  `yaml:"components,omitempty"`
}

// NodeGroup is a set of nodes of one instance type that scales between Min and Max.
type NodeGroup struct {
	// Name is unique among the groups.
	Name string `yaml:"name"`
	// InstanceType is one of the catalogue.
	InstanceType string `yaml:"instanceType"`
	// Min is the number of nodes that stay when nothing needs them.
	Min int `yaml:"min"`
	// Desired is the number of nodes at the start.
	Desired int `yaml:"desired"`
	// Max is the number of nodes that the group grows to, 1 or more.
	Max int `yaml:"max"`
	// Zones are the availability zones of its nodes; empty leaves the choice to the provider.
	Zones []string `yaml:"zones,omitempty"`
	// Sticky marks the group that carries the addons and never scales to zero.
	Sticky bool `yaml:"sticky,omitempty"`
}

// Webhook configures the selection of instance types.
type Webhook struct {
	// Skip lists instance types that are never chosen.
	Skip []string `yaml:"skip"`
	// TieBreak is "price" (lowest price, then name) or "first" (order of the catalogue).
	TieBreak string `yaml:"tieBreak"`
	// AllowRegistries are further registries (host, host:port or *.domain) that pods may name artifacts in; those of the lab's own artifact,
	// of the published one and of mirrors are allowed anyway.
	AllowRegistries []string `yaml:"allowRegistries,omitempty"`
}

// Artifact is the compatibility artifact that the lab builds and pushes.
type Artifact struct {
	// Repository is where the artifact goes, without a tag. Empty means the lab's own registry.
	Repository string `yaml:"repository,omitempty"`
	// Tag names the artifact in its repository.
	Tag string `yaml:"tag"`
	// Images maps an architecture to the application's image; they are what the webhook sets.
	Images map[string]string `yaml:"images"`
	// Models are model files, as models train and models import write them, that the artifact brings beside the study's models; arms name
	// them by the name in the file.
	Models []string `yaml:"models,omitempty"`
}

// Experiment says what runs and where the results go.
type Experiment struct {
	// Study is the name of a shipped study or the path of a study file.
	Study string `yaml:"study"`
	// Trials overrides the study's repeats per arm when it is not zero.
	Trials int `yaml:"trials,omitempty"`
	// Results is the folder that takes one run folder per study.
	Results string `yaml:"results"`
	// Namespace is where trials run.
	Namespace string `yaml:"namespace"`
	// Seed overrides the study's seed when it is not zero; it decides the order of trials and random choices.
	Seed uint64 `yaml:"seed,omitempty"`
}

// Sim configures provider sim.
type Sim struct {
	// TimeScale multiplies simulated waits: 1 is real time, 0.01 a hundred times faster, 0 does not wait at all.
	TimeScale float64 `yaml:"timeScale"`
	// NodeStart is the simulated time from the scaler's decision to a ready node.
	NodeStart time.Duration `yaml:"nodeStart"`
	// ScaleDownAfter is the simulated time after which a node that nobody needs is removed.
	ScaleDownAfter time.Duration `yaml:"scaleDownAfter"`
	// APIServerPort is the API server's port; 0 takes a free one.
	APIServerPort int `yaml:"apiServerPort"`
}

// Default is the study's lab on provider sim.
func Default() *Spec {
	s := &Spec{
		APIVersion:        APIVersion,
		Name:              "ocifit",
		Provider:          "sim",
		Region:            "us-east-1",
		KubernetesVersion: "1.35",
		Webhook:           Webhook{Skip: []string{stickyType}, TieBreak: "price"},
		Artifact: Artifact{
			Tag: "study",
			Images: map[string]string{
				"amd64": "ghcr.io/converged-computing/hpcg-matrix:znver3-Ofast",
				"arm64": "ghcr.io/converged-computing/hpcg-matrix:neoverse-v2-O2-arm",
			},
		},
		Experiment: Experiment{
			Study: "procedure", Results: "results", Namespace: "experiments",
		},
		Sim: Sim{TimeScale: 0, NodeStart: 80 * time.Second, ScaleDownAfter: 10 * time.Minute},
	}
	s.NodeGroups = append(s.NodeGroups, NodeGroup{Name: "sticky", InstanceType: stickyType, Min: 1, Desired: 1, Max: 1, Sticky: true})
	for _, t := range templates.InstanceTypes() {
		if t.Name != stickyType {
			s.NodeGroups = append(s.NodeGroups, NodeGroup{Name: GroupName(t.Name), InstanceType: t.Name, Max: 1, Zones: []string{t.Zone}})
		}
	}
	return s
}

// stickyType carries the addons in the study; it is cheap and therefore never a candidate.
const stickyType = "t3.2xlarge"

// Load reads the lab's spec from a file over the defaults. With optional, a file that does not exist means the defaults.
func Load(file string, optional bool) (*Spec, error) {
	s := Default()
	data, err := os.ReadFile(file)
	switch {
	case errors.Is(err, fs.ErrNotExist) && optional:
		return s, nil
	case errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("there is no %s; write one with `ocifit-lab init --lab %s`", file, file)
	case err != nil:
		return nil, err
	}
	if err := s.decode(data, file); err != nil {
		return nil, err
	}
	if err := s.Validate(); err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	return s, nil
}

// LoadSaved reads the spec that a lab was brought up with. What a later program would refuse is no reason not to find the lab again.
func LoadSaved(file string) (*Spec, error) {
	s := Default()
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	return s, s.decode(data, file)
}

func (s *Spec) decode(data []byte, file string) error {
	// A list in the file replaces the default list; a map's entries are merged.
	s.APIVersion = ""
	if _, err := yamlfile.Decode(data, file, s); err != nil {
		return err
	}
	switch s.APIVersion {
	case APIVersion:
	case "":
		return fmt.Errorf("%s: apiVersion is missing; this program reads %s", file, APIVersion)
	default:
		return fmt.Errorf("%s: apiVersion is %q; this program reads %s", file, s.APIVersion, APIVersion)
	}
	return nil
}

// YAML renders the spec as a lab.yaml without comments.
func (s *Spec) YAML() ([]byte, error) { return yaml.Marshal(s) }

// Sticky returns the group that carries the addons.
func (s *Spec) Sticky() (NodeGroup, bool) {
	for _, g := range s.NodeGroups {
		if g.Sticky {
			return g, true
		}
	}
	return NodeGroup{}, false
}

// Group is a node group joined with what the catalogue knows of its instance type.
type Group struct {
	NodeGroup
	Type templates.InstanceType // zero, but for its name, when the catalogue does not know it
}

// Groups joins the node groups with the catalogue.
func (s *Spec) Groups() []Group {
	types := map[string]templates.InstanceType{}
	for _, t := range templates.InstanceTypes() {
		types[t.Name] = t
	}
	groups := make([]Group, 0, len(s.NodeGroups))
	for _, g := range s.NodeGroups {
		t := types[g.InstanceType]
		t.Name = g.InstanceType
		groups = append(groups, Group{NodeGroup: g, Type: t})
	}
	return groups
}

// HasGroup tells whether any node group is of the instance type. A type without one must not be a candidate: its job would wait
// for ever.
func (s *Spec) HasGroup(instanceType string) bool {
	return slices.Contains(s.InstanceTypes(), instanceType)
}

// InstanceTypes lists the types of the node groups, each once, in the groups' order.
func (s *Spec) InstanceTypes() []string {
	var types []string
	for _, g := range s.NodeGroups {
		if !slices.Contains(types, g.InstanceType) {
			types = append(types, g.InstanceType)
		}
	}
	return types
}
