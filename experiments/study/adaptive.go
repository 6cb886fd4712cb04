package study

import (
	"fmt"
	"slices"
	"strings"
)

// Adaptive is a search for the best instance type: some types are measured, then the one of which most is expected for a dollar, until it is
// unlikely that another one is better. What was measured becomes a model.
type Adaptive struct {
	// Model is the name by which arms ask for what was learnt: "learnt" if left out.
	Model string `yaml:"model" json:"model"`
	// Figure is what is learnt: a figure of the log by its name. Empty is the application's figure of merit.
	Figure string `yaml:"figure" json:"figure,omitempty"`
	// Direction is maximize or minimize. Empty is what the figure of merit wants.
	Direction string `yaml:"direction" json:"direction,omitempty"`
	// Tasks is the launch policy of the trials that measure: "cores" if left out.
	Tasks string `yaml:"tasks" json:"tasks"`
	// Trials are run on each type that is measured: 1 if left out.
	Trials int `yaml:"trials" json:"trials"`
	// First types are measured before the search has a say: spread out over what the types are like; 4 if left out.
	First int `yaml:"first" json:"first"`
	// Most types are measured; 0 is no limit.
	Most int `yaml:"most" json:"most"`
	// Improvement is by how much a type has to be better than the best one to count, as a share: 0.05 if left out.
	Improvement float64 `yaml:"improvement" json:"improvement"`
	// Doubt ends the search when the probability that any type is better by that much is below it: 0.05 if left out.
	Doubt float64 `yaml:"doubt" json:"doubt"`
}

func (a *Adaptive) setDefaults(s *Study) {
	setDefault(s, "adaptive.model", &a.Model, "learnt")
	setDefault(s, "adaptive.tasks", &a.Tasks, TasksCores)
	setDefault(s, "adaptive.trials", &a.Trials, 1)
	setDefault(s, "adaptive.first", &a.First, 4)
	setDefault(s, "adaptive.improvement", &a.Improvement, 0.05)
	setDefault(s, "adaptive.doubt", &a.Doubt, 0.05)
}

func (s *Study) validateAdaptive(add func(field, format string, args ...any)) {
	a := s.Adaptive
	if a == nil {
		return
	}
	if !endpointPattern.MatchString(a.Model) || a.Model == RandomModel {
		add("adaptive.model", "%q is no name for what is learnt", a.Model)
	}
	if a.Figure != "" && !endpointPattern.MatchString(a.Figure) {
		add("adaptive.figure", "%q is no figure of a log", a.Figure)
	}
	switch {
	case a.Direction != "" && a.Direction != "maximize" && a.Direction != "minimize":
		add("adaptive.direction", "%q is no direction: write maximize or minimize", a.Direction)
	case (a.Direction == "") != (a.Figure == ""):
		add("adaptive.direction", "a figure and its direction belong together: give both, or none for the figure of merit")
	}
	if err := checkTasks(a.Tasks); err != nil {
		add("adaptive.tasks", "%v", err)
	}
	if a.Trials < 1 || a.Trials > 1000 {
		add("adaptive.trials", "%d is not between 1 and 1000", a.Trials)
	}
	if a.First < 2 {
		add("adaptive.first", "%d: a search needs two types to begin with", a.First)
	}
	if a.Most != 0 && a.Most < a.First {
		add("adaptive.most", "%d is less than the %d types that are measured first", a.Most, a.First)
	}
	if !(a.Improvement > 0 && a.Improvement < 1) {
		add("adaptive.improvement", "%v ends no search: give a share such as 0.05", a.Improvement)
	}
	if !(a.Doubt > 0 && a.Doubt < 1) {
		add("adaptive.doubt", "%v ends no search: give a probability such as 0.05", a.Doubt)
	}
	if !slices.ContainsFunc(s.Arms, func(arm Arm) bool { return arm.Model == a.Model }) {
		add("adaptive.model", "no arm asks for %s: what is learnt would not be put to the test", a.Model)
	}
}

// Measuring is the study of the search: an arm for each of the types, of which the search runs those that it wants to know.
func (s *Study) Measuring(types []string) *Study {
	m := *s
	m.Name = s.Name + "-measure"
	m.Description = fmt.Sprintf("What study %s measures before it chooses.", s.Name)
	m.Adaptive, m.Baseline, m.Looks, m.Arms = nil, "", nil, nil
	m.Repeats, m.Order, m.Warmup, m.FreshNodes = s.Adaptive.Trials, Sequential, 0, false
	for _, t := range types {
		m.Arms = append(m.Arms, Arm{Name: ArmOf(t), Model: RandomModel, InstanceType: t, Tasks: s.Adaptive.Tasks})
	}
	return &m
}

// ArmOf is the name of the arm that measures an instance type.
func ArmOf(instanceType string) string {
	return strings.ToLower(strings.ReplaceAll(instanceType, ".", "-"))
}
