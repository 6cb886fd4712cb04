package cli

import (
	"context"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/compspec/ocifit-lab/addons"
	"github.com/compspec/ocifit-lab/addons/autoscaler"
	"github.com/compspec/ocifit-lab/addons/builtin"
	"github.com/compspec/ocifit-lab/addons/compatibility"
	"github.com/compspec/ocifit-lab/addons/component"
	"github.com/compspec/ocifit-lab/addons/labcert"
	"github.com/compspec/ocifit-lab/addons/nodefeatures"
	"github.com/compspec/ocifit-lab/addons/ocifit"
	"github.com/compspec/ocifit-lab/provision/chart"
	"github.com/compspec/ocifit-lab/provision/eks"
	"github.com/compspec/ocifit-lab/provision/eks/clusterconfig"
	"github.com/compspec/ocifit-lab/provision/lab"
	"github.com/compspec/ocifit-lab/provision/step"
	"github.com/compspec/ocifit-lab/templates"
	"github.com/compspec/ocifit-lab/webhook/compat"
)

// autoscalerComponent is the pinned chart's name, addonAutoscaler that of its addon.
const (
	autoscalerComponent = "cluster-autoscaler"
	addonAutoscaler     = "autoscaler"
	// scaleDownAfter is the autoscaler's own default, as in the study.
	scaleDownAfter = 10 * time.Minute
)

// eksAddons puts a lab on eks together. With a webhook that is served outside of the cluster, what surrounds the cluster takes the place of
// everything that would run in it.
func (s *setup) eksAddons(ctx context.Context, p *eks.Provider) error {
	env, err := p.Environment(ctx)
	if err != nil {
		return err
	}
	if env.Webhook != nil {
		s.outside, s.addons = true, s.outsideAddons()
		return nil
	}
	if s.addons, err = s.realAddons(); err != nil {
		return err
	}
	if s.spec.EKS.WebhookImage == "" {
		image, err := s.ownImage(p)
		if err != nil {
			return err
		}
		s.addons = append(s.addons, image)
	}
	return nil
}

// autoscaler is told the role's service account, which the provider makes, and the image of the cluster's minor.
func (s *setup) autoscaler(part *component.Component) addons.Addon {
	o := autoscaler.Options{Region: s.spec.Region, ServiceAccount: eks.AutoscalerAccount, ScaleDownAfter: scaleDownAfter}
	if p, ok := s.provider.(*eks.Provider); ok {
		o.Cluster = p.Cluster()
	}
	minor := s.spec.KubernetesVersion
	pins, err := templates.ComponentOf(s.spec.Components.VersionSet(), autoscalerComponent)
	if err == nil && len(s.spec.Components.Charts[autoscalerComponent].Chart) == 0 {
		image, known := pins.ByMinor[minor]
		if at := strings.LastIndex(image.Ref, ":"); known && at > 0 {
			o.Repository, o.Tag = image.Ref[:at], image.Ref[at+1:]
		} else if minor != "" {
			s.missing = append(s.missing, fmt.Sprintf("a cluster-autoscaler for Kubernetes %s (it is pinned for %s)", minor,
				strings.Join(slices.Sorted(maps.Keys(pins.ByMinor)), ", ")))
		}
	}
	part.Values = chart.Merge(autoscaler.Values(o), part.Values)
	return &autoscaler.Addon{Component: part}
}

// stickyPlace keeps what is installed on the nodes that are always there: a part of an addon that waits for a place would otherwise have the
// autoscaler start a node of the experiments. A user's own cluster file may label its nodes differently.
func stickyPlace(spec *lab.Spec, name string) map[string]any {
	if spec.Provider != "eks" || spec.EKS.ClusterConfig != "" {
		return map[string]any{}
	}
	place := map[string]any{"nodeSelector": map[string]any{clusterconfig.LabelPool: "sticky"}}
	switch name {
	case autoscalerComponent:
		return place
	case "cert-manager":
		out := chart.Merge(place, nil)
		for _, part := range []string{"webhook", "cainjector", "startupapicheck"} {
			out[part] = place
		}
		return out
	case "nfd":
		return map[string]any{"master": place, "gc": place}
	}
	return map[string]any{}
}

// outsideAddons are those of a cluster whose webhook and controllers run beside it.
func (s *setup) outsideAddons() []addons.Addon {
	return []addons.Addon{
		&nodefeatures.Addon{Namespace: systemNamespace, Features: templates.NodeFeatures(s.spec.HasGroup), Types: len(s.spec.InstanceTypes())},
		&compatibility.Addon{Title: s.artifactTitle(), Target: s.artifactTarget, Make: s.makeRepository, Images: s.spec.Artifact.Images},
		&ocifit.Addon{Namespace: systemNamespace, Endpoint: s.webhookEndpoint, Artifact: s.artifactRef, Model: compat.Random},
	}
}

func (s *setup) ownImage(p *eks.Provider) (*eksImage, error) {
	executable, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("find this program's own file: %w", err)
	}
	return &eksImage{provider: p, program: executable}, nil
}

// eksProgramImage is the image of this program that a cluster on eks pulls.
func (s *setup) eksProgramImage(ctx context.Context, p *eks.Provider) (string, error) {
	if given := s.spec.EKS.WebhookImage; given != "" {
		return given, nil
	}
	own, err := s.ownImage(p)
	if err != nil {
		return "", err
	}
	return own.ref(ctx)
}

// startsAfter tells which of the provider's steps an addon waits for. On eks that is not all of them: what talks to the API server alone does
// not wait for nodes, and nothing waits for the experiments' node groups.
func (s *setup) startsAfter(steps []step.Step) func(addons.Addon) []string {
	var have []string
	for _, p := range steps {
		have = append(have, p.Name)
	}
	if _, ok := s.provider.(*eks.Provider); !ok {
		return func(addons.Addon) []string { return have }
	}
	return func(a addons.Addon) []string {
		after := []string{eks.StepKubeconfig}
		if runsPods(a) {
			after = append(after, eks.StepSticky)
		}
		if a.Name() == addonAutoscaler {
			after = append(after, eks.StepIdentity)
		}
		after = slices.DeleteFunc(after, func(n string) bool { return !slices.Contains(have, n) })
		if s.usesOwnImage(a) {
			after = append(after, addonImage)
		}
		return after
	}
}

// usesOwnImage tells whether an addon waits for the image that the lab makes of this program.
func (s *setup) usesOwnImage(a addons.Addon) bool {
	switch a.(type) {
	case *ocifit.InCluster, *builtin.Addon:
		return slices.ContainsFunc(s.addons, func(b addons.Addon) bool { return b.Name() == addonImage })
	}
	return false
}

// runsPods tells whether an addon runs in the cluster, on the sticky nodes.
func runsPods(a addons.Addon) bool {
	switch a.(type) {
	case *nodefeatures.Addon, *compatibility.Addon, *ocifit.Addon, *labcert.Addon, *eksImage:
		return false
	}
	return true
}

// eksRepository names a repository of the lab in the account's registry.
func eksRepository(p *eks.Provider, name string) string {
	return strings.ToLower(p.Cluster()) + "/" + name
}

const artifactRepository = "ocifit-k8s-compatibility"

// makeRepository makes the artifact's repository where the lab has no other registry than the account's.
func (s *setup) makeRepository(ctx context.Context) error {
	p, ok := s.provider.(*eks.Provider)
	if !ok || s.spec.Artifact.Repository != "" {
		return nil
	}
	_, err := p.Repository(ctx, eksRepository(p, artifactRepository))
	return err
}

// eksTarget is the artifact in the account's registry.
func (s *setup) eksTarget(ctx context.Context, p *eks.Provider) (compatibility.Target, error) {
	name := eksRepository(p, artifactRepository)
	repo, err := p.FindRepository(ctx, name)
	if err != nil {
		return compatibility.Target{}, err
	}
	if repo.Reference == "" {
		return compatibility.Target{}, step.Try(fmt.Errorf("the account's registry has no repository %s", name), "`ocifit-lab up` makes it")
	}
	host := registryOf(repo.Reference)
	t := compatibility.Target{Ref: repo.Reference + ":" + s.spec.Artifact.Tag, Credential: loginTo(host, repo)}
	if repo.PlainHTTP {
		t.PlainHTTP = []string{host}
	}
	return t, nil
}

func registryOf(reference string) string {
	host, _, _ := strings.Cut(reference, "/")
	return host
}

// egressPorts are those that the webhook speaks to besides 443: that of the lab's own registry, or on eks the one at which a machine tells its role.
func (s *setup) egressPorts() []int {
	if s.spec.Provider == "eks" {
		return []int{metadataPort}
	}
	return []int{registryPort}
}

// metadataPort is that of a machine's metadata service.
const metadataPort = 80
