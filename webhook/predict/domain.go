package predict

import (
	"fmt"
	"slices"
	"strings"
	"sync"
)

// maxCombinations bounds the combinations of labels that a model carries.
const maxCombinations = 1024

// training is what a model was fitted on, as far as it decides which rows the model can judge.
//
// The published models are least-squares fits of least norm over one-hot labels and their products: coefficients of up
// to 1e16 that cancel on the rows of the fit, and on nothing else. A row is predictable only if its expansion (1, every
// label's value, every pair of values) is a linear combination of the expansions of the rows of the fit; elsewhere the
// score depends on directions that the data say nothing about (C. R. Rao, "Linear Statistical Inference and its
// Applications", 1973, on estimable functions).
type training struct {
	rows   [][]int         // distinct, a code per label
	seen   map[string]bool // the rows, packed
	pairs  map[[4]int]bool // label, code, label, code of values that some row has together
	degree int

	once sync.Once
	base *elimination
	// lowest and highest are the ends of the scores of the rows.
	lowest, highest float64
}

// train checks and compiles the combinations.
func (m *Model) train(numbers map[string]int) error {
	if len(m.Combinations) == 0 {
		return nil
	}
	if len(m.Combinations) > maxCombinations {
		return fmt.Errorf("%d combinations, the limit is %d", len(m.Combinations), maxCombinations)
	}
	t := &training{seen: map[string]bool{}, pairs: map[[4]int]bool{}, degree: 2}
	for i, c := range m.Combinations {
		if len(c) != len(m.labels) {
			return fmt.Errorf("combination %d has %d labels, must have all %d", i+1, len(c), len(m.labels))
		}
		codes := make([]int, len(m.labels))
		for label, value := range c {
			n, ok := numbers[label]
			if !ok {
				return fmt.Errorf("combination %d has the label %s, which has no known values", i+1, label)
			}
			if codes[n], ok = m.codes[n][value]; !ok {
				return fmt.Errorf("combination %d has %s=%s, which is not a known value", i+1, label, value)
			}
		}
		t.add(codes)
	}
	for _, term := range m.terms {
		t.degree = max(t.degree, len(term.when))
	}
	for i, r := range t.rows {
		score := m.finish(m.total(r, nil))
		if i == 0 {
			t.lowest, t.highest = score, score
		}
		t.lowest, t.highest = min(t.lowest, score), max(t.highest, score)
	}
	m.training = t
	return nil
}

func (t *training) add(codes []int) {
	var buffer [2 * maxLabels]byte
	key := pack(buffer[:0], codes)
	if t.seen[string(key)] {
		return
	}
	t.seen[string(key)] = true
	t.rows = append(t.rows, codes)
	for i := range codes {
		for j := range i {
			t.pairs[[4]int{j, codes[j], i, codes[i]}] = true
		}
	}
}

// pack writes codes as a key of a map.
func pack(key []byte, codes []int) []byte {
	for _, c := range codes {
		key = append(key, byte(c), byte(c>>8))
	}
	return key
}

// outOfTraining says why a row of known values cannot be judged; nothing when it can.
func (m *Model) outOfTraining(codes []int) []string {
	t := m.training
	if t == nil {
		return nil
	}
	var buffer [2 * maxLabels]byte
	if t.seen[string(pack(buffer[:0], codes))] {
		return nil
	}
	if i, j, n := t.unseenPairs(codes); n > 0 {
		text := fmt.Sprintf("%s=%s and %s=%s: model %s never saw the two together", m.labels[j], m.value(j, codes[j]), m.labels[i], m.value(i, codes[i]), m.Name)
		if n > 1 {
			text += fmt.Sprintf(" (nor %d other pairs of this node's values)", n-1)
		}
		return []string{text}
	}
	t.once.Do(func() { t.base = eliminate(t.rows, t.degree) })
	if !t.base.spans(codes) {
		return []string{fmt.Sprintf("model %s saw each pair of this node's values, but nothing that the whole of them can be worked out from", m.Name)}
	}
	if len(m.Numbers) > 0 {
		return nil // the numbers move the score; each has its own range
	}
	if score := m.finish(m.total(codes, nil)); score < t.lowest || score > t.highest {
		return []string{fmt.Sprintf("model %s extrapolates to %.6g; the rows it was fitted on have %.6g to %.6g", m.Name, score, t.lowest, t.highest)}
	}
	return nil
}

// unseenPairs counts the pairs of values that no row of the fit has, and gives the labels of the first.
func (t *training) unseenPairs(codes []int) (second, first, n int) {
	for i := range codes {
		for j := range i {
			if t.pairs[[4]int{j, codes[j], i, codes[i]}] {
				continue
			}
			if n++; n == 1 {
				second, first = i, j
			}
		}
	}
	return second, first, n
}

// value is a label's value by its code.
func (m *Model) value(label, code int) string { return m.KnownValues[m.labels[label]][code] }

// WithCombinations returns a copy of the model that carries the rows that it was fitted on: label maps of which only the
// model's labels count. Rows that lack one of them, or have a value that the model does not know, are an error.
func (m *Model) WithCombinations(rows []map[string]string) (*Model, error) {
	out := Model{
		Name: m.Name, Direction: m.Direction, Intercept: m.Intercept, Terms: m.Terms, KnownValues: m.KnownValues, Source: m.Source,
		Numbers: m.Numbers, Exponential: m.Exponential, Interval: m.Interval, Validation: m.Validation,
	}
	seen := map[string]bool{}
	for i, row := range rows {
		if why := m.unknownLabels(row); len(why) > 0 {
			return nil, fmt.Errorf("row %d of the fit: %s", i+1, strings.Join(why, "; "))
		}
		c := make(map[string]string, len(m.labels))
		var key strings.Builder
		for _, l := range m.labels {
			c[l] = row[l]
			key.WriteString(row[l] + "\x00")
		}
		if !seen[key.String()] {
			seen[key.String()] = true
			out.Combinations = append(out.Combinations, c)
		}
	}
	return NewModel(out)
}

// elimination is the Gram matrix of rows in the space of their expansions, reduced modulo a prime.
//
// The inner product of two expansions up to degree d is the number of ways to choose up to d of the labels in which the
// rows agree, so that the expansions are never written out. All numbers are whole; arithmetic modulo 2^61-1 never calls
// a row outside that is inside, and calls one inside that is outside only if a particular number happens to be a
// multiple of that prime.
type elimination struct {
	ways   []uint64   // inner product by the number of labels that agree
	rows   [][]int    // those that no earlier ones span
	lower  [][]uint64 // of the factorisation L·D·Lᵀ of their Gram matrix, unit diagonal left out
	pivots []uint64   // inverses of D
}

func eliminate(rows [][]int, degree int) *elimination {
	e := &elimination{ways: expansions(len(rows[0]), degree)}
	for _, r := range rows {
		rest, factors := e.reduce(r)
		if rest == 0 {
			continue
		}
		e.rows = append(e.rows, r)
		e.lower = append(e.lower, factors)
		e.pivots = append(e.pivots, inverse(rest))
	}
	return e
}

// spans reports whether a row's expansion is a linear combination of those of the rows.
func (e *elimination) spans(row []int) bool {
	rest, _ := e.reduce(row)
	return rest == 0
}

// reduce returns the squared length of what is left of a row beside the span, and its coordinates.
func (e *elimination) reduce(row []int) (rest uint64, factors []uint64) {
	rest = e.product(row, row)
	inner := make([]uint64, len(e.rows)) // with the orthogonal part of each row
	factors = make([]uint64, len(e.rows))
	for i, r := range e.rows {
		inner[i] = e.product(row, r)
		for j, l := range e.lower[i] {
			inner[i] = subtract(inner[i], multiply(l, inner[j]))
		}
		factors[i] = multiply(inner[i], e.pivots[i])
		rest = subtract(rest, multiply(factors[i], inner[i]))
	}
	return rest, factors
}

// product is the inner product of two expansions.
func (e *elimination) product(a, b []int) uint64 {
	agree := 0
	for i := range a {
		if a[i] == b[i] {
			agree++
		}
	}
	return e.ways[agree]
}

// expansions counts, for each number of labels up to n, the ways to choose up to degree of them, modulo the prime.
func expansions(n, degree int) []uint64 {
	out := make([]uint64, n+1)
	choose := make([]uint64, degree+1) // of Pascal's triangle
	choose[0] = 1
	for i := range out {
		for _, c := range choose {
			out[i] = (out[i] + c) % prime
		}
		for k := degree; k > 0; k-- {
			choose[k] = (choose[k] + choose[k-1]) % prime
		}
	}
	return out
}

// sortedCombinations writes the combinations as values in the order of the labels, sorted.
func (m *Model) sortedCombinations() [][]string {
	if m.training == nil {
		return nil
	}
	out := make([][]string, 0, len(m.training.rows))
	for _, codes := range m.training.rows {
		values := make([]string, len(codes))
		for i, c := range codes {
			values[i] = m.value(i, c)
		}
		out = append(out, values)
	}
	slices.SortFunc(out, slices.Compare)
	return out
}
