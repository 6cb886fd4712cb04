package hpcg

import (
	_ "embed"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/compspec/ocifit-lab/templates"
)

//go:embed published.txt
var figuresText string

// measurement is what several runs of the same thing gave.
type measurement struct {
	mean, sd float64 // rating, GFLOP/s
	seconds  float64 // execution time of one run
	n        int     // runs
}

// tag is an image tag of the study, MARCH-LEVEL.
type tag struct{ march, level string }

func (t tag) String() string { return t.march + "-" + t.level }

// parseTag reads an image tag. The arm64 images of the study's experiments carry a suffix that the measurements do not.
func parseTag(text string) tag {
	for _, suffix := range []string{"-arm64", "-arm"} {
		text = strings.TrimSuffix(text, suffix)
	}
	if i := strings.LastIndexByte(text, '-'); i >= 0 {
		return tag{text[:i], text[i+1:]}
	}
	return tag{march: text}
}

// builtFor is the architecture that an image tag was built for, or "" if that cannot be told.
func (m *matrix) builtFor(text string) string {
	if strings.HasSuffix(text, "-arm") || strings.HasSuffix(text, "-arm64") {
		return "arm64"
	}
	march, found := parseTag(text).march, ""
	for _, t := range m.types {
		for known := range t.all {
			if known.march != march {
				continue
			}
			if found != "" && found != t.Architecture {
				return ""
			}
			found = t.Architecture
			break
		}
	}
	return found
}

// typeFigures is what was published of one instance type.
type typeFigures struct {
	templates.InstanceType
	processor string       // processorOf its labels
	one       *measurement // one rank with all hardware threads
	oneTag    tag
	all       map[tag]measurement // one rank per core
}

// burstable types run at a fraction of their processor's speed, so they say nothing of other types.
func (t *typeFigures) burstable() bool { return strings.HasPrefix(t.Name, "t") }

// processorOf names the processor model of a node by its feature labels, or returns "".
func processorOf(labels map[string]string) string {
	const prefix = "feature.node.kubernetes.io/cpu-model."
	vendor, family, id := labels[prefix+"vendor_id"], labels[prefix+"family"], labels[prefix+"id"]
	if vendor == "" {
		return ""
	}
	return vendor + "." + family + "." + id
}

// matrix is all that was published.
type matrix struct {
	levels []string
	types  []*typeFigures // by name
}

func (m *matrix) find(name string) *typeFigures {
	i, ok := slices.BinarySearchFunc(m.types, name, func(t *typeFigures, name string) int { return strings.Compare(t.Name, name) })
	if !ok {
		return nil
	}
	return m.types[i]
}

var published = sync.OnceValues(func() (*matrix, error) { return parseMatrix(figuresText) })

// parseMatrix reads the layout that the head of figures.txt describes.
func parseMatrix(text string) (*matrix, error) {
	m := &matrix{}
	for i, line := range strings.Split(text, "\n") {
		if line = strings.TrimSpace(line); line == "" || line[0] == '#' {
			continue
		}
		if err := m.line(strings.Fields(line)); err != nil {
			return nil, fmt.Errorf("figures, line %d: %w", i+1, err)
		}
	}
	slices.SortFunc(m.types, func(x, y *typeFigures) int { return strings.Compare(x.Name, y.Name) })
	return m, nil
}

func (m *matrix) line(f []string) error {
	if f[0] == "levels" {
		m.levels = f[1:]
		return nil
	}
	if strings.HasPrefix(f[0], "[") {
		t, err := parseType(f)
		m.types = append(m.types, t)
		return err
	}
	if len(m.types) == 0 {
		return fmt.Errorf("%q comes before the first type", f[0])
	}
	t := m.types[len(m.types)-1]
	switch f[0] {
	case "one":
		return t.parseOne(f[1:])
	case "all":
		if len(f) != 2 || f[1] != strconv.Itoa(t.Cores) {
			return fmt.Errorf("all %v: want the number of cores, %d", f[1:], t.Cores)
		}
		t.all = map[tag]measurement{}
		return nil
	}
	if len(f) != 1+len(m.levels) {
		return fmt.Errorf("%s: %d fields, want %d", f[0], len(f), 1+len(m.levels))
	}
	for i, text := range f[1:] {
		if text == "-" {
			continue
		}
		c, err := parseMeasurement(strings.Split(text, "/"))
		if err != nil {
			return fmt.Errorf("%s: %w", f[0], err)
		}
		c.n = 3
		t.all[tag{f[0], m.levels[i]}] = c
	}
	return nil
}

func parseType(f []string) (*typeFigures, error) {
	t := &typeFigures{InstanceType: templates.InstanceType{Name: strings.Trim(f[0], "[]")}}
	_, err := fmt.Sscanf(strings.Join(f[1:], " "), "%s threads=%d cores=%d cpu=%s", &t.Architecture, &t.VCPU, &t.Cores, &t.processor)
	if err != nil {
		return t, fmt.Errorf("%s: %w", t.Name, err)
	}
	return t, nil
}

func (t *typeFigures) parseOne(f []string) error {
	if len(f) != 5 {
		return fmt.Errorf("one: %d fields, want 5", len(f))
	}
	c, err := parseMeasurement(f[1:4])
	if err != nil {
		return err
	}
	if c.n, err = strconv.Atoi(f[4]); err != nil {
		return err
	}
	t.one, t.oneTag = &c, parseTag(f[0])
	return nil
}

func parseMeasurement(f []string) (c measurement, err error) {
	if len(f) != 3 {
		return c, fmt.Errorf("%v: want mean, sd and seconds", f)
	}
	for i, into := range []*float64{&c.mean, &c.sd, &c.seconds} {
		if *into, err = strconv.ParseFloat(f[i], 64); err != nil {
			return c, err
		}
	}
	return c, nil
}
