package stats

import "math"

// Runs tests whether two samples, in the order of time, alternate less than chance would have them: p is the chance of as few runs of
// equal labels or fewer (Wald and Wolfowitz 1940, exact).
func Runs(first []bool) (runs int, p float64) {
	var n, m int
	for i, x := range first {
		if x {
			n++
		} else {
			m++
		}
		if i == 0 || x != first[i-1] {
			runs++
		}
	}
	if n == 0 || m == 0 {
		return runs, 1
	}
	for r := 2; r <= runs; r++ {
		p += math.Exp(logRuns(n, m, r) - logChoose(n+m, n))
	}
	return runs, math.Min(1, p)
}

// logRuns is the logarithm of the number of orders of n and m labels that have r runs.
func logRuns(n, m, r int) float64 {
	k := r / 2
	if r%2 == 0 {
		return math.Log(2) + logChoose(n-1, k-1) + logChoose(m-1, k-1)
	}
	a := logChoose(n-1, k) + logChoose(m-1, k-1)
	b := logChoose(n-1, k-1) + logChoose(m-1, k)
	hi, lo := math.Max(a, b), math.Min(a, b)
	if math.IsInf(hi, -1) {
		return hi
	}
	return hi + math.Log1p(math.Exp(lo-hi))
}

func logChoose(n, k int) float64 {
	if k < 0 || k > n {
		return math.Inf(-1)
	}
	lg := func(v int) float64 { l, _ := math.Lgamma(float64(v + 1)); return l }
	return lg(n) - lg(k) - lg(n-k)
}
