package assembly

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"strings"
	"time"

	"github.com/compspec/ocifit-lab/experiments/release"
	"github.com/compspec/ocifit-lab/experiments/schedule"
	"github.com/compspec/ocifit-lab/experiments/store"
	"github.com/compspec/ocifit-lab/experiments/study"
	"github.com/compspec/ocifit-lab/experiments/trial"
	"github.com/compspec/ocifit-lab/provision"
	"github.com/compspec/ocifit-lab/provision/chart"
	"github.com/compspec/ocifit-lab/provision/lab"
	"github.com/compspec/ocifit-lab/provision/step"
	"github.com/compspec/ocifit-lab/provision/words"
	"github.com/compspec/ocifit-lab/templates"
	"github.com/compspec/ocifit-lab/webhook/artifact"
)

// LoadStudy reads the lab's study, a shipped one by its name or a file, with what the spec changes in it.
func LoadStudy(spec *lab.Spec) (*study.Study, error) {
	s, err := ReadStudy(spec.Experiment.Study)
	if err != nil {
		return nil, err
	}
	if spec.Experiment.Trials > 0 {
		s.Repeats = spec.Experiment.Trials
	}
	if spec.Experiment.Seed > 0 {
		s.Seed = spec.Experiment.Seed
	}
	return s, s.Validate()
}

// ReadStudy reads a study: a name is a shipped study, anything that looks like a path is a file.
func ReadStudy(name string) (*study.Study, error) {
	if strings.ContainsAny(name, "/.") {
		data, err := os.ReadFile(name)
		if err != nil {
			return nil, err
		}
		return study.Load(data, name)
	}
	data, err := templates.Study(name)
	if err != nil {
		if near := words.NearestWithin(name, templates.Studies(), 3); near != "" {
			err = fmt.Errorf("%w (did you mean %s?)", err, near)
		}
		return nil, step.Try(err, "name a study that ships, or give the path of a file: ./mine.yaml")
	}
	return study.Load(data, name+".yaml")
}

// Runner puts together what trials need: the run folder, the cluster, Helm and the chart. Facts are recorded with the run.
func (l *Lab) Runner(ctx context.Context, s *study.Study, dir string, facts map[string]string) (*trial.Runner, error) {
	cluster, err := l.Provider.Connect(ctx)
	if err != nil {
		return nil, err
	}
	if err := cluster.Ready(ctx); err != nil {
		return nil, step.Try(err, "see `ocifit-lab status`; `ocifit-lab up` repairs what is missing")
	}
	namespace := l.Spec.Experiment.Namespace
	// Helm would make it with the first release, but decisions may be asked for before.
	if err := cluster.EnsureNamespace(ctx, namespace); err != nil {
		return nil, err
	}
	env, err := l.Provider.Environment(ctx)
	if err != nil {
		return nil, err
	}
	ref, err := l.pinnedArtifact(ctx)
	if err != nil {
		return nil, err
	}
	replacer, err := nodeReplacer(l.Provider, s)
	if err != nil {
		return nil, err
	}
	application, err := applicationChart(ctx, s, env)
	if err != nil {
		return nil, err
	}
	prices, note := Prices(l.Spec.Provider)
	costs, err := l.Costs(ctx, true)
	if err != nil {
		return nil, err
	}
	recorded := costs
	if prices == nil {
		recorded = nil // no price applies
	}
	var deviations []string
	if p, ok := l.Provider.(provision.Deviator); ok {
		deviations = p.Deviations()
	}
	run, err := store.OpenOrCreate(dir, store.Info{
		Deviations: deviations,
		Program:    l.program, Lab: l.Spec.Name, Provider: l.Spec.Provider, Study: s, Skip: l.Spec.Webhook.Skip,
		Simulated: env.Simulated != "", Simulation: env.Simulated, Prices: prices, PriceNote: note, Costs: recorded, Facts: facts,
	})
	if err != nil {
		return nil, err
	}
	var budget *trial.Budget
	if recorded != nil {
		if budget, err = l.budget(ctx, s, run, costs); err != nil {
			return nil, errors.Join(err, run.Close())
		}
	}
	helm := release.ForCluster(cluster, namespace, func(string, ...any) {})
	helm.LeaveDependents() // the trial waits for its job and pods
	limits, exclusive := l.limits(prices, s)
	var shortage func(context.Context, string, time.Time) (string, error)
	if p, ok := l.Provider.(provision.ShortageTeller); ok {
		shortage = p.Shortage
	}
	return &trial.Runner{
		Shortage: shortage, Limits: limits, Exclusive: exclusive, Study: s, Store: run, Cluster: cluster, Helm: helm,
		Chart: application, Replacer: replacer, Namespace: namespace,
		ArtifactRef: ref, Skip: l.Spec.Webhook.Skip, Prices: prices, Budget: budget,
	}, nil
}

// nodeReplacer is nil for a study that does not ask for fresh nodes.
func nodeReplacer(p provision.Provider, s *study.Study) (trial.NodeReplacer, error) {
	if !s.FreshNodes {
		return nil, nil
	}
	replacer, ok := p.(provision.NodeReplacer)
	if !ok {
		return nil, step.Try(fmt.Errorf("study %s on provider %s: %w", s.Name, p.Name(), trial.ErrNoReplacer),
			"run it with --reuse-nodes; the results then say how few machines each arm saw")
	}
	return replacer, nil
}

// applicationChart is the chart that the study names, or the one built in for its application.
func applicationChart(ctx context.Context, s *study.Study, env provision.Environment) (*chart.Chart, error) {
	if s.Chart == "" {
		files, err := templates.Chart(s.BuiltInChart())
		if err != nil {
			return nil, err
		}
		return chart.FromFS(files)
	}
	o := chart.Options{Dir: s.Dir(), Credential: env.RegistryLogin.Credential(env.Registry, artifact.DockerCredentials())}
	if env.PlainHTTP {
		o.PlainHTTP = []string{env.Registry}
	}
	return chart.Open(ctx, s.Chart, o)
}

// WithinQuotas are limits that heed the account's quotas too, for trials side by side. Beyond a quota that cannot be asked, a trial ends in
// the provider's own words.
func (l *Lab) WithinQuotas(ctx context.Context, limits schedule.Limits) schedule.Limits {
	if p, ok := l.Provider.(provision.Quoter); ok {
		if quotas, err := p.Quotas(ctx); err == nil {
			return applyQuotas(limits, quotas)
		}
	}
	return limits
}

// applyQuotas gives machines their families and the families their quotas.
func applyQuotas(limits schedule.Limits, quotas provision.Quotas) schedule.Limits {
	limits.VCPUs = quotas.VCPUs
	limits.Machines = maps.Clone(limits.Machines)
	for name, m := range limits.Machines {
		m.Family = quotas.Family[name]
		limits.Machines[name] = m
	}
	return limits
}

// machines are the instance types that trials share, and whether there are several nodes of any.
func (l *Lab) machines(prices map[string]float64) (limits schedule.Limits, several bool) {
	limits.Machines = map[string]schedule.Machine{}
	for _, g := range l.Spec.Groups() {
		if g.Sticky {
			continue
		}
		m := limits.Machines[g.InstanceType]
		m.Nodes += g.Max
		m.VCPU, m.USDPerHour = g.Type.VCPU, prices[g.InstanceType]
		limits.Machines[g.InstanceType] = m
		several = several || m.Nodes > 1
	}
	return limits, several
}
