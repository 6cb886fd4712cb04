package lab

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/compspec/ocifit-lab/provision/words"
	"github.com/compspec/ocifit-lab/templates"
)

var dnsLabel = regexp.MustCompile(`^[a-z0-9]([-a-z0-9]*[a-z0-9])?$`)

// Validate reports everything in the spec that cannot work, one problem per line.
func (s *Spec) Validate() error {
	var problems []error
	bad := func(format string, args ...any) { problems = append(problems, fmt.Errorf(format, args...)) }
	if !dnsLabel.MatchString(s.Name) || len(s.Name) > 40 {
		bad("name %q: use at most 40 lower-case letters, digits and dashes", s.Name)
	}
	if !slices.Contains(Providers, s.Provider) {
		bad("provider %q is not known%s; choose one of %s", s.Provider, didYouMean(s.Provider, Providers), strings.Join(Providers, ", "))
	}
	if s.Webhook.TieBreak != "price" && s.Webhook.TieBreak != "first" {
		bad("webhook.tieBreak %q is not known; choose price or first", s.Webhook.TieBreak)
	}
	if s.Experiment.Trials < 0 {
		bad("experiment.trials is %d; give 1 or more, or leave it out for the study's own number", s.Experiment.Trials)
	}
	if s.Sim.TimeScale < 0 {
		bad("sim.timeScale is %v; 1 is real time, 0 does not wait", s.Sim.TimeScale)
	}
	if s.Sim.NodeStart < 0 || s.Sim.ScaleDownAfter < 0 {
		bad("sim.nodeStart and sim.scaleDownAfter must not be negative")
	}
	if p := s.Sim.APIServerPort; p < 0 || p > 65535 {
		bad("sim.apiServerPort %d is not a port; 0 takes a free one", p)
	}
	for arch := range s.Artifact.Images {
		if arch != "amd64" && arch != "arm64" {
			bad("artifact.images: architecture %q is not known; use amd64 and arm64", arch)
		}
	}
	problems = append(problems, s.validateValues()...)
	problems = append(problems, s.validateGroups()...)
	problems = append(problems, s.EKS.validate()...)
	problems = append(problems, s.Kind.validate()...)
	problems = append(problems, s.Components.validate()...)
	return errors.Join(problems...)
}

func (s *Spec) validateGroups() []error {
	var problems []error
	var known []string
	for _, t := range templates.InstanceTypes() {
		known = append(known, t.Name)
	}
	if len(s.NodeGroups) == 0 {
		return []error{errors.New("nodeGroups is empty: no job could run")}
	}
	names := map[string]bool{}
	sticky := 0
	for _, g := range s.NodeGroups {
		bad := func(format string, args ...any) {
			problems = append(problems, fmt.Errorf("node group %q: "+format, append([]any{g.Name}, args...)...))
		}
		if !dnsLabel.MatchString(g.Name) || len(g.Name) > maxLabel {
			bad("use at most %d lower-case letters, digits and dashes for its name", maxLabel)
		}
		if names[g.Name] {
			bad("the name is used twice")
		}
		names[g.Name] = true
		if g.Min < 0 || g.Desired < g.Min || g.Max < g.Desired || g.Max == 0 {
			bad("min %d, desired %d, max %d: they must rise, and max must be at least 1", g.Min, g.Desired, g.Max)
		}
		if !slices.Contains(known, g.InstanceType) {
			bad("instance type %q is not in the catalogue%s", g.InstanceType, didYouMean(g.InstanceType, known))
		}
		if g.Sticky {
			sticky++
		}
	}
	if sticky != 1 {
		problems = append(problems, fmt.Errorf("%d node groups are sticky; exactly one must carry the addons", sticky))
	}
	return problems
}

// didYouMean says which of the known words a mistyped one may have meant, or nothing.
func didYouMean(word string, known []string) string {
	best := words.NearestWithin(word, known, 3)
	if best == "" {
		return ""
	}
	return fmt.Sprintf(" (did you mean %s?)", best)
}

// GroupName makes a node group's name from its instance type.
func GroupName(instanceType string) string {
	return "ng-" + strings.ReplaceAll(instanceType, ".", "-")
}
