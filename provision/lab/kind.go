package lab

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/compspec/ocifit-lab/templates"
)

// Kind configures provider kind.
type Kind struct {
	// Engine is docker, podman or nerdctl; empty takes the first one that answers.
	Engine string `yaml:"engine,omitempty"`
	// NodeImage replaces the node image that kind was released with.
	NodeImage string `yaml:"nodeImage,omitempty"`
	// Workers are the instance types that the workers stand for, one each.
	Workers []string `yaml:"workers,omitempty"`
	// LabImage is an image of ocifit-lab for Linux; empty means one made from the running program.
	LabImage string `yaml:"labImage,omitempty"`
	// Images are further images that are loaded from the engine into the nodes.
	Images []string `yaml:"images,omitempty"`
	// Retain keeps the nodes of a cluster that could not be created.
	Retain bool `yaml:"retain,omitempty"`
}

// Components choose what is installed into clusters that are not simulated, and where it comes from.
type Components struct {
	// Versions is "pinned" (the default) or "procedure".
	Versions string `yaml:"versions,omitempty"`
	// Certificates is "cert-manager" (the default) or "lab".
	Certificates string `yaml:"certificates,omitempty"`
	// MiniClusters is "flux-operator" (the default) or "builtin".
	MiniClusters string `yaml:"miniclusters,omitempty"`
	// CachedFeaturesOnly leaves node-feature-discovery out.
	CachedFeaturesOnly bool `yaml:"cachedFeaturesOnly,omitempty"`
	// RegistryMirrors are asked before a registry of images.
	RegistryMirrors map[string][]string `yaml:"registryMirrors,omitempty"`
	// ChartMirrors are asked before a registry or host of charts and manifests.
	ChartMirrors map[string][]string `yaml:"chartMirrors,omitempty"`
	// Bundle is a file of `bundle create` from which charts, manifests and images are taken.
	Bundle string `yaml:"bundle,omitempty"`
	// Charts replaces the pinned source of a component, by the component's name.
	Charts map[string]Chart `yaml:"charts,omitempty"`
}

// Chart is the source of a component.
type Chart struct {
	// Chart is an oci:// reference, an https:// address or a file.
	Chart string `yaml:"chart"`
	// Digest is what the chart's archive must have: sha256: and 64 hexadecimal digits. Empty checks nothing.
	Digest string `yaml:"digest,omitempty"`
	// Values are laid over those that the lab sets.
	Values map[string]any `yaml:"values,omitempty"`
}

// The choices of Components.
const (
	VersionsPinned    = "pinned"
	VersionsProcedure = "procedure"
	CertManager       = "cert-manager"
	LabCertificates   = "lab"
	FluxOperator      = "flux-operator"
	Builtin           = "builtin"
)

// CertificatesBy is the effective choice of certificates.
func (c Components) CertificatesBy() string { return orElse(c.Certificates, CertManager) }

// MiniClustersBy is the effective choice of the MiniCluster controller.
func (c Components) MiniClustersBy() string { return orElse(c.MiniClusters, FluxOperator) }

// VersionSet is the effective set of versions.
func (c Components) VersionSet() string { return orElse(c.Versions, VersionsPinned) }

// WithNFD tells whether node-feature-discovery is installed.
func (c Components) WithNFD() bool { return !c.CachedFeaturesOnly }

func orElse(value, otherwise string) string {
	if value == "" {
		return otherwise
	}
	return value
}

var chartDigest = regexp.MustCompile(`^sha256:[0-9a-f]{64}$`)

func (c Components) validate() []error {
	var problems []error
	choose := func(field, value string, known ...string) {
		if value != "" && !slices.Contains(known, value) {
			problems = append(problems, fmt.Errorf("components.%s %q is not known%s; choose %s", field, value, didYouMean(value, known), strings.Join(known, " or ")))
		}
	}
	choose("versions", c.Versions, VersionsPinned, VersionsProcedure)
	choose("certificates", c.Certificates, CertManager, LabCertificates)
	choose("miniclusters", c.MiniClusters, FluxOperator, Builtin)
	for name, chart := range c.Charts {
		if known := templates.Components(); !slices.Contains(known, name) {
			problems = append(problems, fmt.Errorf("components.charts: there is no component %q%s; known: %s", name, didYouMean(name, known), strings.Join(known, ", ")))
		}
		if chart.Digest != "" && !chartDigest.MatchString(chart.Digest) {
			problems = append(problems, fmt.Errorf("components.charts.%s.digest %q is no digest: sha256: and 64 hexadecimal digits", name, chart.Digest))
		}
	}
	return problems
}

func (k Kind) validate() []error {
	var problems []error
	if known := []string{"", "docker", "podman", "nerdctl"}; !slices.Contains(known, k.Engine) {
		problems = append(problems, fmt.Errorf("kind.engine %q is not known; choose docker, podman or nerdctl", k.Engine))
	}
	var types []string
	for _, t := range templates.InstanceTypes() {
		types = append(types, t.Name)
	}
	seen := map[string]bool{}
	for _, w := range k.Workers {
		if !slices.Contains(types, w) {
			problems = append(problems, fmt.Errorf("kind.workers: instance type %q is not in the catalogue%s", w, didYouMean(w, types)))
		}
		if seen[w] {
			problems = append(problems, fmt.Errorf("kind.workers: %s is named twice; two workers of one type would look like one candidate", w))
		}
		seen[w] = true
	}
	return problems
}
