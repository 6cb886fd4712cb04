package stats

import (
	"math"

	"gonum.org/v1/gonum/integrate/quad"
	"gonum.org/v1/gonum/stat/distuv"
)

// powerOf is the chance that a two-sided t-test of two samples of n machines each finds a ratio of their means, at the level, where sd is
// the standard deviation of the logarithms of machines' means. It is that of R's power.t.test: the far tail is left out.
func powerOf(n int, ratio, sd, level float64) float64 {
	if n < 2 || sd <= 0 || ratio <= 0 {
		return 0
	}
	df := float64(2 * (n - 1))
	shift := math.Abs(math.Log(ratio)) / (sd * math.Sqrt(2/float64(n)))
	bound := distuv.StudentsT{Mu: 0, Sigma: 1, Nu: df}.Quantile(1 - level/2)
	// T > bound is Z + shift > bound * sqrt(V/df) with V chi-squared: integrate over V.
	v := distuv.ChiSquared{K: df}
	at := func(u float64) float64 { return distuv.UnitNormal.CDF(shift - bound*math.Sqrt(v.Quantile(u)/df)) }
	return quad.Fixed(at, 0, 1, 400, nil, 0)
}

// SmallestRatio is the least ratio above 1 that n machines an arm show with the given power; ok is false when none below 1000 is.
func SmallestRatio(n int, sd, level, power float64) (ratio float64, ok bool) {
	lo, hi := 1.0, 1000.0
	if powerOf(n, hi, sd, level) < power {
		return 0, false
	}
	for range 60 {
		mid := math.Sqrt(lo * hi)
		if powerOf(n, mid, sd, level) < power {
			lo = mid
		} else {
			hi = mid
		}
	}
	return hi, true
}

// mostMachines bounds the search of MachinesFor.
const mostMachines = 100_000

// MachinesFor is the least number of machines an arm with which a ratio is shown with the given power; ok is false above 100,000.
func MachinesFor(ratio, sd, level, power float64) (n int, ok bool) {
	lo, hi := 1, FewestForInterval
	for powerOf(hi, ratio, sd, level) < power {
		if lo, hi = hi, 2*hi; hi > mostMachines {
			return 0, false
		}
	}
	for hi-lo > 1 {
		if mid := (lo + hi) / 2; mid < FewestForInterval || powerOf(mid, ratio, sd, level) < power {
			lo = mid
		} else {
			hi = mid
		}
	}
	return hi, true
}

// Spent is how much of the level may be spent by the time that a share of the trials is complete, by the spending function of Lan and
// DeMets (1983) that resembles O'Brien and Fleming's bounds. What a look may spend is the difference to the look before; that the looks
// add up to no more than the level needs no assumption about them.
func Spent(share, level float64) float64 {
	if share <= 0 {
		return 0
	}
	z := distuv.UnitNormal.Quantile(1 - level/2)
	return 2 * distuv.UnitNormal.Survival(z/math.Sqrt(math.Min(share, 1)))
}
