package hpcg

import "math/rand/v2"

// Figures is one run of HPCG.
type Figures struct {
	GFLOPS  float64 // rating
	Seconds float64 // execution time that the run comes close to
}

// Sample draws the figures of n runs. The same seed gives the same figures; the ratings are normal, cut off evenly on both
// sides at three deviations, and earlier where a rating would come near zero, so that their mean stays that of the distribution.
func (d Distribution) Sample(seed uint64, n int) []Figures {
	rng := rand.New(rand.NewPCG(seed, 0x6f636966_69742d31))
	out := make([]Figures, n)
	for i := range out {
		out[i] = Figures{
			GFLOPS:  truncatedNormal(rng, d.Mean, d.SD),
			Seconds: truncatedNormal(rng, d.Seconds, 0.02*d.Seconds),
		}
	}
	return out
}

func truncatedNormal(rng *rand.Rand, mean, sd float64) float64 {
	if sd <= 0 {
		return mean
	}
	bound := min(3, 0.8*mean/sd)
	for range 1000 {
		if z := rng.NormFloat64(); z >= -bound && z <= bound {
			return mean + z*sd
		}
	}
	return mean
}
