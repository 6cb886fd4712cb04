package study

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/compspec/ocifit-lab/provision/yamlfile"
	"github.com/compspec/ocifit-lab/webhook/compat"
)

// Names become folders, Kubernetes labels and parts of release names.
var namePattern = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]{0,51}[a-z0-9])?$`)

// Figures are named as the models name them.
var endpointPattern = regexp.MustCompile(`^[a-z][a-z0-9_-]{0,62}$`)

const nameRule = "lower-case letters, digits and dashes, at most 53 of them"

// Validate reports every impossible setting of the study.
func (s *Study) Validate() error {
	var faults []error
	add := func(field, format string, args ...any) {
		faults = append(faults, s.fault(field, format, args...))
	}
	if s.APIVersion != APIVersion {
		add("apiVersion", "should be %s, not %q", APIVersion, s.APIVersion)
	}
	if !namePattern.MatchString(s.Name) {
		add("name", "%q is no name: %s", s.Name, nameRule)
	}
	if !namePattern.MatchString(s.Application) {
		add("application", "%q is no name: %s", s.Application, nameRule)
	}
	within := func(field string, v, lo, hi int) {
		if v < lo || v > hi {
			add(field, "%d is not between %d and %d", v, lo, hi)
		}
	}
	within("repeats", s.Repeats, 1, 100000)
	within("iterations", s.Iterations, 1, 1000)
	within("warmup", s.Warmup, 0, 1000)
	within("retries", s.Retries, 0, 100)
	if !slices.Contains([]Order{Sequential, Interleaved, Shuffle}, s.Order) {
		add("order", "%q is no order: write sequential, interleaved or shuffle", s.Order)
	}
	if s.MaxCostUSD < 0 || math.IsNaN(s.MaxCostUSD) || math.IsInf(s.MaxCostUSD, 0) {
		add("maxCost", "%v is no amount in US dollars", s.MaxCostUSD)
	}
	if !endpointPattern.MatchString(s.Endpoint) {
		add("endpoint", "%q is no figure: write own, fom, per-rank, per-dollar, time or a figure's name", s.Endpoint)
	}
	if s.FirstIteration != ReportFirst && s.FirstIteration != CountFirst {
		add("firstIteration", "%q says nothing: write report or count", s.FirstIteration)
	}
	for i, n := range s.Looks {
		if n < 2 || n >= s.Repeats || i > 0 && n <= s.Looks[i-1] {
			add(fmt.Sprintf("looks[%d]", i), "%d: looks grow, from 2 trials to fewer than the %d repeats", n, s.Repeats)
		}
	}
	s.validateDeadlines(add)
	s.validateArms(add)
	s.validateValues(add)
	s.validateAdaptive(add)
	return errors.Join(faults...)
}

func (s *Study) validateDeadlines(add func(field, format string, args ...any)) {
	for _, d := range []struct {
		field string
		v     Duration
	}{
		{"deadlines.scheduled", s.Deadlines.Scheduled},
		{"deadlines.ready", s.Deadlines.Ready},
		{"deadlines.run", s.Deadlines.Run},
		{"deadlines.removed", s.Deadlines.Removed},
	} {
		if d.v < Duration(time.Second) {
			add(d.field, "%v is shorter than a second", time.Duration(d.v))
		}
	}
}

func (s *Study) validateArms(add func(field, format string, args ...any)) {
	if len(s.Arms) == 0 {
		add("arms", "a study needs at least one arm")
	}
	seen := map[string]int{}
	for i, a := range s.Arms {
		at := fmt.Sprintf("arms[%d]", i)
		if !namePattern.MatchString(a.Name) {
			add(at+".name", "%q is no name: %s", a.Name, nameRule)
		} else if first, twice := seen[a.Name]; twice {
			add(at+".name", "%q is also the name of arms[%d]", a.Name, first)
		}
		seen[a.Name] = i
		if strings.TrimSpace(a.Model) == "" {
			add(at+".model", "the arm names no model: write %s or a model's name", RandomModel)
		}
		if o, err := compat.ParseObjective(a.Objective); err != nil {
			add(at+".objective", "%v", err)
		} else if a.Draws() && o.Aim != "" {
			add(at+".objective", "%q: a random draw makes nothing best; it can keep bounds such as usd-per-hour<=2.5", a.Objective)
		}
		if err := checkTasks(a.Tasks); err != nil {
			add(at+".tasks", "%v", err)
		}
	}
	if _, ok := s.Arm(s.Baseline); s.Baseline != "" && !ok {
		add("baseline", "%q is no arm of this study: it has %s", s.Baseline, strings.Join(s.ArmNames(), ", "))
	}
}

// CheckModels reports every arm whose model is neither random nor among the known ones.
func (s *Study) CheckModels(known []string) error {
	var faults []error
	for i, a := range s.Arms {
		if a.Model != RandomModel && !slices.Contains(known, a.Model) {
			faults = append(faults, s.fault(fmt.Sprintf("arms[%d].model", i), "no model is named %q: there are %s and %s",
				a.Model, RandomModel, strings.Join(known, ", ")))
		}
	}
	return errors.Join(faults...)
}

// fault makes an error at the line of the field, or of the nearest field above it that the file has.
func (s *Study) fault(field, format string, args ...any) error {
	return &Error{File: cmp.Or(s.file, "study"), Field: field, Line: yamlfile.Line(s.lines, field), Problem: fmt.Sprintf(format, args...)}
}
