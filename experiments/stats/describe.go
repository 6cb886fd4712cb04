// Package stats compares samples of trials that are clustered by the machine they ran on: summaries, intervals, tests, effect sizes.
package stats

import (
	"errors"
	"fmt"
	"math"
	"slices"

	"gonum.org/v1/gonum/stat"
)

// Sample is one figure per trial, with the cluster (the node) of each.
type Sample struct {
	Values   []float64
	Clusters []string // as long as Values, or nil when every trial is a cluster of its own
}

// ErrSample is what the checks of a sample wrap.
var ErrSample = errors.New("not a sample")

// Check reports values that no figure of merit can have, and clusters that do not fit.
func (s Sample) Check() error {
	for i, v := range s.Values {
		if math.IsNaN(v) || math.IsInf(v, 0) {
			return fmt.Errorf("%w: value %d is %v", ErrSample, i, v)
		}
	}
	if s.Clusters != nil && len(s.Clusters) != len(s.Values) {
		return fmt.Errorf("%w: %d values in %d clusters' names", ErrSample, len(s.Values), len(s.Clusters))
	}
	return nil
}

// Summary describes a sample. SD is that of a sample (n-1), 0 for one value; quartiles interpolate linearly (type 7 of Hyndman and Fan).
type Summary struct {
	N      int     `json:"n"`
	Mean   float64 `json:"mean"`
	Median float64 `json:"median"`
	SD     float64 `json:"sd"`
	Min    float64 `json:"min"`
	Q1     float64 `json:"q1"`
	Q3     float64 `json:"q3"`
	Max    float64 `json:"max"`
}

// Describe summarises finite values; none gives the zero Summary.
func Describe(values []float64) Summary {
	if len(values) == 0 {
		return Summary{}
	}
	x := slices.Sorted(slices.Values(values))
	s := Summary{N: len(x), Min: x[0], Max: x[len(x)-1], Q1: quantile(x, 0.25), Median: quantile(x, 0.5), Q3: quantile(x, 0.75)}
	s.Mean = stat.Mean(x, nil)
	if len(x) > 1 {
		s.SD = stat.StdDev(x, nil)
	}
	return s
}

// quantile is type 7 of R. Gonum's LinInterp is type 4, which puts the median of two values at the lower one.
func quantile(sorted []float64, p float64) float64 {
	h := p * float64(len(sorted)-1)
	i := int(math.Floor(h))
	if i+1 >= len(sorted) {
		return sorted[len(sorted)-1]
	}
	return sorted[i] + (h-float64(i))*(sorted[i+1]-sorted[i])
}

// units returns the indexes of the sample's values by cluster, in order of first appearance.
func (s Sample) units() [][]int {
	if s.Clusters == nil {
		out := make([][]int, len(s.Values))
		for i := range out {
			out[i] = []int{i}
		}
		return out
	}
	at := map[string]int{}
	var out [][]int
	for i, c := range s.Clusters {
		k, ok := at[c]
		if !ok {
			k = len(out)
			at[c] = k
			out = append(out, nil)
		}
		out[k] = append(out[k], i)
	}
	return out
}

// ClusterCount returns the number of different clusters.
func (s Sample) ClusterCount() int { return len(s.units()) }
