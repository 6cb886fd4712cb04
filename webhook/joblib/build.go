package joblib

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"strings"
)

// The names that may occur in a file. Those of the first group are what a pipeline of the study's shape is made of;
// the others only carry data.
var allowed = map[global]bool{
	{"sklearn.pipeline", "Pipeline"}:                                       true,
	{"sklearn.compose._column_transformer", "ColumnTransformer"}:           true,
	{"sklearn.compose._column_transformer", "_RemainderColsList"}:          true,
	{"sklearn.preprocessing._encoders", "OneHotEncoder"}:                   true,
	{"sklearn.preprocessing._data", "StandardScaler"}:                      true,
	{"sklearn.preprocessing._polynomial", "PolynomialFeatures"}:            true,
	{"sklearn.preprocessing._function_transformer", "FunctionTransformer"}: true,
	{"sklearn.linear_model._base", "LinearRegression"}:                     true,
	{"sklearn.linear_model._coordinate_descent", "Lasso"}:                  true,
	slicer: true,

	arrayWrapper:                              true,
	{"numpy", "ndarray"}:                      true,
	{"numpy", "dtype"}:                        true,
	{"numpy", "float64"}:                      true,
	{"numpy", "float32"}:                      true,
	{"numpy", "int64"}:                        true,
	{"numpy", "int32"}:                        true,
	{"numpy", "object_"}:                      true,
	{"numpy", "str_"}:                         true,
	scalarFunc:                                true,
	{"numpy.core.multiarray", "_reconstruct"}: true,
	{"builtins", "slice"}:                     true,
	{"builtins", "list"}:                      true,
	{"functools", "partial"}:                  true,
	{"collections", "OrderedDict"}:            true,
	encodeFunc:                                true,
}

var (
	// slicer is the column selector of the study's pipelines: X[:, indices]. The file holds its name only.
	slicer       = global{"__main__", "top_level_slicer"}
	arrayWrapper = global{"joblib.numpy_pickle", "NumpyArrayWrapper"}
	scalarFunc   = global{"numpy.core.multiarray", "scalar"}
	encodeFunc   = global{"_codecs", "encode"}
)

// canonical gives a name that moved between versions the one form that the rest of the package knows.
func canonical(g global) global {
	switch g.module {
	case "numpy._core.multiarray":
		g.module = "numpy.core.multiarray"
	case "__builtin__":
		g.module = "builtins"
	case "sklearn.preprocessing.data":
		g.module = "sklearn.preprocessing._data"
	}
	if g.name == "PolynomialFeatures" && g.module == "sklearn.preprocessing._data" {
		g.module = "sklearn.preprocessing._polynomial"
	}
	return g
}

// build makes objects and gives them their state.
func (u *unpickler) build(op byte) error {
	n := 2
	if op == 0x92 { // NEWOBJ_EX has a dictionary of arguments, too
		n = 3
	}
	items, err := u.popN(n)
	if err != nil {
		return err
	}
	if op == 'b' {
		o, ok := items[0].(*object)
		if !ok {
			return fmt.Errorf("the pickle is damaged: it gives a state to %s", describe(items[0]))
		}
		if o.class == arrayWrapper {
			a, err := u.array(items[1])
			if err != nil {
				return err
			}
			return u.push(a)
		}
		o.state = items[1]
		return u.push(o)
	}
	class, ok := items[0].(global)
	args, ok2 := items[1].(tuple)
	if !ok || !ok2 {
		return fmt.Errorf("the pickle is damaged: it calls %s", describe(items[0]))
	}
	if op == 0x92 {
		if d, ok := items[2].(*dict); !ok || len(d.pairs) > 0 {
			return fmt.Errorf("%s is made with named arguments", class)
		}
	}
	switch class {
	case scalarFunc:
		v, err := scalarOf(args)
		if err != nil {
			return err
		}
		return u.push(v)
	case encodeFunc: // protocol 2 writes bytes as encode(text, "latin1")
		return u.encoded(args)
	}
	return u.push(&object{class: class, args: args})
}

func (u *unpickler) encoded(args tuple) error {
	if len(args) == 2 && args[1] == "latin1" {
		if text, ok := args[0].(string); ok {
			b := make([]byte, 0, len(text))
			for _, r := range text {
				if r > 0xff {
					return errors.New("the pickle is damaged: bytes that are none")
				}
				b = append(b, byte(r))
			}
			return u.push(b)
		}
	}
	return errors.New("the pickle is damaged: an encoding that is not latin1")
}

// element is a numpy element type.
type element struct {
	kind  byte // f, i, u, b or O
	size  int
	order binary.ByteOrder
}

// elementOf reads a numpy.dtype.
func elementOf(v any) (element, error) {
	o, ok := v.(*object)
	if !ok || o.class != (global{"numpy", "dtype"}) || len(o.args) == 0 {
		return element{}, fmt.Errorf("an array's type is %s", describe(v))
	}
	name, _ := o.args[0].(string)
	e := element{order: binary.LittleEndian}
	if state, ok := o.state.(tuple); ok && len(state) > 1 && state[1] == ">" {
		e.order = binary.BigEndian
	}
	switch name = strings.TrimLeft(name, "<>=|"); name {
	case "f8", "i8", "u8":
		e.kind, e.size = name[0], 8
	case "f4", "i4", "u4":
		e.kind, e.size = name[0], 4
	case "b1", "i1", "u1":
		e.kind, e.size = name[0], 1
	case "O", "O8":
		e.kind = 'O'
	default:
		return e, fmt.Errorf("arrays of type %q are not read", name)
	}
	return e, nil
}

func (e element) number(b []byte) float64 {
	var u uint64
	switch e.size {
	case 8:
		u = e.order.Uint64(b)
	case 4:
		u = uint64(e.order.Uint32(b))
	default:
		u = uint64(b[0])
	}
	switch {
	case e.kind == 'f' && e.size == 8:
		return math.Float64frombits(u)
	case e.kind == 'f':
		return float64(math.Float32frombits(uint32(u)))
	case e.kind == 'i':
		shift := 64 - 8*e.size
		return float64(int64(u<<shift) >> shift)
	}
	return float64(u)
}

// scalarOf reads a numpy number: its type and its bytes.
func scalarOf(args tuple) (any, error) {
	if len(args) != 2 {
		return nil, errors.New("the pickle is damaged: a number without bytes")
	}
	e, err := elementOf(args[0])
	if err != nil {
		return nil, err
	}
	b, ok := args[1].([]byte)
	if !ok || len(b) != e.size || e.size == 0 {
		return nil, errors.New("the pickle is damaged: a number of another size than its type")
	}
	x := e.number(b)
	switch e.kind {
	case 'f':
		return x, nil
	case 'b':
		return x != 0, nil
	}
	return int64(x), nil
}

// array reads the elements that follow an array's description in the stream: padding, then raw bytes, or a pickle of
// their own for an array of objects.
func (u *unpickler) array(state any) (*array, error) {
	dtype, _ := field(state, "dtype")
	e, err := elementOf(dtype)
	if err != nil {
		return nil, err
	}
	a, count, err := shapeOf(state)
	if err != nil {
		return nil, err
	}
	if e.kind == 'O' {
		return a, u.objects(a, count)
	}
	if align, ok := field(state, "numpy_array_alignment_bytes"); ok && align != nil {
		n, err := u.byte()
		if err == nil {
			_, err = u.bytes(int(n))
		}
		if err != nil {
			return nil, err
		}
	}
	raw, err := u.bytes(count * e.size)
	if err != nil {
		return nil, err
	}
	if e.kind == 'b' {
		for _, b := range raw {
			a.values = append(a.values, b != 0)
		}
		return a, nil
	}
	a.integer = e.kind != 'f'
	a.numbers = make([]float64, count)
	for i := range a.numbers {
		a.numbers[i] = e.number(raw[i*e.size:])
	}
	return a, nil
}

func shapeOf(state any) (*array, int, error) {
	shape, _ := field(state, "shape")
	sizes, ok := sequence(shape)
	if !ok || len(sizes) > 2 {
		return nil, 0, fmt.Errorf("an array's shape is %s", describe(shape))
	}
	a := &array{}
	count := 1
	for _, s := range sizes {
		n, ok := s.(int64)
		if !ok || n < 0 || n > maxValues {
			return nil, 0, fmt.Errorf("an array's shape has %s", describe(s))
		}
		a.shape = append(a.shape, int(n))
		if count *= int(n); count > maxValues {
			return nil, 0, fmt.Errorf("an array has more than %d elements", maxValues)
		}
	}
	if order, _ := field(state, "order"); order == "F" && len(sizes) == 2 && a.shape[0] > 1 && a.shape[1] > 1 {
		return nil, 0, errors.New("a two-dimensional array in Fortran's order is not read")
	}
	return a, count, nil
}

// objects reads the elements of an array of objects: a pickle of numpy's own form, whose last part is their list.
func (u *unpickler) objects(a *array, count int) error {
	v, err := u.nested()
	if err != nil {
		return err
	}
	o, ok := v.(*object)
	if !ok {
		return fmt.Errorf("an array's elements are %s", describe(v))
	}
	state, ok := o.state.(tuple)
	if !ok || len(state) != 5 {
		return errors.New("the pickle is damaged: an array without elements")
	}
	items, ok := state[4].(*list)
	if !ok || len(items.items) != count {
		return errors.New("the pickle is damaged: an array with another number of elements than its shape")
	}
	a.values = items.items
	return nil
}
