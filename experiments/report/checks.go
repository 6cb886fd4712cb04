package report

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/compspec/ocifit-lab/experiments/stats"
	"github.com/compspec/ocifit-lab/experiments/store"
	"github.com/compspec/ocifit-lab/experiments/study"
	"github.com/compspec/ocifit-lab/provision/words"
)

// Status is what a check means for the claim that a model does better.
type Status string

// The statuses, from harmless to fatal.
const (
	Pass   Status = "pass"
	Note   Status = "note"   // to be known when reading the figures
	Limit  Status = "limit"  // the claim holds for less than it seems, so it is not made in general
	Refuse Status = "refuse" // the gap is not an effect of the model, whatever its size
)

// Check is a named question to the data, with its answer in a sentence.
type Check struct {
	Name   string   `json:"name"`
	Status Status   `json:"status"`
	Text   string   `json:"text"`
	Trials []string `json:"trials,omitempty"` // which it concerns, such as random/1-30; empty is all

	kind *checkKind
}

// pair is a comparison's data.
type pair struct {
	study     *study.Study
	arm, base *Arm
	own       []TrialRow // trials of the arm itself
	a, b      []TrialRow // trials of the arm's choice, and of the baseline
	skip      []string   // instance types that no trial may be placed on
	plans     []store.PlanChange
}

// checksOf are the checks of a comparison, in the order in which they are shown.
func checksOf(p pair) []Check {
	if len(p.a) == 0 || len(p.b) == 0 {
		return []Check{completeCheck(p)}
	}
	checks := []Check{
		launchCheck(p), threadsCheck(p), problemCheck(p), totalProblemCheck(p), cacheCheck(p), imageCheck(p), artifactCheck(p),
		decisionCheck(p), skippedCheck(p), completeCheck(p), planCheck(p), machinesCheck(p), nodesCheck(p), orderCheck(p),
		convergedCheck(p), remarksCheck(p),
	}
	return slices.DeleteFunc(checks, func(c Check) bool { return c.Name == "" })
}

func completeCheck(p pair) Check {
	planned, own, base := p.study.Repeats, len(p.own), len(p.b)
	switch {
	case own == planned && base == planned:
		return completeArms.passes("All %d planned trials of both arms are complete.", planned)
	case min(own, base) < 2:
		return completeArms.refuses("%s has %s, %s has %s.", p.arm.Name, words.Count(own, "complete trial"), p.base.Name, words.Count(base, "complete trial"))
	case own == base && slices.Contains(p.study.Looks, own):
		return completeArms.passes("Both arms are at the planned look after %d of %d trials.", own, planned)
	default:
		return completeArms.limits("Not all trials are complete: %s has %d of %d, %s has %d of %d. If trials are missing for a reason that the machine has a part in, the rest is a selection.",
			p.arm.Name, own, planned, p.base.Name, base, planned)
	}
}

// planCheck tells of changes that a look at the figures may have led to.
func planCheck(p pair) Check {
	outcome, changed := planKept.notes, []string{}
	for _, c := range p.plans {
		if c.Complete == 0 {
			continue
		}
		if c.Looks > 0 {
			outcome = planKept.limits
		}
		changed = append(changed, fmt.Sprintf("%s from %s to %s after %s and %s", c.Setting, c.From, c.To, words.Count(c.Complete, "complete trial"), words.Count(c.Looks, "look")))
	}
	if len(changed) == 0 {
		return Check{}
	}
	return outcome("The plan was changed while the study ran: %s. Going on until a difference shows makes one likely where there is none.", strings.Join(changed, "; "))
}

// machinesCheck tells where machines are not recorded.
func machinesCheck(p pair) Check {
	unknown := func(rows []TrialRow) (n int) {
		for i := range rows {
			if rows[i].Node == "" {
				n++
			}
		}
		return n
	}
	a, b := unknown(p.a), unknown(p.b)
	if a+b == 0 {
		return knownMachines.passes("Every trial's machine is recorded.")
	}
	return knownMachines.limits("The machine is not recorded for %d of %d trials of %s and %d of %d of %s; those of an arm count as one machine, for unknown is not independent.",
		a, len(p.a), p.arm.Name, b, len(p.b), p.base.Name)
}

func nodesCheck(p pair) Check {
	a, b := len(distinct(p.a, clusterOf)), len(distinct(p.b, clusterOf))
	for _, arm := range []struct {
		name             string
		machines, trials int
	}{{p.arm.Name, a, len(p.a)}, {p.base.Name, b, len(p.b)}} {
		switch {
		case arm.machines == 1 && arm.trials > 1:
			return severalNodes.limits("All %d trials of %s ran on one machine: they repeat one measurement, they are not %d independent ones, and they say nothing about other machines of its type.",
				arm.trials, arm.name, arm.trials)
		case arm.machines < stats.FewestForInterval:
			return severalNodes.limits("The trials of %s ran on %s: below %d no claim is made about others of the type.", arm.name, words.Count(arm.machines, "machine"), stats.FewestForInterval)
		}
	}
	return severalNodes.passes("%s ran on %s, %s on %s.", p.arm.Name, words.Count(a, "machine"), p.base.Name, words.Count(b, "machine"))
}

// Bounds of taking turns: of 2 x 30 trials in random blocks neither is met once in thousands of orders.
const (
	mostLater = 0.5 // Cliff's delta of the two arms' times; 1 is one after the other
	fewestP   = 0.01
)

// orderCheck looks at the clock, not at the plan: arms that did not take turns cannot be told from drift. Arms whose times lie apart
// fail, and arms that alternate in long runs.
func orderCheck(p pair) Check {
	type at struct {
		time  time.Time
		first bool
	}
	var all []at
	var times [2][]float64
	for k, rows := range [][]TrialRow{p.a, p.b} {
		for i := range rows {
			if rows[i].Created.IsZero() {
				return sameTime.notes("The times of the trials are not recorded, so drift cannot be excluded.")
			}
			all = append(all, at{rows[i].Created, k == 0})
			times[k] = append(times[k], rows[i].Created.Sub(p.b[0].Created).Seconds())
		}
	}
	slices.SortStableFunc(all, func(x, y at) int { return x.time.Compare(y.time) })
	labels := make([]bool, len(all))
	for i := range all {
		labels[i] = all[i].first
	}
	later := stats.CliffsDelta(times[0], times[1])
	runs, chance := stats.Runs(labels)
	inside := func(rows, of []TrialRow) (n int) {
		from, to := span(of)
		for i := range rows {
			if !rows[i].Created.Before(from) && !rows[i].Created.After(to) {
				n++
			}
		}
		return n
	}
	text := fmt.Sprintf("%d of %d trials of %s began within the time of %s, %d of %d the other way round, in %s of one arm",
		inside(p.a, p.b), len(p.a), p.arm.Name, p.base.Name, inside(p.b, p.a), len(p.b), words.Count(runs, "run"))
	if math.Abs(later) > mostLater || chance < fewestP && min(len(p.a), len(p.b)) >= 5 {
		return sameTime.limits("The arms did not take turns: %s. A change over time would look like a difference between them.", text)
	}
	return sameTime.passes("The arms took turns, so a change over time falls on both: %s.", text)
}

func span(rows []TrialRow) (from, to time.Time) {
	for _, r := range rows {
		if from.IsZero() || r.Created.Before(from) {
			from = r.Created
		}
		if r.Created.After(to) {
			to = r.Created
		}
	}
	return from, to
}

// convergedCheck tells what the parser has made sure of: a log in which a test of HPCG failed does not count.
func convergedCheck(p pair) Check {
	if p.a[0].local[1] <= 1 {
		return Check{} // not HPCG
	}
	return converged.passes("Every counted run passed HPCG's own tests of convergence, symmetry, iteration count and reproducibility.")
}

// remarksCheck passes on what the application says of its own figures.
func remarksCheck(p pair) Check {
	severe := func(rows []TrialRow) (hit []TrialRow) {
		for _, r := range rows {
			if slices.ContainsFunc(r.remarks, func(s string) bool { return strings.Contains(s, "severely suboptimal") }) {
				hit = append(hit, r)
			}
		}
		return hit
	}
	a, b := severe(p.a), severe(p.b)
	switch {
	case len(a)+len(b) == 0:
		return Check{}
	case launchOf(p.a).allCores && launchOf(p.b).allCores:
		return ownRemarks.notes("HPCG calls figures severely suboptimal where a rank had more than one thread, as on machines with two hardware threads a core; every core had a rank all the same.")
	case len(a) == len(p.a) && len(b) == len(p.b):
		return ownRemarks.notes("HPCG calls the figures of both arms severely suboptimal: its reference kernels use no threads.")
	}
	return ownRemarks.limits("HPCG calls its figures severely suboptimal in %d of %d trials of %s and %d of %d of %s, because its reference kernels leave threads idle.",
		len(a), len(p.a), p.arm.Name, len(b), len(p.b), p.base.Name).of(a, b)
}

// refs names trials in short, such as random/1-3,7.
func refs(rows []TrialRow) []string {
	byArm := map[string][]int{}
	var order []string
	for _, r := range rows {
		if byArm[r.Arm] == nil {
			order = append(order, r.Arm)
		}
		byArm[r.Arm] = append(byArm[r.Arm], r.Trial)
	}
	var out []string
	for _, arm := range order {
		out = append(out, arm+"/"+ranges(byArm[arm]))
	}
	return out
}

func ranges(n []int) string {
	slices.Sort(n)
	var parts []string
	for i := 0; i < len(n); {
		j := i
		for j+1 < len(n) && n[j+1] <= n[j]+1 {
			j++
		}
		if n[i] == n[j] {
			parts = append(parts, fmt.Sprint(n[i]))
		} else {
			parts = append(parts, fmt.Sprintf("%d-%d", n[i], n[j]))
		}
		i = j + 1
	}
	return strings.Join(parts, ",")
}

func list(n []int) string {
	parts := make([]string, len(n))
	for i, v := range n {
		parts[i] = fmt.Sprint(v)
	}
	return strings.Join(parts, ", ")
}
