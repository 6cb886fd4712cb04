package joblib

import (
	"errors"
	"fmt"
	"slices"
)

const maxColumns = 200_000

// columnTransformer converts the first step: which labels are read, and how.
func (c *converter) columnTransformer(o *object) error {
	names, err := featureNames(o)
	if err != nil {
		return err
	}
	v, ok := field(o, "transformers_")
	items, isList := sequence(v)
	if !ok || !isList {
		return errors.New("the ColumnTransformer was never fitted: it has no transformers_")
	}
	if w, _ := field(o, "transformer_weights"); w != nil {
		return errors.New("transformer_weights are not supported")
	}
	c.known = map[string][]string{}
	for _, item := range items {
		t, ok := item.(tuple)
		if !ok || len(t) != 3 {
			return fmt.Errorf("a transformer is %s", describe(item))
		}
		name, _ := t[0].(string)
		labels, err := selected(t[2], names)
		if err == nil {
			err = c.transformer(t[1], labels)
		}
		if err != nil {
			return fmt.Errorf("transformer %q: %w", name, err)
		}
	}
	if len(c.columns) == 0 {
		return errors.New("it reads no labels")
	}
	return nil
}

// featureNames lists the columns of the data that the pipeline was fitted on.
func featureNames(o *object) ([]string, error) {
	v, _ := field(o, "feature_names_in_")
	items, ok := sequence(v)
	if !ok {
		return nil, errors.New("it does not tell the labels (feature_names_in_): it was not fitted on a table with named columns")
	}
	names := make([]string, len(items))
	for i, item := range items {
		if names[i], ok = item.(string); !ok || names[i] == "" {
			return nil, fmt.Errorf("feature_names_in_ has %s", describe(item))
		}
	}
	return names, nil
}

// selected resolves a column specification: names, numbers, a mask or a slice.
func selected(spec any, names []string) ([]string, error) {
	if text, ok := spec.(string); ok {
		spec = tuple{text}
	}
	if o, ok := spec.(*object); ok && o.class.name == "_RemainderColsList" {
		if spec, ok = field(o, "data"); !ok {
			return nil, errors.New("the columns of the remainder are not given")
		}
	}
	if o, ok := spec.(*object); ok && o.class == (global{"builtins", "slice"}) {
		index, err := sliceIndices(o.args, len(names))
		if err != nil {
			return nil, err
		}
		spec = &list{index}
	}
	items, ok := sequence(spec)
	if !ok {
		return nil, fmt.Errorf("its columns are %s", describe(spec))
	}
	var out []string
	for i, item := range items {
		switch item := item.(type) {
		case string:
			if !slices.Contains(names, item) {
				return nil, fmt.Errorf("column %q is none of feature_names_in_", item)
			}
			out = append(out, item)
		case int64:
			if item < 0 {
				item += int64(len(names))
			}
			if item < 0 || item >= int64(len(names)) {
				return nil, fmt.Errorf("there is no column %d", item)
			}
			out = append(out, names[item])
		case bool:
			if len(items) != len(names) {
				return nil, errors.New("a mask of another length than the columns")
			}
			if item {
				out = append(out, names[i])
			}
		default:
			return nil, fmt.Errorf("a column is %s", describe(item))
		}
	}
	return out, nil
}

// transformer converts what is done with some of the labels.
func (c *converter) transformer(v any, labels []string) error {
	if len(labels) == 0 || v == "drop" {
		return nil
	}
	o, ok := v.(*object)
	if !ok {
		return fmt.Errorf("%s for %s: a label is text, and only one-hot encoding turns it into numbers", describe(v), labels[0])
	}
	if o.class == (global{"sklearn.pipeline", "Pipeline"}) {
		inner, err := steps(o)
		if err != nil {
			return err
		}
		if len(inner) != 1 {
			return errors.New("a Pipeline of other than one step inside the ColumnTransformer")
		}
		o = inner[0].object
	}
	if o.class.name != "OneHotEncoder" {
		return fmt.Errorf("%s for %s is not supported: a label is text, and only OneHotEncoder turns it into numbers", o.class, labels[0])
	}
	return c.oneHot(o, labels)
}

// oneHot converts a OneHotEncoder: a column for each known value of each label, except dropped ones.
func (c *converter) oneHot(o *object, labels []string) error {
	if on, _ := field(o, "_infrequent_enabled"); on == true {
		return errors.New("a OneHotEncoder that joins infrequent categories is not supported")
	}
	v, ok := field(o, "categories_")
	lists, isList := sequence(v)
	if !ok || !isList {
		return errors.New("the OneHotEncoder was never fitted: it has no categories_")
	}
	if len(lists) != len(labels) {
		return fmt.Errorf("the OneHotEncoder has categories for %d labels, its columns are %d", len(lists), len(labels))
	}
	drop, err := dropped(o, len(labels))
	if err != nil {
		return err
	}
	for i, label := range labels {
		if _, twice := c.known[label]; twice {
			return fmt.Errorf("label %s is encoded twice", label)
		}
		values, ok := sequence(lists[i])
		if !ok {
			return fmt.Errorf("the categories of %s are %s", label, describe(lists[i]))
		}
		for n, value := range values {
			text, ok := value.(string)
			if !ok {
				return fmt.Errorf("label %s has the category %s: labels are text", label, describe(value))
			}
			c.known[label] = append(c.known[label], text)
			m, err := c.indicator(label, text)
			if err != nil {
				return err
			}
			if n != drop[i] {
				c.columns = append(c.columns, column{m: number(1)})
			}
		}
	}
	return nil
}

// dropped reads which category of each label has no column; -1 is none.
func dropped(o *object, labels int) ([]int, error) {
	none := slices.Repeat([]int{-1}, labels)
	v, _ := field(o, "drop_idx_")
	if v == nil {
		return none, nil
	}
	items, ok := sequence(v)
	if !ok || len(items) != labels {
		return nil, fmt.Errorf("drop_idx_ is %s", describe(v))
	}
	for i, item := range items {
		switch item := item.(type) {
		case nil:
		case int64:
			none[i] = int(item)
		default:
			return nil, fmt.Errorf("drop_idx_ has %s", describe(item))
		}
	}
	return none, nil
}

// selectColumns converts a FunctionTransformer whose function is the study's column selector.
func (c *converter) selectColumns(o *object) error {
	f, _ := field(o, "func")
	args, _ := field(o, "kw_args")
	if p, ok := f.(*object); ok && p.class == (global{"functools", "partial"}) {
		state, ok := p.state.(tuple)
		if !ok || len(state) < 3 {
			return errors.New("a partial function without arguments")
		}
		if f, args = state[0], state[2]; args == nil {
			return errors.New("a partial function without named arguments")
		}
	}
	if f != slicer {
		return fmt.Errorf("FunctionTransformer of %s is not supported, only of %s", describe(f), slicer)
	}
	v, ok := field(args, "indices")
	if !ok {
		return fmt.Errorf("%s has no indices", slicer)
	}
	if s, ok := v.(*object); ok && s.class == (global{"builtins", "slice"}) {
		index, err := sliceIndices(s.args, len(c.columns))
		if err != nil {
			return err
		}
		v = &list{index}
	}
	items, ok := sequence(v)
	if !ok || len(items) > maxColumns {
		return fmt.Errorf("the indices of %s are %s", slicer, describe(v))
	}
	out := make([]column, 0, len(items))
	for n, item := range items {
		if mask, ok := item.(bool); ok && len(items) == len(c.columns) {
			if mask {
				out = append(out, c.columns[n])
			}
			continue
		}
		i, ok := item.(int64)
		if ok && i < 0 {
			i += int64(len(c.columns))
		}
		if !ok || i < 0 || i >= int64(len(c.columns)) {
			return fmt.Errorf("%s selects column %s of %d", slicer, describe(item), len(c.columns))
		}
		out = append(out, c.columns[i])
	}
	c.columns = out
	return nil
}

// sliceIndices lists what slice(start, stop, step) selects of n, as Python does.
func sliceIndices(args tuple, n int) ([]any, error) {
	if len(args) != 3 {
		return nil, errors.New("a slice without three arguments")
	}
	bound := [3]int64{0, int64(n), 1}
	for i, a := range args {
		x, ok := a.(int64)
		switch {
		case a == nil:
			continue
		case !ok || i == 2 && x < 1:
			return nil, fmt.Errorf("a slice with %s", describe(a))
		case i < 2 && x < 0:
			x = max(0, x+int64(n))
		}
		if bound[i] = x; i < 2 {
			bound[i] = min(x, int64(n))
		}
	}
	var out []any
	for i := bound[0]; i < bound[1]; i += bound[2] {
		out = append(out, i)
	}
	return out, nil
}
