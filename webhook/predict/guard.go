package predict

import (
	"fmt"
	"math"

	"github.com/compspec/ocifit-lab/webhook/features"
)

// guarded is a model whose scores are held against those of a catalogue.
type guarded struct {
	*Model
	low, high float64
}

// guard bounds the scores of a model that does not carry the rows it was fitted on: away from them its coefficients no
// longer cancel, and a score is off by many orders of magnitude. One order beyond the catalogue's range passes, for a
// catalogue may be small and a new machine better. A model with its rows needs no guard, and without a catalogue there is
// none, nor for one that reads numbers alone: it carries their ranges.
func (m *Model) guard(catalogue []features.Candidate) *guarded {
	g := &guarded{m, math.Inf(-1), math.Inf(1)}
	if m.training != nil || len(m.labels) == 0 {
		return g
	}
	low, high, known := 0.0, 0.0, false
	for _, c := range catalogue {
		score, out := m.Score(c.Labels)
		switch {
		case len(out) > 0:
			continue
		case !known:
			low, high, known = score, score, true
		}
		low, high = min(low, score), max(high, score)
	}
	if known {
		margin := 10 * max(high-low, math.Abs(low), math.Abs(high), 1)
		g.low, g.high = low-margin, high+margin
	}
	return g
}

// outOfBounds says that a score is not to be believed.
func (g *guarded) outOfBounds(score float64) []string {
	if score >= g.low && score <= g.high {
		return nil
	}
	return []string{fmt.Sprintf("model %s scores %.6g, far from the catalogue's types (%.6g to %.6g is believed), and does not carry the rows it was fitted on", g.Name, score, g.low, g.high)}
}

// OutOfDomain says what keeps the model from judging a node.
func (g *guarded) OutOfDomain(labels map[string]string) []string {
	score, out := g.Score(labels)
	if len(out) > 0 {
		return out
	}
	return g.outOfBounds(score)
}

// Domain tells which nodes the model can judge, beside the types of a catalogue.
func (m *Model) Domain(catalogue []features.Candidate) features.Domain { return m.guard(catalogue) }

// scorer returns a Score that works only once for labels that are the same to the model: of 22 types in the study, 9
// differ. It is for one goroutine.
func (g *guarded) scorer() func(labels map[string]string) (float64, []string) {
	type result struct {
		score float64
		out   []string
	}
	m := g.Model
	codes := make([]int, len(m.labels))
	key := make([]byte, 0, 2*len(m.labels)+16*len(m.Numbers))
	known := map[string]result{}
	return func(labels map[string]string) (float64, []string) {
		if !m.encode(labels, codes) {
			return math.NaN(), m.unknownLabels(labels)
		}
		key = m.key(key[:0], codes, labels)
		r, ok := known[string(key)]
		if !ok {
			if r.score, r.out = m.score(codes, labels); len(r.out) == 0 {
				r.out = g.outOfBounds(r.score)
			}
			known[string(key)] = r
		}
		return r.score, r.out
	}
}
