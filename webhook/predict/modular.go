package predict

import "math/bits"

// prime is the Mersenne prime 2^61-1.
const prime = 1<<61 - 1

// multiply is a·b modulo the prime; both are below it.
func multiply(a, b uint64) uint64 {
	hi, lo := bits.Mul64(a, b)
	sum := (lo & prime) + (lo>>61 | hi<<3)
	if sum >= prime {
		sum -= prime
	}
	return sum
}

// subtract is a-b modulo the prime.
func subtract(a, b uint64) uint64 {
	if a >= b {
		return a - b
	}
	return a + prime - b
}

// inverse is 1/a modulo the prime, by Fermat's little theorem; a is not zero.
func inverse(a uint64) uint64 {
	out := uint64(1)
	for e := uint64(prime - 2); e > 0; e >>= 1 {
		if e&1 == 1 {
			out = multiply(out, a)
		}
		a = multiply(a, a)
	}
	return out
}
