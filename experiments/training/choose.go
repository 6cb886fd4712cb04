package training

import (
	"context"
	"math"

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

// fitTo fits types with the penalty that predicts each of them best from the others.
func (o *Options) fitTo(ctx context.Context, types []kind) (*fitted, error) {
	p, err := o.choose(ctx, types)
	if err != nil {
		return nil, err
	}
	d, err := newDesign(types, o.Numbers, o.Labels)
	if err != nil {
		return nil, err
	}
	x, y := d.matrix(types)
	l, err := Fit(x, y, p)
	if err != nil {
		return nil, err
	}
	return &fitted{l, d, p}, nil
}

// choose leaves out each type in turn and returns the penalty whose predictions of what was left out are off least, in mean square. The
// feature selection is part of it: the lasso drops features, and its penalty decides how many.
func (o *Options) choose(ctx context.Context, types []kind) (Penalty, error) {
	d, err := newDesign(types, o.Numbers, o.Labels)
	if err != nil {
		return Penalty{}, err
	}
	x, y := d.matrix(types)
	whole := standardize(x, y)
	best, least := Penalty{}, math.Inf(1)
	for _, mix := range mixes {
		lambdas := whole.lambdas(mix, steps)
		errors := make([]float64, steps)
		for i := range types {
			if err := ctx.Err(); err != nil {
				return best, err
			}
			if err := o.leaveOut(types, i, mix, lambdas, errors); err != nil {
				return best, err
			}
		}
		if k := floats.MinIdx(errors); errors[k] < least {
			best, least = Penalty{Lambda: lambdas[k], Mix: mix}, errors[k]
		}
	}
	return best, nil
}

// leaveOut adds the squared errors of predicting one type from the others, for each of the falling lambdas.
func (o *Options) leaveOut(types []kind, out int, mix float64, lambdas, errors []float64) error {
	rest := without(types, out)
	d, err := newDesign(rest, o.Numbers, o.Labels)
	if err != nil {
		return err
	}
	x, y := d.matrix(rest)
	s := standardize(x, y)
	row, _ := d.row(types[out].labels)
	b := make([]float64, len(d.columns))
	for k, lambda := range lambdas {
		if err := s.fit(Penalty{lambda, mix}, b, near); err != nil {
			return err
		}
		miss := s.linear(b).Predict(row) - types[out].y
		errors[k] += miss * miss
	}
	return nil
}

func without(types []kind, i int) []kind {
	out := make([]kind, 0, len(types)-1)
	return append(append(out, types[:i]...), types[i+1:]...)
}
