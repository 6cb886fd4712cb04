package report

import (
	"slices"
	"sort"
)

// checkGroup is one outcome of one check over the run and all comparisons.
type checkGroup struct {
	Name   string
	Status Status
	Title  string
	Items  []checkItem
}

// checkItem is what the check found, and in which comparisons.
type checkItem struct {
	Text   string
	Arms   []string
	Trials []string
}

// groups merges the checks of all comparisons by name and status, the gravest first.
func (a *Analysis) groups() []checkGroup {
	var groups []*checkGroup
	at := map[string]*checkGroup{}
	add := func(c Check, arm string) {
		k := c.Name + "|" + string(c.Status)
		g := at[k]
		if g == nil {
			g = &checkGroup{Name: c.Name, Status: c.Status, Title: title(c)}
			at[k] = g
			groups = append(groups, g)
		}
		i := slices.IndexFunc(g.Items, func(i checkItem) bool { return i.Text == c.Text })
		if i < 0 {
			i = len(g.Items)
			g.Items = append(g.Items, checkItem{Text: c.Text, Trials: c.Trials})
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
	sort.SliceStable(groups, func(i, j int) bool {
		return slices.Index(order, groups[i].Status) < slices.Index(order, groups[j].Status)
	})
	out := make([]checkGroup, len(groups))
	for i, g := range groups {
		out[i] = *g
	}
	return out
}

// titles say a check's outcome in a few words.
var titles = map[string]map[Status]string{
	"equal-launch":      {Pass: "The arms were launched alike", Refuse: "The arms were not launched alike"},
	"equal-threads":     {Pass: "Threads per rank are equal", Note: "Threads per rank follow the machine", Refuse: "Threads per rank differ"},
	"equal-problem":     {Pass: "The problem size is equal", Refuse: "The problem sizes differ"},
	"equal-image":       {Pass: "The image is the same", Note: "The images differ between architectures or are not known", Refuse: "The images differ within an architecture"},
	"equal-artifact":    {Pass: "The artifact is the same", Refuse: "The decisions came from different artifacts"},
	"decision-followed": {Pass: "Every trial ran where the webhook decided", Note: "The decisions are not recorded", Refuse: "Trials ran elsewhere than the webhook decided"},
	"complete":          {Pass: "The arms are complete", Limit: "Trials are missing", Refuse: "Too few trials to compare"},
	"several-nodes":     {Pass: "Each arm ran on several machines", Limit: "An arm ran on one machine only"},
	"same-time":         {Pass: "The arms took turns", Note: "When the trials ran is not known", Limit: "The arms ran one after the other"},
	"converged":         {Pass: "The solver converged"},
	"own-remarks":       {Note: "HPCG remarks on its threads", Limit: "HPCG doubts its own figures in one arm"},
	"real-figures":      {Pass: "Every figure was measured", Limit: "The figures are simulated"},
	"whole":             {Pass: "The run is whole", Note: "Some attempts failed before", Limit: "The run is not complete"},
	"untouched":         {Limit: "The run folder was changed by hand"},
	"real-nodes":        {Limit: "The nodes only carry the labels of instance types"},
	"study-size":        {Limit: "The problem size is not the study's: not comparable"},
	"short-runs":        {Note: "The runs are too short to be official HPCG results"},
	"estimates":         {Note: "Some figures are estimates"},
	"prices":            {Note: "Some prices are unknown"},
}

func title(c Check) string {
	if t := titles[c.Name][c.Status]; t != "" {
		return t
	}
	return c.Name
}
