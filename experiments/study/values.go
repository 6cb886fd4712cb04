package study

import (
	"fmt"
	"reflect"
)

// validateValues refuses chart values that say otherwise what the study says itself: they would win, the trials would run in full, and every
// result would be rejected.
func (s *Study) validateValues(add func(field, format string, args ...any)) {
	s.checkValues(add, "values", s.Values, "")
	for i, a := range s.Arms {
		s.checkValues(add, fmt.Sprintf("arms[%d].values", i), a.Values, s.ChartTasks(&a))
	}
}

// checkValues looks at one set of values; tasks is what the arm's launch policy sets, if they are an arm's.
func (s *Study) checkValues(add func(field, format string, args ...any), field string, values map[string]any, tasks string) {
	for _, own := range []struct {
		group, key string
		same       any // the value that says the same as the study; nil when none does
		instead    string
	}{
		{"experiment", "iterations", s.Iterations, "write `iterations` of the study"},
		{"experiment", "tasks", tasks, "write `tasks` of the arms"},
		{"experiment", "nodes", 1, "a trial is one node, compared with others of one node"},
		{"minicluster", "size", 1, "a trial is one node, compared with others of one node"},
		{"minicluster", "image", nil, "the webhook sets the image: write artifact.images in lab.yaml"},
	} {
		group, ok := values[own.group].(map[string]any)
		if !ok {
			continue
		}
		v, ok := group[own.key]
		if ok && (own.same == nil || !sameValue(v, own.same)) {
			add(field+"."+own.group+"."+own.key, "%v contradicts the study; %s", v, own.instead)
		}
	}
}

// sameValue compares what YAML and JSON write in different types.
func sameValue(a, b any) bool {
	return reflect.DeepEqual(a, b) || fmt.Sprint(a) == fmt.Sprint(b)
}
