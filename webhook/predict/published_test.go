package predict

import (
	"bufio"
	"errors"
	"math"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/compspec/ocifit-lab/webhook/compat"
	"github.com/compspec/ocifit-lab/webhook/features"
)

// order of the labels in testdata/selections.txt.
var order = []string{
	"cpu-hardware_multithreading", "cpu-model.family", "cpu-model.id", "cpu-model.vendor_id", "kernel-version.full",
	"kernel-version.major", "kernel-version.minor", "kernel-version.revision", "system-os_release.ID",
	"system-os_release.VERSION_ID", "system-os_release.VERSION_ID.major",
}

type study struct {
	types  []features.Candidate
	vector map[string]string             // type to vector
	scores map[string]map[string]float64 // model, vector
	best   []bestCase
}

type bestCase struct {
	set, model string
	direction  compat.Direction
	selected   string
	tied       int
}

// loadStudy reads what the study's data say; see the head of the file for its format.
func loadStudy(t testing.TB) study {
	t.Helper()
	f, err := os.Open("testdata/selections.txt")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	s := study{vector: map[string]string{}, scores: map[string]map[string]float64{}}
	vectors := map[string][]string{}
	for sc := bufio.NewScanner(f); sc.Scan(); {
		w := strings.Fields(sc.Text())
		switch {
		case strings.HasPrefix(sc.Text(), "#"):
		case w[0] == "vector":
			vectors[w[1]] = w[2:]
		case w[0] == "type":
			labels := map[string]string{compat.LabelInstanceType: w[1], compat.LabelArch: w[2]}
			for i, l := range order {
				labels[compat.FeaturePrefix+l] = vectors[w[3]][i]
			}
			s.types = append(s.types, features.Candidate{InstanceType: w[1], Architecture: w[2], Labels: labels})
			s.vector[w[1]] = w[3]
		case w[0] == "score":
			s.scores[w[1]] = map[string]float64{}
			for _, kv := range w[2:] {
				k, v, _ := strings.Cut(kv, "=")
				if s.scores[w[1]][k], err = strconv.ParseFloat(v, 64); err != nil {
					t.Fatal(err)
				}
			}
		case w[0] == "best":
			n, err := strconv.Atoi(w[5])
			if err != nil {
				t.Fatal(err)
			}
			s.best = append(s.best, bestCase{w[1], w[2], compat.Direction(w[3]), w[4], n})
		}
	}
	return s
}

func models(t testing.TB) map[string]*Model {
	t.Helper()
	list, err := Published()
	if err != nil {
		t.Fatal(err)
	}
	byName := map[string]*Model{}
	for _, m := range list {
		byName[m.Name] = m
	}
	return byName
}

func TestPublishedScores(t *testing.T) {
	s, ms := loadStudy(t), models(t)
	if len(ms) != 14 || len(s.types) != 22 || len(s.scores) != 14 || len(s.best) != 56 {
		t.Fatalf("%d models, %d types, %d scored models, %d selections", len(ms), len(s.types), len(s.scores), len(s.best))
	}
	for name, m := range ms {
		if m.Source.File == "" || len(m.Source.SHA256) != 64 || len(m.Labels()) != 11 {
			t.Errorf("%s: source %+v, %d labels", name, m.Source, len(m.Labels()))
		}
		for _, c := range s.types {
			got, out := m.Score(c.Labels)
			if want := s.scores[name][s.vector[c.InstanceType]]; got != want || len(out) > 0 {
				t.Errorf("%s on %s: score %v, want %v; out of domain %q", name, c.InstanceType, got, want, out)
			}
		}
	}
}

func TestPublishedSelections(t *testing.T) {
	s, ms := loadStudy(t), models(t)
	for _, b := range s.best {
		opts := Options{TieBreak: TieBreakFirst}
		if b.set == "skip" {
			opts.Skip = []string{"t3.2xlarge"}
		}
		table, err := Rank(ms[b.model], b.direction, s.types, opts)
		if err != nil {
			t.Fatal(err)
		}
		if table.Selected != b.selected || len(table.Tied) != b.tied || !slices.Contains(table.Tied, b.selected) {
			t.Errorf("%s %s %s: selected %s of %q, want %s of %d", b.set, b.model, b.direction, table.Selected, table.Tied, b.selected, b.tied)
		}
		if got := len(table.Scores) + len(table.Skipped); got != 22 {
			t.Errorf("%s %s: %d lines", b.set, b.model, got)
		}
	}
}

func TestOutOfDomain(t *testing.T) {
	s, fom := loadStudy(t), models(t)["fom"]
	const kernel = compat.FeaturePrefix + "kernel-version.full"
	changed := clone(s.types[0].Labels)
	changed[kernel] = "6.12.1"
	score, out := fom.Score(changed)
	want := []string{kernel + "=6.12.1 is not a value that model fom knows"}
	if diff := cmp.Diff(want, out); diff != "" || !math.IsNaN(score) {
		t.Errorf("score %v: %s", score, diff)
	}
	delete(changed, kernel)
	if _, out := fom.Score(changed); len(out) != 1 || out[0] != kernel+" is absent" {
		t.Errorf("%q", out)
	}

	types := slices.Clone(s.types)
	changed[kernel] = "6.12.1"
	types[0].Labels = changed
	table, err := Rank(fom, "", types, Options{TieBreak: TieBreakFirst})
	if err != nil {
		t.Fatal(err)
	}
	if table.Selected != "r7g.12xlarge" || table.Scores[0].Score != nil || table.Scores[0].OutOfDomain[0] != want[0] {
		t.Errorf("selected %s, first line %+v", table.Selected, table.Scores[0])
	}
	if table.Taking() != 21 {
		t.Errorf("%d take part", table.Taking())
	}
}

// Scoring must not allocate: it is on the path of every admission.
func TestScoreDoesNotAllocate(t *testing.T) {
	s, fom := loadStudy(t), models(t)["fom"]
	if n := testing.AllocsPerRun(100, func() { fom.Score(s.types[0].Labels) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestTieBreak(t *testing.T) {
	s, fom := loadStudy(t), models(t)["fom"]
	rank := func(o Options) string {
		table, err := Rank(fom, "", s.types, o)
		if err != nil {
			t.Fatal(err)
		}
		if table.RunnerUp == nil || table.RunnerUp.InstanceType != "c7a.12xlarge" {
			t.Errorf("runner-up %+v", table.RunnerUp)
		}
		return table.Selected
	}
	for name, c := range map[string]struct {
		opts Options
		want string
	}{
		"first":                    {Options{TieBreak: TieBreakFirst}, "hpc7g.16xlarge"},
		"no prices: by name":       {Options{}, "c7g.16xlarge"},
		"cheapest":                 {Options{Prices: map[string]float64{"m7g.16xlarge": 2, "c7g.16xlarge": 3, "t3a.2xlarge": .1}}, "m7g.16xlarge"},
		"unknown price comes last": {Options{Prices: map[string]float64{"r7g.12xlarge": 9, "c7g.16xlarge": 0}}, "r7g.12xlarge"},
		"same price: by name":      {Options{Prices: map[string]float64{"r7g.12xlarge": 2, "m7g.16xlarge": 2}}, "m7g.16xlarge"},
	} {
		if got := rank(c.opts); got != c.want {
			t.Errorf("%s: %s, want %s", name, got, c.want)
		}
	}
	if _, err := Rank(fom, "", s.types, Options{TieBreak: "dice"}); err == nil {
		t.Error("an unknown tie-break was accepted")
	}
	if _, err := Rank(fom, compat.DrawRandom, s.types, Options{}); err == nil {
		t.Error("an unknown direction was accepted")
	}
}

// The choice by price does not depend on the order of the candidates.
func TestRankIsOrderFree(t *testing.T) {
	s, ms := loadStudy(t), models(t)
	prices := map[string]float64{"m7g.16xlarge": 2.6, "c7g.16xlarge": 2.3, "hpc7g.16xlarge": 1.7}
	for name, m := range ms {
		want, err := Rank(m, "", s.types, Options{Prices: prices})
		if err != nil {
			t.Fatal(err)
		}
		back := slices.Clone(s.types)
		slices.Reverse(back)
		got, err := Rank(m, "", back, Options{Prices: prices})
		if err != nil {
			t.Fatal(err)
		}
		if got.Selected != want.Selected {
			t.Errorf("%s: %s or %s, by order", name, want.Selected, got.Selected)
		}
	}
}

func TestNothingLeft(t *testing.T) {
	s, fom := loadStudy(t), models(t)["fom"]
	opts := Options{
		Skip:     []string{"t3.2xlarge"},
		LeaveOut: func(c features.Candidate) string { return "no image for " + c.Architecture },
	}
	for name, rank := range map[string]func() (*Table, error){
		"model": func() (*Table, error) { return Rank(fom, "", s.types, opts) },
		"draw":  func() (*Table, error) { return Draw(1, s.types, opts) },
	} {
		table, err := rank()
		if !errors.Is(err, ErrNoCandidate) || !strings.Contains(err.Error(), "no image for") {
			t.Errorf("%s: %v", name, err)
		}
		if _, ok := table.Chosen(); ok || len(table.LeftOut) != 21 || len(table.Skipped) != 1 {
			t.Errorf("%s: %+v", name, table)
		}
	}
	if _, err := Rank(fom, "", nil, Options{}); !errors.Is(err, ErrNoCandidate) {
		t.Error(err)
	}
}

func TestDrawIsUniformAndReproducible(t *testing.T) {
	s := loadStudy(t)
	back := slices.Clone(s.types)
	slices.Reverse(back)
	count := map[string]int{}
	const draws = 21 * 2000
	for seed := range uint64(draws) {
		table, err := Draw(seed, s.types, Options{Skip: []string{"t3.2xlarge"}})
		if err != nil {
			t.Fatal(err)
		}
		count[table.Selected]++
		if seed < 50 {
			if again, _ := Draw(seed, back, Options{Skip: []string{"t3.2xlarge"}}); again.Selected != table.Selected {
				t.Fatalf("seed %d: %s or %s, by order", seed, table.Selected, again.Selected)
			}
		}
	}
	if len(count) != 21 || count["t3.2xlarge"] != 0 {
		t.Fatalf("drawn: %v", count)
	}
	chi2 := 0.0
	for _, n := range count {
		chi2 += float64((n-2000)*(n-2000)) / 2000
	}
	if chi2 > 45.3 { // 0.1% point of chi-square with 20 degrees of freedom
		t.Errorf("chi-square %.1f: the draw is not uniform", chi2)
	}
}

// A recorded seed means the same draw for ever.
func TestDrawIsPinned(t *testing.T) {
	d := drawer{42}
	got := []uint64{d.next(), d.next(), d.next()}
	want := []uint64{0xbdd732262feb6e95, 0x28efe333b266f103, 0x47526757130f9f52}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func clone(m map[string]string) map[string]string {
	out := make(map[string]string, len(m))
	for k, v := range m {
		out[k] = v
	}
	return out
}

func BenchmarkScore(b *testing.B) {
	s, fom := loadStudy(b), models(b)["fom"]
	b.ReportAllocs()
	for b.Loop() {
		fom.Score(s.types[0].Labels)
	}
}

func BenchmarkRank(b *testing.B) {
	s, fom := loadStudy(b), models(b)["fom"]
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Rank(fom, "", s.types, Options{}); err != nil {
			b.Fatal(err)
		}
	}
}

// No row, whatever its labels, gets a score beyond those of the rows that the model was fitted on.
func TestScoresStayInRange(t *testing.T) {
	s, ms := loadStudy(t), models(t)
	rows := 100_000
	if testing.Short() {
		rows = 10_000
	}
	for name, m := range ms {
		low, high := math.Inf(1), math.Inf(-1)
		for _, c := range s.types {
			score, _ := m.Score(c.Labels)
			low, high = min(low, score), max(high, score)
		}
		rng, scored := rand.New(rand.NewPCG(1, 2)), 0
		labels := map[string]string{}
		for range rows {
			clear(labels)
			base := s.types[rng.IntN(len(s.types))].Labels
			for _, l := range m.labels {
				known := m.KnownValues[l]
				switch labels[l] = base[l]; rng.IntN(24) {
				case 0, 1:
					labels[l] = known[rng.IntN(len(known))]
				case 2:
					labels[l] = "new"
				case 3:
					if rng.IntN(4) == 0 {
						delete(labels, l)
					}
				}
			}
			score, out := m.Score(labels)
			if len(out) > 0 {
				continue
			}
			if scored++; score < low || score > high {
				t.Fatalf("%s scores %v on %v; its rows have %v to %v", name, score, labels, low, high)
			}
		}
		if scored < rows/100 {
			t.Errorf("%s scored only %d rows", name, scored)
		}
	}
}

// SMT switched off on one type: each value is known, the combination is not.
func TestCombinationOutOfDomain(t *testing.T) {
	s := loadStudy(t)
	for name, m := range models(t) {
		off := clone(s.types[1].Labels)
		off[compat.FeaturePrefix+"cpu-hardware_multithreading"] = "false"
		_, out := m.Score(off)
		if len(out) != 1 || !strings.Contains(out[0], "cpu-hardware_multithreading=false and ") || !strings.Contains(out[0], "never saw the two together") {
			t.Errorf("%s: %q", name, out)
		}
	}
}

// The span is the exact one: it holds rows that can be worked out from others, and no others. Against it stands a
// plain elimination over the expansions, in floating point.
func TestSpan(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	expand := func(row []int, values int) []float64 {
		single := []float64{1}
		for _, v := range row {
			for k := range values {
				single = append(single, map[bool]float64{true: 1}[v == k])
			}
		}
		out := slices.Clone(single)
		for i := 1; i < len(single); i++ {
			for j := 1; j < i; j++ {
				out = append(out, single[i]*single[j])
			}
		}
		return out
	}
	rank := func(rows [][]float64) int {
		n := 0
		for col := range rows[0] {
			best := n
			for i := n; i < len(rows); i++ {
				if math.Abs(rows[i][col]) > math.Abs(rows[best][col]) {
					best = i
				}
			}
			if n == len(rows) || math.Abs(rows[best][col]) < 1e-9 {
				continue
			}
			rows[n], rows[best] = rows[best], rows[n]
			for i := n + 1; i < len(rows); i++ {
				f := rows[i][col] / rows[n][col]
				for k := range rows[i] {
					rows[i][k] -= f * rows[n][k]
				}
			}
			n++
		}
		return n
	}
	inside, outside := 0, 0
	for range 300 {
		labels, values := 3+rng.IntN(3), 2+rng.IntN(2)
		random := func() []int {
			r := make([]int, labels)
			for i := range r {
				r[i] = rng.IntN(values)
			}
			return r
		}
		var rows [][]int
		var expanded [][]float64
		for range 1 + rng.IntN(30) {
			r := random()
			rows, expanded = append(rows, r), append(expanded, expand(r, values))
		}
		e := eliminate(rows, 2)
		row := random()
		before := rank(slices.Clone(cloneAll(expanded)))
		want := rank(append(cloneAll(expanded), expand(row, values))) == before
		if got := e.spans(row); got != want {
			t.Fatalf("%v in the span of %v: %v, want %v", row, rows, got, want)
		}
		if len(e.rows) != before {
			t.Fatalf("rank %d, want %d", len(e.rows), before)
		}
		if want {
			inside++
		} else {
			outside++
		}
	}
	if inside < 30 || outside < 30 {
		t.Errorf("%d rows inside, %d outside", inside, outside)
	}
}

func cloneAll(rows [][]float64) [][]float64 {
	out := make([][]float64, len(rows))
	for i, r := range rows {
		out[i] = slices.Clone(r)
	}
	return out
}

// A model that does not carry its rows is held against the catalogue; one that is given them needs no guard.
func TestGuardOfAModelWithoutRows(t *testing.T) {
	s, fom := loadStudy(t), models(t)["fom"]
	bare := *fom
	bare.Combinations, bare.labels, bare.codes, bare.training = nil, nil, nil, nil
	m, err := NewModel(bare)
	if err != nil {
		t.Fatal(err)
	}
	types := slices.Clone(s.types)
	off := clone(types[1].Labels)
	off[compat.FeaturePrefix+"cpu-hardware_multithreading"] = "false"
	types[1].Labels = off
	table, err := Rank(m, "", types, Options{TieBreak: TieBreakFirst, Catalogue: s.types})
	if err != nil {
		t.Fatal(err)
	}
	if table.Selected != "hpc7g.16xlarge" || len(table.Scores[1].OutOfDomain) != 1 || !strings.Contains(table.Scores[1].OutOfDomain[0], "does not carry the rows") {
		t.Errorf("selected %s, %+v", table.Selected, table.Scores[1])
	}
	var rows []map[string]string
	for _, c := range s.types {
		rows = append(rows, c.Labels)
	}
	if m, err = m.WithCombinations(rows); err != nil || len(m.Combinations) != 9 {
		t.Fatal(err)
	}
	if _, out := m.Score(off); len(out) != 1 || !strings.Contains(out[0], "never saw") {
		t.Errorf("%q", out)
	}
	if _, err := m.WithCombinations([]map[string]string{{"a": "b"}}); err == nil || !strings.Contains(err.Error(), "row 1 of the fit") {
		t.Error(err)
	}
}

// The rules choose by the numbers of the node features, and by what was measured.
func TestRules(t *testing.T) {
	models, err := BuiltIn()
	if err != nil {
		t.Fatal(err)
	}
	var rows []features.Candidate
	for _, r := range []struct{ kind, cores, price string }{{"c7g.16xlarge", "64", "2.32"}, {"t3a.2xlarge", "4", "0.3008"}, {"huge", "96", "9"}} {
		rows = append(rows, features.Candidate{InstanceType: r.kind, Architecture: "amd64", Labels: map[string]string{
			compat.LabelInstanceType: r.kind, "instance.ocifit-lab/cores": r.cores, "instance.ocifit-lab/price-usd": r.price,
		}})
	}
	for name, want := range map[string]string{"most-cores": "huge", "cheapest": "t3a.2xlarge", "best-measured-hpcg": "c7g.16xlarge"} {
		i := slices.IndexFunc(models, func(m *Model) bool { return m.Name == name })
		if i < 0 {
			t.Fatalf("there is no rule %s", name)
		}
		table, err := Rank(models[i], "", rows, Options{})
		if err != nil || table.Selected != want {
			t.Errorf("%s chooses %s, %v", name, table.Selected, err)
		}
	}
}
