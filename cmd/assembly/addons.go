package assembly

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/compspec/ocifit-lab/addons"
	"github.com/compspec/ocifit-lab/addons/autoscaler"
	"github.com/compspec/ocifit-lab/addons/builtin"
	"github.com/compspec/ocifit-lab/addons/certmanager"
	"github.com/compspec/ocifit-lab/addons/compatibility"
	"github.com/compspec/ocifit-lab/addons/component"
	"github.com/compspec/ocifit-lab/addons/fluxoperator"
	"github.com/compspec/ocifit-lab/addons/labcert"
	"github.com/compspec/ocifit-lab/addons/nfd"
	"github.com/compspec/ocifit-lab/addons/nodefeatures"
	"github.com/compspec/ocifit-lab/addons/ocifit"
	"github.com/compspec/ocifit-lab/provision"
	"github.com/compspec/ocifit-lab/provision/chart"
	"github.com/compspec/ocifit-lab/provision/lab"
	"github.com/compspec/ocifit-lab/provision/step"
	"github.com/compspec/ocifit-lab/templates"
	"github.com/compspec/ocifit-lab/webhook/compat"
)

// outsideAddons are those of a cluster whose webhook and controllers run beside it.
func (l *Lab) outsideAddons() []addons.Addon {
	return append(l.commonAddons(), &ocifit.Addon{Namespace: addons.Namespace, Endpoint: l.webhookEndpoint, Artifact: l.ArtifactRef, Model: compat.Random})
}

// commonAddons talk to the API server and the registry alone.
func (l *Lab) commonAddons() []addons.Addon {
	return []addons.Addon{
		&nodefeatures.Addon{Namespace: addons.Namespace, Features: templates.NodeFeatures(l.Spec.HasGroup), Types: len(l.Spec.InstanceTypes())},
		&compatibility.Addon{Title: l.artifactTitle(), Target: l.ArtifactTarget, Make: l.makeRepository, Images: l.Spec.Artifact.Images, Models: l.Spec.Artifact.Models},
	}
}

// insideAddons are those of a cluster in which everything runs.
func (l *Lab) insideAddons() ([]addons.Addon, error) {
	c, list := l.Spec.Components, l.commonAddons()
	installed, err := l.components()
	if err != nil {
		return nil, err
	}
	for _, part := range installed {
		list = append(list, l.componentAddon(part))
	}
	image, err := l.ownImage()
	if err != nil {
		return nil, err
	}
	if c.CertificatesBy() == lab.LabCertificates {
		list = append(list, &labcert.Addon{Namespace: addons.Namespace, Secret: ocifit.Secret, Service: ocifit.Service})
	}
	if c.MiniClustersBy() == lab.Builtin {
		list = append(list, &builtin.Addon{
			Namespace: addons.Namespace, Image: l.programImage, NodeSelector: l.Provider.Traits().StickyLabels,
		})
	}
	list = append(list, &ocifit.InCluster{
		Namespace: addons.Namespace, CertManager: c.CertificatesBy() == lab.CertManager, Image: l.programImage, Artifact: l.ArtifactRef,
		PlainHTTP: l.plainInCluster, Registries: allowedRegistries(l.Spec), Model: compat.Random, Skip: l.Spec.Webhook.Skip, TieBreak: l.Spec.Webhook.TieBreak,
		Mirrors: c.RegistryMirrors, EgressPorts: l.Provider.Traits().WebhookPorts, NodeSelector: l.Provider.Traits().StickyLabels,
	})
	if image != nil {
		list = append(list, image)
	}
	return list, nil
}

// componentAddon proves a component by what it is for.
func (l *Lab) componentAddon(part *component.Component) addons.Addon {
	switch part.Name {
	case "cert-manager":
		return &certmanager.Addon{Component: part, Proof: addons.Namespace}
	case "flux-operator":
		return &fluxoperator.Addon{Component: part, Proof: addons.Namespace}
	case "nfd":
		return &nfd.Addon{Component: part}
	default:
		return l.autoscaler(part)
	}
}

// scaleDownAfter is what the study's own autoscaler was told; its default is ten minutes.
const scaleDownAfter = 2 * time.Minute

// autoscaler is told the role's service account, which the provider makes, and the image of the cluster's minor.
func (l *Lab) autoscaler(part *component.Component) addons.Addon {
	traits := l.Provider.Traits()
	o := autoscaler.Options{ScaleDownAfter: scaleDownAfter}
	if a := traits.Autoscaling; a != nil {
		o.Cluster, o.Region, o.ServiceAccount = a.Cluster, a.Region, a.ServiceAccount
	}
	minor := traits.KubernetesVersion
	pins, err := templates.ComponentOf(l.Spec.Components.VersionSet(), autoscalerComponent)
	if err == nil && len(l.Spec.Components.Charts[autoscalerComponent].Chart) == 0 {
		image, known := pins.ByMinor[minor]
		if at := strings.LastIndex(image.Ref, ":"); known && at > 0 {
			o.Repository, o.Tag = image.Ref[:at], image.Ref[at+1:]
		} else if minor != "" {
			l.Missing = append(l.Missing, fmt.Sprintf("a cluster-autoscaler for Kubernetes %s (it is pinned for %s)", minor,
				strings.Join(slices.Sorted(maps.Keys(pins.ByMinor)), ", ")))
		}
	}
	part.Values = chart.Merge(autoscaler.Values(o), part.Values)
	return &autoscaler.Addon{Component: part}
}

// startsAfter tells which of the provider's steps an addon waits for. Where the provider names its stages that is not all of them: what talks
// to the API server alone does not wait for nodes, and nothing waits for the experiments' node groups.
func (l *Lab) startsAfter(steps []step.Step) func(addons.Addon) []string {
	var have []string
	for _, p := range steps {
		have = append(have, p.Name)
	}
	stages := l.Provider.Traits().Stages
	if stages == nil {
		return func(addons.Addon) []string { return have }
	}
	return func(a addons.Addon) []string {
		after := slices.DeleteFunc(stagesOf(stages, a.Requires()), func(n string) bool { return !slices.Contains(have, n) })
		if a.Requires().ProgramImage && slices.ContainsFunc(l.Addons, func(b addons.Addon) bool { return b.Name() == programImageAddon }) {
			after = append(after, programImageAddon)
		}
		return after
	}
}

func stagesOf(s *provision.Stages, r addons.Requirements) []string {
	after := []string{s.API}
	if r.Nodes {
		after = append(after, s.Nodes)
	}
	if r.Identity {
		after = append(after, s.Identity)
	}
	return after
}

// InUse says which of the parts that have a stand-in are in use.
func (l *Lab) InUse() map[string]string {
	traits := l.Provider.Traits()
	if traits.Outside {
		return traits.StandIns
	}
	c := l.Spec.Components
	facts := map[string]string{"certificates": c.CertificatesBy(), "miniclusters": c.MiniClustersBy(), "versions": c.VersionSet()}
	facts["node-features"] = "cached"
	if c.WithNFD() {
		facts["node-features"] = "node-feature-discovery, cached where it has none"
	}
	maps.Copy(facts, traits.StandIns)
	if list, err := l.Components(); err == nil {
		for _, p := range list {
			facts[p.Name] = fmt.Sprint(p.Version)
		}
	}
	return facts
}
