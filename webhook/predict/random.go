package predict

import "math/bits"

// drawer yields a reproducible sequence from a seed: SplitMix64 (G. L. Steele, D. Lea, C. H. Flood, "Fast
// splittable pseudorandom number generators", 2014). It is written out here because recorded seeds must mean
// the same draw for ever, whatever a library does.
type drawer struct{ state uint64 }

func (d *drawer) next() uint64 {
	d.state += 0x9e3779b97f4a7c15
	z := d.state
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return z ^ z>>31
}

// index draws uniformly from 0 to n-1; n must be positive. Draws that would favour small numbers are thrown
// away.
func (d *drawer) index(n int) int {
	for {
		hi, lo := bits.Mul64(d.next(), uint64(n))
		if lo >= -uint64(n)%uint64(n) {
			return int(hi)
		}
	}
}
