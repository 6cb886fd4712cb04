package cli

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/compspec/ocifit-lab/addons"
	"github.com/compspec/ocifit-lab/addons/builtin"
	"github.com/compspec/ocifit-lab/addons/certmanager"
	"github.com/compspec/ocifit-lab/addons/compatibility"
	"github.com/compspec/ocifit-lab/addons/component"
	"github.com/compspec/ocifit-lab/addons/fluxoperator"
	"github.com/compspec/ocifit-lab/addons/labcert"
	"github.com/compspec/ocifit-lab/addons/nfd"
	"github.com/compspec/ocifit-lab/addons/nodefeatures"
	"github.com/compspec/ocifit-lab/addons/ocifit"
	"github.com/compspec/ocifit-lab/provision/chart"
	"github.com/compspec/ocifit-lab/provision/kind"
	"github.com/compspec/ocifit-lab/provision/lab"
	"github.com/compspec/ocifit-lab/templates"
	"github.com/compspec/ocifit-lab/webhook/compat"
)

// registryPort is where a lab's own registry listens inside a cluster's network.
const registryPort = 5000

// realAddons are those of a cluster that is not simulated: everything runs in it.
func (s *setup) realAddons() ([]addons.Addon, error) {
	spec, c := s.spec, s.spec.Components
	list := []addons.Addon{
		&nodefeatures.Addon{Namespace: systemNamespace, Features: templates.NodeFeatures(spec.HasGroup), Types: len(spec.InstanceTypes())},
		&compatibility.Addon{Title: s.artifactTitle(), Target: s.artifactTarget, Make: s.makeRepository, Images: spec.Artifact.Images},
	}
	installed, err := s.components()
	if err != nil {
		return nil, err
	}
	for _, part := range installed {
		switch part.Name {
		case "cert-manager":
			list = append(list, &certmanager.Addon{Component: part, Proof: systemNamespace})
		case "flux-operator":
			list = append(list, &fluxoperator.Addon{Component: part, Proof: systemNamespace})
		case "nfd":
			list = append(list, &nfd.Addon{Component: part})
		case autoscalerComponent:
			list = append(list, s.autoscaler(part))
		}
	}
	if c.CertificatesBy() == lab.LabCertificates {
		list = append(list, &labcert.Addon{Namespace: systemNamespace, Secret: ocifit.Secret, Service: ocifit.Service})
	}
	if c.MiniClustersBy() == lab.Builtin {
		list = append(list, &builtin.Addon{Namespace: systemNamespace, Image: s.programImage})
	}
	return append(list, &ocifit.InCluster{
		Namespace: systemNamespace, CertManager: c.CertificatesBy() == lab.CertManager, Image: s.programImage, Artifact: s.artifactRef,
		PlainHTTP: s.plainInCluster, Model: compat.Random, Skip: spec.Webhook.Skip, TieBreak: spec.Webhook.TieBreak,
		Mirrors: c.RegistryMirrors, EgressPorts: s.egressPorts(),
	}), nil
}

// pinnedComponents lists the components that the spec chooses, with their pins, in the order of their names.
func pinnedComponents(spec *lab.Spec) ([]templates.Component, error) {
	c := spec.Components
	wanted := map[string]bool{
		"cert-manager":  c.CertificatesBy() == lab.CertManager,
		"flux-operator": c.MiniClustersBy() == lab.FluxOperator,
		"nfd":           c.WithNFD(),

		autoscalerComponent: spec.Provider == "eks",
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

// chartValues are what the lab sets in the charts, with the user's values over them.
func chartValues(spec *lab.Spec, name string) map[string]any {
	values := map[string]any{}
	switch name {
	case "cert-manager":
		values = certmanager.Values()
	case "nfd":
		values = nfd.Values()
	}
	values = chart.Merge(values, stickyPlace(spec, name))
	return chart.Merge(values, spec.Components.Charts[name].Values)
}

// components are the chosen ones, ready to be installed.
func (s *setup) components() ([]*component.Component, error) {
	list, err := pinnedComponents(s.spec)
	if err != nil {
		return nil, err
	}
	lock := &component.Lock{File: s.dir.Path("digests.json")}
	var out []*component.Component
	for _, pins := range list {
		out = append(out, &component.Component{
			Name: pins.Name, Namespace: pins.Namespace, Records: systemNamespace, Lock: lock,
			Ref:    chart.Ref{Location: pins.Chart, Version: pins.Version, Digest: pins.Digest},
			Values: chartValues(s.spec, pins.Name), Images: pins.Replacements(), Source: sources(s.spec),
		})
	}
	return out, nil
}

func sources(spec *lab.Spec) chart.Options {
	return chart.Options{Mirrors: spec.Components.ChartMirrors, BundleFile: spec.Components.Bundle, Pause: time.Second}
}

// plainInCluster lists the registries that a pod speaks to without TLS.
func (s *setup) plainInCluster(ctx context.Context) ([]string, error) {
	env, err := s.provider.Environment(ctx)
	if err != nil || !env.PlainHTTP || env.RegistryInCluster == "" {
		return nil, err
	}
	return []string{env.RegistryInCluster}, nil
}

// inUse says which of the parts that have a stand-in are in use.
func inUse(spec *lab.Spec) map[string]string {
	if spec.Provider == "sim" {
		return map[string]string{"certificates": "the lab's own authority", "miniclusters": "builtin controller"}
	}
	c := spec.Components
	facts := map[string]string{"certificates": c.CertificatesBy(), "miniclusters": c.MiniClustersBy(), "versions": c.VersionSet()}
	facts["node-features"] = "cached"
	if c.WithNFD() {
		facts["node-features"] = "node-feature-discovery, cached where it has none"
	}
	if spec.Provider == "kind" {
		facts["nodes"] = kind.StandIn
	}
	if list, err := pinnedComponents(spec); err == nil {
		for _, p := range list {
			facts[p.Name] = fmt.Sprint(p.Version)
		}
	}
	return facts
}

// overlayFacts lays one set of facts over another.
func overlayFacts(a, b map[string]string) map[string]string {
	out := maps.Clone(a)
	maps.Copy(out, b)
	return out
}
