package training

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"

	"gonum.org/v1/gonum/mat"
	"gonum.org/v1/gonum/stat"
)

// Sample is one measurement of a figure.
type Sample struct {
	InstanceType string
	// Labels are those of the type's row among the node features.
	Labels map[string]string
	Value  float64
}

// kind is what is known of one instance type: what its nodes look like, and the mean of what was measured, in the scale of the fit.
type kind struct {
	name   string
	labels map[string]string
	y      float64
	rows   int
}

// scale is the one in which a figure is fitted.
type scale struct{ log bool }

func (s scale) to(v float64) float64 {
	if s.log {
		return math.Log(v)
	}
	return v
}

func (s scale) from(y float64) float64 {
	if s.log {
		return math.Exp(y)
	}
	return y
}

// kinds gathers the samples by type, in the order of the types' names. Figures that are all positive are fitted by their logarithm, so
// that errors are shares.
func kinds(samples []Sample) ([]kind, scale, error) {
	by := map[string][]Sample{}
	sc := scale{log: true}
	for i, s := range samples {
		if math.IsNaN(s.Value) || math.IsInf(s.Value, 0) {
			return nil, sc, fmt.Errorf("measurement %d, on %s, is %v", i+1, s.InstanceType, s.Value)
		}
		if s.Value <= 0 {
			sc.log = false
		}
		by[s.InstanceType] = append(by[s.InstanceType], s)
	}
	var out []kind
	for _, name := range slices.Sorted(maps.Keys(by)) {
		list := by[name]
		values := make([]float64, len(list))
		for i, s := range list {
			values[i] = sc.to(s.Value)
		}
		out = append(out, kind{name: name, labels: list[0].Labels, y: stat.Mean(values, nil), rows: len(list)})
	}
	return out, sc, nil
}

// column is one column of a design: the logarithm of a number, a number, or whether a label has a value.
type column struct {
	label string
	value string // of a label
	isLog bool
	isNum bool
}

// design turns labels into columns.
type design struct {
	columns []column
	ranges  map[string][2]float64 // of the numbers
	known   map[string][]string   // values of the labels
	seen    map[string]bool       // combinations of the labels
	labels  []string
}

// newDesign makes the columns of the wanted features for types to fit on. Features that are the same for all of them tell nothing, and
// are left out.
func newDesign(types []kind, numbers, labels []string) (*design, error) {
	d := &design{ranges: map[string][2]float64{}, known: map[string][]string{}, seen: map[string]bool{}}
	for _, l := range numbers {
		low, high := math.Inf(1), math.Inf(-1)
		for _, t := range types {
			v, err := numberOf(t.labels, l)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", t.name, err)
			}
			low, high = min(low, v), max(high, v)
		}
		if low == high {
			continue
		}
		d.ranges[l] = [2]float64{low, high}
		d.columns = append(d.columns, column{label: l, isNum: true, isLog: low > 0})
	}
	for _, l := range labels {
		values := map[string]bool{}
		for _, t := range types {
			v, ok := t.labels[l]
			if !ok {
				return nil, fmt.Errorf("%s has no label %s: leave it out, or give node features that have it", t.name, l)
			}
			values[v] = true
		}
		if len(values) < 2 {
			continue
		}
		d.labels = append(d.labels, l)
		d.known[l] = slices.Sorted(maps.Keys(values))
		for _, v := range d.known[l] {
			d.columns = append(d.columns, column{label: l, value: v})
		}
	}
	for _, t := range types {
		d.seen[combination(t.labels, d.labels)] = true
	}
	if len(d.columns) == 0 {
		return nil, fmt.Errorf("no feature differs between the %d types", len(types))
	}
	return d, nil
}

func numberOf(labels map[string]string, label string) (float64, error) {
	text, ok := labels[label]
	if !ok {
		return 0, fmt.Errorf("there is no number %s: leave it out, or give node features that have it", label)
	}
	v, err := strconv.ParseFloat(text, 64)
	if err != nil || math.IsNaN(v) || math.IsInf(v, 0) {
		return 0, fmt.Errorf("%s=%s is not a number", label, text)
	}
	return v, nil
}

// unseenTogether says why a model of other types does not tell about one.
const unseenTogether = "its labels were not seen together"

// combination is a key of the values that labels have.
func combination(labels map[string]string, names []string) string {
	key := ""
	for _, n := range names {
		key += labels[n] + "\x00"
	}
	return key
}

// row writes the columns of one type. outside says why the types of the fit do not tell about it; the row is that of the nearest thing
// to it all the same.
func (d *design) row(labels map[string]string) (x []float64, outside string) {
	x = make([]float64, len(d.columns))
	for i, c := range d.columns {
		if !c.isNum {
			if labels[c.label] == c.value {
				x[i] = 1
			}
			continue
		}
		v, err := numberOf(labels, c.label)
		r := d.ranges[c.label]
		switch {
		case err != nil:
			return x, err.Error()
		case v < r[0] || v > r[1]:
			outside = fmt.Sprintf("%s=%g, fitted on %g to %g", c.label, v, r[0], r[1])
		}
		if c.isLog {
			if v <= 0 {
				return x, fmt.Sprintf("%s=%g has no logarithm", c.label, v)
			}
			v = math.Log(v)
		}
		x[i] = v
	}
	if outside == "" && !d.seen[combination(labels, d.labels)] {
		outside = unseenTogether
	}
	return x, outside
}

func (d *design) matrix(types []kind) (x *mat.Dense, y []float64) {
	x = mat.NewDense(len(types), len(d.columns), nil)
	y = make([]float64, len(types))
	for i, t := range types {
		row, _ := d.row(t.labels)
		x.SetRow(i, row)
		y[i] = t.y
	}
	return x, y
}
