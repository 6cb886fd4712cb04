package training

import (
	"context"
	"math"
	"slices"

	"gonum.org/v1/gonum/floats"
)

// What is tried while a penalty is looked for.
var mixes = []float64{1, 0.5, 0}

const steps = 40

// fewest is the least number of instance types that a penalty can be chosen with: each is left out once, and two have to be left.
const fewest = 4

// fitted is a model of some types.
type fitted struct {
	*Linear
	design  *design
	penalty Penalty
}

// predict is a predictor.
func (f *fitted) predict(labels map[string]string) (y float64, outside string) {
	row, outside := f.design.row(labels)
	return f.Predict(row), outside
}

// fitTo fits types with the penalty that predicts each of them best from the others.
func (o *Options) fitTo(ctx context.Context, types []kind) (*fitted, error) {
	d, err := newDesign(types, o.Numbers, o.Labels)
	if err != nil {
		return nil, err
	}
	x, y := d.matrix(types)
	p, err := o.choose(ctx, types, standardize(x, y))
	if err != nil {
		return nil, err
	}
	l, err := fit(x, y, p)
	if err != nil {
		return nil, err
	}
	return &fitted{l, d, p}, nil
}

// choose leaves out each type in turn and returns the penalty whose predictions of what was left out are off least, in mean square. The
// feature selection is part of it: the lasso drops features, and its penalty decides how many.
func (o *Options) choose(ctx context.Context, types []kind, whole *standardized) (Penalty, error) {
	best, least := Penalty{}, math.Inf(1)
	for _, mix := range mixes {
		lambdas := whole.lambdas(mix, steps)
		errors := make([]float64, steps)
		for _, out := range folds(len(types)) {
			if err := ctx.Err(); err != nil {
				return best, err
			}
			if err := o.leaveOut(types, out, mix, lambdas, errors); err != nil {
				return best, err
			}
		}
		if k := floats.MinIdx(errors); errors[k] < least {
			best, least = Penalty{Lambda: lambdas[k], Mix: mix}, errors[k]
		}
	}
	return best, nil
}

// leaveOut adds the squared errors of predicting some types from the others, for each of the falling lambdas.
func (o *Options) leaveOut(types []kind, out []int, mix float64, lambdas, errors []float64) error {
	rest := without(types, out...)
	d, err := newDesign(rest, o.Numbers, o.Labels)
	if err != nil {
		return err
	}
	x, y := d.matrix(rest)
	s := standardize(x, y)
	rows := make([][]float64, len(out))
	for i, k := range out {
		rows[i], _ = d.row(types[k].labels)
	}
	b := make([]float64, len(d.columns))
	for k, lambda := range lambdas {
		if err := s.fit(Penalty{lambda, mix}, b, near); err != nil {
			return err
		}
		l := s.linear(b)
		for i, at := range out {
			miss := l.Predict(rows[i]) - types[at].y
			errors[k] += miss * miss
		}
	}
	return nil
}

// mostFolds bounds how often something is left out: with more types than that, several at a time.
const mostFolds = 30

// folds divides so many types into those that are left out together: each alone as long as there are few.
func folds(types int) [][]int {
	out := make([][]int, min(types, mostFolds))
	for i := range types {
		k := i % len(out)
		out[k] = append(out[k], i)
	}
	return out
}

func without(types []kind, some ...int) []kind {
	out := make([]kind, 0, len(types))
	for i, t := range types {
		if !slices.Contains(some, i) {
			out = append(out, t)
		}
	}
	return out
}
