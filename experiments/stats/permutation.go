package stats

import (
	"math"
	"math/rand/v2"
	"slices"

	"gonum.org/v1/gonum/floats"
)

// enumerationLimit is the number of relabellings up to which all are tried; beyond, draws are made.
const (
	enumerationLimit = 50_000
	permutationDraws = 9_999
)

// Permutation is the result of a permutation test with clusters.
type Permutation struct {
	P          float64 `json:"p"` // two-sided
	Difference float64 `json:"difference"`
	// Smallest is the least p-value that these clusters could give, whatever the figures.
	Smallest  float64 `json:"smallestP"`
	ClustersX int     `json:"clustersX"`
	ClustersY int     `json:"clustersY"`
	Shared    int     `json:"shared"` // clusters that have trials of both samples
	Exact     bool    `json:"exact"`  // all relabellings were tried
}

// ClusterPermutation tests whether the clusters' means differ between x and y. Trials on one machine are not independent, so the
// clusters' means are relabelled, not the trials: clusters that only one sample used exchange their labels freely, and a cluster that
// both used may swap its own two means. The statistic is the difference of the averages of the cluster means. Up to 50,000
// relabellings all are tried, beyond that 9,999 are drawn from the seed and the observed one is counted among them.
func ClusterPermutation(x, y Sample, seed uint64) Permutation {
	d := newDesign(x, y)
	t := Permutation{ClustersX: d.nx + len(d.pairs), ClustersY: len(d.free) - d.nx + len(d.pairs), Shared: len(d.pairs), P: 1, Smallest: 1}
	if t.ClustersX == 0 || t.ClustersY == 0 {
		return t
	}
	t.Difference = d.difference(d.labels, 0)
	ways := choose(len(d.free), d.nx) * math.Pow(2, float64(len(d.pairs)))
	if ways <= enumerationLimit {
		t.Exact = true
		t.Smallest = d.smallest(ways)
		t.P = d.enumerate(math.Abs(t.Difference))
		return t
	}
	t.Smallest = 1.0 / (permutationDraws + 1)
	t.P = d.draw(math.Abs(t.Difference), rand.NewPCG(seed, 0x7065726d))
	return t
}

// design holds the cluster means of two samples.
type design struct {
	free   []float64 // means of clusters of one sample, first those of x
	nx     int       // how many of them are of x
	labels []bool    // true: x
	pairs  [][2]float64
	slack  float64 // differences this close count as equal
}

func newDesign(x, y Sample) *design {
	d := &design{}
	mx, my := x.means(), y.means()
	largest := 0.0
	for _, m := range [][]clusterMean{mx, my} {
		for _, c := range m {
			largest = math.Max(largest, math.Abs(c.mean))
		}
	}
	d.slack = largest * 1e-12
	both := map[string]float64{}
	for _, c := range my {
		both[c.name] = c.mean
	}
	named := x.Clusters != nil && y.Clusters != nil
	taken := map[string]bool{}
	for _, c := range mx {
		if m, ok := both[c.name]; ok && named {
			d.pairs = append(d.pairs, [2]float64{c.mean, m})
			taken[c.name] = true
		} else {
			d.free = append(d.free, c.mean)
		}
	}
	d.nx = len(d.free)
	for _, c := range my {
		if !taken[c.name] {
			d.free = append(d.free, c.mean)
		}
	}
	d.labels = make([]bool, len(d.free))
	for i := range d.nx {
		d.labels[i] = true
	}
	return d
}

type clusterMean struct {
	name string
	mean float64
}

func (s Sample) means() []clusterMean {
	var out []clusterMean
	for _, unit := range s.units() {
		m := clusterMean{}
		if s.Clusters != nil {
			m.name = s.Clusters[unit[0]]
		}
		for _, i := range unit {
			m.mean += s.Values[i] / float64(len(unit))
		}
		out = append(out, m)
	}
	return out
}

// difference is the statistic under a labelling; bit i of swaps exchanges the means of pair i.
func (d *design) difference(labels []bool, swaps uint64) float64 {
	var sx, sy float64
	for i, v := range d.free {
		if labels[i] {
			sx += v
		} else {
			sy += v
		}
	}
	for i, p := range d.pairs {
		if swaps>>uint(i)&1 == 1 {
			p[0], p[1] = p[1], p[0]
		}
		sx += p[0]
		sy += p[1]
	}
	nx := d.nx + len(d.pairs)
	ny := len(d.free) - d.nx + len(d.pairs)
	return sx/float64(nx) - sy/float64(ny)
}

// smallest is the share of the relabellings that are at least as extreme as the most extreme: one, or two where mirroring all labels
// is a relabelling too.
func (d *design) smallest(ways float64) float64 {
	if 2*d.nx == len(d.free) {
		return math.Min(1, 2/ways)
	}
	return 1 / ways
}

func (d *design) enumerate(observed float64) float64 {
	extreme, all := 0, 0
	combinations(len(d.free), d.nx, func(labels []bool) {
		for swaps := range uint64(1) << len(d.pairs) {
			all++
			if math.Abs(d.difference(labels, swaps)) >= observed-d.slack {
				extreme++
			}
		}
	})
	return float64(extreme) / float64(all)
}

// draw picks the clusters of x by the first steps of a shuffle, and adds up only the smaller side.
func (d *design) draw(observed float64, src *rand.PCG) float64 {
	rng := rand.New(src)
	n, k := len(d.free), min(d.nx, len(d.free)-d.nx)
	values := slices.Clone(d.free)
	total := floats.Sum(values)
	nx, ny := float64(d.nx+len(d.pairs)), float64(n-d.nx+len(d.pairs))
	extreme := 1 // the observed labelling
	for range permutationDraws {
		picked := 0.0
		for i := range k {
			j := i + rng.IntN(n-i)
			values[i], values[j] = values[j], values[i]
			picked += values[i]
		}
		sx, sy := picked, total-picked
		if k != d.nx {
			sx, sy = sy, sx
		}
		for _, p := range d.pairs {
			swap := int(rng.Uint64() & 1)
			sx += p[swap]
			sy += p[1-swap]
		}
		if math.Abs(sx/nx-sy/ny) >= observed-d.slack {
			extreme++
		}
	}
	return float64(extreme) / (permutationDraws + 1)
}

// combinations calls f with every labelling that makes k of n true.
func combinations(n, k int, f func([]bool)) {
	labels := make([]bool, n)
	var place func(from, left int)
	place = func(from, left int) {
		if left == 0 {
			f(labels)
			return
		}
		for i := from; i <= n-left; i++ {
			labels[i] = true
			place(i+1, left-1)
			labels[i] = false
		}
	}
	place(0, k)
}

// choose is the binomial coefficient, as a float for it may be large.
func choose(n, k int) float64 {
	c := 1.0
	for i := range min(k, n-k) {
		c = c * float64(n-i) / float64(i+1)
	}
	return math.Round(c)
}
