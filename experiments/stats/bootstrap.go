package stats

import (
	"math"
	"math/rand/v2"
	"slices"
	"sort"

	"gonum.org/v1/gonum/stat/distuv"
)

// resamples of a bootstrap: the ends of a 95% interval then move by about a fiftieth of its width from seed to seed.
const resamples = 4000

// Interval is a 95% confidence interval from a bootstrap.
type Interval struct {
	Lo, Hi float64
	// Unit is what was resampled: "node" for whole clusters, "trial" where there is only one cluster. An interval over the trials of
	// one machine says nothing about other machines.
	Unit string
}

// The units of resampling.
const (
	UnitNode  = "node"
	UnitTrial = "trial"
)

// resampler draws clusters of a sample with replacement and counts how often each value was drawn, by the value's place in order.
type resampler struct {
	sorted []float64
	units  [][]int // places in sorted, by unit
	unit   string
	count  []int
	drawn  int
}

func newResampler(s Sample) *resampler {
	r := &resampler{unit: UnitNode, count: make([]int, len(s.Values)), sorted: make([]float64, len(s.Values))}
	order := make([]int, len(s.Values))
	for i := range order {
		order[i] = i
	}
	sort.SliceStable(order, func(i, j int) bool { return s.Values[order[i]] < s.Values[order[j]] })
	place := make([]int, len(order))
	for p, i := range order {
		place[i], r.sorted[p] = p, s.Values[i]
	}
	units := s.units()
	if len(units) < 2 {
		units = Sample{Values: s.Values}.units()
		r.unit = UnitTrial
	}
	if s.Clusters == nil {
		r.unit = UnitTrial
	}
	r.units = make([][]int, len(units))
	for k, unit := range units {
		for _, i := range unit {
			r.units[k] = append(r.units[k], place[i])
		}
	}
	return r
}

func (r *resampler) all() {
	for i := range r.count {
		r.count[i] = 1
	}
	r.drawn = len(r.count)
}

func (r *resampler) draw(rng *rand.Rand) {
	clear(r.count)
	r.drawn = 0
	for range r.units {
		for _, p := range r.units[rng.IntN(len(r.units))] {
			r.count[p]++
			r.drawn++
		}
	}
}

// without counts every value once but those of unit k, for the jackknife.
func (r *resampler) without(k int) {
	r.all()
	for _, p := range r.units[k] {
		r.count[p] = 0
		r.drawn--
	}
}

func (r *resampler) mean() float64 {
	sum := 0.0
	for p, c := range r.count {
		sum += float64(c) * r.sorted[p]
	}
	return sum / float64(r.drawn)
}

func (r *resampler) median() float64 {
	low, high := (r.drawn-1)/2, r.drawn/2
	seen, first := 0, math.NaN()
	for p, c := range r.count {
		seen += c
		if math.IsNaN(first) && seen > low {
			first = r.sorted[p]
		}
		if seen > high {
			return (first + r.sorted[p]) / 2
		}
	}
	return first
}

// MeanInterval is the bias-corrected and accelerated bootstrap interval of the mean (Efron 1987), resampling clusters. ok is false for
// fewer than two values.
func MeanInterval(s Sample, seed uint64) (i Interval, ok bool) {
	if len(s.Values) < 2 {
		return Interval{}, false
	}
	r := newResampler(s)
	rng := rand.New(rand.NewPCG(seed, 0x6d65616e))
	boot := make([]float64, resamples)
	for b := range boot {
		r.draw(rng)
		boot[b] = r.mean()
	}
	slices.Sort(boot)
	r.all()
	estimate := r.mean()
	jack := make([]float64, len(r.units))
	for k := range jack {
		r.without(k)
		jack[k] = r.mean()
	}
	i = Interval{Unit: r.unit}
	i.Lo, i.Hi = accelerated(boot, estimate, jack)
	return i, true
}

// accelerated corrects the percentiles of the bootstrap for bias and for skewness, which the jackknife estimates.
func accelerated(boot []float64, estimate float64, jack []float64) (lo, hi float64) {
	if boot[0] == boot[len(boot)-1] {
		return boot[0], boot[0]
	}
	below := sort.SearchFloat64s(boot, estimate)
	equal := sort.Search(len(boot), func(i int) bool { return boot[i] > estimate }) - below
	share := (float64(below) + float64(equal)/2) / float64(len(boot))
	share = math.Min(math.Max(share, 0.5/float64(len(boot))), 1-0.5/float64(len(boot)))
	z0 := distuv.UnitNormal.Quantile(share)
	mean := 0.0
	for _, v := range jack {
		mean += v / float64(len(jack))
	}
	var second, third float64
	for _, v := range jack {
		d := mean - v
		second += d * d
		third += d * d * d
	}
	a := 0.0
	if second > 0 {
		a = third / (6 * math.Pow(second, 1.5))
	}
	end := func(p float64) float64 {
		z := z0 + distuv.UnitNormal.Quantile(p)
		return quantile(boot, distuv.UnitNormal.CDF(z0+z/(1-a*z)))
	}
	return end(0.025), end(0.975)
}

// Effect is the size of a difference between two samples.
type Effect struct {
	RatioOfMedians float64
	RatioInterval  Interval
	RatioOfMeans   float64
	MeansInterval  Interval
	CliffsDelta    float64
	DeltaInterval  Interval
}

// Effects compares x with y. The intervals are percentiles of a bootstrap that resamples the clusters of both. Both samples need at
// least one value, and y must be positive; ok is false otherwise.
func Effects(x, y Sample, seed uint64) (e Effect, ok bool) {
	if len(x.Values) == 0 || len(y.Values) == 0 || slices.Min(y.Values) <= 0 {
		return e, false
	}
	rx, ry := newResampler(x), newResampler(y)
	rx.all()
	ry.all()
	e.RatioOfMedians, e.RatioOfMeans, e.CliffsDelta = rx.median()/ry.median(), rx.mean()/ry.mean(), delta(rx, ry)
	rng := rand.New(rand.NewPCG(seed, 0x65666665))
	var medians, means, deltas [resamples]float64
	for b := range resamples {
		rx.draw(rng)
		ry.draw(rng)
		medians[b], means[b], deltas[b] = rx.median()/ry.median(), rx.mean()/ry.mean(), delta(rx, ry)
	}
	unit := UnitNode
	if rx.unit == UnitTrial || ry.unit == UnitTrial {
		unit = UnitTrial
	}
	e.RatioInterval, e.MeansInterval, e.DeltaInterval = percentiles(medians[:], unit), percentiles(means[:], unit), percentiles(deltas[:], unit)
	return e, true
}

func percentiles(boot []float64, unit string) Interval {
	slices.Sort(boot)
	return Interval{Lo: quantile(boot, 0.025), Hi: quantile(boot, 0.975), Unit: unit}
}

// delta is Cliff's delta of two resamples, by one walk over both in order.
func delta(x, y *resampler) float64 {
	var more, less float64
	below, equal, j, k := 0, 0, 0, 0 // drawn y values below and equal to the current x; y[j:k] is equal to it
	for i, c := range x.count {
		if c == 0 {
			continue
		}
		v := x.sorted[i]
		if j == k || y.sorted[j] != v {
			below, equal, j = below+equal, 0, k
			for j < len(y.sorted) && y.sorted[j] < v {
				below += y.count[j]
				j++
			}
			for k = j; k < len(y.sorted) && y.sorted[k] == v; k++ {
				equal += y.count[k]
			}
		}
		more += float64(c) * float64(below)
		less += float64(c) * float64(y.drawn-below-equal)
	}
	return (more - less) / (float64(x.drawn) * float64(y.drawn))
}
