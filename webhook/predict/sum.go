package predict

import "math"

// sum adds floats exactly and rounds once, so that the result does not depend on the order of the terms: the
// published coefficients reach 1e16 and cancel to scores near 1. It holds the running total as floats of
// growing magnitude whose bits do not overlap (J. R. Shewchuk, "Adaptive Precision Floating-Point Arithmetic and
// Fast Robust Geometric Predicates", 1997). The zero value is an empty sum; it never allocates.
type sum struct {
	n     int
	parts [maxParts]float64
}

// maxParts suffices for every input below maxMagnitude: non-overlapping floats of 53 bits cover the exponents
// from 2^-1074 to 2^500 in at most 30 parts.
const maxParts = 40

// maxMagnitude bounds a coefficient so that no intermediate sum of maxTerms of them overflows.
const maxMagnitude = 1e140

// add adds one finite number below maxMagnitude.
func (s *sum) add(x float64) {
	kept := 0
	for _, y := range s.parts[:s.n] {
		if math.Abs(x) < math.Abs(y) {
			x, y = y, x
		}
		hi := x + y
		lo := y - (hi - x)
		if lo != 0 {
			s.parts[kept] = lo
			kept++
		}
		x = hi
	}
	s.parts[kept] = x
	s.n = kept + 1
}

// round returns the float nearest to the exact sum, ties to even.
func (s *sum) round() float64 {
	if s.n == 0 {
		return 0
	}
	i := s.n - 1
	hi, lo := s.parts[i], 0.0
	for i > 0 && lo == 0 {
		i--
		x := hi
		hi = x + s.parts[i]
		lo = s.parts[i] - (hi - x)
	}
	// A remainder of exactly half a unit in the last place was rounded to even without looking at what lies
	// below it; if that has the remainder's sign, the other neighbour is nearer.
	if i > 0 && (lo < 0 && s.parts[i-1] < 0 || lo > 0 && s.parts[i-1] > 0) {
		twice := lo * 2
		if x := hi + twice; twice == x-hi {
			return x
		}
	}
	return hi
}
