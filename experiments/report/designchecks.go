package report

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"

	"gonum.org/v1/gonum/stat/distuv"

	"github.com/compspec/ocifit-lab/experiments/stats"
	"github.com/compspec/ocifit-lab/experiments/store"
	"github.com/compspec/ocifit-lab/experiments/study"
	"github.com/compspec/ocifit-lab/provision/words"
)

// levelOf is the level of the tests at this point of the study: all of it at the end of a study that is read once, and what is due by
// then where looks are planned.
func levelOf(s *study.Study, arms []Arm) float64 {
	if len(s.Looks) == 0 {
		return wholeLevel
	}
	complete := s.Repeats
	for i := range arms {
		complete = min(complete, arms[i].Complete)
	}
	before, level := 0.0, 0.0
	for _, n := range append(slices.Clone(s.Looks), s.Repeats) {
		if n > complete {
			break
		}
		spent := stats.Spent(float64(n)/float64(s.Repeats), wholeLevel)
		before, level = spent, spent-before
	}
	return level
}

// skippedCheck tells of trials that ran where the study places none, such as on the node that carries the add-ons.
func skippedCheck(p pair) Check {
	var hit []TrialRow
	for _, rows := range [][]TrialRow{p.a, p.b} {
		for i := range rows {
			if slices.Contains(p.skip, rows[i].InstanceType) {
				hit = append(hit, rows[i])
			}
		}
	}
	if len(hit) == 0 {
		return Check{}
	}
	types := distinct(hit, func(r *TrialRow) string { return r.InstanceType })
	return skippedTypes.limits("%s ran on %s, which the study skips because it carries the add-ons or must not be chosen.",
		words.Count(len(hit), "trial"), strings.Join(slices.Sorted(maps.Keys(types)), ", ")).of(hit)
}

// totalProblemCheck says where arms solve problems of another total size: equal grids per rank are weak scaling.
func totalProblemCheck(p pair) Check {
	if p.a[0].local[1] <= 1 {
		return Check{} // not HPCG
	}
	lo, hi := math.Inf(1), 0.0
	for _, rows := range [][]TrialRow{p.a, p.b} {
		for i := range rows {
			points := float64(rows[i].Ranks) * float64(rows[i].local[0]) * float64(rows[i].local[1]) * float64(rows[i].local[2])
			lo, hi = math.Min(lo, points), math.Max(hi, points)
		}
	}
	if hi <= lo {
		return Check{}
	}
	return totalProblem.notes("The grid per rank is equal, so the whole problem grows with the ranks: from %.3g to %.3g points, a factor of %.1f. The figures compare whole nodes, not one problem.",
		lo, hi, hi/lo)
}

// What the caches of the study's types hold at most: 32 MB shared by all cores of a group, and 5 MB for each core where every core has
// a rank (AMD's Genoa: 32 MB of L3 for eight cores and 1 MB of L2; the others have less). From the vendors' data sheets.
const (
	sharedCacheBytes  = 32e6
	cacheBytesPerRank = 5e6
	bytesPerRow       = 1 + 4*8 + 27*(4+8+8) + 5*8 // of HPCG's matrix and vectors, as its own memory count has them
)

// cacheCheck tells of problems that may stay in a cache, where HPCG does not measure memory.
func cacheCheck(p pair) Check {
	if p.a[0].local[1] <= 1 {
		return Check{}
	}
	var hit []TrialRow
	perRank := 0.0
	for _, rows := range [][]TrialRow{p.a, p.b} {
		for i := range rows {
			r := &rows[i]
			own := bytesPerRow * float64(r.local[0]) * float64(r.local[1]) * float64(r.local[2])
			perRank = math.Max(perRank, own)
			if own > 0 && own*float64(r.Ranks) <= math.Max(sharedCacheBytes, cacheBytesPerRank*float64(r.Ranks)) {
				hit = append(hit, *r)
			}
		}
	}
	switch {
	case perRank == 0:
		return Check{}
	case len(hit) == 0:
		return cacheSize.passes("The data of a rank take %.0f MB, more than its share of any cache of these types.", perRank/1e6)
	}
	return cacheSize.limits("In %s the data (%.0f MB a rank) may fit the caches, so that they say little of memory.", words.Count(len(hit), "trial"), perRank/1e6).of(hit)
}

// lossChecks say where a gain by the primary endpoint is a loss by rank or by dollar.
func lossChecks(c *Comparison) []Check {
	var out []Check
	for _, loss := range []struct {
		kind *checkKind
		by   string
		of   *stats.Contrast
	}{{perRankLoss, "rank", c.PerRank}, {perDollarLoss, "dollar", c.PerDollar}} {
		if loss.of == nil || loss.of.Ratio >= 1 || loss.of.CI95 != nil && loss.of.CI95[1] >= 1 {
			continue
		}
		out = append(out, loss.kind.notes("Per %s %s has %s times the figure of %s: what it gains it gains by the size of its machine or pays for.", loss.by, c.Arm, ratioWith(loss.of), c.Baseline))
	}
	if c.Endpoint.Instead != "" {
		out = append(out, ownEndpoint.notes("The logs do not show %s, so %s is judged by %s.", c.Endpoint.Instead, c.Arm, c.Endpoint.Name))
	}
	return out
}

// choiceChecks say which arms are one treatment.
func (a *Analysis) choiceChecks() []Check {
	var out []Check
	for _, c := range a.Choices {
		if len(c.Arms) > 1 {
			out = append(out, oneChoice.notes("%s chose %s: they are one treatment, and that they agree is no further evidence for it.", strings.Join(c.Arms, ", "), c.Name))
		}
	}
	return out
}

// copiesCheck tells of trials that are another one once more.
func (a *Analysis) copiesCheck() Check {
	n := 0
	for _, e := range a.Excluded {
		if e.Reason == reasonCopy {
			n++
		}
	}
	if n == 0 {
		return Check{}
	}
	return copied.limits("%s the log or the pod of another trial and counts only once; they are listed.", words.Count(n, "trial has", "trials have"))
}

// firstIterationCheck compares the first iteration with the mean of the others.
func (a *Analysis) firstIterationCheck(s *study.Study) Check {
	logs, worst := []float64{}, ""
	low := 0.0
	for i := range a.Arms {
		m := a.Arms[i].IterationMeans
		if len(m) < 2 || a.Arms[i].Complete < 2 {
			continue
		}
		rest := 0.0
		for _, v := range m[1:] {
			rest += v / float64(len(m)-1)
		}
		if m[0] <= 0 || rest <= 0 {
			continue
		}
		gap := math.Log(m[0] / rest)
		logs = append(logs, gap)
		if worst == "" || math.Abs(gap) > math.Abs(low) {
			worst, low = a.Arms[i].Name, gap
		}
	}
	if len(logs) == 0 {
		return Check{}
	}
	treated := "It is shown and left out of every trial's mean."
	if s.FirstIteration == study.CountFirst {
		treated = "The study averages it with the others."
	}
	if math.Abs(low) < 0.01 {
		return firstIteration.passes("In no arm does the first iteration differ by 1%% from the mean of the others. %s", treated)
	}
	return firstIteration.notes("The first iteration differs from the mean of the others by up to %.1f%% (%s). %s", 100*math.Expm1(low), worst, treated)
}

// evenDrawCheck tests the random arm: over types, and that no type follows itself more often than chance has it, as it does when the
// draw is over the nodes that happen to run.
func (a *Analysis) evenDrawCheck(rows map[string][]TrialRow) Check {
	base := a.arm(a.Baseline)
	if base == nil || !base.draws() || base.Complete < 10 {
		return Check{}
	}
	drawn := slices.Clone(rows[a.Baseline])
	slices.SortStableFunc(drawn, func(x, y TrialRow) int { return x.Created.Compare(y.Created) })
	types := distinct(drawn, func(r *TrialRow) string { return r.InstanceType })
	candidates := len(types)
	recorded := true
	repeats := 0
	for i := range drawn {
		candidates = max(candidates, drawn[i].candidates)
		recorded = recorded && drawn[i].chosen != ""
		if i > 0 && drawn[i].InstanceType == drawn[i-1].InstanceType {
			repeats++
		}
	}
	if candidates < 2 {
		return Check{}
	}
	n := float64(len(drawn))
	expected, sum := n/float64(candidates), 0.0
	for _, count := range types {
		sum += (float64(count) - expected) * (float64(count) - expected) / expected
	}
	sum += float64(candidates-len(types)) * expected
	even := distuv.ChiSquared{K: float64(candidates - 1)}.Survival(sum)
	follows := 1.0
	if repeats > 0 {
		follows = distuv.Binomial{N: n - 1, P: 1 / float64(candidates)}.Survival(float64(repeats - 1))
	}
	switch text := fmt.Sprintf("%d trials came to %d of %d types (chi-squared, p = %s), and a type followed itself %s (p = %s).",
		len(drawn), len(types), candidates, pText(even), words.Count(repeats, "time"), pText(follows)); {
	case min(even, follows) < 0.005:
		return evenDraw.limits("%s A draw over the nodes that happen to run would look like this.", text)
	case !recorded:
		return evenDraw.notes("The decisions are not recorded: that the draw was over types and not over running nodes cannot be shown. %s", text)
	default:
		return evenDraw.passes("%s", text)
	}
}

// jobSectionCheck tells where some logs end without the launcher's own records, which others have.
func (a *Analysis) jobSectionCheck() Check {
	if a.Metric.Key != store.MetricGFLOPS {
		return Check{}
	}
	var without []TrialRow
	for _, t := range a.Trials {
		if t.jobs == 0 {
			without = append(without, t)
		}
	}
	if len(without) == 0 || len(without) == len(a.Trials) {
		return Check{}
	}
	return jobSection.notes("%d of %d logs have no section of Flux's job records: their script stopped before its end, although every result is there.", len(without), len(a.Trials)).of(without)
}
