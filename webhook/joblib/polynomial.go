package joblib

import (
	"errors"
	"fmt"
)

// polynomial converts PolynomialFeatures: all products of up to degree columns, in scikit-learn's order (by degree,
// then as combinations of column numbers are counted up).
func (c *converter) polynomial(o *object) error {
	low, high, err := degrees(o)
	if err != nil {
		return err
	}
	only, _ := field(o, "interaction_only")
	bias, _ := field(o, "include_bias")
	if n, ok := field(o, "n_features_in_"); ok && n != int64(len(c.columns)) {
		return fmt.Errorf("it was fitted on %s columns and gets %d", describe(n), len(c.columns))
	}
	in := c.columns
	c.columns = nil
	if bias == true {
		c.columns = append(c.columns, column{"": number(1)})
	}
	for d := max(low, 1); d <= high; d++ {
		if err := c.combine(in, 0, d, only == true, nil); err != nil {
			return err
		}
	}
	return nil
}

func degrees(o *object) (low, high int, err error) {
	v, _ := field(o, "degree")
	switch v := v.(type) {
	case int64:
		high = int(v)
	case tuple:
		if len(v) == 2 {
			a, ok := v[0].(int64)
			b, ok2 := v[1].(int64)
			if ok && ok2 {
				low, high = int(a), int(b)
			}
		}
	}
	if high < 1 || high > 4 || low < 0 || low > high {
		return 0, 0, fmt.Errorf("degree is %s; 1 to 4 are supported", describe(v))
	}
	return low, high, nil
}

// combine appends the products of left more columns from number from on with the product so far (nil for none).
func (c *converter) combine(in []column, from, left int, distinct bool, product column) error {
	if left == 0 {
		if len(c.columns) == maxColumns {
			return fmt.Errorf("more than %d columns", maxColumns)
		}
		c.columns = append(c.columns, product)
		return nil
	}
	for i := from; i < len(in); i++ {
		if c.work -= 1 + len(product)*len(in[i]); c.work < 0 {
			return errors.New("its products are too many to be worked out")
		}
		next := in[i]
		if product != nil {
			next = c.times(product, in[i])
		}
		start := i
		if distinct {
			start++
		}
		if err := c.combine(in, start, left-1, distinct, next); err != nil {
			return err
		}
	}
	return nil
}
