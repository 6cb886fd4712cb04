package training

import (
	"math"
	"math/rand/v2"
	"testing"

	"gonum.org/v1/gonum/floats"
	"gonum.org/v1/gonum/mat"
	"gonum.org/v1/gonum/stat"
)

// mtcars are mpg, wt, drat, qsec and hp of R's data set of that name (Henderson and Velleman, Biometrics 37, 1981).
var mtcars = []float64{
	21, 2.62, 3.9, 16.46, 110, 21, 2.875, 3.9, 17.02, 110, 22.8, 2.32, 3.85, 18.61, 93, 21.4, 3.215, 3.08, 19.44, 110,
	18.7, 3.44, 3.15, 17.02, 175, 18.1, 3.46, 2.76, 20.22, 105, 14.3, 3.57, 3.21, 15.84, 245, 24.4, 3.19, 3.69, 20, 62,
	22.8, 3.15, 3.92, 22.9, 95, 19.2, 3.44, 3.92, 18.3, 123, 17.8, 3.44, 3.92, 18.9, 123, 16.4, 4.07, 3.07, 17.4, 180,
	17.3, 3.73, 3.07, 17.6, 180, 15.2, 3.78, 3.07, 18, 180, 10.4, 5.25, 2.93, 17.98, 205, 10.4, 5.424, 3, 17.82, 215,
	14.7, 5.345, 3.23, 17.42, 230, 32.4, 2.2, 4.08, 19.47, 66, 30.4, 1.615, 4.93, 18.52, 52, 33.9, 1.835, 4.22, 19.9, 65,
	21.5, 2.465, 3.7, 20.01, 97, 15.5, 3.52, 2.76, 16.87, 150, 15.2, 3.435, 3.15, 17.3, 150, 13.3, 3.84, 3.73, 15.41, 245,
	19.2, 3.845, 3.08, 17.05, 175, 27.3, 1.935, 4.08, 18.9, 66, 26, 2.14, 4.43, 16.7, 91, 30.4, 1.513, 3.77, 16.9, 113,
	15.8, 3.17, 4.22, 14.5, 264, 19.7, 2.77, 3.62, 15.5, 175, 15, 3.57, 3.54, 14.6, 335, 21.4, 2.78, 4.11, 18.6, 109,
}

func cars() (*mat.Dense, []float64) {
	all := mat.NewDense(32, 5, mtcars)
	return mat.DenseCopyOf(all.Slice(0, 32, 0, 4)), mat.Col(nil, 4, all)
}

// R 4.2.2, glmnet 4.1-6, printed with 15 digits by
//
//	x <- data.matrix(mtcars[, c("mpg", "wt", "drat", "qsec")]); y <- mtcars$hp / unit
//	coef(glmnet(x, y, alpha = mix, lambda = lambda, thresh = 1e-28, maxit = 1e7))
//
// with glmnet.control(fdev = 0, devmax = 1). glmnet brings y to variance 1 and scales lambda with it, the ridge's part too, which the formula
// of its paper does not: where that part matters, unit is the standard deviation of y, so that both say the same.
func TestFitsAsGlmnet(t *testing.T) {
	x, hp := cars()
	_, deviation := stat.PopMeanStdDev(hp, nil)
	for _, c := range []struct {
		unit float64
		Penalty
		want []float64 // intercept and coefficients
	}{
		{1, Penalty{2.668219, 1}, []float64{483.969269875925, -2.94583122890383, 21.4408320835435, 0, -19.445546403166}},
		{1, Penalty{0.5, 1}, []float64{486.407713421306, -2.79854268775652, 24.6628346330255, 1.4313460057767, -20.6171396779663}},
		{deviation, Penalty{0.1, 1}, []float64{6.93151427439017, -0.0492324595169248, 0.236112690091768, 0, -0.253706485189762}},
		{deviation, Penalty{0.04, 0.5}, []float64{7.22066532230183, -0.0444680023343223, 0.326070197755857, 0, -0.291484355462368}},
		{deviation, Penalty{0.3, 0.25}, []float64{6.34168805035938, -0.0478012949500334, 0.228715499058917, 0, -0.220938260734014}},
		{deviation, Penalty{0.06, 0}, []float64{7.10583879734028, -0.0477392402369557, 0.328304069738216, 0.027774404477652, -0.287368188632212}},
	} {
		y := append([]float64(nil), hp...)
		floats.Scale(1/c.unit, y)
		l, err := fit(x, y, c.Penalty)
		if err != nil {
			t.Fatal(err)
		}
		got := append([]float64{l.Intercept}, l.Coefficients...)
		for i, want := range c.want {
			if math.Abs(got[i]-want) > 1e-6 || want == 0 && got[i] != 0 {
				t.Errorf("%+v, coefficient %d is %.9f; glmnet has %.9f", c.Penalty, i, got[i], want)
			}
		}
	}
}

// The solution is the only point at which these conditions hold (Friedman, Hastie, Tibshirani 2010, equation 5), whoever found it.
func TestFitIsTheOptimum(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 7))
	for range 40 {
		n, p := 6+r.IntN(30), 1+r.IntN(12)
		x := mat.NewDense(n, p, nil)
		y := make([]float64, n)
		for i := range n {
			for j := range p {
				x.Set(i, j, 100*float64(j)+math.Pow(10, float64(j%4))*r.NormFloat64())
			}
			y[i] = 50 + 3*x.At(i, 0) + r.NormFloat64()*10
		}
		for _, pen := range []Penalty{{0.5, 1}, {0.01, 1}, {2, 0.5}, {0.3, 0}, {1e9, 1}} {
			l, err := fit(x, y, pen)
			if err != nil {
				t.Fatal(err)
			}
			s := standardize(x, y)
			for j, c := range s.columns {
				gradient := 0.0
				for i := range n {
					gradient += c[i] * (y[i] - l.Predict(mat.Row(nil, i, x))) / float64(n)
				}
				b := l.Coefficients[j] * s.devs[j]
				gradient -= pen.Lambda * (1 - pen.Mix) * b
				off := math.Abs(gradient) - pen.Lambda*pen.Mix // not above 0 where b is 0
				if b != 0 {
					off = math.Abs(gradient - math.Copysign(pen.Lambda*pen.Mix, b))
				}
				if off > 1e-6*s.devY {
					t.Fatalf("%d rows, %d columns, %+v: the condition of column %d is off by %g", n, p, pen, j, off)
				}
			}
		}
	}
}

func TestRidgeHasAClosedForm(t *testing.T) {
	x, y := cars()
	const lambda = 4
	l, err := fit(x, y, Penalty{Lambda: lambda, Mix: 0})
	if err != nil {
		t.Fatal(err)
	}
	s := standardize(x, y)
	n, p := x.Dims()
	z := mat.NewDense(n, p, nil)
	for j, c := range s.columns {
		z.SetCol(j, c)
	}
	var gram, want mat.Dense
	gram.Mul(z.T(), z)
	for j := range p {
		gram.Set(j, j, gram.At(j, j)+lambda*float64(n))
	}
	var right mat.Dense
	right.Mul(z.T(), mat.NewDense(n, 1, append([]float64(nil), y...)))
	if err := want.Solve(&gram, &right); err != nil {
		t.Fatal(err)
	}
	for j := range p {
		if b := l.Coefficients[j] * s.devs[j]; math.Abs(b-want.At(j, 0)) > 1e-6 {
			t.Errorf("column %d: %v, want %v", j, b, want.At(j, 0))
		}
	}
}

func TestFitRefuses(t *testing.T) {
	x, y := cars()
	bad := append([]float64(nil), y...)
	bad[3] = math.NaN()
	for name, c := range map[string]struct {
		y []float64
		p Penalty
	}{
		"fewer values": {y[1:], Penalty{1, 1}}, "not a number": {bad, Penalty{1, 1}}, "negative": {y, Penalty{-1, 1}}, "mix": {y, Penalty{1, 2}},
	} {
		if _, err := fit(x, c.y, c.p); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

// Columns that are the same, or constant, have a solution too.
func TestFitWithoutUniqueColumns(t *testing.T) {
	x := mat.NewDense(5, 3, []float64{1, 1, 7, 2, 2, 7, 3, 3, 7, 4, 4, 7, 5, 5, 7})
	l, err := fit(x, []float64{2, 4, 6, 8, 10}, Penalty{1e-3, 0.5})
	if err != nil {
		t.Fatal(err)
	}
	if got := l.Predict([]float64{6, 6, 7}); math.Abs(got-12) > 0.01 || l.Coefficients[2] != 0 || math.Abs(l.Coefficients[0]-l.Coefficients[1]) > 1e-6 {
		t.Errorf("%v, coefficients %v", got, l.Coefficients)
	}
}
