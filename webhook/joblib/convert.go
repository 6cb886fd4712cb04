package joblib

import (
	"errors"
	"fmt"
	"math"
	"math/big"

	"github.com/compspec/ocifit-lab/webhook/predict"
)

// converter carries the columns of a pipeline from step to step, as polynomials of indicators.
type converter struct {
	indicators []indicator
	known      map[string][]string
	columns    []column
	result     column // of the regression; nil before
	work       int    // products that may still be worked out
}

// pipeline converts a Pipeline with all its steps.
func (c *converter) pipeline(v any) error {
	o, ok := v.(*object)
	if !ok || o.class != (global{"sklearn.pipeline", "Pipeline"}) {
		return fmt.Errorf("it holds %s, not a sklearn.pipeline.Pipeline", describe(v))
	}
	list, err := steps(o)
	if err != nil {
		return err
	}
	for i, s := range list {
		if c.result != nil {
			return fmt.Errorf("step %q comes after the regression", s.name)
		}
		var err error
		switch first := i == 0; {
		case first && s.class == "ColumnTransformer":
			err = c.columnTransformer(s.object)
		case first:
			err = fmt.Errorf("the first step is %s, must be a ColumnTransformer that says which labels are read", s.object.class)
		default:
			err = c.step(s)
		}
		if err != nil {
			return fmt.Errorf("step %q: %w", s.name, err)
		}
	}
	if c.result == nil {
		return errors.New("it does not end in a LinearRegression or Lasso")
	}
	return nil
}

type step struct {
	name   string
	class  string
	object *object
}

func steps(o *object) ([]step, error) {
	v, _ := field(o, "steps")
	items, ok := sequence(v)
	if !ok || len(items) == 0 || len(items) > 100 {
		return nil, errors.New("the Pipeline has no steps")
	}
	var out []step
	for _, item := range items {
		t, ok := item.(tuple)
		if !ok || len(t) != 2 {
			return nil, fmt.Errorf("a step is %s", describe(item))
		}
		name, _ := t[0].(string)
		est, ok := t[1].(*object)
		if !ok {
			if t[1] == nil || t[1] == "passthrough" {
				continue
			}
			return nil, fmt.Errorf("step %q is %s", name, describe(t[1]))
		}
		out = append(out, step{name, est.class.name, est})
	}
	return out, nil
}

// step converts one step behind the first.
func (c *converter) step(s step) error {
	switch s.class {
	case "StandardScaler":
		return c.scale(s.object)
	case "PolynomialFeatures":
		return c.polynomial(s.object)
	case "FunctionTransformer":
		return c.selectColumns(s.object)
	case "LinearRegression", "Lasso":
		return c.regression(s.object)
	}
	return fmt.Errorf("%s is not supported; supported are StandardScaler, PolynomialFeatures, FunctionTransformer(top_level_slicer), LinearRegression and Lasso", s.object.class)
}

// scale converts a StandardScaler.
func (c *converter) scale(o *object) error {
	means, err := c.perColumn(o, "mean_", "with_mean", 0)
	if err != nil {
		return err
	}
	scales, err := c.perColumn(o, "scale_", "with_std", 1)
	if err != nil {
		return err
	}
	for i := range c.columns {
		if scales[i] == 0 {
			return fmt.Errorf("scale_[%d] is zero", i)
		}
		c.columns[i] = c.columns[i].scaled(number(means[i]), number(scales[i]))
	}
	return nil
}

// perColumn reads a number per column, or the neutral one when the scaler does not use them.
func (c *converter) perColumn(o *object, name, flag string, neutral float64) ([]float64, error) {
	used, _ := field(o, flag)
	v, _ := field(o, name)
	if used == false || v == nil {
		out := make([]float64, len(c.columns))
		for i := range out {
			out[i] = neutral
		}
		return out, nil
	}
	return numbers(v, name, len(c.columns))
}

// numbers reads a list of finite numbers of a given length.
func numbers(v any, name string, n int) ([]float64, error) {
	a, ok := v.(*array)
	if !ok || a.numbers == nil {
		return nil, fmt.Errorf("%s is %s, must be an array of numbers", name, describe(v))
	}
	if len(a.numbers) != n || len(a.shape) == 2 && a.shape[0] != 1 {
		return nil, fmt.Errorf("%s has shape %v, must have %d numbers", name, a.shape, n)
	}
	for _, x := range a.numbers {
		if math.IsNaN(x) || math.IsInf(x, 0) {
			return nil, fmt.Errorf("%s has %v", name, x)
		}
	}
	return a.numbers, nil
}

// regression converts the last step.
func (c *converter) regression(o *object) error {
	v, ok := field(o, "coef_")
	if !ok {
		return fmt.Errorf("%s was never fitted: it has no coef_", o.class)
	}
	coefs, err := numbers(v, "coef_", len(c.columns))
	if err != nil {
		return err
	}
	v, _ = field(o, "intercept_")
	intercept, err := single(v)
	if err != nil {
		return fmt.Errorf("intercept_ is %w", err)
	}
	c.result = column{"": number(intercept)}
	for i, col := range c.columns {
		if coefs[i] == 0 {
			continue
		}
		factor := number(coefs[i])
		for m, x := range col {
			c.result.add(m, new(big.Float).SetPrec(precision).Mul(x, factor))
		}
		if len(c.result) > maxMonomials {
			return fmt.Errorf("the formula has more than %d terms", maxMonomials)
		}
	}
	return nil
}

// single reads one finite number, also from an array of one.
func single(v any) (float64, error) {
	switch v := v.(type) {
	case float64:
		if math.IsNaN(v) || math.IsInf(v, 0) {
			return 0, fmt.Errorf("%v", v)
		}
		return v, nil
	case int64:
		return float64(v), nil
	case *array:
		if len(v.numbers) == 1 {
			return single(v.numbers[0])
		}
	}
	return 0, fmt.Errorf("%s, must be a number", describe(v))
}

// model writes the result as a formula, without name and direction.
func (c *converter) model() predict.Model {
	m := predict.Model{KnownValues: c.known}
	for _, key := range sortedMonomials(c.result) {
		values := parts(c.result[key])
		var when []predict.Condition
		for _, r := range string(key) {
			i := c.indicators[r-first]
			when = append(when, predict.Condition{Label: i.label, Equals: i.value})
		}
		if key == "" && len(values) > 0 {
			m.Intercept, values = values[0], values[1:]
		}
		for _, x := range values {
			m.Terms = append(m.Terms, predict.Term{Coefficient: x, When: when})
		}
	}
	return m
}
