package report

import (
	"fmt"

	"github.com/compspec/ocifit-lab/experiments/store"
	"github.com/compspec/ocifit-lab/experiments/study"
)

// runChecks are the checks that concern all arms.
func (a *Analysis) runChecks(s *study.Study, rows map[string][]TrialRow) []Check {
	var checks []Check
	add := func(name string, status Status, format string, args ...any) {
		checks = append(checks, Check{Name: name, Status: status, Text: fmt.Sprintf(format, args...)})
	}
	if a.Simulated {
		add("real-figures", Limit, "%d trials replay published measurements, %d are estimates by a stated rule, %d were measured.",
			a.Sources.Replayed, a.Sources.Estimated, a.Sources.Measured)
	} else {
		add("real-figures", Pass, "Every figure was measured by a run of the benchmark.")
	}
	complete, planned, wasted := 0, 0, 0
	for _, arm := range a.Arms {
		complete += arm.Complete
		planned += arm.Trials
		wasted += arm.Attempts - arm.Complete
	}
	switch {
	case complete == planned && wasted == 0:
		add("whole", Pass, "All %d planned trials are complete, each at the first attempt.", planned)
	case complete == planned:
		add("whole", Note, "All %d planned trials are complete; %s before that failed or were interrupted and are listed.", planned, plural(wasted, "attempt"))
	default:
		add("whole", Limit, "%d of %d planned trials are complete; the others are missing from every figure here.", complete, planned)
	}
	for _, e := range a.Excluded {
		if e.Reason == "mixed-runs" || e.Reason == "edited" || e.Reason == "stray-folder" {
			add("untouched", Limit, "The run folder was changed by hand or holds trials of another run; those trials are left out and listed.")
			break
		}
	}
	if a.Metric.Key == store.MetricGFLOPS && complete > 0 {
		add("short-runs", Note, "HPCG asks for runs of 1800 seconds before a result is official; these are shorter and only compare with each other.")
	}
	if estimated := a.Sources.Estimated; estimated > 0 {
		add("estimates", Note, "%s no measurement of the same instance type, image and number of ranks.", plural2(estimated, "trial has", "trials have"))
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
		add("prices", Note, "%s no known price and %s missing from the cost.", plural2(unpriced, "trial has", "trials have"), isAre(unpriced))
	}
	return checks
}

func plural2(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}

func isAre(n int) string {
	if n == 1 {
		return "is"
	}
	return "are"
}
