package training

import (
	"errors"
	"fmt"
	"math"

	"gonum.org/v1/gonum/floats"
	"gonum.org/v1/gonum/mat"
	"gonum.org/v1/gonum/stat"
)

// Penalty of a linear model: the fit minimises
//
//	1/(2n)·Σ(y - b0 - x·b)² + Lambda·(Mix·Σ|b| + (1-Mix)/2·Σb²)
//
// over columns that were brought to mean 0 and variance 1 (J. Friedman, T. Hastie, R. Tibshirani, "Regularization Paths for Generalized
// Linear Models via Coordinate Descent", J. Stat. Software 33(1), 2010). Mix 1 is the lasso, 0 is ridge regression.
type Penalty struct {
	Lambda float64 `json:"lambda"`
	Mix    float64 `json:"mix"`
}

// The descent ends when a round changes no coefficient by more than one of these, in standard deviations of y.
const (
	exact     = 1e-11 // of a model
	near      = 1e-5  // while a penalty is looked for
	maxRounds = 200_000
)

var errConverge = errors.New("the fit does not converge")

// Linear is a fitted model in the units of the columns it was given.
type Linear struct {
	Intercept    float64
	Coefficients []float64
}

// Predict returns the model's value for a row.
func (l *Linear) Predict(x []float64) float64 { return l.Intercept + floats.Dot(l.Coefficients, x) }

// standardized is a matrix by columns with mean 0 and variance 1; constant ones are 0.
type standardized struct {
	columns     [][]float64
	means, devs []float64 // of the columns; a deviation of 0 is a constant column
	y           []float64 // with mean 0 and variance 1
	meanY, devY float64
}

func standardize(x *mat.Dense, y []float64) *standardized {
	n, p := x.Dims()
	s := &standardized{columns: make([][]float64, p), means: make([]float64, p), devs: make([]float64, p)}
	for j := range p {
		c := mat.Col(nil, j, x)
		s.means[j], s.devs[j] = stat.PopMeanStdDev(c, nil)
		if s.devs[j] <= 1e-12*math.Max(1, math.Abs(s.means[j])) {
			s.devs[j] = 0
		}
		for i := range c {
			c[i] -= s.means[j]
			if s.devs[j] > 0 {
				c[i] /= s.devs[j]
			} else {
				c[i] = 0
			}
		}
		s.columns[j] = c
	}
	s.y = make([]float64, n)
	s.meanY, s.devY = stat.PopMeanStdDev(y, nil)
	for i := range y {
		if s.devY > 0 {
			s.y[i] = (y[i] - s.meanY) / s.devY
		}
	}
	return s
}

// greatest is the smallest Lambda at which all coefficients of a mix are zero; a mix below a thousandth counts as that.
func (s *standardized) greatest(mix float64) float64 {
	most := 0.0
	for _, c := range s.columns {
		most = max(most, math.Abs(floats.Dot(c, s.y))/float64(len(s.y)))
	}
	return s.devY * most / max(mix, 1e-3)
}

// fit descends from the coefficients b of the standardised problem until a round changes less than tolerance, and leaves the solution
// in them.
func (s *standardized) fit(p Penalty, b []float64, tolerance float64) error {
	if s.devY == 0 {
		clear(b)
		return nil
	}
	n := float64(len(s.y))
	// y has variance 1 here, which scales the coefficients and with them the lasso's part.
	l1, l2 := p.Lambda*p.Mix/s.devY, p.Lambda*(1-p.Mix)
	rest := append([]float64(nil), s.y...)
	for j, c := range s.columns {
		floats.AddScaled(rest, -b[j], c)
	}
	for range maxRounds {
		change := 0.0
		for j, c := range s.columns {
			if s.devs[j] == 0 {
				b[j] = 0
				continue
			}
			z := floats.Dot(c, rest)/n + b[j]
			next := soft(z, l1) / (1 + l2)
			if d := next - b[j]; d != 0 {
				floats.AddScaled(rest, -d, c)
				b[j] = next
				change = max(change, math.Abs(d))
			}
		}
		if change < tolerance {
			return nil
		}
	}
	return fmt.Errorf("%w with lambda %g: columns may be nearly the same", errConverge, p.Lambda)
}

func soft(z, by float64) float64 {
	switch {
	case z > by:
		return z - by
	case z < -by:
		return z + by
	}
	return 0
}

// linear brings standardised coefficients to the units of the columns.
func (s *standardized) linear(b []float64) *Linear {
	l := &Linear{Intercept: s.meanY, Coefficients: make([]float64, len(b))}
	for j := range b {
		if s.devs[j] > 0 {
			l.Coefficients[j] = b[j] * s.devY / s.devs[j]
			l.Intercept -= l.Coefficients[j] * s.means[j]
		}
	}
	return l
}

// fit fits a linear model; the rows of x are observations.
func fit(x *mat.Dense, y []float64, p Penalty) (*Linear, error) {
	n, columns := x.Dims()
	switch {
	case n != len(y):
		return nil, fmt.Errorf("%d rows and %d values", n, len(y))
	case p.Lambda < 0 || p.Mix < 0 || p.Mix > 1 || math.IsNaN(p.Lambda+p.Mix):
		return nil, fmt.Errorf("lambda %g and mix %g are no penalty", p.Lambda, p.Mix)
	}
	if floats.HasNaN(x.RawMatrix().Data) || floats.HasNaN(y) {
		return nil, errors.New("a value is not a number")
	}
	s := standardize(x, y)
	b := make([]float64, columns)
	if err := s.fit(p, b, exact); err != nil {
		return nil, err
	}
	return s.linear(b), nil
}

// Lambdas are so many penalties for a mix, from the one at which every coefficient is zero down to a thousandth of it.
func (s *standardized) lambdas(mix float64, n int) []float64 {
	top := s.greatest(mix)
	out := make([]float64, n)
	for i := range out {
		out[i] = top * math.Pow(1e-3, float64(i)/float64(n-1))
	}
	return out
}
