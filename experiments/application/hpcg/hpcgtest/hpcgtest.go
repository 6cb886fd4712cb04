// Package hpcgtest writes synthetic HPCG trial logs for tests: figures that agree with each other, in the grammar that the parser reads.
package hpcgtest

import (
	"bytes"
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
)

// Spec says what the log shows. Zero fields get a plain value.
type Spec struct {
	Ratings  []float64 // GFLOP/s of each iteration; three by default
	Ranks    int
	Threads  int
	Cores    int    // physical cores in flux's resource list
	Tasks    string // -n of flux run, left out when empty
	Local    [3]int
	Seconds  int
	Jobs     bool   // with flux's job records and statistics
	Replay   string // the text of the replay marker; none when empty
	Severely bool   // HPCG's remark that threads make the reference MG severely suboptimal
	Seed     uint64
}

func (s Spec) filled() Spec {
	if len(s.Ratings) == 0 {
		s.Ratings = []float64{10, 10.2, 9.9}
	}
	for _, f := range []struct {
		p *int
		v int
	}{{&s.Ranks, 4}, {&s.Threads, 1}, {&s.Seconds, 15}} {
		if *f.p == 0 {
			*f.p = f.v
		}
	}
	if s.Cores == 0 {
		s.Cores = s.Ranks
	}
	if s.Local == [3]int{} {
		s.Local = [3]int{32, 32, 32}
	}
	return s
}

// Log returns the text of a complete log.
func Log(s Spec) []byte {
	s = s.filled()
	rng := rand.New(rand.NewPCG(s.Seed, 7))
	var b bytes.Buffer
	fmt.Fprintf(&b, "\n\n%d %d %d\n%d\n", s.Local[0], s.Local[1], s.Local[2], s.Seconds)
	script(&b, s)
	fmt.Fprintf(&b, "     STATE NNODES   NCORES    NGPUS NODELIST\n      free      1 %8d        0 node-0\n", s.Cores)
	b.WriteString(" allocated      0        0        0 \n      down      0        0        0 \n")
	for i := range s.Ratings {
		fmt.Fprintf(&b, "FLUX-RUN START hpcg-iter-%d\nFLUX-RUN END hpcg-iter-%d\n", i+1, i+1)
	}
	b.WriteString("FLUX-RESULTS START\n")
	runs := make([]run, len(s.Ratings))
	for i, rating := range s.Ratings {
		runs[i] = newRun(s, rating, rng)
		runs[i].solver(&b)
	}
	b.WriteString("HPCG-BENCHMARKS\n")
	for i := range runs {
		runs[i].file(&b)
	}
	b.WriteString("FLUX-RESULTS END\n")
	if s.Jobs {
		jobs(&b, s)
	}
	return b.Bytes()
}

func script(b *bytes.Buffer, s Spec) {
	n := ""
	if s.Tasks != "" {
		n = "-n " + s.Tasks + " "
	}
	b.WriteString("#!/bin/bash\n")
	if s.Replay != "" {
		fmt.Fprintf(b, "# REPLAY %s\n", s.Replay)
	}
	fmt.Fprintf(b, `flux resource list
for i in {1..%d}
do
  echo "FLUX-RUN START hpcg-iter-$i"
  flux run -N1 %s-o cpu-affinity=per-task --exclusive /opt/hpcg/xhpcg
  echo "FLUX-RUN END hpcg-iter-$i"
done
  echo "FLUX-RESULTS START"
  echo "HPCG-BENCHMARKS"
  echo "FLUX-RESULTS END"
    echo "FLUX-JOB START ${id} ${name}"
echo "FLUX JOB STATS"

`, len(s.Ratings), n)
}

// run has the figures of one iteration, made to agree as those of a real one do.
type run struct {
	Spec
	rating, seconds float64
	sets            int
	residuals       []float64
	grid            [3]int
	spmv, mg        float64
}

func newRun(s Spec, rating float64, rng *rand.Rand) run {
	r := run{Spec: s, rating: rating, seconds: float64(s.Seconds) * (1 + 0.1*rng.Float64()), sets: 8 + rng.IntN(8), grid: factor(s.Ranks)}
	for range r.sets {
		r.residuals = append(r.residuals, round6(1e-7*(1+rng.Float64())))
	}
	r.spmv, r.mg = round6(1e-8*(1+rng.Float64())), round6(1e-9*(1+rng.Float64()))
	return r
}

// factor is a process grid of n ranks, as near to a cube as the divisors of n allow.
func factor(n int) [3]int {
	best := [3]int{n, 1, 1}
	for x := 1; x <= n; x++ {
		for y := 1; n%x == 0 && y <= n/x; y++ {
			if z := n / x / y; x*y*z == n && max(x, y, z) < max(best[0], best[1], best[2]) {
				best = [3]int{x, y, z}
			}
		}
	}
	return best
}

func round6(v float64) float64 {
	if v == 0 {
		return 0
	}
	scale := math.Pow(10, 5-math.Floor(math.Log10(math.Abs(v))))
	return math.Round(v*scale) / scale
}

func (r run) solver(b *bytes.Buffer) {
	for k, it := range []int{11, 11} {
		fmt.Fprintf(b, "WARNING: PERFORMING UNPRECONDITIONED ITERATIONS\nCall [%d] Number of Iterations [%d] Scaled Residual [%.6g]\n", k, it, 1.1e-14)
	}
	for k := range 2 {
		fmt.Fprintf(b, "Call [%d] Number of Iterations [2] Scaled Residual [%.6g]\n", k, 2.5e-15)
	}
	fmt.Fprintf(b, "Departure from symmetry (scaled) for SpMV abs(x'*A*y - y'*A*x) = %.6g\n", r.spmv)
	fmt.Fprintf(b, "Departure from symmetry (scaled) for MG abs(x'*Minv*y - y'*Minv*x) = %.6g\n", r.mg)
	b.WriteString("SpMV call [0] Residual [0]\nSpMV call [1] Residual [0]\n")
	for k, v := range r.residuals {
		fmt.Fprintf(b, "Call [%d] Scaled Residual [%.6g]\n", k, v)
	}
}

const threadsRemark = " and number of threads greater than 1=Performance results are severely suboptimal"

func (r run) file(b *bytes.Buffer) {
	mean := 0.0
	for _, v := range r.residuals {
		mean += v / float64(r.sets)
	}
	raw := r.rating * 1.06
	ops := raw * r.seconds * 1e9
	local := r.Local[0] * r.Local[1] * r.Local[2]
	remark := "=Performance results are most likely suboptimal"
	if r.Severely {
		remark = threadsRemark
	}
	values := strings.NewReplacer(
		"{ranks}", fmt.Sprint(r.Ranks), "{threads}", fmt.Sprint(r.Threads),
		"{gx}", fmt.Sprint(r.Local[0]*r.grid[0]), "{gy}", fmt.Sprint(r.Local[1]*r.grid[1]), "{gz}", fmt.Sprint(r.Local[2]*r.grid[2]),
		"{px}", fmt.Sprint(r.grid[0]), "{py}", fmt.Sprint(r.grid[1]), "{pz}", fmt.Sprint(r.grid[2]),
		"{lx}", fmt.Sprint(r.Local[0]), "{ly}", fmt.Sprint(r.Local[1]), "{lz}", fmt.Sprint(r.Local[2]),
		"{eq}", fmt.Sprint(r.Ranks*local), "{nz}", fmt.Sprint(r.Ranks*local*26), "{gb}", g(7.15e-7*float64(r.Ranks*local)),
		"{spmv}", g(r.spmv), "{mg}", g(r.mg), "{sets51}", fmt.Sprint(r.sets*51), "{sets50}", fmt.Sprint(r.sets*50), "{mean}", g(mean),
		"{t}", g(r.seconds), "{t1}", g(r.seconds*0.012), "{t2}", g(r.seconds*0.02), "{t3}", g(r.seconds*0.95),
		"{ops}", g(ops), "{ops1}", g(ops*0.02), "{ops2}", g(ops*0.14), "{ops3}", g(ops*0.82), "{ops4}", g(ops/1.02),
		"{raw}", g(raw), "{raw24}", g(raw/1.02), "{rating}", g(r.rating),
		"{bw}", g(raw*7.6), "{bwr}", g(raw*6.2), "{bww}", g(raw*1.4), "{bwo}", g(r.rating*7.6), "{remark}", remark,
	)
	_, _ = values.WriteString(b, template)
}

func g(v float64) string { return fmt.Sprintf("%.6g", v) }
