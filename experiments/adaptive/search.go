// Package adaptive decides which instance type to measure next, and when enough is known: Bayesian optimisation over the numbers of the
// types, as CherryPick does (O. Alipourfard et al., "CherryPick: Adaptively Unearthing the Best Cloud Configurations for Big Data
// Analytics", NSDI 2017).
package adaptive

import (
	"cmp"
	"fmt"
	"math"
	"slices"

	"gonum.org/v1/gonum/stat"
	"gonum.org/v1/gonum/stat/distuv"

	"github.com/compspec/ocifit-lab/webhook/compat"
	"github.com/compspec/ocifit-lab/webhook/predict"
)

// Type is a candidate.
type Type struct {
	Name string
	// Numbers describe it, all types by the same ones in the same order: logarithms of cores and the like, 0 and 1 for words.
	Numbers []float64
	// USD is what a measurement on it costs.
	USD float64
}

// Rule says when a search ends.
type Rule struct {
	Direction compat.Direction
	// First types are measured before the model has a say: spread out over what the types are like.
	First int
	// Most types are measured; 0 is no limit.
	Most int
	// The search ends when, with a probability of 1 - Doubt, no type is better than the best one by the share Improvement.
	Improvement, Doubt float64
	// MaxUSD ends the search before a measurement that would take it above; 0 is no limit.
	MaxUSD float64
}

// Search is a search under way. Figures must be positive.
type Search struct {
	types    []Type
	rule     Rule
	inputs   [][]float64
	measured map[int][]float64 // logarithms, turned so that great is good
	dropped  map[int]bool
	order    []int
	spent    float64
}

// New starts a search.
func New(types []Type, rule Rule) (*Search, error) {
	switch {
	case len(types) < 2:
		return nil, fmt.Errorf("%d instance types may be chosen: there is nothing to search", len(types))
	case rule.Direction != compat.Maximize && rule.Direction != compat.Minimize:
		return nil, fmt.Errorf("direction is %q, must be maximize or minimize", rule.Direction)
	case rule.First < 2:
		return nil, fmt.Errorf("%d types are measured at first; a model needs 2", rule.First)
	case !(rule.Improvement > 0 && rule.Improvement < 1):
		return nil, fmt.Errorf("an improvement of %g ends no search; give a share such as 0.05", rule.Improvement)
	}
	if !(rule.Doubt > 0 && rule.Doubt < 1) {
		return nil, fmt.Errorf("a doubt of %g ends no search; give a probability such as 0.1", rule.Doubt)
	}
	for _, t := range types {
		if !(t.USD > 0) {
			return nil, fmt.Errorf("what a measurement on %s costs is not known", t.Name)
		}
	}
	return &Search{types: types, rule: rule, inputs: standardize(types), measured: map[int][]float64{}, dropped: map[int]bool{}}, nil
}

// standardize brings each number to mean 0 and variance 1, and the distance of two types to the order of 1.
func standardize(types []Type) [][]float64 {
	n := len(types[0].Numbers)
	out := make([][]float64, len(types))
	for i := range out {
		out[i] = make([]float64, n)
	}
	column := make([]float64, len(types))
	for j := range n {
		for i := range types {
			column[i] = types[i].Numbers[j]
		}
		mean, dev := stat.PopMeanStdDev(column, nil)
		for i := range types {
			if dev > 0 {
				out[i][j] = (column[i] - mean) / dev / math.Sqrt(float64(n))
			}
		}
	}
	return out
}

// Step is what to do next.
type Step struct {
	// Type to measure; empty at the end.
	Type string `json:"type,omitempty"`
	// Why in a sentence.
	Why string `json:"why"`
	// Expected is the improvement that the measurement is expected to bring, as a share of the best; nil while the model has no say.
	Expected *float64 `json:"expected,omitempty"`
	// Doubt is the probability that a type is better than the best one by what counts; nil while the model has no say.
	Doubt *float64 `json:"doubt,omitempty"`
}

// Next says what to measure, or why nothing more.
func (s *Search) Next() (Step, error) {
	var left []int
	for i := range s.types {
		if s.measured[i] == nil && !s.dropped[i] {
			left = append(left, i)
		}
	}
	switch {
	case len(left) == 0 && len(s.dropped) > 0:
		return Step{Why: fmt.Sprintf("every type is measured that can be: %d cannot", len(s.dropped))}, nil
	case len(left) == 0:
		return Step{Why: "every type is measured"}, nil
	case s.rule.Most > 0 && len(s.order) >= s.rule.Most:
		return Step{Why: fmt.Sprintf("%d types are measured, the most that the study allows", len(s.order))}, nil
	}
	within := slices.DeleteFunc(slices.Clone(left), func(i int) bool { return s.rule.MaxUSD > 0 && s.spent+s.types[i].USD > s.rule.MaxUSD })
	if len(within) == 0 {
		return Step{Why: fmt.Sprintf("$%.2f are spent, and no further measurement fits into $%.2f", s.spent, s.rule.MaxUSD)}, nil
	}
	if len(s.order) < s.rule.First {
		i := s.farthest(within)
		return Step{Type: s.types[i].Name, Why: "among the first: it is least like what is measured"}, nil
	}
	return s.promising(left, within)
}

// farthest is the type that lies farthest from those that are measured; the first one is the cheapest of the middle half.
func (s *Search) farthest(of []int) int {
	if len(s.order) == 0 {
		byDistance := slices.Clone(of)
		slices.SortStableFunc(byDistance, func(a, b int) int { return cmp.Compare(norm(s.inputs[a]), norm(s.inputs[b])) })
		middle := byDistance[:(len(byDistance)+1)/2]
		return slices.MinFunc(middle, func(a, b int) int {
			return cmp.Or(cmp.Compare(s.types[a].USD, s.types[b].USD), cmp.Compare(s.types[a].Name, s.types[b].Name))
		})
	}
	best, most := of[0], -1.0
	for _, i := range of {
		near := math.Inf(1)
		for _, m := range s.order {
			near = min(near, distance(s.inputs[i], s.inputs[m]))
		}
		if near > most {
			best, most = i, near
		}
	}
	return best
}

func distance(a, b []float64) float64 {
	sum := 0.0
	for i := range a {
		sum += (a[i] - b[i]) * (a[i] - b[i])
	}
	return math.Sqrt(sum)
}

func norm(a []float64) float64 { return distance(a, make([]float64, len(a))) }

// promising is the type that is expected to improve the most for a dollar.
func (s *Search) promising(left, within []int) (Step, error) {
	p, err := s.process()
	if err != nil {
		return Step{}, err
	}
	best := math.Inf(-1)
	for i := range s.measured {
		best = max(best, stat.Mean(s.measured[i], nil))
	}
	expected, chance := map[int]float64{}, map[int]float64{}
	none, greatest := 1.0, 0.0
	for _, i := range left {
		mean, dev := p.at(s.inputs[i])
		expected[i] = improvement(mean, dev, best)
		chance[i] = distuv.UnitNormal.Survival((best + math.Log1p(s.rule.Improvement) - mean) / dev)
		greatest = max(greatest, chance[i])
		none *= 1 - chance[i]
	}
	doubt := 1 - none
	if doubt < s.rule.Doubt {
		return Step{Why: fmt.Sprintf("with a probability of %.0f%% no type is better than the best one by %.3g%%", 100*none, 100*s.rule.Improvement), Doubt: &doubt}, nil
	}
	// What is cheap and hopeless is left.
	if hopeful := slices.DeleteFunc(slices.Clone(within), func(i int) bool { return chance[i] < greatest/hopeless }); len(hopeful) > 0 {
		within = hopeful
	}
	next := slices.MaxFunc(within, func(a, b int) int {
		return cmp.Or(cmp.Compare(expected[a]/s.types[a].USD, expected[b]/s.types[b].USD), cmp.Compare(s.types[b].Name, s.types[a].Name))
	})
	e := expected[next]
	return Step{
		Type: s.types[next].Name, Why: fmt.Sprintf("the most is expected of it for a dollar: it beats the best one by %.3g%% with a probability of %.0f%%", 100*s.rule.Improvement, 100*chance[next]),
		Expected: &e, Doubt: &doubt,
	}, nil
}

// hopeless types have less than one part in so many of the best chance.
const hopeless = 5

// improvement is the expected amount by which a logarithm with this mean and deviation is above the best (J. Mockus, 1975): near enough the
// share by which the figure is better.
func improvement(mean, dev, best float64) float64 {
	if dev <= 0 {
		return max(0, mean-best)
	}
	z := (mean - best) / dev
	return (mean-best)*distuv.UnitNormal.CDF(z) + dev*distuv.UnitNormal.Prob(z)
}

func (s *Search) process() (*process, error) {
	var x [][]float64
	var y []float64
	for _, i := range s.order {
		x, y = append(x, s.inputs[i]), append(y, stat.Mean(s.measured[i], nil))
	}
	return fitProcess(x, y)
}

// Measured takes the figures that were measured on a type.
func (s *Search) Measured(name string, figures []float64) error {
	i := slices.IndexFunc(s.types, func(t Type) bool { return t.Name == name })
	switch {
	case i < 0:
		return fmt.Errorf("%s is no candidate", name)
	case len(figures) == 0:
		return fmt.Errorf("nothing was measured on %s", name)
	}
	for _, f := range figures {
		if !(f > 0) || math.IsInf(f, 0) {
			return fmt.Errorf("a figure of %g on %s: the search takes positive figures", f, name)
		}
		v := math.Log(f)
		if s.rule.Direction == compat.Minimize {
			v = -v
		}
		if s.measured[i] == nil {
			s.order = append(s.order, i)
			s.spent += s.types[i].USD
		}
		s.measured[i] = append(s.measured[i], v)
	}
	return nil
}

// Belief is what the search thinks of a type.
type Belief struct {
	Type     string `json:"type"`
	Measured bool   `json:"measured"`
	// Figure expected, and the ends of the range that it is in with a chance of 95%.
	Figure float64 `json:"figure"`
	Low    float64 `json:"low"`
	High   float64 `json:"high"`
}

// Beliefs lists the types, the best expectation first. A measured type has the geometric mean of its measurements.
func (s *Search) Beliefs() ([]Belief, error) {
	p, err := s.process()
	if err != nil {
		return nil, err
	}
	out := make([]Belief, len(s.types))
	for i, t := range s.types {
		mean, dev := p.at(s.inputs[i])
		if v := s.measured[i]; v != nil {
			mean, dev = stat.Mean(v, nil), math.Sqrt(p.scale*p.noise/float64(len(v)))
		}
		b := Belief{Type: t.Name, Measured: s.measured[i] != nil, Figure: math.Exp(mean), Low: math.Exp(mean - 1.96*dev), High: math.Exp(mean + 1.96*dev)}
		if s.rule.Direction == compat.Minimize {
			b.Figure, b.Low, b.High = 1/b.Figure, 1/b.High, 1/b.Low
		}
		out[i] = b
	}
	slices.SortStableFunc(out, func(a, b Belief) int {
		if s.rule.Direction == compat.Minimize {
			return cmp.Compare(a.Figure, b.Figure)
		}
		return cmp.Compare(b.Figure, a.Figure)
	})
	return out, nil
}

// Drop leaves a type out of the search from now on: it cannot be measured.
func (s *Search) Drop(name string) {
	if i := slices.IndexFunc(s.types, func(t Type) bool { return t.Name == name }); i >= 0 && s.measured[i] == nil {
		s.dropped[i] = true
	}
}

// Types lists the candidates' names.
func (s *Search) Types() []string {
	out := make([]string, len(s.types))
	for i, t := range s.types {
		out[i] = t.Name
	}
	return out
}

// Pick is the best of the measured types; empty before the first measurement.
func (s *Search) Pick() string {
	best, most := "", math.Inf(-1)
	for _, i := range s.order {
		if v := stat.Mean(s.measured[i], nil); v > most {
			best, most = s.types[i].Name, v
		}
	}
	return best
}

// Spent is what the measurements cost by the types' USD, in US dollars.
func (s *Search) Spent() float64 { return s.spent }

// Model makes a model of the measured types that webhooks can score with: the geometric mean of what was measured on each.
func (s *Search) Model(name string) (*predict.Model, error) {
	var types []string
	var scores []float64
	for _, i := range s.order {
		v := math.Exp(stat.Mean(s.measured[i], nil))
		if s.rule.Direction == compat.Minimize {
			v = 1 / v
		}
		types, scores = append(types, s.types[i].Name), append(scores, v)
	}
	return predict.ModelOfTypes(name, s.rule.Direction, types, scores)
}
