package step

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/hashicorp/go-multierror"
)

var kebab = regexp.MustCompile(`^[a-z0-9]+(-[a-z0-9]+)*$`)

// Validate checks that the steps can be run: names present, unique and in kebab-case, needs known and free of cycles,
// a Run and a positive timeout everywhere. It reports all faults at once.
func Validate(steps []Step) error {
	var errs *multierror.Error
	seen := map[string]bool{}
	for i, s := range steps {
		switch {
		case s.Name == "":
			errs = multierror.Append(errs, fmt.Errorf("step number %d has no name", i+1))
			continue
		case !kebab.MatchString(s.Name):
			errs = multierror.Append(errs, fmt.Errorf("step name %q is not kebab-case", s.Name))
		case seen[s.Name]:
			errs = multierror.Append(errs, fmt.Errorf("two steps are named %q", s.Name))
		}
		seen[s.Name] = true
		if s.Run == nil {
			errs = multierror.Append(errs, fmt.Errorf("step %q has nothing to run", s.Name))
		}
		if s.Timeout <= 0 {
			errs = multierror.Append(errs, fmt.Errorf("step %q has no timeout", s.Name))
		}
	}
	for _, s := range steps {
		for _, n := range s.Needs {
			if !seen[n] {
				errs = multierror.Append(errs, fmt.Errorf("step %q needs %q, which is not among the steps", s.Name, n))
			}
		}
	}
	if c := cycle(steps); c != nil {
		errs = multierror.Append(errs, fmt.Errorf("steps need each other in a circle: %s", strings.Join(c, " needs ")))
	}
	return Listed(errs)
}

// needs gives for each step's name the names that have to be dealt with before it on the way up.
func needs(steps []Step) map[string][]string {
	before := make(map[string][]string, len(steps))
	for _, s := range steps {
		before[s.Name] = s.Needs
	}
	return before
}

// dependents is needs turned round, for the way down.
func dependents(steps []Step) map[string][]string {
	before := make(map[string][]string, len(steps))
	for _, s := range steps {
		for _, n := range s.Needs {
			before[n] = append(before[n], s.Name)
		}
	}
	return before
}

// cycle returns the names along one circle of needs, first name repeated at the end, or nil.
func cycle(steps []Step) []string {
	const (
		open = iota + 1
		closed
	)
	before := needs(steps)
	state := map[string]int{}
	var path []string
	var visit func(name string) []string
	visit = func(name string) []string {
		switch state[name] {
		case closed:
			return nil
		case open:
			return append(slices.Clone(path[slices.Index(path, name):]), name)
		}
		state[name] = open
		path = append(path, name)
		for _, n := range before[name] {
			if c := visit(n); c != nil {
				return c
			}
		}
		path = path[:len(path)-1]
		state[name] = closed
		return nil
	}
	for _, s := range steps {
		if c := visit(s.Name); c != nil {
			return c
		}
	}
	return nil
}
