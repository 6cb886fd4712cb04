package playback

import (
	_ "embed"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
)

//go:embed figures.txt
var figuresText string

// cell is what several runs of the same thing gave.
type cell struct {
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
func (b *book) builtFor(text string) string {
	if strings.HasSuffix(text, "-arm") || strings.HasSuffix(text, "-arm64") {
		return "arm64"
	}
	march, found := parseTag(text).march, ""
	for _, t := range b.types {
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
	TypeFacts
	name   string
	one    *cell // one rank with all hardware threads
	oneTag tag
	all    map[tag]cell // one rank per core
}

// burstable types run at a fraction of their processor's speed, so they say nothing of other types.
func (t *typeFigures) burstable() bool { return strings.HasPrefix(t.name, "t") }

// TypeFacts is what an instance type is made of.
type TypeFacts struct {
	Architecture string // amd64 or arm64
	VCPU         int    // hardware threads
	Cores        int    // physical cores
	Processor    string // ProcessorOf its node labels; empty if not known
}

// ProcessorOf names the processor model of a node by its feature labels, or returns "".
func ProcessorOf(labels map[string]string) string {
	const prefix = "feature.node.kubernetes.io/cpu-model."
	vendor, family, id := labels[prefix+"vendor_id"], labels[prefix+"family"], labels[prefix+"id"]
	if vendor == "" {
		return ""
	}
	return vendor + "." + family + "." + id
}

type book struct {
	levels []string
	types  []*typeFigures // by name
}

func (b *book) find(name string) *typeFigures {
	i, ok := slices.BinarySearchFunc(b.types, name, func(t *typeFigures, name string) int { return strings.Compare(t.name, name) })
	if !ok {
		return nil
	}
	return b.types[i]
}

var published = sync.OnceValues(func() (*book, error) { return parseBook(figuresText) })

// parseBook reads the layout that the head of figures.txt describes.
func parseBook(text string) (*book, error) {
	b := &book{}
	for i, line := range strings.Split(text, "\n") {
		if line = strings.TrimSpace(line); line == "" || line[0] == '#' {
			continue
		}
		if err := b.line(strings.Fields(line)); err != nil {
			return nil, fmt.Errorf("figures, line %d: %w", i+1, err)
		}
	}
	slices.SortFunc(b.types, func(x, y *typeFigures) int { return strings.Compare(x.name, y.name) })
	return b, nil
}

func (b *book) line(f []string) error {
	if f[0] == "levels" {
		b.levels = f[1:]
		return nil
	}
	if strings.HasPrefix(f[0], "[") {
		t, err := parseType(f)
		b.types = append(b.types, t)
		return err
	}
	if len(b.types) == 0 {
		return fmt.Errorf("%q comes before the first type", f[0])
	}
	t := b.types[len(b.types)-1]
	switch f[0] {
	case "one":
		return t.parseOne(f[1:])
	case "all":
		if len(f) != 2 || f[1] != strconv.Itoa(t.Cores) {
			return fmt.Errorf("all %v: want the number of cores, %d", f[1:], t.Cores)
		}
		t.all = map[tag]cell{}
		return nil
	}
	if len(f) != 1+len(b.levels) {
		return fmt.Errorf("%s: %d fields, want %d", f[0], len(f), 1+len(b.levels))
	}
	for i, text := range f[1:] {
		if text == "-" {
			continue
		}
		c, err := parseCell(strings.Split(text, "/"))
		if err != nil {
			return fmt.Errorf("%s: %w", f[0], err)
		}
		c.n = 3
		t.all[tag{f[0], b.levels[i]}] = c
	}
	return nil
}

func parseType(f []string) (*typeFigures, error) {
	t := &typeFigures{name: strings.Trim(f[0], "[]")}
	_, err := fmt.Sscanf(strings.Join(f[1:], " "), "%s threads=%d cores=%d cpu=%s", &t.Architecture, &t.VCPU, &t.Cores, &t.Processor)
	if err != nil {
		return t, fmt.Errorf("%s: %w", t.name, err)
	}
	return t, nil
}

func (t *typeFigures) parseOne(f []string) error {
	if len(f) != 5 {
		return fmt.Errorf("one: %d fields, want 5", len(f))
	}
	c, err := parseCell(f[1:4])
	if err != nil {
		return err
	}
	if c.n, err = strconv.Atoi(f[4]); err != nil {
		return err
	}
	t.one, t.oneTag = &c, parseTag(f[0])
	return nil
}

func parseCell(f []string) (c cell, err error) {
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
