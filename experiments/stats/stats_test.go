package stats

import (
	"errors"
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

func TestHolm(t *testing.T) {
	// Holm (1979) by hand: 4 x 0.005, 3 x 0.01, 2 x 0.03, 1 x 0.04, then made monotone; R's p.adjust(c(0.01, 0.04, 0.03, 0.005), "holm").
	got := Holm([]float64{0.01, 0.04, 0.03, 0.005}, 0)
	if d := cmp.Diff([]float64{0.03, 0.06, 0.06, 0.02}, got, cmpopts.EquateApprox(0, 1e-12)); d != "" {
		t.Error(d)
	}
	if d := cmp.Diff([]float64{1, 1}, Holm([]float64{0.9, 0.6}, 2)); d != "" {
		t.Error(d)
	}
	if len(Holm(nil, 3)) != 0 {
		t.Error("nothing to adjust")
	}
	// R's p.adjust(c(0.01, 0.02), "holm", n = 5): three planned tests that could not be made.
	if d := cmp.Diff([]float64{0.05, 0.08}, Holm([]float64{0.01, 0.02}, 5), cmpopts.EquateApprox(0, 1e-12)); d != "" {
		t.Error(d)
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
		sum := 0.0
		for _, v := range x {
			for _, w := range y {
				switch {
				case v > w:
					sum++
				case v < w:
					sum--
				}
			}
		}
		near(t, "counted pair by pair", CliffsDelta(x, y), sum/float64(len(x)*len(y)), 1e-12)
	}
}
