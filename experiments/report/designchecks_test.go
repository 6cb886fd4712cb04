package report

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/compspec/ocifit-lab/experiments/store"
	"github.com/compspec/ocifit-lab/experiments/study"
)

var began = time.Date(2025, 7, 21, 0, 0, 0, 0, time.UTC)

// trials makes n trials of an arm; adjust changes the i-th.
func trials(arm string, n int, adjust func(i int, r *TrialRow)) []TrialRow {
	out := make([]TrialRow, n)
	for i := range out {
		out[i] = TrialRow{
			Arm: arm, Trial: i + 1, Figure: 30, Iterations: []float64{27, 30, 30}, Ranks: 64, Threads: 1, Cores: 64, local: [3]int{32, 32, 32},
			InstanceType: "hpc7g.16xlarge", Node: fmt.Sprint(arm, "-", i), Created: began.Add(time.Duration(i) * 10 * time.Minute),
			PriceUSDPerHr: 2, TotalSeconds: 100, SharedSeconds: 100, tasks: study.TasksCores, chosen: "hpc7g.16xlarge", artifact: "sha256:1", jobs: 1,
		}
		if adjust != nil {
			adjust(i, &out[i])
		}
	}
	return out
}

func paired(own, base []TrialRow) pair {
	arm, random := &Arm{Name: "fom", Model: "fom", Complete: len(own)}, &Arm{Name: "random", Model: study.RandomModel, Complete: len(base)}
	arm.Threads, random.Threads = distinctInts(own, func(r *TrialRow) int { return r.Threads }), distinctInts(base, func(r *TrialRow) int { return r.Threads })
	return pair{study: &study.Study{Repeats: 30}, arm: arm, base: random, own: own, a: own, b: base}
}

// inTurns are trials of the other arm, each some minutes after one of the first.
func inTurns(i int, r *TrialRow) { r.Created = r.Created.Add(5 * time.Minute) }

// TestChecksOfAComparison gives each check data that has its fault and data that has not.
func TestChecksOfAComparison(t *testing.T) {
	clean := func() pair { return paired(trials("fom", 30, nil), trials("random", 30, inTurns)) }
	for _, tc := range []struct {
		name  string
		kind  *checkKind
		fault func(p *pair)
		want  Status
		clean Status // of data without the fault; empty: nothing is said
	}{
		{"a machine is not recorded", knownMachines, func(p *pair) { p.a[3].Node = "" }, Limit, Pass},
		{"one machine", severalNodes, func(p *pair) {
			for i := range p.a {
				p.a[i].Node = "n"
			}
		}, Limit, Pass},
		{"four machines", severalNodes, func(p *pair) {
			for i := range p.b {
				p.b[i].Node = fmt.Sprint("n", i%4)
			}
		}, Limit, Pass},
		{"all machines unknown are one", severalNodes, func(p *pair) {
			for i := range p.a {
				p.a[i].Node = ""
			}
		}, Limit, Pass},
		{"one after the other", sameTime, func(p *pair) { shift(p.b, 10*time.Hour) }, Limit, Pass},
		{"one of thirty overlaps", sameTime, func(p *pair) {
			shift(p.b, 10*time.Hour)
			p.b[0].Created = began.Add(time.Minute)
		}, Limit, Pass},
		{"in the middle of the other", sameTime, func(p *pair) {
			for i := range p.a {
				p.a[i].Created = began.Add(time.Duration(145*60+i) * time.Second)
			}
		}, Limit, Pass},
		{"times unknown", sameTime, func(p *pair) { p.a[2].Created = time.Time{} }, Note, Pass},
		{"more trials after a look", planKept, func(p *pair) {
			p.plans = []store.PlanChange{{Setting: "repeats", From: "30", To: "31", Complete: 60, Looks: 1}}
		}, Limit, ""},
		{"more trials without a look", planKept, func(p *pair) {
			p.plans = []store.PlanChange{{Setting: "repeats", From: "2", To: "30", Complete: 4}}
		}, Note, ""},
		{"on the add-ons' node", skippedTypes, func(p *pair) { p.skip, p.b[11].InstanceType = []string{"t3.2xlarge"}, "t3.2xlarge" }, Limit, ""},
		{"fewer ranks on another type", totalProblem, func(p *pair) { p.b[0].Ranks = 8 }, Note, ""},
		{"small grids", cacheSize, func(p *pair) { p.a[0].local = [3]int{16, 16, 16} }, Limit, Pass},
		{"one rank of the study's grid", cacheSize, func(p *pair) { p.b[0].Ranks = 1 }, Limit, Pass},
		{"another artifact", equalArtifact, func(p *pair) { p.b[0].artifact = "sha256:2" }, Refuse, Pass},
		{"an artifact that is not recorded", equalArtifact, func(p *pair) { p.b[0].artifact = "" }, Note, Pass},
		{"missing trials", completeArms, func(p *pair) { p.own = p.own[:29] }, Limit, Pass},
		{"at a planned look", completeArms, func(p *pair) { p.study.Looks, p.own, p.b = []int{10}, p.own[:10], p.b[:10] }, Pass, Pass},
	} {
		t.Run(tc.name, func(t *testing.T) {
			p := clean()
			if got := status(checksOf(p), tc.kind); got != tc.clean {
				t.Errorf("without the fault: %q, want %q", got, tc.clean)
			}
			tc.fault(&p)
			if got := status(checksOf(p), tc.kind); got != tc.want {
				t.Errorf("with the fault: %q, want %q", got, tc.want)
			}
		})
	}
}

func shift(rows []TrialRow, by time.Duration) {
	for i := range rows {
		rows[i].Created = rows[i].Created.Add(by)
	}
}

func status(checks []Check, kind *checkKind) Status {
	for _, c := range checks {
		if c.kind == kind {
			return c.Status
		}
	}
	return ""
}

// TestLosses: 64 cores against 8 win by node and lose by rank; a dear type may lose by dollar.
func TestLosses(t *testing.T) {
	for _, tc := range []struct {
		name  string
		base  func(i int, r *TrialRow)
		kind  *checkKind
		found bool
	}{
		{"per rank", func(i int, r *TrialRow) { r.Ranks, r.Figure, r.Node = 8, 10+float64(i%3), fmt.Sprint(i) }, perRankLoss, true},
		{"not per rank", func(i int, r *TrialRow) { r.Ranks, r.Figure = 64, 10+float64(i%3) }, perRankLoss, false},
		{"per dollar", func(i int, r *TrialRow) { r.PriceUSDPerHr, r.Figure = 0.2, 10+float64(i%3) }, perDollarLoss, true},
		{"not per dollar", func(i int, r *TrialRow) { r.Figure = 10 + float64(i%3) }, perDollarLoss, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			vary := func(i int, r *TrialRow) { r.Figure = 30 + float64(i%2) }
			c := Comparison{Arm: "fom", Baseline: "random"}
			c.fill(paired(trials("fom", 30, vary), trials("random", 30, tc.base)), study.EndpointFOM, store.Metric{Unit: "GFLOP/s", HigherIsBetter: true})
			if got := status(c.Checks, tc.kind) == Note; got != tc.found {
				t.Errorf("found %v, want %v: per rank %v, per dollar %v", got, tc.found, c.PerRank, c.PerDollar)
			}
		})
	}
}

// TestEvenDraw: draws over types pass, draws that come back to the type that ran last do not.
func TestEvenDraw(t *testing.T) {
	types := make([]string, 21)
	for i := range types {
		types[i] = fmt.Sprint("type", i)
	}
	rng := rand.New(rand.NewPCG(4, 4))
	last := ""
	for _, tc := range []struct {
		name string
		draw func(i int, r *TrialRow)
		want Status
	}{
		{"over types", func(i int, r *TrialRow) { r.InstanceType = types[rng.IntN(21)] }, Pass},
		{"over running nodes", func(i int, r *TrialRow) {
			if i == 0 || rng.IntN(3) == 0 {
				last = types[rng.IntN(21)]
			}
			r.InstanceType = last
		}, Limit},
		{"two types only", func(i int, r *TrialRow) { r.InstanceType = types[i%2] }, Limit},
		{"not recorded", func(i int, r *TrialRow) { r.InstanceType, r.chosen = types[rng.IntN(21)], "" }, Note},
	} {
		t.Run(tc.name, func(t *testing.T) {
			rows := trials("random", 30, func(i int, r *TrialRow) { r.candidates = 21; tc.draw(i, r) })
			a := &Analysis{Baseline: "random", Arms: []Arm{{Name: "random", Model: study.RandomModel, Complete: 30}}}
			if c := a.evenDrawCheck(map[string][]TrialRow{"random": rows}); c.Status != tc.want {
				t.Errorf("%s: %s", c.Status, c.Text)
			}
		})
	}
}

func TestFirstIterationAndJobSections(t *testing.T) {
	low := trials("fom", 30, nil)
	even := trials("fom", 30, func(_ int, r *TrialRow) { r.Iterations = []float64{30, 30.1, 29.9} })
	for _, tc := range []struct {
		name string
		rows []TrialRow
		want Status
	}{{"the first is low", low, Note}, {"all alike", even, Pass}} {
		t.Run(tc.name, func(t *testing.T) {
			a := &Analysis{Arms: []Arm{{Name: "fom", Complete: 30, IterationMeans: iterationMeans(tc.rows)}}}
			if c := a.firstIterationCheck(&study.Study{FirstIteration: study.ReportFirst}); c.Status != tc.want {
				t.Errorf("%s: %s", c.Status, c.Text)
			}
		})
	}
	a := &Analysis{Metric: store.Metric{Key: store.MetricGFLOPS}, Trials: low}
	if c := a.jobSectionCheck(); c.Name != "" {
		t.Errorf("every log has its section: %s", c.Text)
	}
	a.Trials[4].jobs = 0
	if c := a.jobSectionCheck(); c.Status != Note || len(c.Trials) != 1 || c.Trials[0] != "fom/5" {
		t.Errorf("%+v", c)
	}
}

// TestCopiesCountOnce: a trial that was copied has the log, or the pod, of another.
func TestCopiesCountOnce(t *testing.T) {
	seen := copies{}
	outcome := &store.Outcome{}
	for _, tc := range []struct {
		n        int
		log, pod string
		want     string
	}{{1, "a", "u1", ""}, {2, "a", "u2", "fom/1"}, {3, "b", "u1", "fom/1"}, {4, "c", "", ""}, {5, "d", "", ""}} {
		rec := &store.Record{Arm: "fom", N: tc.n, Outcome: outcome, LogSHA256: tc.log, PodUID: tc.pod}
		if got := seen.original(rec); got != tc.want {
			t.Errorf("trial %d is a copy of %q, want %q", tc.n, got, tc.want)
		}
	}
	a := &Analysis{Excluded: []Excluded{{Reason: reasonCopy}}}
	if c := a.copiesCheck(); c.Status != Limit {
		t.Errorf("%+v", c)
	}
}

// TestNodeStartsAreShared: which trial happened to boot a machine must not decide what its arm costs.
func TestNodeStartsAreShared(t *testing.T) {
	start, none := 100.0, 0.0
	rows := map[string][]TrialRow{
		"a": {{Arm: "a", Node: "n", NodeStart: &start, TotalSeconds: 180, PriceUSDPerHr: 3600, CostUSD: 180}},
		"b": {{Arm: "b", Node: "n", NodeStart: &none, TotalSeconds: 80, PriceUSDPerHr: 3600, CostUSD: 80}},
	}
	shareNodeStarts(rows)
	for name, arm := range rows {
		if r := arm[0]; r.SharedSeconds != 130 || r.CostUSD != 130 {
			t.Errorf("%s: %v s, %v USD, want 130 of both", name, r.SharedSeconds, r.CostUSD)
		}
	}
}

func TestLevelAtPlannedLooks(t *testing.T) {
	arms := func(n int) []Arm { return []Arm{{Complete: n}, {Complete: 30}} }
	s := &study.Study{Repeats: 30, Looks: []int{15}}
	// R: 2*(1-pnorm(qnorm(0.975)/sqrt(0.5))) = 0.005574597.
	for _, tc := range []struct {
		complete int
		want     float64
	}{{3, 0}, {15, 0.005574597}, {30, 0.05 - 0.005574597}} {
		if got := levelOf(s, arms(tc.complete)); got < tc.want-1e-8 || got > tc.want+1e-8 {
			t.Errorf("at %d trials the level is %.9f, want %.9f", tc.complete, got, tc.want)
		}
	}
	if got := levelOf(&study.Study{Repeats: 30}, arms(30)); got != wholeLevel {
		t.Errorf("without looks: %v", got)
	}
}
