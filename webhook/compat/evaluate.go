package compat

import (
	"slices"
	"strings"
)

// Holds reports whether a node with the given labels fulfils all rules of the entry.
func (e *FeatureEntry) Holds(labels map[string]string) bool {
	for i := range e.Rules {
		if !e.Rules[i].Holds(labels) {
			return false
		}
	}
	return true
}

// Holds reports whether a node with the given labels fulfils the rule.
func (r *FeatureRule) Holds(labels map[string]string) bool {
	return allHold(r.All, labels) && (len(r.Any) == 0 ||
		slices.ContainsFunc(r.Any, func(group []Expression) bool { return allHold(group, labels) }))
}

func allHold(list []Expression, labels map[string]string) bool {
	for i := range list {
		if !list[i].Holds(labels) {
			return false
		}
	}
	return true
}

// Best returns the entry for a node: of those that fit it, the one with the highest weight, then the first.
// ok is false when none fits.
func (f *Features) Best(labels map[string]string) (best *FeatureEntry, ok bool) {
	for i := range f.Entries {
		e := &f.Entries[i]
		if (best == nil || e.Weight > best.Weight) && e.Holds(labels) {
			best = e
		}
	}
	return best, best != nil
}

// Labels lists the node labels that the specification declares an interest in, sorted: two nodes that agree in
// them are the same to it.
func (f *Features) Labels() []string {
	seen := map[string]bool{}
	add := func(list []Expression) {
		for i := range list {
			for _, l := range list[i].Labels() {
				seen[l] = true
			}
		}
	}
	for _, e := range f.Entries {
		for _, r := range e.Rules {
			add(r.All)
			for _, group := range r.Any {
				add(group)
			}
		}
	}
	out := make([]string, 0, len(seen))
	for l := range seen {
		out = append(out, l)
	}
	slices.Sort(out)
	return out
}

// CheckLine is one expression held against a node.
type CheckLine struct {
	Tag  string `json:"tag"`
	Rule string `json:"rule,omitempty"`
	// Group is the number of the matchAny group, from 1; 0 for what must hold in any case.
	Group  int      `json:"group,omitempty"`
	Label  string   `json:"label"`
	Op     Op       `json:"op"`
	Values []string `json:"values,omitempty"`
	// Have is the node's value; Present is false when the node lacks the label.
	Have    string `json:"have"`
	Present bool   `json:"present"`
	OK      bool   `json:"ok"`
}

// Check holds every expression of the entry against a node, for people to read.
func (e *FeatureEntry) Check(labels map[string]string) []CheckLine {
	var out []CheckLine
	line := func(rule string, group int, list []Expression) {
		for i := range list {
			x := &list[i]
			l := CheckLine{Tag: e.Tag, Rule: rule, Group: group, Label: strings.Join(x.Labels(), " or "), Op: x.Op, Values: x.Values, OK: x.Holds(labels)}
			for _, key := range x.Labels() {
				if have, ok := labels[key]; ok {
					l.Have, l.Present = have, true
					break
				}
			}
			out = append(out, l)
		}
	}
	for _, r := range e.Rules {
		line(r.Name, 0, r.All)
		for i, group := range r.Any {
			line(r.Name, i+1, group)
		}
	}
	return out
}
