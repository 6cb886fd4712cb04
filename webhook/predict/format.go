package predict

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/hashicorp/go-multierror"
	kjson "sigs.k8s.io/json"

	"github.com/compspec/ocifit-lab/webhook/compat"
)

// Format names the model file format that DecodeModel reads.
const Format = "ocifit-lab.model/v1"

// maxModelBytes bounds a model file.
const maxModelBytes = 8 << 20

// file is the model format: labels under short aliases with the values that the model knows, and terms that
// say when to add what, times which numbers.
type file struct {
	Format    string               `json:"format"`
	Name      string               `json:"name"`
	Direction compat.Direction     `json:"direction"`
	Source    *Source              `json:"source,omitempty"`
	Labels    map[string]fileLabel `json:"labels"`
	// Combinations are the rows of the fit: a value by alias.
	Combinations []map[string]string `json:"combinations,omitempty"`
	// Numbers are labels that count as numbers, under their aliases.
	Numbers     map[string]fileNumber `json:"numbers,omitempty"`
	Exponential bool                  `json:"exponential,omitempty"`
	Interval    *Interval             `json:"interval,omitempty"`
	Validation  *Validation           `json:"validation,omitempty"`
	Intercept   float64               `json:"intercept"`
	Terms       []fileTerm            `json:"terms"`
}

type fileNumber struct {
	Label string  `json:"label"`
	Log   bool    `json:"log,omitempty"`
	Min   float64 `json:"min"`
	Max   float64 `json:"max"`
}

type fileLabel struct {
	Label string   `json:"label"`
	Known []string `json:"known"`
}

type fileTerm struct {
	When  map[string]string `json:"when"`
	Times []string          `json:"times,omitempty"`
	Add   float64           `json:"add"`
}

// DecodeModel reads a model file strictly: unknown or repeated fields, another format, an alias that is not
// declared and a number that is not finite are errors.
func DecodeModel(data []byte) (*Model, error) {
	if len(data) > maxModelBytes {
		return nil, fmt.Errorf("model file: %d bytes, the limit is %d", len(data), maxModelBytes)
	}
	var f file
	strict, err := kjson.UnmarshalStrict(data, &f, kjson.DisallowDuplicateFields, kjson.DisallowUnknownFields)
	if err = multierror.Append(nil, append(strict, err)...).ErrorOrNil(); err != nil {
		return nil, fmt.Errorf("model file: %w", err)
	}
	if f.Format != Format {
		return nil, fmt.Errorf("model file: format is %q, this program reads %q", f.Format, Format)
	}
	m := Model{
		Name: f.Name, Direction: f.Direction, Intercept: f.Intercept, KnownValues: make(map[string][]string, len(f.Labels)),
		Exponential: f.Exponential, Interval: f.Interval, Validation: f.Validation,
	}
	if f.Source != nil {
		m.Source = *f.Source
	}
	for alias, l := range f.Labels {
		if l.Label == "" {
			return nil, fmt.Errorf("model file %q: labels.%s has no label", f.Name, alias)
		}
		if _, twice := m.KnownValues[l.Label]; twice {
			return nil, fmt.Errorf("model file %q: two aliases for the label %s", f.Name, l.Label)
		}
		m.KnownValues[l.Label] = l.Known
	}
	for _, n := range f.Numbers {
		m.Numbers = append(m.Numbers, Number(n))
	}
	sortNumbers(m.Numbers)
	for i, c := range f.Combinations {
		row := make(map[string]string, len(c))
		for alias, value := range c {
			l, ok := f.Labels[alias]
			if !ok {
				return nil, fmt.Errorf("model file %q: combination %d uses %q, which is not in labels", f.Name, i+1, alias)
			}
			row[l.Label] = value
		}
		m.Combinations = append(m.Combinations, row)
	}
	for i, t := range f.Terms {
		term := Term{Coefficient: t.Add, When: make([]Condition, 0, len(t.When))}
		for alias, value := range t.When {
			l, ok := f.Labels[alias]
			if !ok {
				return nil, fmt.Errorf("model file %q: term %d uses %q, which is not in labels", f.Name, i+1, alias)
			}
			term.When = append(term.When, Condition{l.Label, value})
		}
		for _, alias := range t.Times {
			n, ok := f.Numbers[alias]
			if !ok {
				return nil, fmt.Errorf("model file %q: term %d multiplies by %q, which is not in numbers", f.Name, i+1, alias)
			}
			term.Times = append(term.Times, n.Label)
		}
		slices.SortFunc(term.When, func(a, b Condition) int { return strings.Compare(a.Label, b.Label) })
		m.Terms = append(m.Terms, term)
	}
	return NewModel(m)
}

// EncodeModel writes a model file that DecodeModel reads back to the same formula.
func EncodeModel(m *Model) ([]byte, error) {
	f := file{
		Format: Format, Name: m.Name, Direction: m.Direction, Intercept: m.Intercept, Labels: map[string]fileLabel{},
		Exponential: m.Exponential, Interval: m.Interval, Validation: m.Validation,
	}
	if m.Source != (Source{}) {
		f.Source = &m.Source
	}
	alias := make(map[string]string, len(m.labels))
	for i, label := range m.labels {
		alias[label] = fmt.Sprintf("l%d", i+1)
		f.Labels[alias[label]] = fileLabel{label, m.KnownValues[label]}
	}
	numbers := make(map[string]string, len(m.Numbers))
	for i, n := range m.Numbers {
		if f.Numbers == nil {
			f.Numbers = map[string]fileNumber{}
		}
		numbers[n.Label] = fmt.Sprintf("n%d", i+1)
		f.Numbers[numbers[n.Label]] = fileNumber(n)
	}
	for _, values := range m.sortedCombinations() {
		row := make(map[string]string, len(values))
		for i, v := range values {
			row[alias[m.labels[i]]] = v
		}
		f.Combinations = append(f.Combinations, row)
	}
	for _, t := range m.Terms {
		when := make(map[string]string, len(t.When))
		for _, c := range t.When {
			if was, again := when[alias[c.Label]]; again && was != c.Equals {
				return nil, fmt.Errorf("model %q: a term wants two values of %s", m.Name, c.Label)
			}
			when[alias[c.Label]] = c.Equals
		}
		var times []string
		for _, label := range t.Times {
			times = append(times, numbers[label])
		}
		f.Terms = append(f.Terms, fileTerm{when, times, t.Coefficient})
	}
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(f); err != nil {
		return nil, fmt.Errorf("model %q: %w", m.Name, err)
	}
	return b.Bytes(), nil
}
