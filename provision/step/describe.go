package step

import "fmt"

// Describe lists the steps in the order of a run, one line each. Lines that share a number and differ in the letter may
// run side by side: "2a. registry: start the registry". Steps that are not valid are listed as given, without numbers.
func Describe(steps []Step) []string {
	lines := make([]string, 0, len(steps))
	if Validate(steps) != nil {
		for _, s := range steps {
			lines = append(lines, s.Name+": "+s.Plan)
		}
		return lines
	}
	for i, group := range waves(steps) {
		for j, s := range group {
			mark := ""
			if len(group) > 1 {
				mark = letters(j)
			}
			lines = append(lines, fmt.Sprintf("%d%s. %s: %s", i+1, mark, s.Name, s.Plan))
		}
	}
	return lines
}

// waves groups valid steps by the length of their longest chain of needs, in the given order within each group.
func waves(steps []Step) [][]Step {
	before := needs(steps)
	depth := map[string]int{}
	var of func(name string) int
	of = func(name string) int {
		if d, ok := depth[name]; ok {
			return d
		}
		d := 0
		for _, n := range before[name] {
			d = max(d, of(n)+1)
		}
		depth[name] = d
		return d
	}
	var groups [][]Step
	for _, s := range steps {
		d := of(s.Name)
		for len(groups) <= d {
			groups = append(groups, nil)
		}
		groups[d] = append(groups[d], s)
	}
	return groups
}

// letters counts a, b, ... z, aa, ab, ...
func letters(i int) string {
	s := string(rune('a' + i%26))
	for i = i/26 - 1; i >= 0; i = i/26 - 1 {
		s = string(rune('a'+i%26)) + s
	}
	return s
}
