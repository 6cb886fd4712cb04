package predict

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/compspec/ocifit-lab/webhook/compat"
	"github.com/compspec/ocifit-lab/webhook/features"
)

// Rules to choose among types with exactly the same score.
const (
	// TieBreakPrice takes the cheapest type, then the first by name; a type without known price comes last.
	TieBreakPrice = "price"
	// TieBreakFirst takes the first type in the catalogue's order.
	TieBreakFirst = "first"
)

// ErrNoCandidate is wrapped by the errors of a ranking that nothing was left for.
var ErrNoCandidate = errors.New("no instance type is left to choose from")

// Options steer a ranking.
type Options struct {
	// TieBreak is TieBreakPrice (also when empty) or TieBreakFirst.
	TieBreak string
	// Prices in USD per hour, by instance type; absent or not positive means unknown.
	Prices map[string]float64
	// Skip names instance types that must not be chosen.
	Skip []string
	// Catalogue are the rows whose scores bound those of a model that does not carry the rows it was fitted on.
	Catalogue []features.Candidate
	// Objective is what the choice makes best; compat.AimTime is for the caller, who ranks by compat.TimeModel.
	Objective compat.Objective
	// Time is the model of that name, for bounds on the time.
	Time *Model
	// LeaveOut, if set, returns why a candidate must not be chosen, or "".
	LeaveOut func(features.Candidate) string
}

// Table is a ranking with everything that took part in it and everything that did not.
type Table struct {
	Model     string           `json:"model"`
	Direction compat.Direction `json:"direction"`
	// Selected is the chosen type; empty when nothing could be chosen.
	Selected string `json:"selected"`
	// Tied lists the types with the best score in the order of the candidates, the selected one among them.
	Tied     []string `json:"tied"`
	TieBreak string   `json:"tieBreak,omitempty"`
	// Objective is empty where the best score is chosen, without bounds.
	Objective string           `json:"objective,omitempty"`
	RunnerUp  *compat.RunnerUp `json:"runnerUp,omitempty"`
	// Seed of a random draw.
	Seed *uint64 `json:"seed,omitempty"`
	// Scores has a line per candidate that was neither skipped nor left out, in their order.
	Scores  []Line           `json:"scores"`
	Skipped []string         `json:"skipped"`
	LeftOut []compat.LeftOut `json:"leftOut,omitempty"`

	chosen features.Candidate
}

// Line is one candidate of a Table.
type Line struct {
	InstanceType string `json:"instanceType"`
	Architecture string `json:"architecture,omitempty"`
	// Score is nil when the model cannot score the type, and in a random draw.
	Score *float64 `json:"score"`
	// Value is what the objective compares, where it is not the score.
	Value *float64 `json:"value,omitempty"`
	// Frontier says that no other type has as good a score for less; see Table.WithFrontier.
	Frontier bool `json:"frontier,omitempty"`
	// Low and High are the ends of the model's interval around the score; nil for a model without one.
	Low  *float64 `json:"low,omitempty"`
	High *float64 `json:"high,omitempty"`
	// OutOfDomain names the labels that the model cannot judge; such a type is not chosen.
	OutOfDomain []string `json:"outOfDomain"`
	// Live says that the labels of a running node were scored; Note why those of the cache were, instead.
	Live bool   `json:"live"`
	Note string `json:"note,omitempty"`
	// PriceUSD per hour; nil when unknown.
	PriceUSD *float64 `json:"priceUSD,omitempty"`
}

// Chosen returns the selected candidate; ok is false when nothing was chosen.
func (t *Table) Chosen() (c features.Candidate, ok bool) { return t.chosen, t.Selected != "" }

// Taking counts the candidates that could have been chosen.
func (t *Table) Taking() int {
	n := 0
	for i := range t.Scores {
		if len(t.Scores[i].OutOfDomain) == 0 {
			n++
		}
	}
	return n
}

// Rank scores the candidates with a model and chooses the best one in the given direction (empty: the model's
// own). Equal scores are ties, broken by opts.TieBreak. The table is returned also with an error that wraps
// ErrNoCandidate, so that a caller can show why.
func Rank(m *Model, direction compat.Direction, candidates []features.Candidate, opts Options) (*Table, error) {
	if direction == "" {
		direction = m.Direction
	}
	if direction != compat.Maximize && direction != compat.Minimize {
		return nil, fmt.Errorf("model %s: direction is %q, must be maximize or minimize", m.Name, direction)
	}
	t, left, err := open(m.Name, direction, candidates, opts)
	if err != nil {
		return nil, err
	}
	var best []features.Candidate
	var top float64
	score := m.guard(opts.Catalogue).scorer()
	for i, c := range left {
		score, out := score(c.Labels)
		if len(out) > 0 {
			t.Scores[i].OutOfDomain = out
			continue
		}
		t.Scores[i].Score = &score
		t.Scores[i].Low, t.Scores[i].High = m.Between(score)
		value, why := valueOf(opts.Objective, score, c.InstanceType, direction, opts.Prices)
		switch {
		case why != "":
			t.Scores[i].OutOfDomain = []string{why}
			continue
		case opts.Objective.Aim == compat.AimPerDollar:
			t.Scores[i].Value = &value
		}
		switch {
		case len(best) == 0 || direction.Better(value, top):
			best, top = append(best[:0], c), value
		case value == top:
			best = append(best, c)
		}
	}
	if len(best) == 0 {
		return t, t.nothing()
	}
	for _, c := range best {
		t.Tied = append(t.Tied, c.InstanceType)
	}
	t.choose(breakTie(best, opts))
	t.runnerUp(top)
	return t, nil
}

// Draw chooses one of the candidates uniformly at random. The result depends on the set of types that may be
// chosen and on the seed, not on the order of the candidates or on how many nodes a type has.
func Draw(seed uint64, candidates []features.Candidate, opts Options) (*Table, error) {
	p, err := NewPool(candidates, opts)
	if err != nil {
		return nil, err
	}
	return p.Draw(seed)
}

// Pool is a set of candidates to draw from, prepared once. It does not change; it is safe for concurrent use.
type Pool struct {
	table  Table
	sorted []features.Candidate
}

// NewPool sorts out which candidates take part.
func NewPool(candidates []features.Candidate, opts Options) (*Pool, error) {
	t, left, err := open(compat.Random, compat.DrawRandom, candidates, opts)
	if err != nil {
		return nil, err
	}
	t.TieBreak = ""
	slices.SortFunc(left, func(a, b features.Candidate) int { return strings.Compare(a.InstanceType, b.InstanceType) })
	return &Pool{table: *t, sorted: left}, nil
}

// Draw is like the function Draw. The tables of a pool share their lists.
func (p *Pool) Draw(seed uint64) (*Table, error) {
	t := p.table
	t.Seed = &seed
	if len(p.sorted) == 0 {
		return &t, t.nothing()
	}
	d := drawer{seed}
	t.choose(p.sorted[d.index(len(p.sorted))])
	return &t, nil
}

// open starts a table: it sorts the candidates into those that take part, one line each, and the others.
func open(model string, direction compat.Direction, candidates []features.Candidate, opts Options) (*Table, []features.Candidate, error) {
	if opts.TieBreak == "" {
		opts.TieBreak = TieBreakPrice
	}
	if opts.TieBreak != TieBreakPrice && opts.TieBreak != TieBreakFirst {
		return nil, nil, fmt.Errorf("tie-break is %q, must be %s or %s", opts.TieBreak, TieBreakPrice, TieBreakFirst)
	}
	t := &Table{
		Model: model, Direction: direction, TieBreak: opts.TieBreak, Objective: opts.Objective.String(),
		Tied: []string{}, Skipped: []string{}, Scores: make([]Line, 0, len(candidates)),
	}
	left := make([]features.Candidate, 0, len(candidates))
	for _, c := range candidates {
		if slices.Contains(opts.Skip, c.InstanceType) {
			t.Skipped = append(t.Skipped, c.InstanceType)
			continue
		}
		if opts.LeaveOut != nil {
			if why := opts.LeaveOut(c); why != "" {
				t.LeftOut = append(t.LeftOut, compat.LeftOut{InstanceType: c.InstanceType, Reason: why})
				continue
			}
		}
		if why := excludes(opts.Objective, c, opts); why != "" {
			t.LeftOut = append(t.LeftOut, compat.LeftOut{InstanceType: c.InstanceType, Reason: why})
			continue
		}
		left = append(left, c)
		line := Line{InstanceType: c.InstanceType, Architecture: c.Architecture, OutOfDomain: []string{}, Live: c.Live, Note: c.Note}
		if p := opts.Prices[c.InstanceType]; p > 0 {
			line.PriceUSD = &p
		}
		t.Scores = append(t.Scores, line)
	}
	return t, left, nil
}

func (t *Table) choose(c features.Candidate) { t.chosen, t.Selected = c, c.InstanceType }

// runnerUp finds the best value that is worse than the top one.
func (t *Table) runnerUp(top float64) {
	second := 0.0
	for i := range t.Scores {
		l := &t.Scores[i]
		v := l.Score
		if l.Value != nil {
			v = l.Value
		}
		if v == nil || *v == top || len(l.OutOfDomain) > 0 {
			continue
		}
		if t.RunnerUp == nil || t.Direction.Better(*v, second) {
			t.RunnerUp, second = &compat.RunnerUp{InstanceType: l.InstanceType, Score: *l.Score}, *v
		}
	}
}

// Few writes a list for a sentence: four names, and how many more there are.
func Few(names []string) string {
	if len(names) > 4 {
		names = append(names[:4:4], fmt.Sprintf("%d more", len(names)-4))
	}
	return strings.Join(names, ", ")
}

// nothing says why nothing could be chosen.
func (t *Table) nothing() error {
	why := fmt.Sprintf("%d types known", len(t.Scores)+len(t.Skipped)+len(t.LeftOut))
	if n := len(t.Skipped); n > 0 {
		why += fmt.Sprintf(", %d on the skip list (%s)", n, Few(t.Skipped))
	}
	if n := len(t.LeftOut); n > 0 {
		why += fmt.Sprintf(", %d left out (%s: %s)", n, t.LeftOut[0].InstanceType, t.LeftOut[0].Reason)
	}
	if n := len(t.Scores); n > 0 {
		why += fmt.Sprintf(", %d out of the model's domain (%s: %s)", n, t.Scores[0].InstanceType, strings.Join(t.Scores[0].OutOfDomain, "; "))
	}
	return fmt.Errorf("%w for model %s: %s", ErrNoCandidate, t.Model, why)
}

// breakTie chooses among candidates with the same score.
func breakTie(best []features.Candidate, opts Options) features.Candidate {
	if opts.TieBreak == TieBreakFirst {
		return best[0]
	}
	first := best[0]
	for _, c := range best[1:] {
		if cheaper(c.InstanceType, first.InstanceType, opts.Prices) {
			first = c
		}
	}
	return first
}

func cheaper(a, b string, prices map[string]float64) bool {
	pa, pb := prices[a], prices[b]
	switch {
	case pa > 0 && !(pb > 0):
		return true
	case pb > 0 && !(pa > 0):
		return false
	case pa > 0 && pa != pb:
		return pa < pb
	}
	return a < b
}
