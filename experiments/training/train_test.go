package training

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"

	"gonum.org/v1/gonum/mat"

	"github.com/compspec/ocifit-lab/experiments/measurements"
	"github.com/compspec/ocifit-lab/webhook/compat"
	"github.com/compspec/ocifit-lab/webhook/features"
	"github.com/compspec/ocifit-lab/webhook/predict"
)

func options() Options {
	return Options{
		Name: "speed", Target: "speed", Unit: "GB/s", Direction: compat.Maximize, Level: 0.8,
		Numbers: []string{"x/cores", "x/clock", "x/memory"}, Labels: []string{"x/vendor"},
	}
}

// machine is a type whose speed is 3·cores^0.75·clock², twice that on vendor b, whatever its memory.
func machine(name string, cores, clock, memory float64, vendor string) Sample {
	speed := 3 * math.Pow(cores, 0.75) * clock * clock
	if vendor == "b" {
		speed *= 2
	}
	text := func(v float64) string { return strconv.FormatFloat(v, 'g', -1, 64) }
	return Sample{InstanceType: name, Value: speed, Labels: map[string]string{"x/cores": text(cores), "x/clock": text(clock), "x/memory": text(memory), "x/vendor": vendor}}
}

func machines(n int) (out []Sample) {
	r := rand.New(rand.NewPCG(11, 5))
	for i := range n {
		out = append(out, machine(fmt.Sprintf("type-%02d", i), math.Pow(2, float64(1+r.IntN(7))), 2+2*r.Float64(), math.Pow(2, float64(3+r.IntN(6))), string("ab"[i%2])))
	}
	return out
}

// What is known of the machines is found again: the exponents, the vendor's factor, and that memory does not count.
func TestTrainRecoversAKnownModel(t *testing.T) {
	m, e, err := Train(t.Context(), machines(24), options())
	if err != nil {
		t.Fatal(err)
	}
	terms := map[string]float64{}
	for _, term := range m.Terms {
		for _, l := range term.Times {
			terms[l] += term.Coefficient
		}
		for _, c := range term.When {
			sign := map[string]float64{"a": -1, "b": 1}[c.Equals]
			terms[c.Label] += sign * term.Coefficient
		}
	}
	for label, want := range map[string]float64{"x/cores": 0.75, "x/clock": 2, "x/memory": 0, "x/vendor": math.Log(2)} {
		if math.Abs(terms[label]-want) > 0.02 {
			t.Errorf("%s has %.4f, want %.4f", label, terms[label], want)
		}
	}
	s := e.Models[0]
	if s.RankCorrelation == nil || *s.RankCorrelation < 0.99 || *s.Regret > 0.02 || *s.MeanError > 0.02 || len(e.Predictions) != 24 {
		t.Errorf("%+v", s)
	}
	unseen := machine("new", 24, 3.1, 100, "b")
	if got, out := m.Score(unseen.Labels); len(out) > 0 || math.Abs(got/unseen.Value-1) > 0.02 {
		t.Errorf("a type that was never measured scores %v (%q), has %v", got, out, unseen.Value)
	}
	for _, far := range []Sample{machine("huge", 500, 3, 100, "a"), machine("other vendor", 24, 3, 100, "c")} {
		if _, out := m.Score(far.Labels); len(out) == 0 {
			t.Errorf("%s is in the model's domain", far.InstanceType)
		}
	}
	if m.Interval == nil || m.Interval.Low > 1 || m.Interval.High < 1 || m.Validation.Types != 24 {
		t.Errorf("interval %+v, validation %+v", m.Interval, m.Validation)
	}
	data, err := predict.EncodeModel(m)
	if err != nil {
		t.Fatal(err)
	}
	back, err := predict.DecodeModel(data)
	if err != nil {
		t.Fatal(err)
	}
	a, _ := m.Score(unseen.Labels)
	if b, _ := back.Score(unseen.Labels); a != b || *back.Interval != *m.Interval || *back.Validation.RankCorrelation != *m.Validation.RankCorrelation {
		t.Errorf("the file gives %v, the model %v", b, a)
	}
}

func TestTrainRefuses(t *testing.T) {
	good := machines(8)
	change := func(f func([]Sample)) []Sample {
		list := make([]Sample, len(good))
		for i, s := range good {
			list[i] = machine(s.InstanceType, 4, 3, 16, "a")
			list[i].Value = s.Value
			for k, v := range s.Labels {
				list[i].Labels[k] = v
			}
		}
		f(list)
		return list
	}
	for name, c := range map[string]struct {
		list []Sample
		says string
	}{
		"one type": {change(func(l []Sample) {
			for i := range l {
				l[i].InstanceType = "only"
			}
		}), "1 instance types"},
		"NaN":       {change(func(l []Sample) { l[2].Value = math.NaN() }), "measurement 3, on type-02"},
		"no number": {change(func(l []Sample) { delete(l[1].Labels, "x/cores") }), "type-01: there is no number x/cores"},
		"word":      {change(func(l []Sample) { l[1].Labels["x/cores"] = "many" }), "x/cores=many is not a number"},
		"no label":  {change(func(l []Sample) { delete(l[1].Labels, "x/vendor") }), "type-01 has no label x/vendor"},
		"nothing new": {change(func(l []Sample) {
			for i := range l {
				l[i].Value = 5
			}
		}), "the same on every instance type"},
		"all the same": {change(func(l []Sample) {
			for i := range l {
				l[i].Labels = machine("x", 4, 3, 16, "a").Labels
			}
		}), "no feature differs"},
	} {
		if _, _, err := Train(t.Context(), c.list, options()); err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: error %v does not say %q", name, err, c.says)
		}
	}
}

// The errors of new types lie within the interval as often as it says: exactly k of n+1 times for the k-th of n sorted errors.
func TestIntervalCoversItsLevel(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	const rounds = 20000
	for _, c := range []struct {
		types int
		level float64
		want  float64 // (k)/(n+1)
	}{{19, 0.9, 0.9}, {20, 0.9, 19.0 / 21}, {9, 0.8, 0.8}} {
		inside := 0
		for range rounds {
			h := &heldOut{}
			for range c.types {
				h.errors = append(h.errors, r.NormFloat64())
			}
			if i := h.interval(c.level, scale{}); math.Abs(r.NormFloat64()) <= i.High {
				inside++
			}
		}
		if got := float64(inside) / rounds; math.Abs(got-c.want) > 0.01 {
			t.Errorf("%d types at %g: %.3f inside, want %.3f", c.types, c.level, got, c.want)
		}
	}
	if i := (&heldOut{errors: make([]float64, 8)}).interval(0.9, scale{}); i != nil {
		t.Errorf("8 types cannot say anything at 0.9, and gave %+v", i)
	}
}

func TestRegretAndRanks(t *testing.T) {
	nan := math.NaN()
	for name, c := range map[string]struct {
		predicted, measured []float64
		direction           compat.Direction
		want                float64
		place               int
	}{
		"best":        {[]float64{1, 9, 3}, []float64{10, 40, 20}, compat.Maximize, 0, 1},
		"second":      {[]float64{1, 3, 9}, []float64{10, 40, 20}, compat.Maximize, 0.5, 2},
		"time":        {[]float64{1, 3, 9}, []float64{20, 10, 40}, compat.Minimize, 1, 0},
		"tie":         {[]float64{9, 9, 1}, []float64{10, 40, 20}, compat.Maximize, 0.375, -1},
		"not to pick": {[]float64{1, nan, 3}, []float64{10, 40, 20}, compat.Maximize, 0.5, 2},
	} {
		if got, place := regretOf(c.predicted, c.measured, c.direction); got == nil || *got != c.want || place != c.place {
			t.Errorf("%s: %v at %d", name, *got, place)
		}
	}
	if got, _ := regretOf([]float64{nan}, []float64{1}, compat.Maximize); got != nil {
		t.Error("nothing can be picked, and there is a regret")
	}
	// scipy.stats.spearmanr([1, 2, 3, 4, 5], [5, 6, 7, 8, 7]) is 0.8207826816681233 (SciPy's documentation).
	if r := spearman([]float64{1, 2, 3, 4, 5}, []float64{5, 6, 7, 8, 7}); r == nil || math.Abs(*r-0.8207826816681233) > 1e-12 {
		t.Errorf("rank correlation %v", r)
	}
	if r := spearman([]float64{1, 1, 1}, []float64{1, 2, 3}); r != nil {
		t.Errorf("all alike, and the rank correlation is %v", *r)
	}
}

// The dual form gives what least squares of least norm gives over the columns themselves.
func TestLeastNormIsThatOfTheColumns(t *testing.T) {
	r := rand.New(rand.NewPCG(9, 9))
	labels := []string{"x/a", "x/b", "x/c"}
	row := func() map[string]string {
		return map[string]string{"x/a": strconv.Itoa(r.IntN(3)), "x/b": strconv.Itoa(r.IntN(2)), "x/c": strconv.Itoa(r.IntN(4))}
	}
	for range 20 {
		var types []kind
		for range 9 {
			types = append(types, kind{labels: row(), y: r.NormFloat64()})
		}
		f, err := leastNorm(types, labels)
		if err != nil {
			t.Fatal(err)
		}
		x, y := expansion(types, labels), mat.NewVecDense(len(types), nil)
		n, p := x.Dims()
		means, mean := make([]float64, p), 0.0
		for i := range n {
			mean += types[i].y / float64(n)
			for j := range p {
				means[j] += x.At(i, j) / float64(n)
			}
		}
		for i := range n {
			y.SetVec(i, types[i].y-mean)
			for j := range p {
				x.Set(i, j, x.At(i, j)-means[j])
			}
		}
		var svd mat.SVD
		if !svd.Factorize(x, mat.SVDThin) {
			t.Fatal("no singular values")
		}
		var b mat.VecDense
		svd.SolveVecTo(&b, y, svd.Rank(1e-9))
		unseen := kind{labels: row()}
		want := mean
		for j, v := range expand(unseen.labels, labels) {
			want += (v - means[j]) * b.AtVec(j)
		}
		if got := f.predict(unseen.labels); math.Abs(got-want) > 1e-8 {
			t.Fatalf("%v, want %v", got, want)
		}
	}
}

func expansion(types []kind, labels []string) *mat.Dense {
	rows := make([][]float64, len(types))
	for i, k := range types {
		rows[i] = expand(k.labels, labels)
	}
	x := mat.NewDense(len(rows), len(rows[0]), nil)
	for i, r := range rows {
		x.SetRow(i, r)
	}
	return x
}

// expand writes a column for every value of every label, up to four, and for every pair of them.
func expand(row map[string]string, labels []string) (out []float64) {
	var single []float64
	for _, l := range labels {
		for v := range 4 {
			x := 0.0
			if row[l] == strconv.Itoa(v) {
				x = 1
			}
			single = append(single, x)
		}
	}
	out = append(out, single...)
	for i := range single {
		for j := range i {
			out = append(out, single[i]*single[j])
		}
	}
	return out
}

func TestCompareNamesWhoSawWhat(t *testing.T) {
	list := machines(8)
	_, e, err := Train(t.Context(), list, options())
	if err != nil {
		t.Fatal(err)
	}
	known, err := Measured(list, "known", compat.Maximize)
	if err != nil {
		t.Fatal(err)
	}
	for i := range list {
		list[i].Labels[compat.LabelInstanceType] = list[i].InstanceType
	}
	if err := e.Compare(t.Context(), list, []*predict.Model{known}, []Rule{{"most cores", "x/cores", compat.Maximize}}); err != nil {
		t.Fatal(err)
	}
	by := map[string]Score{}
	for _, s := range e.Models {
		by[s.Name] = s
	}
	if s := by["known"]; !s.SawTypes || *s.Regret != 0 || *s.MeanError > 1e-12 || s.OutOfDomain != 0 {
		t.Errorf("a model of the measured means: %+v", s)
	}
	if s := by["known, refitted without the type"]; s.SawTypes || s.OutOfDomain != 8 || s.Regret != nil {
		t.Errorf("a model that knows names says nothing of others: %+v", s)
	}
	if s := by["best measured"]; *s.Regret != 0 || *s.RegretUnseen <= 0 {
		t.Errorf("%+v", s)
	}
	if s := by["mean of the others, a pick by chance"]; s.RankCorrelation != nil || *s.Regret <= 0 || s.Picked != "" {
		t.Errorf("%+v", s)
	}
	if s := by["most cores"]; s.MeanError != nil || s.RankCorrelation == nil {
		t.Errorf("%+v", s)
	}
}

func TestSamples(t *testing.T) {
	table := &measurements.Table{Rows: []measurements.Row{
		{Application: "hpcg", InstanceType: "a", Figures: map[string]float64{"gflops": 4}},
		{Application: "hpcg", InstanceType: "b", Figures: map[string]float64{"gflops": 6}, Labels: map[string]string{"x/y": "own"}},
		{Application: "hpcg", InstanceType: "c", Figures: map[string]float64{"gflops": 6}},
		{Application: "hpcg", InstanceType: "a", Figures: map[string]float64{"other": 1}},
	}}
	rows := []features.Candidate{{InstanceType: "a", Labels: map[string]string{"x/price": "2"}}}
	list, unknown, err := Samples(table, "gflops", rows)
	if err != nil || len(list) != 2 || list[1].Labels["x/y"] != "own" || len(unknown) != 1 || unknown[0] != "c" {
		t.Fatalf("%v, unknown %v, %v", list, unknown, err)
	}
	if err := PerDollar(list[:1], "x/price", compat.Maximize); err != nil || list[0].Value != 2 {
		t.Errorf("%v, %v", list[0].Value, err)
	}
	if err := PerDollar(list[:1], "x/price", compat.Minimize); err != nil || list[0].Value != 4 {
		t.Errorf("%v, %v", list[0].Value, err)
	}
	if err := PerDollar(list[1:], "x/price", compat.Maximize); err == nil {
		t.Error("a price that is not known counts")
	}
	if _, _, err := Samples(table, "speed", rows); err == nil || !strings.Contains(err.Error(), "there are gflops, other") {
		t.Error(err)
	}
	table.Rows[0].Application = "stream"
	if _, _, err := Samples(table, "gflops", rows); err == nil || !strings.Contains(err.Error(), "hpcg, stream") {
		t.Error(err)
	}
}

// Many types are left out several at a time, so that the work grows with their number and not with its square.
func TestFolds(t *testing.T) {
	for _, n := range []int{5, 30, 31, 200} {
		seen := map[int]int{}
		for _, out := range folds(n) {
			for _, i := range out {
				seen[i]++
			}
		}
		if len(seen) != n || len(folds(n)) > mostFolds || n <= mostFolds && len(folds(n)) != n {
			t.Errorf("%d types in %d folds hold %d", n, len(folds(n)), len(seen))
		}
	}
	m, e, err := Train(t.Context(), machines(200), options())
	if err != nil {
		t.Fatal(err)
	}
	if len(e.Predictions) != 200 || e.Predictions[7].InstanceType != "type-07" || *e.Models[0].MeanError > 0.02 || m.Interval == nil {
		t.Errorf("%d predictions, %+v", len(e.Predictions), e.Models[0])
	}
}
