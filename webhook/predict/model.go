// Package predict scores instance types with the study's models, exactly, ranks them, and draws at random
// where the study asks for it.
package predict

import (
	"fmt"
	"math"
	"slices"

	"github.com/compspec/ocifit-lab/webhook/compat"
)

// Limits of a model.
const (
	maxLabels = 256
	maxKnown  = 4096
	maxTerms  = 100_000
)

// Model is an exact formula over node labels: the intercept plus, for every term whose conditions all hold, its
// coefficient times its numbers. A Model does not change once made; it is safe for concurrent use.
type Model struct {
	Name      string
	Direction compat.Direction
	// Intercept, in the unit of the predicted figure.
	Intercept float64
	Terms     []Term
	// KnownValues are the values the model was fitted on, by label. A node with another value, or without the
	// label, is out of the model's domain.
	KnownValues map[string][]string
	// Combinations are the rows the model was fitted on, each a value for every label. A node with another combination
	// is out of the model's domain unless the rows determine its score. Without any, only KnownValues are checked; see
	// Options.Catalogue for the guard that is left then.
	Combinations []map[string]string
	// Numbers are the labels that terms multiply by.
	Numbers []Number
	// Exponential says that the sum is the natural logarithm of the score.
	Exponential bool
	// Interval and Validation are nil for a model that does not carry them.
	Interval   *Interval
	Validation *Validation
	// Source says where the figures come from.
	Source Source

	labels []string         // sorted
	codes  []map[string]int // per label: known value to code
	terms  []compiledTerm

	training *training // nil without Combinations
}

// Source is the file a model was taken from.
type Source struct {
	File   string `json:"file,omitempty"`
	SHA256 string `json:"sha256,omitempty"`
}

// Term adds Coefficient times the numbers of the labels in Times to the sum of nodes whose labels fulfil every condition of When.
type Term struct {
	Coefficient float64
	When        []Condition
	Times       []string
}

// Condition holds for nodes whose Label has exactly the value Equals.
type Condition struct{ Label, Equals string }

// compiledTerm refers to labels and values by number.
type compiledTerm struct {
	coefficient float64
	when        []compiledCondition
	times       []int
}

type compiledCondition struct{ label, code int }

// NewModel checks a formula and prepares it for scoring. It keeps m's slices and maps; the caller must not
// change them afterwards.
func NewModel(m Model) (*Model, error) {
	if err := m.compile(); err != nil {
		return nil, fmt.Errorf("model %q: %w", m.Name, err)
	}
	return &m, nil
}

// ModelOfTypes makes a model that knows instance types by their names, each with its score. Other types are out of its domain.
func ModelOfTypes(name string, direction compat.Direction, types []string, scores []float64) (*Model, error) {
	m := Model{Name: name, Direction: direction, KnownValues: map[string][]string{compat.LabelInstanceType: types}}
	for i, t := range types {
		m.Combinations = append(m.Combinations, map[string]string{compat.LabelInstanceType: t})
		m.Terms = append(m.Terms, Term{Coefficient: scores[i], When: []Condition{{compat.LabelInstanceType, t}}})
	}
	return NewModel(m)
}

// Named returns the model of that name; nil when there is none.
func Named(models []*Model, name string) *Model {
	if i := slices.IndexFunc(models, func(m *Model) bool { return m.Name == name }); i >= 0 {
		return models[i]
	}
	return nil
}

func (m *Model) compile() error {
	if m.Name == "" || m.Name == compat.Random {
		return fmt.Errorf("the name %q cannot be used", m.Name)
	}
	if m.Direction != compat.Maximize && m.Direction != compat.Minimize {
		return fmt.Errorf("direction is %q, must be maximize or minimize", m.Direction)
	}
	if len(m.KnownValues) > maxLabels || len(m.Terms) > maxTerms {
		return fmt.Errorf("%d labels and %d terms; the limits are %d and %d", len(m.KnownValues), len(m.Terms), maxLabels, maxTerms)
	}
	if err := checkNumber(m.Intercept); err != nil {
		return fmt.Errorf("intercept: %w", err)
	}
	numbers := make(map[string]int, len(m.KnownValues))
	for label := range m.KnownValues {
		m.labels = append(m.labels, label)
	}
	slices.Sort(m.labels)
	for i, label := range m.labels {
		numbers[label] = i
		known := m.KnownValues[label]
		if len(known) == 0 || len(known) > maxKnown {
			return fmt.Errorf("label %s has %d known values, must be 1 to %d", label, len(known), maxKnown)
		}
		codes := make(map[string]int, len(known))
		for c, v := range known {
			codes[v] = c
		}
		m.codes = append(m.codes, codes)
	}
	at, err := m.compileNumbers()
	if err != nil {
		return err
	}
	m.terms = make([]compiledTerm, len(m.Terms))
	for i, t := range m.Terms {
		if m.terms[i], err = compileTerm(t, numbers, m.codes, at); err != nil {
			return fmt.Errorf("term %d: %w", i+1, err)
		}
	}
	return m.train(numbers)
}

func compileTerm(t Term, numbers map[string]int, codes []map[string]int, at map[string]int) (compiledTerm, error) {
	if err := checkNumber(t.Coefficient); err != nil {
		return compiledTerm{}, err
	}
	out := compiledTerm{coefficient: t.Coefficient, when: make([]compiledCondition, len(t.When))}
	for i, c := range t.When {
		label, ok := numbers[c.Label]
		if !ok {
			return compiledTerm{}, fmt.Errorf("uses the label %s, which has no known values", c.Label)
		}
		code, ok := codes[label][c.Equals]
		if !ok {
			return compiledTerm{}, fmt.Errorf("wants %s=%s, which is not a known value", c.Label, c.Equals)
		}
		out.when[i] = compiledCondition{label, code}
	}
	if len(t.Times) > maxFactors {
		return compiledTerm{}, fmt.Errorf("multiplies %d numbers, the limit is %d", len(t.Times), maxFactors)
	}
	for _, label := range t.Times {
		n, ok := at[label]
		if !ok {
			return compiledTerm{}, fmt.Errorf("multiplies by the label %s, which is not among the numbers", label)
		}
		out.times = append(out.times, n)
	}
	return out, nil
}

func checkNumber(x float64) error {
	if math.IsNaN(x) || math.Abs(x) > maxMagnitude {
		return fmt.Errorf("%v is not a number within ±%g", x, maxMagnitude)
	}
	return nil
}

// Score returns the model's score for a node with the given labels; that of a formula without numbers is exact, correctly rounded. When the node is
// out of the model's domain the score is NaN and outOfDomain says why: a label is absent or has a value that the model
// does not know, or values that are known were never seen together: the formula's terms would no longer cancel there.
func (m *Model) Score(labels map[string]string) (score float64, outOfDomain []string) {
	var buffer [maxLabels]int
	codes := buffer[:len(m.labels)]
	if !m.encode(labels, codes) {
		return math.NaN(), m.unknownLabels(labels)
	}
	return m.score(codes, labels)
}

// score is Score for labels whose values are known, with their codes.
func (m *Model) score(codes []int, labels map[string]string) (float64, []string) {
	if out := m.outOfTraining(codes); len(out) > 0 {
		return math.NaN(), out
	}
	var values []float64
	if len(m.Numbers) > 0 {
		values = make([]float64, len(m.Numbers))
		if out := m.measure(labels, values); len(out) > 0 {
			return math.NaN(), out
		}
	}
	return m.finish(m.total(codes, values)), nil
}

// encode writes the code of each label's value and reports whether all are known.
func (m *Model) encode(labels map[string]string, codes []int) bool {
	for i, label := range m.labels {
		value, ok := labels[label]
		if !ok {
			return false
		}
		if codes[i], ok = m.codes[i][value]; !ok {
			return false
		}
	}
	return true
}

// total sums up the terms. Without values, those with numbers are left out.
func (m *Model) total(codes []int, values []float64) float64 {
	var s sum
	s.add(m.Intercept)
next:
	for i := range m.terms {
		t := &m.terms[i]
		if len(t.times) > 0 && values == nil {
			continue
		}
		for _, c := range t.when {
			if codes[c.label] != c.code {
				continue next
			}
		}
		x := t.coefficient
		for _, n := range t.times {
			x *= values[n]
		}
		s.add(x)
	}
	return s.round()
}

// OutOfDomain says what keeps the model from judging a node. It is empty for nodes that Score can score.
func (m *Model) OutOfDomain(labels map[string]string) []string {
	_, out := m.Score(labels)
	return out
}

// unknownLabels names each label that is absent or has a value that the model does not know.
func (m *Model) unknownLabels(labels map[string]string) []string {
	var out []string
	for i, label := range m.labels {
		value, ok := labels[label]
		if !ok {
			out = append(out, label+" is absent")
			continue
		}
		if _, ok := m.codes[i][value]; !ok {
			out = append(out, fmt.Sprintf("%s=%s is not a value that model %s knows", label, value, m.Name))
		}
	}
	return out
}
