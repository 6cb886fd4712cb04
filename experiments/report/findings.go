package report

import (
	"slices"
	"sort"
)

// finding is one outcome of one check over the run and all comparisons.
type finding struct {
	Name   string
	Status Status
	Title  string
	Items  []findingItem
}

// findingItem is what the check found, and in which comparisons.
type findingItem struct {
	Text   string
	Arms   []string
	Trials []string
}

// findings merges the checks of all comparisons by name and status, the gravest first.
func (a *Analysis) findings() []finding {
	var merged []*finding
	at := map[string]*finding{}
	add := func(c Check, arm string) {
		k := c.Name + "|" + string(c.Status)
		g := at[k]
		if g == nil {
			g = &finding{Name: c.Name, Status: c.Status, Title: c.title()}
			at[k] = g
			merged = append(merged, g)
		}
		i := slices.IndexFunc(g.Items, func(i findingItem) bool { return i.Text == c.Text })
		if i < 0 {
			i = len(g.Items)
			g.Items = append(g.Items, findingItem{Text: c.Text, Trials: c.Trials})
		}
		if arm != "" {
			g.Items[i].Arms = append(g.Items[i].Arms, arm)
		}
	}
	for i := range a.Comparisons {
		for _, c := range a.Comparisons[i].Checks {
			add(c, a.Comparisons[i].Arm)
		}
	}
	for _, c := range a.Checks {
		add(c, "")
	}
	order := []Status{Refuse, Limit, Note, Pass}
	sort.SliceStable(merged, func(i, j int) bool {
		return slices.Index(order, merged[i].Status) < slices.Index(order, merged[j].Status)
	})
	out := make([]finding, len(merged))
	for i, g := range merged {
		out[i] = *g
	}
	return out
}
