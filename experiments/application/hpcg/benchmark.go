package hpcg

import (
	"math"
	"math/rand/v2"
)

const referenceIterations = 50 // per set, in HPCG 3.1

// benchmark is one run of HPCG with all that its two output files say. Rating, work and times fit each other exactly.
type benchmark struct {
	problem
	threads             int
	sets                int
	iterationsPerSet    int
	setup, optimise     float64 // seconds
	reference           float64 // seconds of one reference SpMV and MG
	ddot, waxpby        float64 // seconds
	spmv, mg, total     float64
	allreduce           [3]float64 // seconds: least, most, mean over ranks
	rating              float64    // GFLOP/s
	departureSpMV       float64
	departureMG         float64
	unpreconditioned    [2]float64 // residuals
	preconditioned      [2]float64
	preconditionedSteps int
	residuals           []float64 // of each set
}

// newBenchmark makes a run with the rating f.GFLOPS whose execution time comes as close to f.Seconds as whole sets of
// iterations allow.
func newBenchmark(f Figures, p problem, threads int, rng *rand.Rand) benchmark {
	b := benchmark{problem: p, threads: threads, rating: f.GFLOPS, iterationsPerSet: referenceIterations}
	if p.ranks == 1 && threads > 1 && rng.IntN(4) == 0 {
		b.iterationsPerSet++ // threads sum in no fixed order, so now and then a set needs one iteration more
	}
	perSet := b.counted(1) / (f.GFLOPS * 1e9)
	b.optimise = (70 + 80*rng.Float64()) * 1e-9
	b.setup = min((0.05+0.03*rng.Float64())*p.rows[0]/float64(p.ranks)/32768, perSet)
	overhead := (b.setup + b.optimise) / 10 // HPCG charges a tenth of the preparation to every set
	b.sets = max(1, int(math.Round(f.Seconds/(perSet-overhead))))
	b.total = float64(b.sets) * (perSet - overhead)
	b.splitTime(rng)
	b.residualsOf(rng)
	return b
}

// counted is the work of a number of sets as the rating counts it: of the iterations that the reference needs.
func (b *benchmark) counted(sets int) float64 {
	return b.problem.work(float64(sets), float64(sets*b.iterationsPerSet)).flops() * referenceIterations / float64(b.iterationsPerSet)
}

// splitTime divides the time among the kernels as the published logs do, where the smoother takes most of it, and more so when a single
// rank has threads, for HPCG's reference smoother uses none. Ranks on all cores spend 0.10 to 0.14 of it in SpMV, also with two threads each.
func (b *benchmark) splitTime(rng *rand.Rand) {
	share := [4]float64{0.040, 0.013, 0.125, 0.822}
	if b.ranks == 1 && b.threads > 1 {
		share = [4]float64{0.015, 0.012, 0.015, 0.958}
	}
	sum := 0.0
	for i := range share {
		share[i] *= 0.95 + 0.1*rng.Float64()
		sum += share[i]
	}
	kernels := b.total * (1 - 2e-4)
	for i, into := range []*float64{&b.ddot, &b.waxpby, &b.spmv, &b.mg} {
		*into = kernels * share[i] / sum
	}
	b.reference = (b.spmv + b.mg) / float64(b.sets*b.iterationsPerSet)
	if b.ranks == 1 {
		wait := b.ddot * 0.011
		b.allreduce = [3]float64{wait, wait, wait}
		return
	}
	mean := b.ddot * (0.7 + 0.15*rng.Float64())
	b.allreduce = [3]float64{mean * (0.75 + 0.1*rng.Float64()), mean * (1.05 + 0.1*rng.Float64()), mean}
}

// residualsOf makes residuals of the size that the published logs show: a small grid converges to rounding error within
// a set and depends on the order in which threads sum; a large one stays near 1e-6 and repeats itself exactly.
func (b *benchmark) residualsOf(rng *rand.Rand) {
	doublings := math.Log2(b.rows[0]/32768) / 3
	noise := func(size float64) float64 { return size * (1 + 0.002*rng.Float64()) }
	exact := func(v float64) [2]float64 { return [2]float64{v, v} }
	unit := 1.076e-07 * math.Pow(32768/b.rows[0], 0.4723)
	b.residuals = make([]float64, b.sets)
	if b.ranks > 1 {
		b.preconditionedSteps = 2
		b.unpreconditioned = exact(1.09e-14 * math.Pow(2, 1.2*doublings))
		b.preconditioned = exact(4.0e-16 * math.Pow(2, -1.3*doublings))
		b.departureSpMV, b.departureMG = unit, unit/6
		level := math.Pow(10, -21+7.5*doublings)
		for i := range b.residuals {
			b.residuals[i] = level
		}
		return
	}
	b.preconditionedSteps = 1
	b.unpreconditioned = [2]float64{noise(1.09e-14), noise(1.09e-14)}
	b.preconditioned = [2]float64{noise(4.96e-16), noise(4.96e-16)}
	b.departureSpMV, b.departureMG = unit*float64(1+rng.IntN(5)), unit/2*float64(rng.IntN(2))
	for i := range b.residuals {
		b.residuals[i] = 8.1e-22 * math.Exp(0.3*math.Abs(rng.NormFloat64()))
	}
}

// spread is the mean and the variance of the residuals.
func (b *benchmark) spread() (mean, variance float64) {
	for _, r := range b.residuals {
		mean += r / float64(len(b.residuals))
	}
	for _, r := range b.residuals {
		variance += (r - mean) * (r - mean) / float64(len(b.residuals))
	}
	return mean, variance
}
