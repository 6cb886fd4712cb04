package predict

import (
	"fmt"
	"slices"
	"strings"

	"github.com/compspec/ocifit-lab/webhook/compat"
	"github.com/compspec/ocifit-lab/webhook/features"
)

// excludes says which bound a candidate breaks; what cannot be told breaks it.
func excludes(o compat.Objective, c features.Candidate, opts Options) string {
	if limit := o.MaxUSDPerHour; limit > 0 {
		switch price := opts.Prices[c.InstanceType]; {
		case !(price > 0):
			return fmt.Sprintf("the objective wants %s<=%g: its price is not known", compat.BoundPrice, limit)
		case price > limit:
			return fmt.Sprintf("the objective wants %s<=%g: an hour costs $%g", compat.BoundPrice, limit, price)
		}
	}
	if limit := o.MaxMinutes; limit > 0 {
		if opts.Time == nil {
			return fmt.Sprintf("the objective wants %s<=%g: there is no model %s", compat.BoundMinutes, limit, compat.TimeModel)
		}
		switch seconds, out := opts.Time.Score(c.Labels); {
		case len(out) > 0:
			return fmt.Sprintf("the objective wants %s<=%g: model %s cannot tell (%s)", compat.BoundMinutes, limit, compat.TimeModel, strings.Join(out, "; "))
		case seconds > 60*limit:
			return fmt.Sprintf("the objective wants %s<=%g: model %s predicts %.1f", compat.BoundMinutes, limit, compat.TimeModel, seconds/60)
		}
	}
	return ""
}

// valueOf is what an objective compares, or why there is none.
func valueOf(o compat.Objective, score float64, instanceType string, direction compat.Direction, prices map[string]float64) (float64, string) {
	if o.Aim != compat.AimPerDollar {
		return score, ""
	}
	price := prices[instanceType]
	switch {
	case !(price > 0):
		return 0, "its price is not known"
	case score <= 0:
		return 0, fmt.Sprintf("a figure of %.6g is not worth anything per dollar", score)
	case direction == compat.Minimize:
		return score * price, ""
	}
	return score / price, ""
}

// WithFrontier returns a copy of the table in which the lines are marked that no other line beats: none has as good a score for less, or a better score for the same price. Lines without
// a score or a price are not on it. Nil stays nil.
func (t *Table) WithFrontier() *Table {
	if t == nil {
		return nil
	}
	out := *t
	out.Scores = slices.Clone(t.Scores)
	t = &out
	for i := range t.Scores {
		l := &t.Scores[i]
		if l.Frontier = l.Score != nil && l.PriceUSD != nil; !l.Frontier {
			continue
		}
		for k := range t.Scores {
			o := &t.Scores[k]
			if o.Score == nil || o.PriceUSD == nil {
				continue
			}
			better, cheaper := t.Direction.Better(*o.Score, *l.Score), *o.PriceUSD < *l.PriceUSD
			if (better || *o.Score == *l.Score) && cheaper || better && *o.PriceUSD == *l.PriceUSD {
				l.Frontier = false
				break
			}
		}
	}
	return t
}
