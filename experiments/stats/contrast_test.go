package stats

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
)

func nodes(prefix string, values ...float64) Sample {
	s := Sample{Values: values}
	for i := range values {
		s.Clusters = append(s.Clusters, fmt.Sprint(prefix, i))
	}
	return s
}

var (
	fast  = []float64{36.2, 35.1, 37.4, 36.9, 35.8, 36.5}
	mixed = []float64{12.4, 24.9, 8.1, 30.2, 15.7, 19.3, 27.8}
)

// TestContrastAgainstR has the values of R 4.2.2: t.test(log(x), log(y)), the same with paired = TRUE for the first six, and
// t.test(log(y)), each brought back by exp.
func TestContrastAgainstR(t *testing.T) {
	for _, tc := range []struct {
		name              string
		x, y              Sample
		ratio, lo, hi, p  float64
		df                float64
		shared            int
		paired, repeatAll bool
	}{
		{"Welch", nodes("a", fast...), nodes("b", mixed...), 2.006114302465, 1.291192235887, 3.116882585489, 0.008266898893, 6.031076781305, 0, false, false},
		{"the same machines", nodes("a", fast...), nodes("a", mixed[:6]...), 2.154864328, 1.289998310, 3.599570819, 0.012045809, 5, 6, true, false},
		{"trials of one machine count once", nodes("a", fast...), nodes("b", mixed...), 2.006114302465, 1.291192235887, 3.116882585489, 0.008266898893, 6.031076781305, 0, false, true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if tc.repeatAll { // a machine's trials around its mean
				for i, v := range fast {
					for k := range 2 * i {
						tc.x.Values = append(tc.x.Values, v+float64(2*(k%2)-1))
						tc.x.Clusters = append(tc.x.Clusters, fmt.Sprint("a", i))
					}
				}
			}
			c, ok := ContrastOf(tc.x, tc.y)
			if !ok || c.CI95 == nil || c.P == nil || c.Paired != tc.paired || c.Shared != tc.shared {
				t.Fatalf("%+v %v", c, ok)
			}
			near(t, "ratio", c.Ratio, tc.ratio, 1e-8)
			near(t, "low", c.CI95[0], tc.lo, 1e-8)
			near(t, "high", c.CI95[1], tc.hi, 1e-8)
			near(t, "p", *c.P, tc.p, 1e-9)
			near(t, "df", c.DF, tc.df, 1e-8)
		})
	}
	mean, ci, ok := GeometricMean(nodes("", mixed...))
	if !ok || ci == nil {
		t.Fatal(ci, ok)
	}
	near(t, "geometric mean", mean, 18.09919463, 1e-7)
	near(t, "its low end", ci[0], 11.64938774, 1e-7)
	near(t, "its high end", ci[1], 28.12000540, 1e-7)
}

func TestContrastWhereNothingCanBeSaid(t *testing.T) {
	same := []float64{5, 5, 5, 5, 5}
	for _, tc := range []struct {
		name string
		x, y Sample
		ok   bool
	}{
		{"too few machines", nodes("a", fast[:4]...), nodes("b", mixed...), true},
		{"thirty trials of one machine", Sample{Values: fast, Clusters: []string{"n", "n", "n", "n", "n", "n"}}, nodes("b", mixed...), true},
		{"no spread at all", nodes("a", same...), nodes("b", same...), true},
		{"nothing measured", Sample{}, nodes("b", mixed...), false},
		{"a figure of zero", nodes("a", 0, 1, 2, 3, 4), nodes("b", mixed...), false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c, ok := ContrastOf(tc.x, tc.y)
			if ok != tc.ok || c.CI95 != nil || c.P != nil {
				t.Errorf("%+v %v", c, ok)
			}
		})
	}
}

// TestPowerAgainstR has the values of R 4.2.2's power.t.test(n, delta = log(ratio), sd).
func TestPowerAgainstR(t *testing.T) {
	near(t, "30 machines, 5%, sd 0.08", powerOf(30, 1.05, 0.08, 0.05), 0.6416350059, 1e-4)
	near(t, "5 machines, 20%, sd 0.1", powerOf(5, 1.2, 0.1, 0.05), 0.7146252704, 1e-4)
	ratio, ok := SmallestRatio(30, 0.08, 0.05, 0.8)
	near(t, "smallest ratio", ratio, 1.060646032, 1e-4)
	n, ok2 := MachinesFor(1.05, 0.08, 0.05, 0.8) // 43.19
	m, ok3 := MachinesFor(1.10, 0.5, 0.05, 0.8)  // 432.98
	if !ok || !ok2 || !ok3 || n != 44 || m != 433 {
		t.Errorf("%d and %d machines, want 44 and 433", n, m)
	}
	if _, ok := MachinesFor(1.0000001, 0.5, 0.05, 0.8); ok {
		t.Error("no number of machines shows a ratio of 1")
	}
}

// TestRuns: 10 and 10 labels with 6 runs or fewer have the chance 0.019 in the tables of Swed and Eisenhart (1943); the whole of the
// distribution adds up to 1.
func TestRuns(t *testing.T) {
	labels := func(lengths ...int) (out []bool) {
		for i, n := range lengths {
			for range n {
				out = append(out, i%2 == 0)
			}
		}
		return out
	}
	runs, p := Runs(labels(3, 4, 3, 3, 4, 3))
	if runs != 6 {
		t.Errorf("%d runs", runs)
	}
	near(t, "p of 6 runs", p, 0.0185, 0.0001)
	if runs, p := Runs(labels(30, 30)); runs != 2 || p > 1e-15 {
		t.Errorf("one after the other: %d runs, p %g", runs, p)
	}
	_, p = Runs(labels(1, 1, 1, 1, 1, 1, 1, 1))
	near(t, "taking turns", p, 1, 1e-12)
}

// coverage simulates two arms of machines with the same expected figure and counts how often the interval of the ratio holds 1.
// icc is the share of a trial's variance that belongs to its machine.
func coverage(rng *rand.Rand, nx, ny int, icc, spreadX float64, rounds int) (covers float64, shown bool) {
	const trials = 30
	arm := func(n int, prefix string, spread float64) Sample {
		var s Sample
		of := make([]float64, n)
		for i := range of {
			of[i] = math.Sqrt(icc) * rng.NormFloat64()
		}
		for i := range max(trials, n) {
			s.Values = append(s.Values, 1+0.02*spread*(of[i%n]+math.Sqrt(1-icc)*rng.NormFloat64()))
			s.Clusters = append(s.Clusters, fmt.Sprint(prefix, i%n))
		}
		return s
	}
	in := 0
	for range rounds {
		c, ok := ContrastOf(arm(nx, "x", spreadX), arm(ny, "y", 1))
		if !ok || c.CI95 == nil {
			return 0, false
		}
		if c.CI95[0] <= 1 && 1 <= c.CI95[1] {
			in++
		}
	}
	return float64(in) / float64(rounds), true
}

// TestCoverage holds every interval that is shown to 0.93 to 0.97, and with it the type I error to 0.03 to 0.07, for p < 0.05 is that
// the interval leaves out 1. The seeds are fixed; BenchmarkCoverage prints the table with many more draws.
func TestCoverage(t *testing.T) {
	counts := []int{1, 2, 3, 5, 10, 30}
	for _, icc := range []float64{0, 0.5, 0.95} {
		for _, spread := range []float64{1, 4} {
			for _, nx := range counts {
				for _, ny := range counts {
					if spread == 1 && ny < nx {
						continue // by symmetry
					}
					rng := rand.New(rand.NewPCG(uint64(nx*100+ny), uint64(100*icc+spread)))
					covers, shown := coverage(rng, nx, ny, icc, spread, 1500)
					if want := min(nx, ny) >= FewestForInterval; shown != want {
						t.Errorf("%d and %d machines: interval shown %v", nx, ny, shown)
					}
					if shown && (covers < 0.93 || covers > 0.97) {
						t.Errorf("%d and %d machines, ICC %v, spread %v to 1: covers %.3f", nx, ny, icc, spread, covers)
					}
				}
			}
		}
	}
}

// BenchmarkCoverage prints how often intervals hold the true ratio; 1 less that is the type I error. The testing package shows ten lines.
func BenchmarkCoverage(b *testing.B) {
	counts := []int{5, 10, 30}
	for b.Loop() {
		table := "coverage of 95% intervals by machines in both arms, 20,000 draws each\nICC   SD     "
		for _, nx := range counts {
			for _, ny := range counts {
				table += fmt.Sprintf("  %2d/%-2d", nx, ny)
			}
		}
		for _, icc := range []float64{0, 0.5, 0.95} {
			for _, spread := range []float64{1, 4} {
				table += fmt.Sprintf("\n%.2f  %v to 1  ", icc, spread)
				for _, nx := range counts {
					for _, ny := range counts {
						covers, _ := coverage(rand.New(rand.NewPCG(uint64(nx), uint64(ny))), nx, ny, icc, spread, 20_000)
						table += fmt.Sprintf("  %.3f", covers)
					}
				}
			}
		}
		b.Log(table)
	}
}
