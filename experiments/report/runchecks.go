package report

import (
	"fmt"
	"strings"

	"github.com/compspec/ocifit-lab/experiments/store"
	"github.com/compspec/ocifit-lab/experiments/study"
	"github.com/compspec/ocifit-lab/provision/words"
)

// runChecks are the checks that concern all arms.
func (a *Analysis) runChecks(s *study.Study, rows map[string][]TrialRow) []Check {
	var checks []Check
	add := func(c Check) { checks = append(checks, c) }
	if a.Simulated {
		add(realFigures.limits("%d trials replay published measurements, %d are estimates by a stated rule, %d were measured.",
			a.Sources.Replayed, a.Sources.Estimated, a.Sources.Measured))
	} else {
		add(realFigures.passes("Every figure was measured by a run of the benchmark."))
	}
	if len(a.deviations) > 0 {
		add(likeStudy.notes("%s", deviationText(a.deviations)))
	}
	complete, planned, wasted := 0, 0, 0
	for _, arm := range a.Arms {
		complete += arm.Complete
		planned += arm.Trials
		wasted += arm.Attempts - arm.Complete
	}
	switch {
	case complete == planned && wasted == 0:
		add(wholeRun.passes("All %d planned trials are complete, each at the first attempt.", planned))
	case complete == planned:
		add(wholeRun.notes("All %d planned trials are complete; %s before that failed or were interrupted and are listed.", planned, words.Count(wasted, "attempt")))
	default:
		add(wholeRun.limits("%d of %d planned trials are complete; the others are missing from every figure here.", complete, planned))
	}
	for _, e := range a.Excluded {
		if e.Reason == "mixed-runs" || e.Reason == "edited" || e.Reason == "stray-folder" {
			add(untouched.limits("The run folder was changed by hand or holds trials of another run; those trials are left out and listed."))
			break
		}
	}
	if a.Metric.Key == store.MetricGFLOPS && complete > 0 {
		add(shortRuns.notes("HPCG asks for runs of 1800 seconds before a result is official; these are shorter and only compare with each other."))
	}
	if nodes := a.Run.Facts["nodes"]; nodes != "" {
		add(realNodes.limits("The nodes are %s. A choice of instance type shows nothing here, and these figures compare with no other run.", nodes))
	}
	if grid, other := otherGrid(rows); a.Metric.Key == store.MetricGFLOPS && other {
		add(studySize.limits("The local grid is %s, the study's is %s: not comparable with the study or with any run of another size.", gridText(grid), gridText(studyGrid)))
	}
	if estimated := a.Sources.Estimated; estimated > 0 {
		add(estimates.notes("%s no measurement of the same instance type, image and number of ranks.", words.Count(estimated, "trial has", "trials have")))
	}
	for _, c := range append(a.choiceChecks(), a.copiesCheck(), a.firstIterationCheck(s), a.evenDrawCheck(rows), a.jobSectionCheck()) {
		if c.Name != "" {
			add(c)
		}
	}
	unpriced := 0
	for _, arm := range rows {
		for i := range arm {
			if arm[i].PriceUSDPerHr == 0 {
				unpriced++
			}
		}
	}
	if unpriced > 0 {
		add(prices.notes("%s no known price and %s missing from the cost.", words.Count(unpriced, "trial has", "trials have"), isAre(unpriced)))
	}
	return checks
}

// studyGrid is HPCG's local grid in the published study.
var studyGrid = [3]int{32, 32, 32}

// otherGrid returns the first local grid that is not the study's.
func otherGrid(rows map[string][]TrialRow) (grid [3]int, other bool) {
	for _, arm := range rows {
		for i := range arm {
			if arm[i].local != studyGrid && arm[i].local != [3]int{} { // none: not known
				return arm[i].local, true
			}
		}
	}
	return grid, false
}

func gridText(g [3]int) string { return fmt.Sprintf("%d x %d x %d", g[0], g[1], g[2]) }

func isAre(n int) string {
	if n == 1 {
		return "is"
	}
	return "are"
}

// deviationText joins the differences from the study's cluster.
func deviationText(deviations []string) string {
	all := make([]string, len(deviations))
	for i, d := range deviations {
		all[i] = sentence(d)
	}
	return strings.Join(all, " ")
}
