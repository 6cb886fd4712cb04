package hpcg

import (
	"math"
	"strings"
)

// finish judges a log that was read to its end.
func (p *parser) finish() {
	l := p.log
	switch {
	case !p.sawText:
		p.whole(ReasonEmpty, "the log has no text")
	case l.RunsStarted == 0 && p.state < inRuns && p.state != inScript && p.state != inResources:
		p.whole(ReasonForeign, "the log has no marker of a trial")
	case !p.ended:
		p.fail(ReasonTruncated, "the log ends %s", stateNames[p.state])
	case p.state != afterResults && p.state != inStats:
		p.fail(ReasonTruncated, "the log ends %s", stateNames[p.state])
	case len(l.Jobs) > 0 && l.Stats == nil:
		p.fail(ReasonTruncated, "the log ends after %d job records, without the job statistics", len(l.Jobs))
	}
	if p.reject == nil {
		p.count()
	}
	if p.failure != "" && p.reject != nil && (p.reject.Reason == ReasonTruncated || p.reject.Reason == ReasonIterations) {
		p.reject.Reason, p.reject.Detail = ReasonJob, "a run failed with "+p.failure+": "+p.reject.Detail
	}
	for i := range l.Results {
		if p.reject == nil {
			p.judge(i)
		}
	}
	if p.reject == nil {
		if why := l.failedJob(); why != "" {
			p.whole(ReasonJob, "%s", why)
		}
	}
}

func (p *parser) whole(reason Reason, format string, args ...any) {
	p.fail(reason, format, args...)
	p.reject.Line = 0
}

func (p *parser) count() {
	l, want := p.log, p.iterations
	if want == 0 {
		want = l.RunsStarted
	}
	if l.RunsEnded != want || len(l.Results) != want || len(l.Solvers) != want {
		p.whole(ReasonIterations, "%d iterations are wanted; the log has %d finished runs, %d solver outputs and %d result files",
			want, l.RunsEnded, len(l.Solvers), len(l.Results))
	}
}

// judge checks one result file: complete, valid by HPCG's own tests, and in agreement with itself, with the solver's output and with
// the first result file.
func (p *parser) judge(i int) {
	r := &p.log.Results[i]
	fail := func(reason Reason, format string, args ...any) {
		p.fail(reason, format, args...)
		p.reject.Line = r.line
	}
	if r.invalid != "" {
		fail(ReasonInvalid, "result file %d: %s", i+1, r.invalid)
		return
	}
	for _, test := range []struct{ name, result string }{
		{"spectral convergence", r.Spectral.Result},
		{"symmetry", r.Symmetry.Result},
		{"iteration count", r.Iterations.Result},
		{"reproducibility", r.Reproducibility.Result},
	} {
		if test.result != "" && !strings.EqualFold(test.result, "PASSED") {
			fail(ReasonInvalid, "result file %d: HPCG's test of %s: %s", i+1, test.name, clip([]byte(test.result)))
			return
		}
	}
	for j := range table {
		if want := table[j].wanted(r); int(r.seen[j]) < want {
			fail(ReasonMissing, "result file %d has no line %q", i+1, table[j].key)
			return
		}
	}
	if r.Rating <= 0 || r.Rating > maxRating || r.Ranks < 1 || r.Threads < 1 || r.Times.Total <= 0 {
		fail(ReasonNumber, "result file %d: %g GFLOP/s on %d ranks in %g s cannot be", i+1, r.Rating, r.Ranks, r.Times.Total)
		return
	}
	if why := p.disagreement(i); why != "" {
		fail(ReasonInconsistent, "result file %d: %s", i+1, why)
		return
	}
	if f := &p.log.Results[0]; r.Ranks != f.Ranks || r.Threads != f.Threads || r.Local != f.Local {
		fail(ReasonUnequal, "result file %d ran on %d ranks with %d threads, the first on %d with %d", i+1, r.Ranks, r.Threads, f.Ranks, f.Threads)
	}
}

// disagreement names two figures of the same run that should be equal and are not, allowing for HPCG's six printed digits.
func (p *parser) disagreement(i int) string {
	const printed = 2e-4
	r, s := &p.log.Results[i], &p.log.Solvers[i]
	switch {
	case !near(r.Rating, r.Rates.WithOverheads, printed):
		return "the rating is not the GFLOP/s total with overheads"
	case !near(r.Rates.Total, r.Operations.Total/r.Times.Total/1e9, 50*printed):
		return "the raw GFLOP/s are not the operations by the time"
	case r.Processors.X*r.Processors.Y*r.Processors.Z != r.Ranks:
		return "the process grid has not as many places as there are ranks"
	case !near(s.DepartureSpMV, r.Symmetry.SpMV, printed):
		return "the departure from symmetry is not the one that the solver printed"
	case !near(s.ResidualMean, r.Reproducibility.ResidualMean, printed):
		return "the mean residual is not that of the residuals that the solver printed"
	case r.Iterations.OptimizedPerSet > 0 && s.Sets != r.Iterations.OptimizedTotal/r.Iterations.OptimizedPerSet:
		return "the solver printed another number of sets"
	}
	return ""
}

func near(a, b, tolerance float64) bool {
	return math.Abs(a-b) <= tolerance*math.Max(math.Abs(a), math.Abs(b))
}
