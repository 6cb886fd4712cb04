package report

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/compspec/ocifit-lab/provision/words"
)

// Choice is what one or more arms came to: the same instance types, launched alike. Arms of one choice are one treatment, and their
// trials stand together; that several models made the choice is no further evidence for it.
type Choice struct {
	Name string   `json:"name"`
	Arms []string `json:"arms"`
}

// choices groups the arms other than the baseline that have trials. An arm that draws at random, or came to several types, is a choice
// of its own: which trials went where is then chance.
func (a *Analysis) choices(rows map[string][]TrialRow) []Choice {
	var out []Choice
	at := map[string]int{}
	for i := range a.Arms {
		arm := &a.Arms[i]
		if arm.Name == a.Baseline || len(rows[arm.Name]) == 0 {
			continue
		}
		key, name := choiceOf(arm, rows[arm.Name])
		if k, ok := at[key]; ok {
			out[k].Arms = append(out[k].Arms, arm.Name)
			continue
		}
		at[key] = len(out)
		out = append(out, Choice{Name: name, Arms: []string{arm.Name}})
	}
	return out
}

func choiceOf(arm *Arm, rows []TrialRow) (key, name string) {
	types := slices.Collect(maps.Keys(arm.InstanceTypes))
	if arm.draws() || len(types) != 1 || types[0] == orUnknown("") {
		return "arm " + arm.Name, typesText(arm.InstanceTypes, 3)
	}
	launch := launchOf(rows)
	return strings.Join([]string{types[0], launch.text(), strings.Join(slices.Sorted(maps.Keys(arm.Images)), ",")}, "|"), types[0]
}

// choiceFor is the choice that an arm belongs to.
func (a *Analysis) choiceFor(arm string) *Choice {
	for i := range a.Choices {
		if slices.Contains(a.Choices[i].Arms, arm) {
			return &a.Choices[i]
		}
	}
	return nil
}

// pooled are the trials of every arm of a choice.
func (c *Choice) pooled(rows map[string][]TrialRow) []TrialRow {
	var out []TrialRow
	for _, arm := range c.Arms {
		out = append(out, rows[arm]...)
	}
	return out
}

// choicesText names the choices that some arms made, such as "two choices: hpc7g.16xlarge (3 models), c7a.12xlarge (2 models)".
func (a *Analysis) choicesText(arms []*Comparison) string {
	count := map[string]int{}
	var order []string
	for _, c := range arms {
		if count[c.Choice] == 0 {
			order = append(order, c.Choice)
		}
		count[c.Choice]++
	}
	parts := make([]string, len(order))
	for i, name := range order {
		parts[i] = fmt.Sprintf("%s (%s)", name, words.Count(count[name], "model"))
	}
	words := []string{"no choice", "one choice", "two choices", "three choices", "four choices", "five choices"}
	number := fmt.Sprintf("%d choices", len(parts))
	if len(parts) < len(words) {
		number = words[len(parts)]
	}
	return number + ": " + strings.Join(parts, ", ")
}
