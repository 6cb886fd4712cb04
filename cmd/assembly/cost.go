package assembly

import (
	"context"
	"slices"
	"time"

	"github.com/compspec/ocifit-lab/experiments/store"
	"github.com/compspec/ocifit-lab/experiments/study"
	"github.com/compspec/ocifit-lab/experiments/trial"
	"github.com/compspec/ocifit-lab/provision"
	"github.com/compspec/ocifit-lab/provision/cost"
	"github.com/compspec/ocifit-lab/provision/eks"
	"github.com/compspec/ocifit-lab/templates"
)

// Times of the published study: from a pod's creation to its container took 110 s with a node's start and 18 s without, three iterations of
// HPCG took 55 s and 75 s at most. EKS takes some 20 minutes to be ready and 15 to be gone.
const (
	nodeStart       = 80 * time.Second // of trialStart, until the node is there
	trialStart      = 110 * time.Second
	trialWarm       = 18 * time.Second
	trialRun        = 55 * time.Second
	longestRun      = 75 * time.Second
	trialBetween    = 5 * time.Second // from a container's end to the next trial's pod
	studyIterations = 3
	labCreate       = 20 * time.Minute
	labDelete       = 15 * time.Minute
)

// Costs is what the lab's price depends on. On a provider that costs nothing it is what the same lab would cost on AWS.
func (l *Lab) Costs(ctx context.Context, online bool) (*cost.Lab, error) {
	if p, ok := l.Provider.(provision.Estimator); ok {
		return p.Costs(ctx, online)
	}
	prices, note := templates.Prices()
	c := &cost.Lab{Prices: cost.ListPrices(prices, note), ControlPlane: true, StandardUntil: eks.StandardUntil(l.Spec.KubernetesVersion), ScaleDownAfter: l.Spec.Sim.ScaleDownAfter}
	for _, g := range l.Spec.Groups() {
		c.Groups = append(c.Groups, cost.Group{Name: g.Name, InstanceType: g.InstanceType, Min: g.Min, Desired: g.Desired, Max: g.Max, VCPU: g.Type.VCPU})
	}
	return c, nil
}

// times are those of the study's trials on the lab. Only a cluster that costs money is paid for while it is made and removed.
func (l *Lab) times(s *study.Study) cost.Times {
	t := cost.Times{Start: trialStart, Warm: trialWarm, Run: trialRun, LongRun: longestRun, Between: trialBetween}
	if s.Application != study.DefaultApplication {
		t.LongRun = time.Duration(s.Deadlines.Run) // nothing else bounds what is not known
	} else if s.Iterations > studyIterations {
		t.Run, t.LongRun = t.Run*time.Duration(s.Iterations)/studyIterations, t.LongRun*time.Duration(s.Iterations)/studyIterations
	}
	if _, ok := l.Provider.(provision.Estimator); ok {
		t.Create, t.Delete = labCreate, labDelete
	} else if l.Spec.Sim.NodeStart > nodeStart {
		t.Start += l.Spec.Sim.NodeStart - nodeStart
	}
	return t
}

// Forecast is what the trials of a study will cost with so many side by side. It plays the study by the rules by which it is run, and asks
// nobody: types are decided by the node features that the lab installs, as the webhook does.
func (l *Lab) Forecast(ctx context.Context, s *study.Study, parallel int) (*cost.Forecast, error) {
	p, err := l.player(ctx, s)
	if err != nil {
		return nil, err
	}
	f, _ := p.play(parallel)
	return f, nil
}

// chooseable are the types that the webhook may choose.
func (l *Lab) chooseable() []string {
	return slices.DeleteFunc(l.Spec.InstanceTypes(), func(t string) bool { return slices.Contains(l.Spec.Webhook.Skip, t) })
}

// budget is the meter of a run, with its limit: the study's, or the worst case of the plan.
func (l *Lab) budget(ctx context.Context, s *study.Study, run *store.Run, costs *cost.Lab) (*trial.Budget, error) {
	m, err := run.Meter(ctx, *costs)
	if err != nil {
		return nil, err
	}
	b := &trial.Budget{Meter: m, Times: l.times(s), Types: l.chooseable(), Limit: s.MaxCostUSD}
	if _, ok := l.Provider.(provision.Estimator); ok {
		b.Now = time.Now
		m.Start(time.Now())
	}
	if b.Limit <= 0 {
		f, err := l.Forecast(ctx, s, 1)
		if err != nil {
			return nil, err
		}
		b.Limit = m.Last().Committed + f.WorstUSD // what was spent before is no reason to stop now
	}
	return b, nil
}
