package joblib

import "fmt"

// The values of a pickle. Numbers, texts, booleans and nil are Go's own: int64, float64, string, []byte, bool.
type (
	// list and dict are pointers because a pickle fills them after it has referred to them.
	list  struct{ items []any }
	dict  struct{ pairs []pair }
	tuple []any
	pair  struct{ key, value any }

	// global is a class or function by its name. Nothing is ever looked up by it.
	global struct{ module, name string }

	// object is an instance as the pickle describes it: its class, what it was called with, and its state.
	object struct {
		class global
		args  tuple
		state any
	}

	// array is a numpy array: numbers, or values of a nested pickle.
	array struct {
		shape   []int
		numbers []float64 // nil for an array of objects
		integer bool      // the numbers are whole by type
		values  []any     // for an array of objects
	}
)

func (g global) String() string { return g.module + "." + g.name }

// field returns an entry of a dictionary or of an object's state.
func field(v any, name string) (any, bool) {
	if o, ok := v.(*object); ok {
		v = o.state
	}
	d, ok := v.(*dict)
	if !ok {
		return nil, false
	}
	for i := len(d.pairs) - 1; i >= 0; i-- { // the last of equal keys counts, as in a dictionary
		if d.pairs[i].key == name {
			return d.pairs[i].value, true
		}
	}
	return nil, false
}

// size is the number of elements.
func (a *array) size() int {
	if a.numbers != nil {
		return len(a.numbers)
	}
	return len(a.values)
}

// sequence returns the elements of a list, a tuple or a one-dimensional array.
func sequence(v any) ([]any, bool) {
	switch v := v.(type) {
	case *list:
		return v.items, true
	case tuple:
		return v, true
	case *array:
		if len(v.shape) != 1 {
			return nil, false
		}
		if v.numbers == nil {
			return v.values, true
		}
		out := make([]any, len(v.numbers))
		for i, x := range v.numbers {
			if out[i] = x; v.integer {
				out[i] = int64(x)
			}
		}
		return out, true
	}
	return nil, false
}

// describe names a value for an error.
func describe(v any) string {
	switch v := v.(type) {
	case *object:
		return v.class.String()
	case global:
		return v.String()
	case *array:
		return fmt.Sprintf("an array of shape %v", v.shape)
	case *list, tuple:
		items, _ := sequence(v)
		return fmt.Sprintf("a list of %d", len(items))
	case *dict:
		return "a dictionary"
	case nil:
		return "None"
	case string:
		if len(v) > 60 {
			v = v[:60] + "..."
		}
		return fmt.Sprintf("%q", v)
	}
	return fmt.Sprint(v)
}
