package cli

import (
	"fmt"
	"io"

	"github.com/compspec/ocifit-lab/provision/kind"
	"github.com/compspec/ocifit-lab/provision/lab"
)

// plannedComponent is a line of the plan.
type plannedComponent struct {
	Name    string   `json:"name"`
	Version string   `json:"version"`
	Chart   string   `json:"chart"`
	Digest  string   `json:"digest"`
	Images  []string `json:"images"`
	// Warning says that the component does not name the cluster's minor version among those that it supports.
	Warning string `json:"warning,omitempty"`
}

// addComponents tells what is made from elsewhere: the nodes' image on kind, and what is installed.
func (p *plan) addComponents(spec *lab.Spec) {
	if spec.Provider == "kind" {
		p.NodeImage = orText(spec.Kind.NodeImage, kind.DefaultNodeImage)
	}
	list, err := pinnedComponents(spec)
	if err != nil || spec.Provider == "sim" {
		return // assembling the lab has refused it already
	}
	for _, pins := range list {
		row := plannedComponent{Name: pins.Name, Version: pins.Version, Chart: pins.Chart, Digest: pins.Digest}
		for _, i := range pins.ImagesFor(spec.KubernetesVersion) {
			row.Images = append(row.Images, i.Pinned())
		}
		if spec.Provider == "eks" && !pins.Supports(spec.KubernetesVersion) {
			row.Warning = fmt.Sprintf("supports Kubernetes %s to %s, the cluster gets %s", pins.Kubernetes.From, pins.Kubernetes.To, spec.KubernetesVersion)
		}
		p.Components = append(p.Components, row)
	}
}

func (p *plan) componentsText(w io.Writer) error {
	if p.NodeImage != "" {
		fmt.Fprintf(w, "  nodes  %s\n", p.NodeImage)
	}
	if len(p.Components) == 0 {
		return nil
	}
	fmt.Fprintln(w, "\ninstalled from elsewhere")
	for _, c := range p.Components {
		fmt.Fprintf(w, "  %s %s\n    %s\n    %s\n", c.Name, c.Version, c.Chart, orText(c.Digest, "digest not known to this program: the first installation fixes it, another content is refused then"))
		if c.Warning != "" {
			fmt.Fprintf(w, "    warning: %s\n", c.Warning)
		}
		for _, i := range c.Images {
			fmt.Fprintf(w, "    image %s\n", i)
		}
	}
	return nil
}

func orText(value, otherwise string) string {
	if value == "" {
		return otherwise
	}
	return value
}
