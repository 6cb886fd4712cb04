package report

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/compspec/ocifit-lab/experiments/study"
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
	a, b      []TrialRow
}

// checksOf are the checks of a comparison, in the order in which they are shown.
func checksOf(p pair) []Check {
	if len(p.a) == 0 || len(p.b) == 0 {
		return []Check{completeCheck(p)}
	}
	checks := []Check{
		launchCheck(p), threadsCheck(p), problemCheck(p), imageCheck(p), artifactCheck(p), decisionCheck(p),
		completeCheck(p), nodesCheck(p), orderCheck(p), convergedCheck(p), remarksCheck(p),
	}
	return slices.DeleteFunc(checks, func(c Check) bool { return c.Name == "" })
}

func completeCheck(p pair) Check {
	switch planned := p.study.Repeats; {
	case len(p.a) == planned && len(p.b) == planned:
		return completeArms.passes("All %d planned trials of both arms are complete.", planned)
	case min(len(p.a), len(p.b)) < 2:
		return completeArms.refuses("%s has %s, %s has %s.",
			p.arm.Name, plural(len(p.a), "complete trial"), p.base.Name, plural(len(p.b), "complete trial"))
	default:
		return completeArms.limits("Not all trials are complete: %s has %d of %d, %s has %d of %d. If trials are missing for a reason that the machine has a part in, the rest is a selection.",
			p.arm.Name, len(p.a), planned, p.base.Name, len(p.b), planned)
	}
}

func nodesCheck(p pair) Check {
	for _, a := range []*Arm{p.arm, p.base} {
		if a.Nodes == 1 && a.Complete > 1 {
			return severalNodes.limits("All %d trials of %s ran on one machine: they repeat one measurement, they are not %d independent ones, and they say nothing about other machines of its type.",
				a.Complete, a.Name, a.Complete)
		}
	}
	return severalNodes.passes("%s ran on %s, %s on %s.", p.arm.Name, plural(p.arm.Nodes, "machine"), p.base.Name, plural(p.base.Nodes, "machine"))
}

// orderCheck looks at the clock, not at the plan: arms that did not overlap in time cannot be told from drift.
func orderCheck(p pair) Check {
	fromA, toA := span(p.a)
	fromB, toB := span(p.b)
	if fromA.IsZero() || fromB.IsZero() {
		return sameTime.notes("The times of the trials are not recorded, so drift cannot be excluded.")
	}
	if !toA.After(fromB) || !toB.After(fromA) {
		return sameTime.limits("The arms ran one after the other, so a change over time would look like a difference between them.")
	}
	return sameTime.passes("The arms took turns, so a change over time falls on both.")
}

func span(rows []TrialRow) (from, to time.Time) {
	for _, r := range rows {
		if !r.Created.IsZero() && (from.IsZero() || r.Created.Before(from)) {
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
