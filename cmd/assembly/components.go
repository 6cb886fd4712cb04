package assembly

import (
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/compspec/ocifit-lab/addons"
	"github.com/compspec/ocifit-lab/addons/certmanager"
	"github.com/compspec/ocifit-lab/addons/component"
	"github.com/compspec/ocifit-lab/addons/nfd"
	"github.com/compspec/ocifit-lab/provision/chart"
	"github.com/compspec/ocifit-lab/provision/lab"
	"github.com/compspec/ocifit-lab/templates"
)

// autoscalerComponent is the pinned chart's name.
const autoscalerComponent = "cluster-autoscaler"

// Components lists what is installed from elsewhere into a cluster in which everything runs, with its pins, in the order of the names.
func (l *Lab) Components() ([]templates.Component, error) {
	c := l.Spec.Components
	wanted := map[string]bool{
		"cert-manager":  c.CertificatesBy() == lab.CertManager,
		"flux-operator": c.MiniClustersBy() == lab.FluxOperator,
		"nfd":           c.WithNFD(),

		autoscalerComponent: l.Provider.Traits().Autoscaling != nil,
	}
	var list []templates.Component
	for _, name := range slices.Sorted(maps.Keys(wanted)) {
		if !wanted[name] {
			continue
		}
		pins, err := templates.ComponentOf(c.VersionSet(), name)
		if err != nil {
			return nil, err
		}
		if other, ok := c.Charts[name]; ok {
			pins = replaced(pins, other)
		}
		list = append(list, pins)
	}
	return list, nil
}

// replaced are the pins with another chart. Its version is that of the archive; its images are whatever it names.
func replaced(pins templates.Component, by lab.Chart) templates.Component {
	pins.Chart, pins.Digest, pins.Images, pins.Version = by.Chart, by.Digest, nil, ""
	if at := strings.LastIndex(by.Chart, ":"); strings.HasPrefix(by.Chart, "oci://") && at > strings.LastIndex(by.Chart, "/") {
		pins.Chart, pins.Version = by.Chart[:at], by.Chart[at+1:]
	}
	return pins
}

// components are the chosen ones, ready to be installed.
func (l *Lab) components() ([]*component.Component, error) {
	list, err := l.Components()
	if err != nil {
		return nil, err
	}
	lock := &component.Lock{File: l.Dir.Path("digests.json")}
	var out []*component.Component
	for _, pins := range list {
		out = append(out, &component.Component{
			Name: pins.Name, Namespace: pins.Namespace, Records: addons.Namespace, Lock: lock,
			Ref:    chart.Ref{Location: pins.Chart, Version: pins.Version, Digest: pins.Digest},
			Values: l.chartValues(pins.Name), Images: pins.Replacements(), Nodes: l.Provider.Traits().StickyLabels, Source: Sources(l.Spec),
		})
	}
	return out, nil
}

// chartValues are what the lab sets in the charts, with the user's values over them.
func (l *Lab) chartValues(name string) map[string]any {
	values := map[string]any{}
	switch name {
	case "cert-manager":
		values = certmanager.Values()
	case "nfd":
		values = nfd.Values()
	}
	values = chart.Merge(values, placement(name, l.Provider.Traits().StickyLabels))
	return chart.Merge(values, l.Spec.Components.Charts[name].Values)
}

// placement keeps what is installed on the nodes that are always there: a part of an addon that waits for a place would otherwise have the
// autoscaler start a node of the experiments.
func placement(component string, sticky map[string]string) map[string]any {
	if len(sticky) == 0 {
		return map[string]any{}
	}
	selector := map[string]any{}
	for k, v := range sticky {
		selector[k] = v
	}
	place := map[string]any{"nodeSelector": selector}
	switch component {
	case autoscalerComponent:
		return place
	case "cert-manager":
		out := maps.Clone(place)
		for _, part := range []string{"webhook", "cainjector", "startupapicheck"} {
			out[part] = place
		}
		return out
	case "nfd":
		return map[string]any{"master": place, "gc": place}
	}
	return map[string]any{}
}

// Sources are where charts and manifests come from.
func Sources(spec *lab.Spec) chart.Options {
	return chart.Options{Mirrors: spec.Components.ChartMirrors, BundleFile: spec.Components.Bundle, Pause: time.Second}
}
