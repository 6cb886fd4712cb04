package predict

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
)

// maxFactors bounds the numbers that one term multiplies.
const maxFactors = 8

// Number is a label whose value counts as a number.
type Number struct {
	Label string
	// Log says that terms take its natural logarithm; then it must be positive.
	Log bool
	// Min and Max are the least and the greatest value of the rows that the model was fitted on, in the label's own unit. A node outside is
	// out of the model's domain.
	Min, Max float64
}

// Interval says how far measurements may lie from a score. It holds for a measurement on a type that the model has not seen.
type Interval struct {
	// Level is the share of measurements that it is made for, between 0 and 1.
	Level float64 `json:"level"`
	// Low and High are added to the score; a model whose sum is a logarithm multiplies by them.
	Low  float64 `json:"low"`
	High float64 `json:"high"`
}

// Validation says how well predictions fit measurements of instance types that were left out of the fit, each in turn.
type Validation struct {
	// Method names what was left out, and how the fit was chosen meanwhile.
	Method string `json:"method"`
	// Target is the measured figure, Unit its unit.
	Target string `json:"target"`
	Unit   string `json:"unit,omitempty"`
	// Types and Rows were measured.
	Types int `json:"types"`
	Rows  int `json:"rows"`
	// RankCorrelation is Spearman's, between predicted and measured; nil where all are predicted alike.
	RankCorrelation *float64 `json:"rankCorrelation"`
	// Regret is how much worse the type with the best prediction is than the best one, as a share of the best.
	Regret float64 `json:"regret"`
	// MeanError is the mean of |predicted/measured - 1|.
	MeanError float64 `json:"meanError"`
}

// compileNumbers checks the numbers and remembers where they stand.
func (m *Model) compileNumbers() (map[string]int, error) {
	if len(m.Numbers) > maxLabels {
		return nil, fmt.Errorf("%d numbers, the limit is %d", len(m.Numbers), maxLabels)
	}
	at := make(map[string]int, len(m.Numbers))
	for i, n := range m.Numbers {
		_, again := at[n.Label]
		_, text := m.KnownValues[n.Label]
		switch {
		case n.Label == "":
			return nil, fmt.Errorf("number %d has no label", i+1)
		case again || text:
			return nil, fmt.Errorf("the label %s stands twice", n.Label)
		case checkNumber(n.Min) != nil || checkNumber(n.Max) != nil || n.Min > n.Max:
			return nil, fmt.Errorf("number %s: %g to %g is no range", n.Label, n.Min, n.Max)
		case n.Log && n.Min <= 0:
			return nil, fmt.Errorf("number %s: its logarithm is taken, but it starts at %g", n.Label, n.Min)
		}
		at[n.Label] = i
	}
	if i := m.Interval; i != nil {
		least := math.Inf(-1)
		if m.Exponential {
			least = 0
		}
		if !(i.Level > 0 && i.Level < 1) || checkNumber(i.Low) != nil || checkNumber(i.High) != nil || i.Low > i.High || i.Low < least {
			return nil, fmt.Errorf("the interval of level %g from %g to %g is none", i.Level, i.Low, i.High)
		}
	}
	return at, nil
}

// measure writes the value of each number as terms take it, and says what keeps the model from taking it.
func (m *Model) measure(labels map[string]string, values []float64) (out []string) {
	for i := range m.Numbers {
		n := &m.Numbers[i]
		text, ok := labels[n.Label]
		if !ok {
			out = append(out, n.Label+" is absent")
			continue
		}
		v, err := strconv.ParseFloat(text, 64)
		switch {
		case err != nil || math.IsNaN(v):
			out = append(out, fmt.Sprintf("%s=%s is not a number", n.Label, text))
		case v < n.Min || v > n.Max:
			out = append(out, fmt.Sprintf("%s=%s is outside of what model %s was fitted on, %g to %g", n.Label, text, m.Name, n.Min, n.Max))
		case n.Log:
			values[i] = math.Log(v)
		default:
			values[i] = v
		}
	}
	return out
}

// finish turns the sum into the score.
func (m *Model) finish(sum float64) float64 {
	if m.Exponential {
		return math.Exp(sum)
	}
	return sum
}

// Between returns the ends of the interval around a score, nil for a model that has none.
func (m *Model) Between(score float64) (low, high *float64) {
	i := m.Interval
	if i == nil {
		return nil, nil
	}
	a, b := score+i.Low, score+i.High
	if m.Exponential {
		a, b = score*i.Low, score*i.High
	}
	return &a, &b
}

// Labels lists the labels that the model reads, sorted.
func (m *Model) Labels() []string {
	out := slices.Clone(m.labels)
	for _, n := range m.Numbers {
		out = append(out, n.Label)
	}
	slices.Sort(out)
	return out
}

// key writes what a row is to the model.
func (m *Model) key(key []byte, codes []int, labels map[string]string) []byte {
	key = pack(key, codes)
	for i := range m.Numbers {
		key = append(append(key, labels[m.Numbers[i].Label]...), 0)
	}
	return key
}

func sortNumbers(numbers []Number) {
	slices.SortFunc(numbers, func(a, b Number) int { return strings.Compare(a.Label, b.Label) })
}
