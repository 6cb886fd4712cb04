package hpcg

import "slices"

const mgLevels = 4 // HPCG's grid and three coarser ones

// problem is the size of what HPCG solves, and the work and memory that follow from it. The counts are those that
// HPCG 3.1 itself reports (its sections Floating Point Operations, GB/s and Memory Use).
type problem struct {
	local, procs, global [3]int
	ranks                int
	rows, nonzeros       [mgLevels]float64
}

func newProblem(local [3]int, ranks int) problem {
	p := problem{local: local, procs: processGrid(ranks), ranks: ranks}
	for d := range 3 {
		p.global[d] = local[d] * p.procs[d]
	}
	for level := range mgLevels {
		p.rows[level], p.nonzeros[level] = 1, 1
		for d := range 3 {
			n := float64(p.global[d] >> level)
			p.rows[level] *= n
			p.nonzeros[level] *= 3*n - 2 // a row couples to up to 27 neighbours, fewer at the border
		}
	}
	return p
}

// processGrid splits ranks over three dimensions with the smallest surface. Where several orders are as good, it takes
// the one that HPCG takes.
func processGrid(ranks int) [3]int {
	primes := factors(ranks)
	if len(primes) == 3 && primes[0] != primes[2] && (primes[0] == primes[1] || primes[1] == primes[2]) {
		return [3]int{primes[0], primes[2], primes[1]}
	}
	best, area := [3]int{ranks, 1, 1}, 2*ranks+1
	for _, x := range divisors(ranks) {
		for _, y := range divisors(ranks / x) {
			z := ranks / x / y
			if a := x*y + y*z + x*z; a < area {
				best, area = [3]int{x, y, z}, a
			}
		}
	}
	if len(primes) > 0 && primes[0] == primes[len(primes)-1] {
		slices.SortFunc(best[:], func(a, b int) int { return b - a })
	}
	return best
}

// factors lists the prime factors of n, the smallest first.
func factors(n int) (out []int) {
	for p := 2; n > 1; p++ {
		for ; n%p == 0; n /= p {
			out = append(out, p)
		}
	}
	return out
}

// divisors lists the divisors of n by counting up the exponents, that of the smallest prime first; 1 comes last.
func divisors(n int) []int {
	out := []int{1}
	for p := 2; n > 1; p++ {
		power, before := 1, out
		for ; n%p == 0; n /= p {
			power *= p
			for _, d := range before {
				out = append(out, d*power)
			}
		}
	}
	return append(out[1:], 1)
}

// work is what a number of iterations in a number of sets costs.
type work struct{ ddot, waxpby, spmv, mg, reads, writes float64 }

func (w work) flops() float64 { return w.ddot + w.waxpby + w.spmv + w.mg }

// work counts floating-point operations and bytes.
func (p problem) work(sets, iterations float64) work {
	const value, index = 8, 4
	n, nz := p.rows[0], p.nonzeros[0]
	vectorOps := 3*iterations + sets // the preamble of each set adds one
	w := work{
		ddot:   vectorOps * 2 * n,
		waxpby: vectorOps * 2 * n,
		spmv:   (iterations + sets) * 2 * nz,
		reads:  2*vectorOps*2*n*value + (iterations+sets)*(nz*(value+index)+n*value),
		writes: vectorOps*value + vectorOps*n*value + (iterations+sets)*n*value,
	}
	const presmooth, postsmooth = 1, 1
	for level := range mgLevels - 1 {
		n, nz := p.rows[level], p.nonzeros[level]
		smooth := iterations * (presmooth + postsmooth)
		w.mg += smooth*4*nz + iterations*2*nz
		w.reads += smooth*(2*nz*(value+index)+n*value) + iterations*(nz*(value+index)+n*value)
		w.writes += smooth*nz*value + iterations*n*value
	}
	n, nz = p.rows[mgLevels-1], p.nonzeros[mgLevels-1]
	w.mg += iterations * 4 * nz
	w.reads += iterations * (2*nz*(value+index) + n*value)
	w.writes += iterations * n * value
	return w
}

// memory returns the bytes of the linear system with CG, and of each coarse level.
func (p problem) memory(sets float64) (system float64, coarse [mgLevels - 1]float64) {
	const (
		perRow       = 1 + 4*8 + 27*(4+8+8) // entry count, row pointers and diagonal, entries
		vectors      = 5 * 8                // x, b, exact x, residual, A*p
		geometryHead = 144
		levelHead    = 504
	)
	system = geometryHead + 8*sets + p.rows[0]*(perRow+vectors) + 2*8*p.columns(0)
	for i := range coarse {
		level := i + 1
		coarse[i] = levelHead + p.rows[level]*(perRow+4+8) + 2*8*p.columns(level) + p.halo(level)
	}
	return system, coarse
}

// columns estimates the global number of columns from those of the first rank, halo included.
func (p problem) columns(level int) float64 {
	n := 1.0
	for d := range 3 {
		side := p.local[d] >> level
		if p.procs[d] > 1 {
			side++
		}
		n *= float64(side)
	}
	return n * float64(p.ranks)
}

// halo is what the first rank keeps for the exchange with its neighbours.
func (p problem) halo(level int) float64 {
	inner, outer, neighbours := 1, 1, 1
	for d := range 3 {
		side := p.local[d] >> level
		inner *= side
		if p.procs[d] > 1 {
			side, neighbours = side+1, neighbours*2
		}
		outer *= side
	}
	return float64(12*(outer-inner) + 8*(neighbours-1))
}
