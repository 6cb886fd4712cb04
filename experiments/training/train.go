// Package training fits models of an application's figure to measurements, in the webhook's own format, and says how far they can be
// believed: each instance type is predicted by a model that did not see it.
package training

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"

	"github.com/compspec/ocifit-lab/webhook/compat"
	"github.com/compspec/ocifit-lab/webhook/predict"
)

// Options of a training.
type Options struct {
	// Name of the model; Target and Unit of what it predicts.
	Name, Target, Unit string
	Direction          compat.Direction
	// Numbers and Labels are the node labels that are taken for features, as numbers and as words.
	Numbers, Labels []string
	// Level of the interval around a prediction, between 0 and 1.
	Level float64
}

// method says how the figures of a validation came about.
const method = "each instance type predicted by a model of the others, whose penalty was chosen the same way; of more than 30 types, several are left out at a time"

// Train fits a model to the samples and validates it. The model carries the ranges and the combinations that it was fitted on, and an
// interval when there are enough types for its level.
func Train(ctx context.Context, samples []Sample, o Options) (*predict.Model, *Evaluation, error) {
	types, sc, err := kinds(samples)
	if err != nil {
		return nil, nil, err
	}
	if len(types) <= fewest {
		return nil, nil, fmt.Errorf("%d instance types are measured: a model takes %d or more, for each is left out once to check it and once more to choose its penalty", len(types), fewest+1)
	}
	if o.Direction != compat.Maximize && o.Direction != compat.Minimize {
		return nil, nil, fmt.Errorf("direction is %q, must be maximize or minimize", o.Direction)
	}
	if !slices.ContainsFunc(types, func(t kind) bool { return t.y != types[0].y }) {
		return nil, nil, errors.New("the figure is the same on every instance type: there is nothing to predict")
	}
	f, err := o.fitTo(ctx, types)
	if err != nil {
		return nil, nil, err
	}
	held, err := predictHeldOut(ctx, types, sc, o.Direction, func(others []kind) (predictor, error) {
		f, err := o.fitTo(ctx, others)
		return f.predict, err
	})
	if err != nil {
		return nil, nil, err
	}
	e := &Evaluation{Target: o.Target, Unit: o.Unit, Direction: o.Direction, Types: len(types), Rows: len(samples), Penalty: f.penalty}
	e.Models = []Score{held.score(o.Name, o.Direction)}
	e.Predictions = held.predictions
	m, err := f.model(o, types, sc, held)
	if err != nil {
		return nil, nil, err
	}
	v := e.Models[0]
	m.Validation = &predict.Validation{
		Method: method, Target: o.Target, Unit: o.Unit, Types: e.Types, Rows: e.Rows,
		RankCorrelation: v.RankCorrelation, Regret: *v.Regret, MeanError: *v.MeanError,
	}
	m, err = predict.NewModel(*m)
	return m, e, err
}

// model writes the fit as a formula.
func (f *fitted) model(o Options, types []kind, sc scale, held *heldOut) (*predict.Model, error) {
	m := &predict.Model{
		Name: o.Name, Direction: o.Direction, Intercept: f.Intercept, Exponential: sc.log,
		KnownValues: map[string][]string{}, Interval: held.interval(o.Level, sc),
	}
	words := map[string]bool{}
	for i, c := range f.design.columns {
		b := f.Coefficients[i]
		if b == 0 {
			continue
		}
		if c.isNum {
			m.Terms = append(m.Terms, predict.Term{Coefficient: b, Times: []string{c.label}})
			r := f.design.ranges[c.label]
			m.Numbers = append(m.Numbers, predict.Number{Label: c.label, Log: c.isLog, Min: r[0], Max: r[1]})
			continue
		}
		words[c.label] = true
		m.Terms = append(m.Terms, predict.Term{Coefficient: b, When: []predict.Condition{{Label: c.label, Equals: c.value}}})
	}
	for l := range words {
		m.KnownValues[l] = f.design.known[l]
	}
	if len(words) == 0 {
		return m, nil
	}
	seen := map[string]bool{}
	for _, t := range types {
		combination, key := map[string]string{}, ""
		for _, l := range f.design.labels {
			if words[l] {
				combination[l] = t.labels[l]
				key += t.labels[l] + "\x00"
			}
		}
		if !seen[key] {
			seen[key] = true
			m.Combinations = append(m.Combinations, combination)
		}
	}
	return m, nil
}

// Measured makes a model that knows each measured type by its name, and predicts the mean of what was measured on it. Other types are
// out of its domain.
func Measured(samples []Sample, name string, direction compat.Direction) (*predict.Model, error) {
	sums, counts := map[string]float64{}, map[string]float64{}
	for _, s := range samples {
		sums[s.InstanceType] += s.Value
		counts[s.InstanceType]++
	}
	types := slices.Sorted(maps.Keys(sums))
	means := make([]float64, len(types))
	for i, t := range types {
		means[i] = sums[t] / counts[t]
	}
	return predict.ModelOfTypes(name, direction, types, means)
}

// interval has the share level of the measured types within it, when each is predicted by the others: the quantile of the absolute
// errors at (n+1)·level of n (V. Vovk, A. Gammerman, G. Shafer, "Algorithmic Learning in a Random World", 2005; left out one at a time
// as in R. F. Barber et al., "Predictive inference with the jackknife+", Ann. Statist. 49(1), 2021). Nil when n is too small.
func (h *heldOut) interval(level float64, sc scale) *predict.Interval {
	var off []float64
	for _, e := range h.errors {
		off = append(off, math.Abs(e))
	}
	slices.Sort(off)
	k := int(math.Ceil(float64(len(off)+1)*level - 1e-9))
	if k < 1 || k > len(off) {
		return nil
	}
	q := off[k-1]
	if sc.log {
		return &predict.Interval{Level: level, Low: math.Exp(-q), High: math.Exp(q)}
	}
	return &predict.Interval{Level: level, Low: -q, High: q}
}
