package described

import (
	"fmt"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/hashicorp/go-multierror"
)

// Limits on what a file may ask for.
const (
	maxPattern  = 1000 // bytes of a pattern
	maxFigures  = 200
	maxPatterns = 400
)

const numberPattern = `(?P<value>[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?|[-+]?(?i:nan|inf(?:inity)?))`

// compiled is the log with its patterns ready.
type compiled struct {
	begin           *regexp.Regexp
	require, forbid []*regexp.Regexp
	figures         []figurePatterns
	parameters      []*regexp.Regexp
}

type figurePatterns struct {
	line           *regexp.Regexp
	header, column *regexp.Regexp
	value, unit    int // groups of line; unit is 0 when it catches none
}

type validator struct {
	f      *File
	faults *multierror.Error
}

func (v *validator) add(field, format string, args ...any) {
	v.faults = multierror.Append(v.faults, v.f.fault(field, format, args...))
}

func (f *File) validate() error {
	v := &validator{f: f}
	if f.APIVersion != APIVersion {
		v.add("apiVersion", "should be %s, not %q", APIVersion, f.APIVersion)
	}
	if !namePattern.MatchString(f.Name) {
		v.add("name", "%q is no name: lower-case letters, digits and dashes, at most 53 of them", f.Name)
	}
	if f.Description == "" {
		v.add("description", "say in a sentence what the application is")
	}
	if f.Log.Parser == "" {
		f.log = v.log(&f.Log)
	} else if f.Log.Begin != "" || len(f.Log.Require)+len(f.Log.Forbid)+len(f.Log.Figures)+len(f.Log.Parameters)+len(f.Log.Agree)+len(f.Log.Primary) > 0 {
		v.add("log.parser", "a parser of the program reads the log alone: leave out the rest of log, or the parser")
	}
	v.rehearsal(&f.Rehearsal)
	if v.faults == nil {
		return nil
	}
	v.faults.ErrorFormat = func(errs []error) string {
		lines := make([]string, len(errs))
		for i, err := range errs {
			lines[i] = err.Error()
		}
		return strings.Join(lines, "\n")
	}
	return v.faults
}

func (v *validator) log(l *Log) *compiled {
	c := &compiled{}
	if n := len(l.Figures); n == 0 {
		v.add("log.figures", "a log needs a figure at least, or a parser")
	} else if n > maxFigures {
		v.add("log.figures", "%d figures are more than %d", n, maxFigures)
	}
	if n := len(l.Require) + len(l.Forbid) + len(l.Parameters); n > maxPatterns {
		v.add("log", "%d patterns are more than %d", n, maxPatterns)
	}
	if l.Begin != "" {
		c.begin = v.pattern("log.begin", l.Begin)
	}
	c.require, c.forbid = v.patterns("log.require", l.Require), v.patterns("log.forbid", l.Forbid)
	names := map[string]string{}
	for i := range l.Figures {
		c.figures = append(c.figures, v.figure(fmt.Sprintf("log.figures[%d]", i), &l.Figures[i], names))
	}
	for i, p := range l.Parameters {
		field := fmt.Sprintf("log.parameters[%d]", i)
		v.name(field, p.Name, names)
		re := v.pattern(field+".pattern", p.Pattern)
		if re != nil && re.NumSubexp() == 0 {
			v.add(field+".pattern", "it has no group: write {number}, or parentheses around what to take")
		}
		c.parameters = append(c.parameters, re)
	}
	v.primary(l)
	for i, a := range l.Agree {
		v.agreement(fmt.Sprintf("log.agree[%d]", i), a, names)
	}
	return c
}

func (v *validator) name(field, name string, names map[string]string) {
	if !figurePattern.MatchString(name) {
		v.add(field+".name", "%q is no name: lower-case letters, digits and underscores, beginning with a letter", name)
		return
	}
	if first, twice := names[name]; twice {
		v.add(field+".name", "%q is the name of %s too: a figure has one unit and one pattern", name, first)
		return
	}
	names[name] = field
}

func (v *validator) patterns(field string, lines []Line) (out []*regexp.Regexp) {
	for i, l := range lines {
		out = append(out, v.pattern(fmt.Sprintf("%s[%d].pattern", field, i), l.Pattern))
	}
	return out
}

// pattern compiles a pattern. One that matches any line would count everything, so it is refused.
func (v *validator) pattern(field, text string) *regexp.Regexp {
	if text == "" {
		v.add(field, "the pattern is empty: it would match every line")
		return nil
	}
	if len(text) > maxPattern {
		v.add(field, "a pattern of %d bytes is longer than %d", len(text), maxPattern)
		return nil
	}
	re, err := regexp.Compile(strings.ReplaceAll(text, "{number}", numberPattern))
	if err != nil {
		v.add(field, "no pattern of Go's regexp: %s", strings.TrimPrefix(err.Error(), "error parsing regexp: "))
		return nil
	}
	if re.MatchString("") || re.MatchString("\x01") {
		v.add(field, "it matches every line: name some text of the line")
	}
	return re
}

func (v *validator) figure(field string, fig *Figure, names map[string]string) (p figurePatterns) {
	v.name(field, fig.Name, names)
	if !slices.Contains([]Direction{Higher, Lower, None}, fig.Direction) {
		v.add(field+".direction", "%q is no direction: write higher, lower or none", fig.Direction)
	}
	if !slices.Contains([]Combine{Last, First, Sum, Mean, Min, Max, Each}, fig.Combine) {
		v.add(field+".combine", "%q is no way to combine: write last, first, sum, mean, min, max or each", fig.Combine)
	}
	for unit, factor := range fig.Units {
		if factor <= 0 || math.IsInf(factor, 0) || math.IsNaN(factor) {
			v.add(field+".units", "%s: %v is no factor", unit, factor)
		}
	}
	switch {
	case fig.hasTable() == (fig.Pattern != ""):
		v.add(field, "a figure has a pattern or a table")
	case fig.hasTable():
		p.header, p.column = v.pattern(field+".table.header", fig.Table.Header), v.pattern(field+".table.column", fig.Table.Column)
		if fig.Combine != Last {
			v.add(field+".combine", "the rows of a table are not combined: name a row, or leave it out for all")
		}
	default:
		if p.line = v.pattern(field+".pattern", fig.Pattern); p.line == nil {
			return p
		}
		if p.value = max(0, p.line.SubexpIndex("value")); p.value == 0 && p.line.NumSubexp() > 0 {
			p.value = 1
		}
		if p.value == 0 {
			v.add(field+".pattern", "it takes no number: write {number} where the number stands")
		}
		if p.unit = max(0, p.line.SubexpIndex("unit")); p.unit == 0 && len(fig.Units) > 0 {
			v.add(field+".units", "the pattern catches no unit: write (?P<unit>...) where it stands")
		}
	}
	return p
}

func (f *Figure) hasTable() bool { return f.Table != Table{} }

func (v *validator) primary(l *Log) {
	if len(l.Primary) == 0 {
		v.add("log.primary", "name the figure of merit")
	}
	for i, name := range l.Primary {
		if !slices.ContainsFunc(l.Figures, func(f Figure) bool { return f.Name == name && (!f.hasTable() || f.Table.Row != "") }) {
			v.add(fmt.Sprintf("log.primary[%d]", i), "%q is no figure with one value", name)
		}
	}
}

func (v *validator) agreement(field string, a Agreement, names map[string]string) {
	if a.Within <= 0 || a.Within >= 1 {
		v.add(field+".within", "%v is no relative difference between 0 and 1", a.Within)
	}
	if len(a.Times) == 0 {
		v.add(field+".times", "name what the figure follows from")
	}
	for _, name := range append(append([]string{a.Figure}, a.Times...), a.Over...) {
		if _, err := strconv.ParseFloat(name, 64); err != nil && names[name] == "" {
			v.add(field, "%q is no figure, no parameter and no number", name)
		}
	}
}

func (v *validator) rehearsal(r *Rehearsal) {
	if r.Seconds < 0 || math.IsNaN(r.Seconds) || math.IsInf(r.Seconds, 0) {
		v.add("rehearsal.seconds", "%v is no time", r.Seconds)
	}
	if r.Output == "" && (len(r.Figures) > 0 || r.Seconds > 0) {
		v.add("rehearsal.output", "say what an iteration prints")
	}
	for i, fig := range r.Figures {
		field := fmt.Sprintf("rehearsal.figures[%d]", i)
		if !slices.Contains([]string{"hpcg", "traffic", "cores", "constant"}, fig.Like) {
			v.add(field+".like", "%q is none of hpcg, traffic, cores and constant", fig.Like)
		}
		if fig.Factor <= 0 || math.IsInf(fig.Factor, 0) || math.IsNaN(fig.Factor) {
			v.add(field+".factor", "%v is no factor", fig.Factor)
		}
		if fig.Spread < 0 || fig.Spread > 0.5 {
			v.add(field+".spread", "%v is not between 0 and 0.5", fig.Spread)
		}
		if !strings.Contains(r.Output, "{"+fig.Name+"}") {
			v.add(field+".name", "the output has no {%s}", fig.Name)
		}
	}
}
