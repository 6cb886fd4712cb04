package report

import (
	"fmt"
	"maps"
	"slices"
	"sort"
	"strings"

	"github.com/compspec/ocifit-lab/experiments/stats"
	"github.com/compspec/ocifit-lab/experiments/store"
	"github.com/compspec/ocifit-lab/experiments/study"
	"github.com/compspec/ocifit-lab/provision/words"
)

// sample takes one quantity of the rows; rows without it are left out.
func sample(rows []TrialRow, of func(*TrialRow) (float64, bool)) stats.Sample {
	s := stats.Sample{Clusters: []string{}}
	for i := range rows {
		if v, ok := of(&rows[i]); ok {
			s.Values = append(s.Values, v)
			s.Clusters = append(s.Clusters, clusterOf(&rows[i]))
		}
	}
	return s
}

// clusterOf names the machine. Trials of an arm whose machine is not recorded count as those of one machine: unknown is never
// independent.
func clusterOf(r *TrialRow) string {
	if r.Node != "" {
		return r.Node
	}
	return "unknown machine of " + r.Arm
}

func fom(r *TrialRow) (float64, bool)        { return r.Figure, true }
func fomPerRank(r *TrialRow) (float64, bool) { return r.Figure / float64(r.Ranks), true }
func fomPerDollar(r *TrialRow) (float64, bool) {
	return r.Figure / r.PriceUSDPerHr, r.PriceUSDPerHr > 0
}
func timeToSolution(r *TrialRow) (float64, bool) { return r.SharedSeconds, r.SharedSeconds > 0 }

func figures(s stats.Sample) *Figures {
	if len(s.Values) == 0 {
		return nil
	}
	f := &Figures{Summary: stats.Describe(s.Values)}
	f.GeometricMean, f.CI95, _ = stats.GeometricMean(s)
	return f
}

// iterationMeans averages the iterations by position, over the trials that have as many as the first.
func iterationMeans(rows []TrialRow) []float64 {
	if len(rows) == 0 || len(rows[0].Iterations) < 2 {
		return nil
	}
	out, n := make([]float64, len(rows[0].Iterations)), 0.0
	for i := range rows {
		if len(rows[i].Iterations) != len(out) {
			continue
		}
		n++
		for k, v := range rows[i].Iterations {
			out[k] += v
		}
	}
	for k := range out {
		out[k] /= n
	}
	return out
}

func newArm(s *study.Study, arm study.Arm, rows []TrialRow, records []store.Record, metric store.Metric) Arm {
	a := Arm{
		Name: arm.Name, Model: arm.Model, Tasks: arm.Tasks, Objective: arm.Objective, Only: arm.InstanceType, Trials: s.Repeats, Complete: len(rows),
		Ranks:         distinctInts(rows, func(r *TrialRow) int { return r.Ranks }),
		Threads:       distinctInts(rows, func(r *TrialRow) int { return r.Threads }),
		Cores:         distinctInts(rows, func(r *TrialRow) int { return r.Cores }),
		InstanceTypes: distinct(rows, func(r *TrialRow) string { return orUnknown(r.InstanceType) }),
		Images:        distinct(rows, func(r *TrialRow) string { return orUnknown(r.Image) }),
		Nodes:         len(distinct(rows, clusterOf)),
		Decisions:     decisions(arm.Name, records),
	}
	a.Launch = launchOf(rows).text()
	a.count(records)
	for i := range rows {
		a.CostUSD += rows[i].CostUSD
		if rows[i].Node == "" {
			a.NodesUnknown++
		}
		switch rows[i].Source {
		case sourceReplayed:
			a.Sources.Replayed++
		case sourceEstimated:
			a.Sources.Estimated++
		case sourceImported:
			a.Sources.Imported++
		default:
			a.Sources.Measured++
		}
	}
	figure, perRank := figures(sample(rows, fom)), figures(sample(rows, fomPerRank))
	if metric.Key == store.MetricGFLOPS {
		a.GFLOPS, a.GFLOPSPerRank = figure, perRank
	} else {
		a.Figure, a.FigurePerRank = figure, perRank
	}
	a.PerDollarHour = figures(sample(rows, fomPerDollar))
	a.TimeToSolution = figures(sample(rows, timeToSolution))
	a.IterationMeans = iterationMeans(rows)
	return a
}

func orUnknown(s string) string {
	if s == "" {
		return "unknown"
	}
	return s
}

// count adds up the attempts; a trial has failed when it is not complete and an attempt at it failed.
func (a *Arm) count(records []store.Record) {
	complete, failed := map[int]bool{}, map[int]bool{}
	for i := range records {
		rec := &records[i]
		if rec.Arm != a.Name || rec.Warmup || rec.N == 0 {
			continue
		}
		a.Attempts++
		switch {
		case rec.Complete():
			complete[rec.N] = true
			continue
		case rec.ProblemName == string(store.Interrupted):
			a.Interrupted++
		default:
			failed[rec.N] = true
		}
		a.WastedUSD += rec.Trial.CostUSD
	}
	for n := range failed {
		if !complete[n] {
			a.Failed++
		}
	}
}

func decisions(arm string, records []store.Record) []Decision {
	count := map[string]*Decision{}
	for i := range records {
		d := records[i].Trial.Decision
		if records[i].Arm != arm || records[i].Warmup || !records[i].Complete() || d == nil {
			continue
		}
		score := ""
		if d.Score != nil {
			score = fmt.Sprint(*d.Score)
		}
		k := strings.Join([]string{d.InstanceType, score, strings.Join(d.Tied, ","), d.TieBreak}, "|")
		if count[k] == nil {
			count[k] = &Decision{
				InstanceType: d.InstanceType, Score: d.Score, Tied: d.Tied, TieBreak: d.TieBreak, Candidates: d.Candidates, OutOfDomain: len(d.OutOfDomain),
			}
			if d.RunnerUp != nil {
				count[k].RunnerUp = d.RunnerUp.InstanceType
			}
		}
		count[k].Trials++
	}
	out := []Decision{}
	for _, k := range slices.Sorted(maps.Keys(count)) {
		out = append(out, *count[k])
	}
	sort.SliceStable(out, func(i, j int) bool { return out[i].Trials > out[j].Trials })
	return out
}

// launch is how an arm's trials were started, as far as the logs show it.
type launch struct {
	trials   int
	ranks    []int
	policies []string
	allCores bool // every trial had one rank per physical core
}

func launchOf(rows []TrialRow) launch {
	l := launch{trials: len(rows), ranks: distinctInts(rows, func(r *TrialRow) int { return r.Ranks }), allCores: len(rows) > 0}
	l.policies = slices.Sorted(maps.Keys(distinct(rows, func(r *TrialRow) string { return r.tasks })))
	for i := range rows {
		l.allCores = l.allCores && rows[i].Cores > 0 && rows[i].Ranks == rows[i].Cores
	}
	return l
}

func (l launch) text() string {
	switch {
	case l.trials == 0:
		return "nothing ran"
	case l.allCores && len(l.ranks) == 1:
		return fmt.Sprintf("one rank per physical core (%d)", l.ranks[0])
	case l.allCores:
		return fmt.Sprintf("one rank per physical core (%d to %d)", l.ranks[0], l.ranks[len(l.ranks)-1])
	case len(l.ranks) == 1:
		return words.Count(l.ranks[0], "rank")
	}
	return fmt.Sprintf("%d to %d ranks", l.ranks[0], l.ranks[len(l.ranks)-1])
}

// alike tells whether two arms were started by the same rule. Equal rank counts are alike. Unequal ones are alike only where they
// follow from the chosen machine by one rule, for then they belong to the choice.
func (l launch) alike(o launch) bool {
	switch {
	case len(l.ranks) == 1 && slices.Equal(l.ranks, o.ranks):
		return true
	case l.allCores && o.allCores:
		return true
	}
	one := len(l.policies) == 1 && slices.Equal(l.policies, o.policies)
	return one && (l.policies[0] == study.TasksCores || l.policies[0] == study.TasksThreads)
}
