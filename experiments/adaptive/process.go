package adaptive

import (
	"errors"
	"math"

	"gonum.org/v1/gonum/mat"
	"gonum.org/v1/gonum/stat"
)

// process is a Gaussian process: a Matérn 5/2 kernel around a linear trend (C. E. Rasmussen, C. K. I. Williams, "Gaussian Processes for Machine
// Learning", 2006, equations 4.17, 2.25 to 2.30, and section 4.2.2 for the trend). Without the trend, three small types would make large ones
// look as small. Its inputs have mean 0 and variance 1.
type process struct {
	x      [][]float64
	mean   float64 // of y
	scale  float64 // variance of the process
	length float64
	trend  float64 // weight of the linear trend beside the kernel's 1
	noise  float64 // variance of a measurement, as a share of scale
	chol   mat.Cholesky
	alpha  *mat.VecDense
}

// What is tried for the length, by the distance of inputs, and for the noise.
var (
	lengths = []float64{0.5, 1, 2, 4, 8}
	noises  = []float64{0.01, 0.03, 0.1}
	trends  = []float64{0, 1, 4}
)

// Before anything is measured, figures are thought to spread by a factor of about e^0.5 around the trend, as much as priorWeight measurements
// would say. Few measurements that happen to be alike do not make the search sure of the rest.
const (
	priorScale  = 0.25
	priorWeight = 2
)

var errSingular = errors.New("the measurements leave the process undetermined")

// fitProcess takes the length and the noise under which the measurements are likeliest; the variance follows from them.
func fitProcess(x [][]float64, y []float64) (*process, error) {
	var best *process
	most := math.Inf(-1)
	for _, length := range lengths {
		for _, noise := range noises {
			for _, trend := range trends {
				p := &process{x: x, length: length, noise: noise, trend: trend}
				if likelihood, ok := p.condition(y); ok && likelihood > most {
					best, most = p, likelihood
				}
			}
		}
	}
	if best == nil {
		return nil, errSingular
	}
	return best, nil
}

// condition conditions the process on y and returns the logarithm of its likelihood, with the variance at its most likely value.
func (p *process) condition(y []float64) (float64, bool) {
	n := len(y)
	p.mean = stat.Mean(y, nil)
	k := mat.NewSymDense(n, nil)
	for i := range n {
		for j := range i {
			k.SetSym(i, j, p.kernel(p.x[i], p.x[j]))
		}
		k.SetSym(i, i, p.kernel(p.x[i], p.x[i])+p.noise)
	}
	if !p.chol.Factorize(k) {
		return 0, false
	}
	rest := mat.NewVecDense(n, nil)
	for i, v := range y {
		rest.SetVec(i, v-p.mean)
	}
	p.alpha = mat.NewVecDense(n, nil)
	if err := p.chol.SolveVecTo(p.alpha, rest); err != nil {
		return 0, false
	}
	p.scale = (mat.Dot(rest, p.alpha) + priorWeight*priorScale) / (float64(n) + priorWeight)
	return -0.5 * ((float64(n)+priorWeight)*math.Log(p.scale) + p.chol.LogDet()), true
}

func (p *process) kernel(a, b []float64) float64 {
	d, trend := 0.0, 0.0
	for i := range a {
		d += (a[i] - b[i]) * (a[i] - b[i])
		trend += a[i] * b[i]
	}
	r := math.Sqrt(5*d) / p.length
	return (1+r+r*r/3)*math.Exp(-r) + p.trend*trend
}

// at returns mean and standard deviation of what is measured at x, noise left out.
func (p *process) at(x []float64) (mean, dev float64) {
	k := mat.NewVecDense(len(p.x), nil)
	for i := range p.x {
		k.SetVec(i, p.kernel(x, p.x[i]))
	}
	var solved mat.VecDense
	if err := p.chol.SolveVecTo(&solved, k); err != nil {
		return p.mean, math.Sqrt(p.scale)
	}
	return p.mean + mat.Dot(k, p.alpha), math.Sqrt(p.scale * max(0, p.kernel(x, x)+p.noise-mat.Dot(k, &solved)))
}
