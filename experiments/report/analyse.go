package report

import (
	"context"
	"encoding/json"
	"fmt"
	"hash/fnv"
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

// Analyse reads the run's trials again from their logs and compares the arms. The same folder gives the same analysis: the random
// numbers of the bootstrap and the permutations come from the study's seed.
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
	rows := a.sort(records, info, opt.Prices)
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
	a.compare(info.Study, rows)
	a.Checks = a.runChecks(info.Study, rows)
	a.Question, a.Answer = a.question(), a.answer()
	a.Forecast = a.forecast(info.Study)
	return a, nil
}

// sort divides the attempts into rows of data by arm, and those that do not count.
func (a *Analysis) sort(records []store.Record, info store.Info, prices map[string]float64) map[string][]TrialRow {
	rows := map[string][]TrialRow{}
	for i := range records {
		rec := &records[i]
		switch {
		case !rec.Complete():
			a.Excluded = append(a.Excluded, Excluded{rec.Arm, rec.N, rec.Trial.Attempt, rec.ProblemName, rec.Problem, rec.Path})
		case rec.Warmup:
			a.Excluded = append(a.Excluded, Excluded{rec.Arm, rec.N, rec.Trial.Attempt, "warm-up", "warm-up trials are not analysed", rec.Path})
		case rec.N > info.Study.Repeats:
			a.Excluded = append(a.Excluded, Excluded{rec.Arm, rec.N, rec.Trial.Attempt, "unplanned", "the study has fewer trials", rec.Path})
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

func facts(info store.Info) RunFacts {
	s := info.Study
	return RunFacts{
		ID: info.ID, Created: info.Created, Study: s.Name, Description: s.Description, Application: s.Application, Order: string(s.Order),
		Seed: s.Seed, Iterations: s.Iterations, Provider: info.Provider, Lab: info.Lab, Program: info.Program, Imported: info.Imported,
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
		Arm: rec.Arm, Model: t.Model, Trial: rec.N, Attempt: t.Attempt, Figure: stat.Mean(o.Figures, nil), Iterations: o.Figures,
		Ranks: o.Ranks, Threads: o.Threads, Cores: o.Cores, InstanceType: t.Node.InstanceType, Node: t.Node.Name, Image: t.Image,
		Source: sourceMeasured, Created: t.Phases.Created, Started: t.Phases.Started, Finished: t.Phases.Finished,
		TotalSeconds: t.Seconds.Total, NodeStart: t.Seconds.NodeStart, PriceUSDPerHr: t.PriceUSDPerHour, CostUSD: t.CostUSD,
		local: o.Local, tasks: t.Tasks, artifact: t.Artifact, remarks: o.Remarks, others: o.Others,
	}
	if info.Imported != "" {
		row.Source, row.tasks = sourceImported, o.Tasks
	}
	if t.Simulated || o.Replayed {
		row.Source = sourceReplayed
		var note struct {
			Source string `json:"source"`
		}
		if json.Unmarshal(t.Replay, &note) == nil && note.Source == sourceEstimated {
			row.Source = sourceEstimated
		}
	}
	if t.Decision != nil {
		row.chosen, row.Architecture = t.Decision.InstanceType, t.Decision.Architecture
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

// seedOf derives a seed for one use, so that no two intervals share their random numbers.
func seedOf(s *study.Study, use ...string) uint64 {
	h := fnv.New64a()
	fmt.Fprintf(h, "%d", s.Seed)
	for _, u := range use {
		fmt.Fprintf(h, "/%s", u)
	}
	return h.Sum64()
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
