package stats

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

func near(t *testing.T, what string, got, want, tolerance float64) {
	t.Helper()
	if !(math.Abs(got-want) <= tolerance) {
		t.Errorf("%s: got %.12g, want %.12g", what, got, want)
	}
}

// Permeability of human membranes at term and at 12 to 26 weeks, Hollander and Wolfe (1973), page 69 and following; it is the example
// of R's wilcox.test, which gives W = 35 and a one-sided exact p of 0.1272.
var (
	term  = []float64{0.80, 0.83, 1.89, 1.04, 1.45, 1.38, 1.91, 1.64, 0.73, 1.46}
	early = []float64{1.15, 0.88, 0.90, 0.74, 1.21}
)

func TestMannWhitneyAgainstPublishedValues(t *testing.T) {
	arange := func(n int, step, from float64) []float64 {
		out := make([]float64, n)
		for i := range out {
			out[i] = from + step*float64(i+1)
		}
		return out
	}
	for name, tc := range map[string]struct {
		x, y []float64
		u, p float64
	}{
		// SciPy 1.10.1, mannwhitneyu(method="exact"): pvalue 0.2544122544122544; twice R's 0.1272.
		"Hollander and Wolfe": {term, early, 35, 0.2544122544122544},
		// SciPy's documentation of mannwhitneyu (ages at diagnosis): statistic 17, exact p 0.1111111111111111.
		"SciPy's example": {[]float64{19, 22, 16, 29, 24}, []float64{20, 11, 17, 12}, 17, 1.0 / 9},
		// With ties. All 6435 splits of SciPy 1.10.1's rankdata, enumerated in Python: share at least as far from the mean.
		"ties": {[]float64{1, 2, 2, 3, 5, 5, 8}, []float64{2, 3, 3, 6, 7, 9, 9, 10}, 14, 0.1066045066045066},
		// SciPy 1.10.1, mannwhitneyu(method="exact"): statistic 420, pvalue 0.6649808210768261.
		"30 and 30":     {arange(30, 1.5, 0), arange(30, 1.4, 3.01), 420, 0.6649808210768261},
		"all equal":     {[]float64{1, 1, 1}, []float64{1, 1}, 3, 1},
		"3 above 3":     {[]float64{4, 5, 6}, []float64{1, 2, 3}, 9, 0.1},
		"one above one": {[]float64{2}, []float64{1}, 1, 1},
	} {
		t.Run(name, func(t *testing.T) {
			got := MannWhitney(tc.x, tc.y)
			near(t, "U", got.U, tc.u, 1e-9)
			near(t, "p", got.P, tc.p, 1e-12)
			mirror := MannWhitney(tc.y, tc.x)
			near(t, "p the other way", mirror.P, tc.p, 1e-12)
			near(t, "U the other way", mirror.U, float64(len(tc.x)*len(tc.y))-tc.u, 1e-9)
			if !got.Exact {
				t.Error("not exact")
			}
		})
	}
}

func TestMannWhitneyLargeSamples(t *testing.T) {
	// The approximation must meet the exact value where both can be had: N = 120 is exact, N = 122 is not.
	rng := rand.New(rand.NewPCG(1, 1))
	draw := func(n int, shift float64) []float64 {
		out := make([]float64, n)
		for i := range out {
			out[i] = math.Round((rng.NormFloat64()+shift)*10) / 10
		}
		return out
	}
	x, y := draw(60, 0), draw(60, 0.35)
	exact := MannWhitney(x, y)
	ranks, ties := midranks(slices.Concat(x, y))
	_ = ranks
	total := 120.0
	sd := math.Sqrt(60 * 60 / 12.0 * (total + 1 - ties/(total*(total-1))))
	near(t, "z at the limit", exact.P, math.Erfc((math.Abs(exact.U-1800)-0.5)/sd/math.Sqrt2), 2e-3)
	large := MannWhitney(append(x, 0.05), append(y, 0.05))
	if large.Exact {
		t.Error("122 values were enumerated")
	}
	near(t, "beyond the limit", large.P, exact.P, 0.02)
	if p := MannWhitney(make([]float64, 100), make([]float64, 100)).P; p != 1 {
		t.Errorf("equal values: %v", p)
	}
}

func TestClusterPermutationAgainstEnumeration(t *testing.T) {
	x := []float64{3.1, 4.5, 2.2, 6.7}
	y := []float64{1.0, 2.5, 0.3, 3.3, 2.9}
	// SciPy 1.10.1, permutation_test(absolute difference of means, independent, greater, all 126 resamples): pvalue 14/126.
	got := ClusterPermutation(Sample{Values: x}, Sample{Values: y}, 1)
	near(t, "p", got.P, 14.0/126, 1e-12)
	if !got.Exact || got.ClustersX != 4 || got.ClustersY != 5 || got.Smallest != 1.0/126 {
		t.Errorf("%+v", got)
	}
	// Repeating trials on a machine must add no evidence.
	again := ClusterPermutation(repeat(x, 10, "x"), repeat(y, 7, "y"), 1)
	near(t, "p with repeats", again.P, got.P, 1e-12)
	if p := MannWhitney(repeat(x, 10, "x").Values, repeat(y, 7, "y").Values).P; p > 0.001 {
		t.Errorf("the test without clusters should be fooled here, p = %v", p)
	}
}

// repeat gives every value n trials on a machine of its own.
func repeat(v []float64, n int, prefix string) Sample {
	var s Sample
	for i, x := range v {
		for range n {
			s.Values = append(s.Values, x)
			s.Clusters = append(s.Clusters, fmt.Sprint(prefix, i))
		}
	}
	return s
}

func TestClusterPermutationOneNode(t *testing.T) {
	one := Sample{Values: []float64{36, 36.2, 36.1}, Clusters: []string{"a", "a", "a"}}
	many := Sample{Values: []float64{2, 3, 2.5, 2.2}, Clusters: []string{"b", "c", "d", "e"}}
	got := ClusterPermutation(one, many, 1)
	near(t, "p", got.P, 0.2, 1e-12)
	near(t, "smallest", got.Smallest, 0.2, 1e-12)
	same := Sample{Values: []float64{1, 2}, Clusters: []string{"a", "a"}}
	if got := ClusterPermutation(one, same, 1); got.P != 1 || got.Shared != 1 {
		t.Errorf("both on one machine: %+v", got)
	}
	if got := ClusterPermutation(Sample{}, many, 1); got.P != 1 {
		t.Errorf("no trials: %+v", got)
	}
}

func TestClusterPermutationPairs(t *testing.T) {
	// Five machines that both samples used, x always better: the sign test's two extreme labellings of 32.
	var x, y Sample
	for i := range 5 {
		x.Values, x.Clusters = append(x.Values, float64(i)+0.5), append(x.Clusters, fmt.Sprint(i))
		y.Values, y.Clusters = append(y.Values, float64(i)), append(y.Clusters, fmt.Sprint(i))
	}
	got := ClusterPermutation(x, y, 1)
	near(t, "p", got.P, 2.0/32, 1e-12)
	if got.Shared != 5 || got.Smallest != 2.0/32 {
		t.Errorf("%+v", got)
	}
}

func TestDrawnPermutationsAgreeWithEnumeration(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 3))
	var x, y Sample
	for i := range 6 {
		x.Values, x.Clusters = append(x.Values, rng.NormFloat64()+0.8), append(x.Clusters, fmt.Sprint("x", i))
	}
	for i := range 9 {
		y.Values, y.Clusters = append(y.Values, rng.NormFloat64()), append(y.Clusters, fmt.Sprint("y", i))
	}
	for i := range 3 {
		shared := fmt.Sprint("s", i)
		x.Values, x.Clusters = append(x.Values, rng.NormFloat64()), append(x.Clusters, shared)
		y.Values, y.Clusters = append(y.Values, rng.NormFloat64()), append(y.Clusters, shared)
	}
	for _, flip := range []bool{false, true} {
		if flip {
			x, y = y, x
		}
		d := newDesign(x, y)
		observed := math.Abs(d.difference(d.labels, 0))
		near(t, "drawn", d.draw(observed, rand.NewPCG(5, 5)), d.enumerate(observed), 0.015)
	}
}

func TestHolm(t *testing.T) {
	// Holm (1979) by hand: 4 x 0.005, 3 x 0.01, 2 x 0.03, 1 x 0.04, then made monotone; R's p.adjust(c(0.01, 0.04, 0.03, 0.005), "holm").
	got := Holm([]float64{0.01, 0.04, 0.03, 0.005})
	if d := cmp.Diff([]float64{0.03, 0.06, 0.06, 0.02}, got, cmpopts.EquateApprox(0, 1e-12)); d != "" {
		t.Error(d)
	}
	if d := cmp.Diff([]float64{1, 1}, Holm([]float64{0.9, 0.6})); d != "" {
		t.Error(d)
	}
	if len(Holm(nil)) != 0 {
		t.Error("nothing to adjust")
	}
}

func TestDescribe(t *testing.T) {
	// NumPy 1.24: mean 1.313, std(ddof=1) 0.4412117153677787, percentile 25/50/75 = 0.8825, 1.415, 1.595.
	got := Describe(term)
	want := Summary{N: 10, Mean: 1.313, Median: 1.415, SD: 0.4412117153677787, Min: 0.73, Q1: 0.8825, Q3: 1.595, Max: 1.91}
	if d := cmp.Diff(want, got, cmpopts.EquateApprox(0, 1e-9)); d != "" {
		t.Error(d)
	}
	if got := Describe([]float64{3}); got.SD != 0 || got.Median != 3 || got.Q1 != 3 {
		t.Errorf("%+v", got)
	}
	if got := Describe([]float64{1, 2}); got.Median != 1.5 {
		t.Errorf("%+v", got)
	}
	if Describe(nil) != (Summary{}) {
		t.Error("no values")
	}
	if err := (Sample{Values: []float64{1, math.NaN()}}).Check(); !errors.Is(err, ErrSample) {
		t.Error(err)
	}
	if err := (Sample{Values: []float64{1}, Clusters: []string{}}).Check(); !errors.Is(err, ErrSample) {
		t.Error(err)
	}
}

func TestCliffsDelta(t *testing.T) {
	// Counted by hand: of 50 pairs 35 are larger and 15 smaller.
	near(t, "Hollander and Wolfe", CliffsDelta(term, early), (35.0-15)/50, 1e-12)
	near(t, "all larger", CliffsDelta([]float64{4, 5}, []float64{1, 2, 3}), 1, 1e-12)
	near(t, "ties", CliffsDelta([]float64{1, 2}, []float64{1, 2}), 0, 1e-12)
	for seed := range uint64(20) {
		rng := rand.New(rand.NewPCG(seed, 1))
		x, y := make([]float64, 1+rng.IntN(20)), make([]float64, 1+rng.IntN(20))
		for _, v := range [][]float64{x, y} {
			for i := range v {
				v[i] = float64(1 + rng.IntN(6))
			}
		}
		e, ok := Effects(Sample{Values: x}, Sample{Values: y}, seed)
		if !ok {
			t.Fatal("no effect")
		}
		near(t, "both ways of counting", e.CliffsDelta, CliffsDelta(x, y), 1e-12)
	}
}

func TestMeanInterval(t *testing.T) {
	got, ok := MeanInterval(Sample{Values: term}, 1)
	// SciPy 1.10.1, bootstrap(np.mean, method="BCa", n_resamples=99999): (1.052, 1.569).
	if !ok || got.Unit != UnitTrial {
		t.Errorf("%+v", got)
	}
	near(t, "low", got.Lo, 1.052, 0.02)
	near(t, "high", got.Hi, 1.569, 0.02)
	again, _ := MeanInterval(Sample{Values: term}, 1)
	if got != again {
		t.Error("the same seed gave another interval")
	}
	clustered, _ := MeanInterval(repeat([]float64{1, 2, 3, 9}, 10, "n"), 1)
	naive, _ := MeanInterval(Sample{Values: repeat([]float64{1, 2, 3, 9}, 10, "n").Values}, 1)
	if clustered.Unit != UnitNode || clustered.Hi-clustered.Lo < 2*(naive.Hi-naive.Lo) {
		t.Errorf("clusters must widen the interval: %+v against %+v", clustered, naive)
	}
	flat, _ := MeanInterval(Sample{Values: []float64{5, 5, 5}}, 1)
	if flat.Lo != 5 || flat.Hi != 5 {
		t.Errorf("%+v", flat)
	}
	if _, ok := MeanInterval(Sample{Values: []float64{5}}, 1); ok {
		t.Error("one value has an interval")
	}
}

func TestEffects(t *testing.T) {
	x := Sample{Values: []float64{20, 22, 21, 23}}
	y := Sample{Values: []float64{10, 11, 10.5, 11.5}}
	e, ok := Effects(x, y, 1)
	if !ok {
		t.Fatal("no effect")
	}
	near(t, "ratio", e.RatioOfMedians, 2, 1e-12)
	near(t, "means", e.RatioOfMeans, 2, 1e-12)
	if e.RatioInterval.Lo > 2 || e.RatioInterval.Hi < 2 || e.CliffsDelta != 1 || e.DeltaInterval.Lo != 1 {
		t.Errorf("%+v", e)
	}
	if _, ok := Effects(x, Sample{Values: []float64{0}}, 1); ok {
		t.Error("a ratio by zero")
	}
}

// TestMeanIntervalCovers checks that about 95% of the intervals hold the true mean, for 20 machines with 3 trials each.
func TestMeanIntervalCovers(t *testing.T) {
	if testing.Short() {
		t.Skip("simulation")
	}
	const draws = 400
	hit := 0
	for i := range draws {
		rng := rand.New(rand.NewPCG(uint64(i), 11))
		s := clustered(rng, 20, "n")
		iv, _ := MeanInterval(s, uint64(i))
		if iv.Lo <= 10 && 10 <= iv.Hi {
			hit++
		}
	}
	near(t, "coverage", float64(hit)/draws, 0.935, 0.03) // 20 clusters: a little below 95%
}

// clustered draws trials whose machines differ more than their repeats do; the true mean is 10.
func clustered(rng *rand.Rand, nodes int, prefix string) Sample {
	var s Sample
	for k := range nodes {
		node := 10 + 3*rng.NormFloat64()
		for range 1 + rng.IntN(5) {
			s.Values = append(s.Values, node+rng.NormFloat64())
			s.Clusters = append(s.Clusters, fmt.Sprint(prefix, k))
		}
	}
	return s
}

// TestLevelUnderTheNull draws 2,000 studies in which nothing differs: the share of p < 0.05 must be 5% within 1%.
func TestLevelUnderTheNull(t *testing.T) {
	if testing.Short() {
		t.Skip("simulation")
	}
	const draws = 2000
	share := func(p func(rng *rand.Rand, seed uint64) float64) float64 {
		hits := 0
		for i := range uint64(draws) {
			if p(rand.New(rand.NewPCG(i, 2025)), i) < 0.05 {
				hits++
			}
		}
		return float64(hits) / draws
	}
	normal := func(rng *rand.Rand, n int) []float64 {
		out := make([]float64, n)
		for i := range out {
			out[i] = rng.NormFloat64()
		}
		return out
	}
	near(t, "Mann-Whitney, 30 and 30", share(func(rng *rand.Rand, _ uint64) float64 {
		return MannWhitney(normal(rng, 30), normal(rng, 30)).P
	}), 0.05, 0.01)
	near(t, "Mann-Whitney, 100 and 100", share(func(rng *rand.Rand, _ uint64) float64 {
		return MannWhitney(normal(rng, 100), normal(rng, 100)).P
	}), 0.05, 0.01)
	near(t, "permutation, 8 and 8 machines", share(func(rng *rand.Rand, seed uint64) float64 {
		return ClusterPermutation(clustered(rng, 8, "x"), clustered(rng, 8, "y"), seed).P
	}), 0.05, 0.01)
	near(t, "permutation, 6 and 15 machines, some shared", share(func(rng *rand.Rand, seed uint64) float64 {
		x, y := clustered(rng, 6, "x"), clustered(rng, 15, "y")
		for k := range 5 {
			node := 10 + 3*rng.NormFloat64()
			for _, s := range []*Sample{&x, &y} {
				for range 1 + rng.IntN(3) {
					s.Values, s.Clusters = append(s.Values, node+rng.NormFloat64()), append(s.Clusters, fmt.Sprint("both", k))
				}
			}
		}
		return ClusterPermutation(x, y, seed).P
	}), 0.05, 0.01)
	naive := share(func(rng *rand.Rand, _ uint64) float64 {
		return MannWhitney(clustered(rng, 8, "x").Values, clustered(rng, 8, "y").Values).P
	})
	if naive < 0.15 {
		t.Errorf("taking repeats on one machine for independent should be wrong far more often than 5%%: %v", naive)
	}
	t.Logf("without clusters %.1f%% of null studies would be called significant", 100*naive)
}

func BenchmarkCompare(b *testing.B) {
	rng := rand.New(rand.NewPCG(1, 1))
	sample := func() Sample {
		s := Sample{}
		for i := range 1000 {
			s.Values, s.Clusters = append(s.Values, rng.NormFloat64()+10), append(s.Clusters, fmt.Sprint(rng.Uint64(), i/2))
		}
		return s
	}
	x, y := sample(), sample()
	b.Run("permutation", func(b *testing.B) {
		for b.Loop() {
			ClusterPermutation(x, y, 1)
		}
	})
	b.Run("interval", func(b *testing.B) {
		for b.Loop() {
			MeanInterval(x, 1)
		}
	})
	b.Run("effects", func(b *testing.B) {
		for b.Loop() {
			Effects(x, y, 1)
		}
	})
	b.Run("rank", func(b *testing.B) {
		for b.Loop() {
			MannWhitney(x.Values, y.Values)
		}
	})
	b.Run("rank-exact", func(b *testing.B) {
		for b.Loop() {
			MannWhitney(x.Values[:60], y.Values[:60])
		}
	})
}
