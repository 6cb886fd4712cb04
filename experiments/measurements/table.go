// Package measurements is a table of what applications achieved on instance types, gathered from runs and from tables of other
// programs, as CSV or Parquet.
package measurements

import (
	"cmp"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
)

// The columns that every table has. A column with a slash in its name is a node label; any other one is a figure.
const (
	colApplication  = "application"
	colInstanceType = "instance_type"
	colImage        = "image"
	colRanks        = "ranks"
	colNode         = "node"
	colTime         = "time"
	colSource       = "source"
)

var columns = []string{colApplication, colInstanceType, colImage, colRanks, colNode, colTime, colSource}

// Row is one measurement. What is not known is empty.
type Row struct {
	Application  string
	InstanceType string
	Image        string
	Ranks        int
	Node         string
	// Time the measurement began.
	Time time.Time
	// Source names where the row comes from; no two rows of a table have the same.
	Source string
	// Figures by name, each in the unit that its name says or its application gives it.
	Figures map[string]float64
	// Labels of the node.
	Labels map[string]string
}

// Table is a list of measurements.
type Table struct{ Rows []Row }

// Add appends the rows whose source the table does not have.
func (t *Table) Add(rows []Row) (added int) {
	have := make(map[string]bool, len(t.Rows))
	for i := range t.Rows {
		have[t.Rows[i].Source] = true
	}
	for _, r := range rows {
		if !have[r.Source] {
			have[r.Source] = true
			t.Rows = append(t.Rows, r)
			added++
		}
	}
	return added
}

// Figures lists the names of the figures, sorted.
func (t *Table) Figures() []string {
	return keys(t.Rows, func(r *Row) map[string]float64 { return r.Figures })
}

// Applications lists the applications that rows name, sorted.
func (t *Table) Applications() []string {
	return keys(t.Rows, func(r *Row) map[string]bool { return map[string]bool{r.Application: true} })
}

func (t *Table) labels() []string {
	return keys(t.Rows, func(r *Row) map[string]string { return r.Labels })
}

func keys[V any](rows []Row, of func(*Row) map[string]V) []string {
	all := map[string]bool{}
	for i := range rows {
		for k := range of(&rows[i]) {
			all[k] = true
		}
	}
	return slices.Sorted(maps.Keys(all))
}

// header lists the columns of the table as it is written.
func (t *Table) header() []string {
	return slices.Concat(columns, t.Figures(), t.labels())
}

// cell is the row's text in a column, empty where it is not known.
func (r *Row) cell(column string) string {
	switch column {
	case colApplication:
		return r.Application
	case colInstanceType:
		return r.InstanceType
	case colImage:
		return r.Image
	case colRanks:
		if r.Ranks == 0 {
			return ""
		}
		return strconv.Itoa(r.Ranks)
	case colNode:
		return r.Node
	case colTime:
		if r.Time.IsZero() {
			return ""
		}
		return r.Time.UTC().Format(time.RFC3339Nano)
	case colSource:
		return r.Source
	}
	if isLabel(column) {
		return r.Labels[column]
	}
	if v, ok := r.Figures[column]; ok {
		return strconv.FormatFloat(v, 'g', -1, 64)
	}
	return ""
}

func isLabel(column string) bool { return strings.Contains(column, "/") }

// set reads a cell.
func (r *Row) set(column, text string) (err error) {
	text = strings.TrimSpace(text)
	if text == "" {
		return nil
	}
	switch column {
	case colApplication:
		r.Application = text
	case colInstanceType:
		r.InstanceType = text
	case colImage:
		r.Image = text
	case colNode:
		r.Node = text
	case colSource:
		r.Source = text
	case colRanks:
		if r.Ranks, err = strconv.Atoi(text); err != nil || r.Ranks < 1 {
			return fmt.Errorf("%q is not a number of ranks", text)
		}
	case colTime:
		if r.Time, err = time.Parse(time.RFC3339Nano, text); err != nil {
			return fmt.Errorf("%q is not a time such as 2026-03-01T12:00:00Z", text)
		}
	default:
		if isLabel(column) {
			r.Labels = put(r.Labels, column, text)
			return nil
		}
		v, err := strconv.ParseFloat(text, 64)
		if err != nil || math.IsNaN(v) || math.IsInf(v, 0) {
			return fmt.Errorf("%q is not a number: leave unknown figures empty, or leave the column out", text)
		}
		r.Figures = put(r.Figures, column, v)
	}
	return nil
}

func put[V any](m map[string]V, key string, value V) map[string]V {
	if m == nil {
		m = map[string]V{}
	}
	m[key] = value
	return m
}

// Where keeps the rows that have the values in these columns.
func (t *Table) Where(values map[string]string) (*Table, error) {
	header := t.header()
	for column := range values {
		if !slices.Contains(header, column) {
			return nil, fmt.Errorf("there is no column %s: the table has %s", column, strings.Join(header, ", "))
		}
	}
	out := &Table{}
	for i := range t.Rows {
		fits := true
		for column, want := range values {
			fits = fits && t.Rows[i].cell(column) == want
		}
		if fits {
			out.Rows = append(out.Rows, t.Rows[i])
		}
	}
	return out, nil
}

// Summary is what a table has of one application on one instance type.
type Summary struct {
	Application  string             `json:"application"`
	InstanceType string             `json:"instanceType"`
	Rows         int                `json:"rows"`
	Nodes        int                `json:"nodes"` // known ones
	Means        map[string]float64 `json:"means"` // of the figures
}

// Summarize lists what is measured, by application and instance type.
func (t *Table) Summarize() []Summary {
	type group struct{ application, instanceType string }
	rows := map[group][]*Row{}
	for i := range t.Rows {
		r := &t.Rows[i]
		g := group{r.Application, r.InstanceType}
		rows[g] = append(rows[g], r)
	}
	out := make([]Summary, 0, len(rows))
	for g, list := range rows {
		s := Summary{Application: g.application, InstanceType: g.instanceType, Rows: len(list), Means: map[string]float64{}}
		nodes, sums, counts := map[string]bool{}, map[string]float64{}, map[string]float64{}
		for _, r := range list {
			if r.Node != "" {
				nodes[r.Node] = true
			}
			for name, v := range r.Figures {
				sums[name] += v
				counts[name]++
			}
		}
		for name, sum := range sums {
			s.Means[name] = sum / counts[name]
		}
		s.Nodes = len(nodes)
		out = append(out, s)
	}
	slices.SortFunc(out, func(a, b Summary) int {
		return cmp.Or(cmp.Compare(a.Application, b.Application), cmp.Compare(a.InstanceType, b.InstanceType))
	})
	return out
}
