package predict

import (
	"math"
	"math/big"
	"math/rand/v2"
	"testing"
)

// exact sums with arbitrary precision and rounds once.
func exact(xs []float64) float64 {
	total := new(big.Float).SetPrec(4000)
	for _, x := range xs {
		total.Add(total, new(big.Float).SetPrec(4000).SetFloat64(x))
	}
	f, _ := total.Float64()
	return f
}

func sumOf(xs []float64) float64 {
	var s sum
	for _, x := range xs {
		s.add(x)
	}
	return s.round()
}

func TestSumCases(t *testing.T) {
	for name, c := range map[string]struct {
		xs   []float64
		want float64
	}{
		"empty":              {nil, 0},
		"one":                {[]float64{0.1}, 0.1},
		"cancels":            {[]float64{1e16, 1, -1e16}, 1},
		"cancels to nothing": {[]float64{1e16, -1e16}, 0},
		"tenths":             {[]float64{.1, .1, .1, .1, .1, .1, .1, .1, .1, .1}, 1},
		"half, below":        {[]float64{1, 0x1p-53, -0x1p-110}, 1},
		"half, above":        {[]float64{1, 0x1p-53, 0x1p-110}, 1 + 0x1p-52},
		"half":               {[]float64{1, 0x1p-53}, 1},
		"wide":               {[]float64{1e140, 1, 1e-300, -1e140}, 1},
		"tiny":               {[]float64{0x1p-1074, 0x1p-1074}, 0x1p-1073},
	} {
		if got := sumOf(c.xs); got != c.want {
			t.Errorf("%s: got %v, want %v", name, got, c.want)
		}
	}
}

// The sum equals the one of arbitrary precision, in any order.
func TestSumIsExactAndOrderFree(t *testing.T) {
	rng := rand.New(rand.NewPCG(7, 7))
	for range 20000 {
		xs := make([]float64, 1+rng.IntN(40))
		spread := 1 + rng.IntN(400)
		for i := range xs {
			xs[i] = math.Ldexp(float64(rng.Int64N(1<<54)-1<<53), rng.IntN(spread)-spread/2)
			if i > 0 && rng.IntN(3) == 0 {
				xs[i] = -xs[rng.IntN(i)]
			}
		}
		want := exact(xs)
		for range 3 {
			if got := sumOf(xs); got != want {
				t.Fatalf("sum of %v: got %v, want %v", xs, got, want)
			}
			rng.Shuffle(len(xs), func(i, j int) { xs[i], xs[j] = xs[j], xs[i] })
		}
	}
}

func TestSumPartsSuffice(t *testing.T) {
	var s sum
	for e := -1074; e < 460; e++ {
		s.add(math.Ldexp(1, e))
		s.add(math.Ldexp(-1, e-3))
	}
	if s.n > maxParts-8 {
		t.Errorf("%d parts in use of %d", s.n, maxParts)
	}
}

func FuzzSum(f *testing.F) {
	f.Add(1.0, 0x1p-53, 0x1p-110, -1.0)
	f.Add(1e16, 1.0, -1e16, 3e-9)
	f.Fuzz(func(t *testing.T, a, b, c, d float64) {
		xs := []float64{a, b, c, d, -a, b}
		for _, x := range xs {
			if math.IsNaN(x) || math.Abs(x) > maxMagnitude {
				return
			}
		}
		if got, want := sumOf(xs), exact(xs); got != want {
			t.Fatalf("sum of %v: got %v, want %v", xs, got, want)
		}
	})
}
