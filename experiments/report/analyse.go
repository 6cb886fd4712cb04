package report

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode"
	"unicode/utf8"

	"gonum.org/v1/gonum/stat"

	"github.com/compspec/ocifit-lab/experiments/stats"
	"github.com/compspec/ocifit-lab/experiments/store"
	"github.com/compspec/ocifit-lab/experiments/study"

	"github.com/compspec/ocifit-lab/webhook/compat"
)

// Options adjust an analysis.
type Options struct {
	// Prices in US dollars an hour by instance type, for trials whose record has none.
	Prices map[string]float64
	// Baseline is the arm to compare the others with; empty is the study's.
	Baseline string
	// Now is the time that the report carries; zero is the present.
	Now time.Time
}

// Where a trial's figures come from.
const (
	sourceMeasured  = "measured"
	sourceReplayed  = "replayed"
	sourceEstimated = "estimated"
	sourceImported  = "imported"
)

// Analyse reads the run's trials again from their logs and compares the arms. The same folder gives the same analysis: the
func Analyse(ctx context.Context, r *store.Run, opt Options) (*Analysis, error) {
	info := r.Info()
	if opt.Baseline == "" {
		opt.Baseline = info.Study.BaselineArm()
	} else if _, ok := info.Study.Arm(opt.Baseline); !ok {
		return nil, fmt.Errorf("the run has no arm %q to compare with: it has %s", opt.Baseline, strings.Join(info.Study.ArmNames(), ", "))
	}
	if opt.Now.IsZero() {
		opt.Now = time.Now()
	}
	records, err := r.Records(ctx)
	if err != nil {
		return nil, err
	}
	a := &Analysis{
		SchemaVersion: SchemaVersion, Metric: r.Parser().Metric(), Baseline: opt.Baseline, now: opt.Now, Excluded: []Excluded{}, Run: facts(info),
	}
	a.endpoint, a.skip, a.deviations = info.Study.Endpoint, info.Skip, info.Deviations
	rows := a.sort(records, info, opt.Prices)
	shareNodeStarts(rows)
	looks, err := r.Looks()
	if err != nil {
		return nil, err
	}
	a.Looks, a.Plans = len(looks), info.Plans
	a.Bill = r.Bill(records)
	a.Arms = make([]Arm, len(info.Study.Arms))
	inParallel(len(a.Arms), func(i int) {
		a.Arms[i] = newArm(info.Study, info.Study.Arms[i], rows[info.Study.Arms[i].Name], records, a.Metric)
		a.Arms[i].Baseline = a.Arms[i].Name == a.Baseline
	})
	for i := range a.Arms {
		a.Trials = append(a.Trials, rows[a.Arms[i].Name]...)
		a.Sources.add(a.Arms[i].Sources)
	}
	a.Simulated = info.Simulated || a.Sources.Replayed+a.Sources.Estimated > 0
	if a.Simulated {
		a.Simulation = simulation(info, a.Sources)
	}
	a.setRegrets(rows)
	a.setMeasured(rows)
	a.Types = byType(a.Trials, a.Metric)
	a.compare(info.Study, rows)
	a.Checks = a.runChecks(info.Study, rows)
	if a.HeldOut, err = heldOut(ctx, info.Study); err != nil {
		return nil, err
	}
	a.Question, a.Answer = a.question(), a.answer()
	a.Forecast = a.forecast(info.Study)
	return a, nil
}

// Progress is how many trials of all arms are complete, and how many are planned.
func (a *Analysis) Progress() (complete, planned int) {
	for i := range a.Arms {
		complete += a.Arms[i].Complete
		planned += a.Arms[i].Trials
	}
	return complete, planned
}

// sort divides the attempts into rows of data by arm, and those that do not count.
func (a *Analysis) sort(records []store.Record, info store.Info, prices map[string]float64) map[string][]TrialRow {
	rows := map[string][]TrialRow{}
	seen := copies{}
	for i := range records {
		rec := &records[i]
		original := seen.original(rec)
		switch {
		case !rec.Complete():
			a.Excluded = append(a.Excluded, Excluded{rec.Arm, rec.N, rec.Trial.Attempt, rec.ProblemName, rec.Problem, rec.Path})
		case rec.Warmup:
			a.Excluded = append(a.Excluded, Excluded{rec.Arm, rec.N, rec.Trial.Attempt, "warm-up", "warm-up trials are not analysed", rec.Path})
		case rec.N > info.Study.Repeats:
			a.Excluded = append(a.Excluded, Excluded{rec.Arm, rec.N, rec.Trial.Attempt, "unplanned", "the study has fewer trials", rec.Path})
		case original != "":
			a.Excluded = append(a.Excluded, Excluded{rec.Arm, rec.N, rec.Trial.Attempt, reasonCopy, "it is a copy of " + original, rec.Path})
		default:
			row := newRow(rec, info, prices)
			if err := checkRow(&row); err != nil {
				a.Excluded = append(a.Excluded, Excluded{rec.Arm, rec.N, rec.Trial.Attempt, "bad-number", err.Error(), rec.Path})
				continue
			}
			rows[rec.Arm] = append(rows[rec.Arm], row)
		}
	}
	return rows
}

// reasonCopy is why a trial that is another one once more does not count.
const reasonCopy = "copy"

// copies remembers where a log or a pod was seen first.
type copies map[string]string

func (c copies) original(rec *store.Record) string {
	if !rec.Complete() {
		return ""
	}
	at, first := fmt.Sprintf("%s/%d", rec.Arm, rec.N), ""
	for _, id := range []string{rec.LogSHA256, rec.PodUID} {
		if id == "" {
			continue
		}
		if was, ok := c[id]; ok && was != at {
			first = was
		} else {
			c[id] = at
		}
	}
	return first
}

// shareNodeStarts charges the start of a machine evenly to the trials that it served, whichever happened to boot it.
func shareNodeStarts(rows map[string][]TrialRow) {
	starts, served := map[string]float64{}, map[string]float64{}
	each(rows, func(r *TrialRow) {
		if r.Node != "" {
			served[r.Node]++
			if r.NodeStart != nil {
				starts[r.Node] += *r.NodeStart
			}
		}
	})
	each(rows, func(r *TrialRow) {
		own := 0.0
		if r.NodeStart != nil {
			own = *r.NodeStart
		}
		shared := own
		if r.Node != "" {
			shared = starts[r.Node] / served[r.Node]
		}
		if r.TotalSeconds > 0 {
			r.SharedSeconds = max(r.TotalSeconds-own, 0) + shared
			r.CostUSD += r.PriceUSDPerHr * (shared - own) / 3600
		}
	})
}

func each(rows map[string][]TrialRow, do func(*TrialRow)) {
	for _, arm := range rows {
		for i := range arm {
			do(&arm[i])
		}
	}
}

func facts(info store.Info) RunFacts {
	s := info.Study
	order, seed := string(s.Order), &s.Seed
	if info.PlanUnknown {
		order, seed = "unknown", nil
	}
	return RunFacts{
		ID: info.ID, Created: info.Created, Study: s.Name, Description: s.Description, Application: s.Application, Order: order,
		Seed: seed, Iterations: s.Iterations, FirstIteration: string(s.FirstIteration), Endpoint: s.Endpoint, Provider: info.Provider, Lab: info.Lab, Program: info.Program, Imported: info.Imported,
		PriceNote: sentence(info.PriceNote), Facts: info.Facts,
	}
}

func simulation(info store.Info, s Sources) string {
	if info.Simulation != "" {
		return sentence(info.Simulation)
	}
	return fmt.Sprintf("No benchmark ran: of %d trials %d replay earlier measurements and %d are estimates.", s.total(), s.Replayed, s.Estimated)
}

// sentence begins with a capital and ends with a full stop, so that it can stand beside others.
func sentence(s string) string {
	s = strings.TrimSpace(s)
	if s == "" {
		return ""
	}
	if !strings.ContainsAny(s[len(s)-1:], ".!?") {
		s += "."
	}
	first, size := utf8.DecodeRuneInString(s)
	return string(unicode.ToUpper(first)) + s[size:]
}

func (s *Sources) add(o Sources) {
	s.Measured += o.Measured
	s.Replayed += o.Replayed
	s.Estimated += o.Estimated
	s.Imported += o.Imported
}

func (s Sources) total() int { return s.Measured + s.Replayed + s.Estimated + s.Imported }

func newRow(rec *store.Record, info store.Info, prices map[string]float64) TrialRow {
	t, o := &rec.Trial, rec.Outcome
	row := TrialRow{
		Arm: rec.Arm, Model: t.Model, Trial: rec.N, Attempt: t.Attempt, Figure: stat.Mean(info.Study.Counts(o.Figures), nil), Iterations: o.Figures,
		Ranks: o.Ranks, Threads: o.Threads, Cores: o.Cores, InstanceType: t.Node.InstanceType, Node: t.Node.Name, Image: t.Image,
		Source: sourceMeasured, Created: t.Phases.Created, Started: t.Phases.Started, Finished: t.Phases.Finished,
		TotalSeconds: t.Seconds.Total, NodeStart: nodeStart(t), PriceUSDPerHr: t.PriceUSDPerHour, CostUSD: t.CostUSD,
		local: o.Local, tasks: t.Tasks, artifact: t.Artifact, remarks: o.Remarks, others: countedOthers(o, info.Study), jobs: o.Jobs,
	}
	if info.Imported != "" {
		row.Source = sourceImported
		if row.tasks == "" {
			row.tasks = o.Tasks
		}
	}
	if t.Simulated || o.Replayed {
		row.Source = sourceReplayed
		var note struct {
			Source    string  `json:"source"`
			MeanError float64 `json:"meanError"`
		}
		if json.Unmarshal(t.Replay, &note) == nil {
			row.meanError = note.MeanError
			if note.Source == sourceEstimated {
				row.Source = sourceEstimated
			}
		}
	}
	if t.Decision != nil {
		row.chosen, row.Architecture, row.minimised = t.Decision.InstanceType, t.Decision.Architecture, t.Decision.Direction == compat.Minimize
		row.candidates = t.Decision.Candidates
		if row.artifact == "" {
			row.artifact = t.Decision.ArtifactDigest
		}
	}
	if row.PriceUSDPerHr == 0 {
		row.PriceUSDPerHr = firstPrice(row.InstanceType, info.Prices, prices)
	}
	if row.CostUSD == 0 {
		row.CostUSD = row.PriceUSDPerHr * row.TotalSeconds / 3600
	}
	return row
}

// countedOthers are the further figures over the iterations that count, where the log tells the iterations apart.
func countedOthers(o *store.Outcome, s *study.Study) map[string]float64 {
	out := maps.Clone(o.Others)
	for name, each := range o.Each {
		out[name] = stat.Mean(s.Counts(each), nil)
	}
	return out
}

// nodeStart is nil where nothing tells whether a machine was started for the trial: a pod alone does not.
func nodeStart(t *store.Trial) *float64 {
	if t.Seconds.NodeStart == 0 && t.Source != "" && t.Phases.NodeReady.IsZero() && t.Release == "" {
		return nil
	}
	return &t.Seconds.NodeStart
}

func firstPrice(instanceType string, tables ...map[string]float64) float64 {
	for _, t := range tables {
		if p := t[instanceType]; p > 0 {
			return p
		}
	}
	return 0
}

// checkRow refuses figures that no trial can have, in case a parser let them pass.
func checkRow(r *TrialRow) error {
	if err := (stats.Sample{Values: append([]float64{r.Figure, r.TotalSeconds, r.CostUSD, r.PriceUSDPerHr}, r.Iterations...)}).Check(); err != nil {
		return err
	}
	if r.Figure <= 0 || r.Ranks < 1 || r.TotalSeconds < 0 || r.CostUSD < 0 || r.PriceUSDPerHr < 0 {
		return fmt.Errorf("figure %g, %d ranks, %g s, %g USD cannot be", r.Figure, r.Ranks, r.TotalSeconds, r.CostUSD)
	}
	return nil
}

func inParallel(n int, do func(i int)) {
	var wg sync.WaitGroup
	slots := make(chan struct{}, runtime.GOMAXPROCS(0))
	for i := range n {
		slots <- struct{}{}
		wg.Go(func() {
			defer func() { <-slots }()
			do(i)
		})
	}
	wg.Wait()
}

func distinct[K comparable](rows []TrialRow, of func(*TrialRow) K) map[K]int {
	m := map[K]int{}
	for i := range rows {
		m[of(&rows[i])]++
	}
	return m
}

func distinctInts(rows []TrialRow, of func(*TrialRow) int) []int {
	out := []int{}
	for v := range distinct(rows, of) {
		out = append(out, v)
	}
	slices.Sort(out)
	return out
}
