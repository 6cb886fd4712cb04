package stats

import (
	"math"

	"gonum.org/v1/gonum/stat"
	"gonum.org/v1/gonum/stat/distuv"
)

// Numbers of machines. Below fewestForInterval in either sample no method covers as it says without knowing the spread: Welch's
// interval covers 0.88 at 2 against 30 machines and 0.92 at 3 against 30, and 0.94 to 0.96 wherever both have five or more (see
// TestCoverage). The mean of one sample has an exact interval from two machines on.
const (
	FewestForInterval     = 5
	fewestForMeanInterval = 2
)

// Contrast is the ratio of two samples' expected figures: of the geometric means over machines of each machine's mean. Estimate,
// interval and p-value come from one model, the t-test on the logarithms of the machines' means, so they never contradict each other.
type Contrast struct {
	Ratio float64 `json:"ratio"`
	// CI95 and P are nil where either sample has fewer than five machines, or no spread at all.
	CI95 *[2]float64 `json:"ci95"`
	P    *float64    `json:"p"` // two-sided
	DF   float64     `json:"df,omitempty"`
	// NodesX and NodesY count the machines of each sample, Shared those that have trials of both.
	NodesX int `json:"nodes"`
	NodesY int `json:"baselineNodes"`
	Shared int `json:"sharedNodes,omitempty"`
	// Paired says that every machine has trials of both samples, so that each is compared with itself.
	Paired bool `json:"paired,omitempty"`
}

// ContrastOf compares two samples of positive figures. Each machine counts once, however many trials it has. Samples that share all
// their machines are compared machine by machine; otherwise the test is Welch's, with Satterthwaite's degrees of freedom, and machines
// that only some trials share make it cautious. ok is false when a sample is empty or has a figure that is not positive.
func ContrastOf(x, y Sample) (c Contrast, ok bool) {
	mx, okX := x.logMeans()
	my, okY := y.logMeans()
	if !okX || !okY {
		return c, false
	}
	both := map[string]float64{}
	if x.Clusters != nil && y.Clusters != nil {
		for _, m := range my {
			both[m.name] = m.mean
		}
	}
	var differences []float64
	for _, m := range mx {
		if other, shared := both[m.name]; shared {
			differences = append(differences, m.mean-other)
		}
	}
	c = Contrast{NodesX: len(mx), NodesY: len(my), Shared: len(differences)}
	c.Paired = c.Shared == c.NodesX && c.Shared == c.NodesY
	a, va := meanVariance(mx)
	b, vb := meanVariance(my)
	difference := a - b
	c.Ratio = math.Exp(difference)
	if min(c.NodesX, c.NodesY) < FewestForInterval {
		return c, true
	}
	var se float64
	if c.Paired {
		se = math.Sqrt(stat.Variance(differences, nil) / float64(c.Shared))
		c.DF = float64(c.Shared - 1)
	} else {
		ex, ey := va/float64(c.NodesX), vb/float64(c.NodesY)
		se = math.Sqrt(ex + ey)
		c.DF = (ex + ey) * (ex + ey) / (ex*ex/float64(c.NodesX-1) + ey*ey/float64(c.NodesY-1))
	}
	if se <= 1e-12 { // rounding: the machines do not differ at all
		c.DF = 0
		return c, true
	}
	t := distuv.StudentsT{Mu: 0, Sigma: 1, Nu: c.DF}
	half := t.Quantile(0.975) * se
	c.CI95 = &[2]float64{math.Exp(difference - half), math.Exp(difference + half)}
	p := math.Min(1, 2*t.Survival(math.Abs(difference)/se))
	c.P = &p
	return c, true
}

// GeometricMean is the geometric mean over machines of each machine's mean, with its 95% t-interval; the interval is nil below two
// machines. ok is false for an empty sample and for figures that are not positive.
func GeometricMean(s Sample) (mean float64, ci *[2]float64, ok bool) {
	m, ok := s.logMeans()
	if !ok {
		return 0, nil, false
	}
	centre, variance := meanVariance(m)
	if len(m) >= fewestForMeanInterval {
		t := distuv.StudentsT{Mu: 0, Sigma: 1, Nu: float64(len(m) - 1)}
		half := t.Quantile(0.975) * math.Sqrt(variance/float64(len(m)))
		ci = &[2]float64{math.Exp(centre - half), math.Exp(centre + half)}
	}
	return math.Exp(centre), ci, true
}

// spreadOfNodes is the standard deviation of the logarithms of the machines' means: 0.05 says that machines differ by some 5%. ok is
// false below two machines.
func spreadOfNodes(s Sample) (sd float64, ok bool) {
	m, ok := s.logMeans()
	if !ok || len(m) < 2 {
		return 0, false
	}
	_, variance := meanVariance(m)
	return math.Sqrt(variance), true
}

type clusterMean struct {
	name string
	mean float64
}

// logMeans are the logarithms of the clusters' means; ok is false when there is none or one is not positive.
func (s Sample) logMeans() (out []clusterMean, ok bool) {
	for _, unit := range s.units() {
		m := clusterMean{}
		if s.Clusters != nil {
			m.name = s.Clusters[unit[0]]
		}
		for _, i := range unit {
			m.mean += s.Values[i] / float64(len(unit))
		}
		if !(m.mean > 0) {
			return nil, false
		}
		m.mean = math.Log(m.mean)
		out = append(out, m)
	}
	return out, len(out) > 0
}

func meanVariance(m []clusterMean) (mean, variance float64) {
	v := make([]float64, len(m))
	for i := range m {
		v[i] = m[i].mean
	}
	if len(v) == 1 {
		return v[0], 0
	}
	return stat.MeanVariance(v, nil)
}
