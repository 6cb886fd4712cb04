package cli

import (
	"context"
	"fmt"
	"path/filepath"
	"reflect"
	"sync/atomic"

	"github.com/compspec/ocifit-lab/addons"
	"github.com/compspec/ocifit-lab/addons/compatibility"
	"github.com/compspec/ocifit-lab/provision"
	"github.com/compspec/ocifit-lab/provision/eks"
	"github.com/compspec/ocifit-lab/provision/lab"
	"github.com/compspec/ocifit-lab/provision/labstate"
	"github.com/compspec/ocifit-lab/provision/step"
	oci "github.com/compspec/ocifit-lab/webhook/artifact"
	"github.com/compspec/ocifit-lab/webhook/artifact/ecr"
	"github.com/compspec/ocifit-lab/webhook/serve"
)

// systemNamespace is where the lab's own parts live.
const systemNamespace = "ocifit-system"

// artifactName is the repository of the study's artifact in a lab's own registry.
const artifactName = "compspec/ocifit-k8s-compatibility"

// setup is a lab with everything that it consists of. Making one touches nothing.
type setup struct {
	spec     *lab.Spec
	dir      *labstate.Dir
	provider provision.Provider
	addons   []addons.Addon
	// outside says that what would run in the cluster runs beside it.
	outside bool
	// missing is what the study needs and this version cannot install there.
	missing []string
}

func (a *app) assemble(spec *lab.Spec, dir *labstate.Dir) (*setup, error) {
	if spec.Provider == "kind" {
		kindGroups(spec)
	}
	if spec.Provider == "eks" {
		var err error
		if spec, err = eksSpec(spec, dir); err != nil {
			return nil, err
		}
	}
	provider, err := a.newProvider(spec, dir)
	if err != nil {
		return nil, err
	}
	s := &setup{spec: spec, dir: dir, provider: provider}
	if p, ok := provider.(*eks.Provider); ok {
		return s, s.eksAddons(context.Background(), p)
	}
	if spec.Provider != "sim" {
		s.addons, err = s.realAddons()
		return s, err
	}
	s.addons = s.outsideAddons()
	return s, nil
}

// existing returns the setup of a lab that was brought up.
func (a *app) existing() (*setup, *labstate.State, error) {
	spec, err := a.spec()
	if err != nil {
		return nil, nil, err
	}
	dir, err := labstate.Open(a.stateDir, spec.Name)
	if err != nil {
		return nil, nil, err
	}
	state, err := dir.Read()
	if err != nil {
		return nil, nil, step.Try(err, "create it with `ocifit-lab up`")
	}
	old, err := dir.Spec()
	if err != nil {
		return nil, nil, err
	}
	// The cluster is as it was made; what runs on it may change from call to call.
	old.Experiment = spec.Experiment
	s, err := a.assemble(old, dir)
	return s, state, err
}

func (s *setup) steps() []step.Step {
	steps := s.provider.Steps()
	return append(steps, addons.Steps(s.provider.Connect, s.startsAfter(steps), s.addons...)...)
}

func (s *setup) artifactTitle() string {
	if s.spec.Artifact.Repository != "" {
		return s.spec.Artifact.Repository + ":" + s.spec.Artifact.Tag
	}
	if p, ok := s.provider.(*eks.Provider); ok {
		return "the account's registry as " + eksRepository(p, artifactRepository) + ":" + s.spec.Artifact.Tag
	}
	return "the lab's registry as " + artifactName + ":" + s.spec.Artifact.Tag
}

func (s *setup) artifactTarget(ctx context.Context) (compatibility.Target, error) {
	if s.spec.Artifact.Repository != "" {
		return compatibility.Target{
			Ref:        s.spec.Artifact.Repository + ":" + s.spec.Artifact.Tag,
			Credential: new(ecr.Source).Credential(oci.DockerCredentials()),
		}, nil
	}
	if p, ok := s.provider.(*eks.Provider); ok {
		return s.eksTarget(ctx, p)
	}
	env, err := s.provider.Environment(ctx)
	if err != nil {
		return compatibility.Target{}, err
	}
	if env.Registry == "" {
		return compatibility.Target{}, step.Try(fmt.Errorf("provider %s has no registry of its own", s.spec.Provider), "set artifact.repository in lab.yaml")
	}
	target := compatibility.Target{Ref: env.Registry + "/" + artifactName + ":" + s.spec.Artifact.Tag}
	if env.PlainHTTP {
		target.PlainHTTP = []string{env.Registry}
	}
	return target, nil
}

// artifactRef is the artifact as pods name it.
func (s *setup) artifactRef(ctx context.Context) (string, error) {
	if s.spec.Artifact.Repository == "" {
		env, err := s.provider.Environment(ctx)
		if err != nil {
			return "", err
		}
		if env.RegistryInCluster != "" {
			return env.RegistryInCluster + "/" + artifactName + ":" + s.spec.Artifact.Tag, nil
		}
	}
	target, err := s.artifactTarget(ctx)
	return target.Ref, err
}

func (s *setup) webhookEndpoint(ctx context.Context) (*provision.WebhookEndpoint, error) {
	env, err := s.provider.Environment(ctx)
	if err != nil {
		return nil, err
	}
	if env.Webhook == nil {
		return nil, fmt.Errorf("provider %s serves no webhook", s.spec.Provider)
	}
	return &provision.WebhookEndpoint{URL: env.Webhook.URL + serve.PathMutate, CABundle: env.Webhook.CABundle}, nil
}

// clusterDifference names the first setting in which two specs describe different clusters.
func clusterDifference(old, spec *lab.Spec) string {
	for _, f := range []struct {
		name string
		a, b any
	}{
		{"provider", old.Provider, spec.Provider},
		{"region", old.Region, spec.Region},
		{"kubernetesVersion", old.KubernetesVersion, spec.KubernetesVersion},
		{"nodeGroups", old.NodeGroups, spec.NodeGroups},
		{"webhook", old.Webhook, spec.Webhook},
		{"artifact", old.Artifact, spec.Artifact},
		{"sim", old.Sim, spec.Sim},
		{"kind", old.Kind, spec.Kind},
		{"components", old.Components, spec.Components},
		{"eks.clusterConfig", old.EKS.ClusterConfig, spec.EKS.ClusterConfig},
		{"eks.tags", old.EKS.Tags, spec.EKS.Tags},
	} {
		if !reflect.DeepEqual(f.a, f.b) {
			return f.name + " was changed"
		}
	}
	return ""
}

// changes is a reporter that notices whether any step had to run.
type changes struct {
	step.Reporter
	ran atomic.Bool
}

func (c *changes) End(name string, r step.Result) {
	if !r.Skipped {
		c.ran.Store(true)
	}
	c.Reporter.End(name, r)
}

func (c *changes) any() bool { return c.ran.Load() }

// resultsDir is the folder of a run.
func (s *setup) resultsDir(run string) string {
	return filepath.Join(s.spec.Experiment.Results, s.spec.Name, run)
}
