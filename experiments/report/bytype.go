package report

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"sort"

	"gonum.org/v1/gonum/stat"

	"github.com/compspec/ocifit-lab/experiments/store"
	"github.com/compspec/ocifit-lab/experiments/study"
	"github.com/compspec/ocifit-lab/webhook/compat"
)

// TypeFigures are those of all trials on one instance type that were launched alike, whatever arm they belong to.
type TypeFigures struct {
	InstanceType string   `json:"instanceType"`
	Launch       string   `json:"launch"` // as observed, in words
	Arms         []string `json:"arms"`
	Trials       int      `json:"trials"`
	Nodes        int      `json:"nodes"`
	Figure       *Figures `json:"figure"`
	// PerDollarHour is the figure of merit by the node's price.
	PerDollarHour *Figures `json:"perDollarHour,omitempty"`
}

// byType groups the complete trials by instance type and by how they were launched on it, the best figure first.
func byType(trials []TrialRow, metric store.Metric) []TypeFigures {
	type key struct{ instanceType, launch string }
	groups := map[key][]TrialRow{}
	for _, t := range trials {
		k := key{orUnknown(t.InstanceType), launchOf([]TrialRow{t}).text()}
		groups[k] = append(groups[k], t)
	}
	out := make([]TypeFigures, 0, len(groups))
	for k, rows := range groups {
		out = append(out, TypeFigures{
			InstanceType: k.instanceType, Launch: k.launch, Trials: len(rows), Nodes: len(distinct(rows, clusterOf)),
			Arms:   slices.Sorted(maps.Keys(distinct(rows, func(r *TrialRow) string { return r.Arm }))),
			Figure: figures(sample(rows, fom)), PerDollarHour: figures(sample(rows, fomPerDollar)),
		})
	}
	sort.Slice(out, func(i, j int) bool {
		a, b := out[i].Figure.GeometricMean, out[j].Figure.GeometricMean
		if a != b {
			return (a > b) == metric.HigherIsBetter
		}
		return out[i].InstanceType+out[i].Launch < out[j].InstanceType+out[j].Launch
	})
	return out
}

// setRegrets says of each arm how much worse its figure is than that of the best arm, as a share of it. An arm that was not launched as the
// best one shows its launch, not its choice, and has no regret.
func (a *Analysis) setRegrets(rows map[string][]TrialRow) {
	var best *Arm
	for i := range a.Arms {
		arm := &a.Arms[i]
		if f := arm.FOM(); f != nil && (best == nil || (f.GeometricMean > best.FOM().GeometricMean) == a.Metric.HigherIsBetter) {
			best = arm
		}
	}
	if best == nil || len(a.Arms) < 2 {
		return
	}
	a.Best = best.Name
	of, launch := best.FOM().GeometricMean, launchOf(rows[best.Name])
	for i := range a.Arms {
		arm := &a.Arms[i]
		if f := arm.FOM(); f != nil && launch.alike(launchOf(rows[arm.Name])) {
			regret := math.Abs(f.GeometricMean-of) / of
			arm.Regret = &regret
		}
	}
}

// setMeasured puts what was measured beside what a model predicted, where the logs show what it was made for.
func (a *Analysis) setMeasured(rows map[string][]TrialRow) {
	for i := range a.Arms {
		arm := &a.Arms[i]
		trials := rows[arm.Name]
		if arm.Model == study.RandomModel {
			continue
		}
		model := *arm
		if model.Objective != "" {
			if d, _ := compat.ParseObjective(arm.Objective); d.Aim == compat.AimTime {
				continue // the scores are another model's
			}
			model.Objective = ""
		}
		e := endpointOf(study.EndpointOwn, a.Metric, pair{arm: &model, a: trials, b: trials})
		if !e.Own {
			continue
		}
		for k := range arm.Decisions {
			d := &arm.Decisions[k]
			var values []float64
			for j := range trials {
				if v, ok := e.of(&trials[j]); ok && trials[j].InstanceType == d.InstanceType {
					values = append(values, v)
				}
			}
			if d.Score != nil && len(values) > 0 {
				m := stat.Mean(values, nil)
				d.Measured, d.MeasuredBy = &m, e.Name
			}
		}
	}
}

// regretText is the share by which an arm is worse than the best one.
func regretText(r *float64) string {
	if r == nil {
		return "-"
	}
	return fmt.Sprintf("%.1f%%", 100**r)
}
