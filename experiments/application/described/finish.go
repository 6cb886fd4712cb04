package described

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/compspec/ocifit-lab/experiments/application"
)

func exitText(code int) string { return application.ExitCode(code) }

// waitStatus explains a status as wait(2) gives it.
func waitStatus(status int) string {
	if status > 255 {
		return application.ExitCode(status >> 8)
	}
	return application.ExitCode(128 + status&0x7f)
}

// finish judges a log that was read to its end.
func (r *reader) finish(iterations int) {
	f := &r.frame
	if len(r.jobRuns) > 0 && !slices.ContainsFunc(r.runs, func(one *run) bool { return !one.empty }) {
		r.runs, f.planned = r.jobRuns, 0
	}
	if !f.marked {
		r.runs = slices.DeleteFunc(r.runs, func(one *run) bool { return one.empty })
	}
	switch {
	case !r.text:
		r.fail("empty", "the log has no text")
	case r.failure != "":
		r.fail("failed-job", "line %d: the launcher says %s", r.failedLine, r.failure)
	case len(r.runs) == 0 && (f.inScript || f.tail != ""):
		r.truncated("the log ends before the application printed anything")
	case len(r.runs) == 0:
		r.fail("foreign", "no line is one of %s", r.f.Name)
	case f.marked && r.current != nil:
		r.truncated(fmt.Sprintf("the log ends inside run %s", r.current.name))
	case f.inJob || f.jobs > 0 && !f.stats:
		r.truncated("the log ends in flux's job records")
	case f.tail == "jobspec" && !f.jobspec, f.tail == "jobspec":
		r.truncated("the log ends in flux's jobspec, before the job's events")
	case f.tail == "eventlog" && !f.finished:
		r.truncated("the log ends before flux says that the job is done")
	}
	if r.reject == nil {
		r.judgeRuns()
	}
	if r.reject == nil {
		r.countRuns(iterations)
	}
}

// truncated refuses a log that stops early, with what is known of the cause.
func (r *reader) truncated(detail string) {
	if r.words != "" {
		r.fail("failed-job", "%s: %s", r.words, detail)
		return
	}
	r.fail("truncated", "%s (line %d)", detail, r.n)
}

func (r *reader) countRuns(iterations int) {
	if r.f.eachMatch() && !r.frame.marked && len(r.runs) == 1 {
		return // programs side by side, as many as printed; iterations are what they printed
	}
	want := cmp.Or(iterations, r.frame.planned)
	switch have := len(r.runs); {
	case want == 0 || have == want:
	case have < want:
		r.truncated(fmt.Sprintf("%d iterations are wanted, the log has %d", want, have))
	default:
		r.fail("iterations", "%d iterations are wanted, the log has %d", want, have)
	}
}

// eachMatch tells that every value of the primary figure is an iteration of its own.
func (f *File) eachMatch() bool {
	return slices.ContainsFunc(f.Log.Figures, func(fig Figure) bool { return fig.Combine == Each && fig.Name == f.Log.Primary[0] })
}

// judgeRuns checks that every iteration has what it must have, and settles which figure is the primary one.
func (r *reader) judgeRuns() {
	found := slices.ContainsFunc(r.runs, func(one *run) bool { return !one.empty })
	for i, one := range r.runs {
		what := fmt.Sprintf("iteration %d (from line %d)", i+1, one.line)
		if !found {
			r.truncated("no line is one of " + r.f.Name)
			return
		}
		if why := r.missing(one); why != "" {
			r.truncated(what + " " + why)
			return
		}
		if why := r.disagreement(one); why != "" {
			r.fail("inconsistent", "%s: %s", what, why)
			return
		}
	}
	primary := r.f.primaryOf(r.runs)
	if primary == "" {
		r.truncated("not every iteration has a line that gives " + strings.Join(r.f.Log.Primary, " or "))
		return
	}
	for i, one := range r.runs {
		for _, v := range r.f.valuesOf(one)[primary] {
			if r.f.figure(primary).Direction != None && v <= 0 {
				r.fail("bad-number", "iteration %d: %s is %v", i+1, primary, v)
				return
			}
		}
		for j, p := range r.f.Log.Parameters {
			if first := r.runs[0].parameters[j]; p.Same && one.parameters[j] != first {
				r.fail("unequal-runs", "iteration %d has %s %q, the first %q", i+1, p.Name, one.parameters[j], first)
				return
			}
		}
	}
}

// missing says what a complete iteration would have.
func (r *reader) missing(one *run) string {
	l := &r.f.Log
	programs := 0
	for i, fig := range l.Figures {
		n, side := len(one.values[i]), fig.Combine == Each || fig.Combine == Sum
		if fig.hasTable() {
			n = len(one.tables[i].keys)
			if fig.Table.Row != "" && !slices.Contains(one.tables[i].keys, fig.Table.Row) && !fig.Optional {
				return fmt.Sprintf("has no row %s in the table of %s", fig.Table.Row, fig.Name)
			}
		}
		if n == 0 && !fig.Optional {
			return "has no line that gives " + fig.Name
		}
		if !side || n == 0 {
			continue
		}
		if programs == 0 {
			programs = n
		}
		if n != programs {
			return fmt.Sprintf("has %d values of %s and %d of another figure: a program did not end", n, fig.Name, programs)
		}
	}
	if programs > 0 && one.begins > programs {
		return fmt.Sprintf("has %d programs that began and %d that ended", one.begins, programs)
	}
	for i, line := range l.Require {
		if have := one.required[i]; have == 0 || have < programs {
			means := cmp.Or(line.Means, "a line as "+line.Pattern)
			if have > 0 {
				return fmt.Sprintf("has %d programs and only %d times %s", programs, have, means)
			}
			return "has not " + means
		}
	}
	return ""
}

// primaryOf is the first of the file's primary figures that every run has.
func (f *File) primaryOf(runs []*run) string {
	for _, name := range f.Log.Primary {
		if !slices.ContainsFunc(runs, func(one *run) bool { return len(f.valuesOf(one)[name]) == 0 }) {
			return name
		}
	}
	return ""
}

func (f *File) figure(name string) *Figure {
	for i := range f.Log.Figures {
		if f.Log.Figures[i].Name == name {
			return &f.Log.Figures[i]
		}
	}
	return nil
}

// valuesOf are an iteration's figures, combined. A table without a row gives a figure for each of its rows.
func (f *File) valuesOf(one *run) map[string][]float64 {
	out := map[string][]float64{}
	for i, fig := range f.Log.Figures {
		if fig.hasTable() {
			t := &one.tables[i]
			for k, key := range t.keys {
				switch fig.Table.Row {
				case "":
					out[fig.Name+"_"+key] = []float64{t.values[k]}
				case key:
					out[fig.Name] = []float64{t.values[k]}
				}
			}
			continue
		}
		if v := one.values[i]; len(v) > 0 {
			out[fig.Name] = combine(fig.Combine, v)
		}
	}
	return out
}

func combine(how Combine, v []float64) []float64 {
	sum := 0.0
	for _, x := range v {
		sum += x
	}
	switch how {
	case Each:
		return v
	case First:
		return v[:1]
	case Sum:
		return []float64{sum}
	case Mean:
		return []float64{sum / float64(len(v))}
	case Min:
		return []float64{slices.Min(v)}
	case Max:
		return []float64{slices.Max(v)}
	}
	return v[len(v)-1:]
}

// disagreement names a figure that does not follow from the others as the file says.
func (r *reader) disagreement(one *run) string {
	values := r.f.valuesOf(one)
	for _, a := range r.f.Log.Agree {
		for k, have := range values[a.Figure] {
			want, ok := 1.0, true
			for _, side := range []struct {
				names []string
				power float64
			}{{a.Times, 1}, {a.Over, -1}} {
				for _, name := range side.names {
					v, known := r.term(one, values, name, k)
					ok = ok && known && v != 0
					want *= math.Pow(v, side.power)
				}
			}
			if ok && math.Abs(have-want) > (a.Within+r.digits(one, a))*math.Abs(want) {
				return fmt.Sprintf("%s is %.6g, from %s it would be %.6g", a.Figure, have, strings.Join(append(a.Times, a.Over...), ", "), want)
			}
		}
	}
	return ""
}

// digits is the relative error that the printed digits of the figures of an agreement allow.
func (r *reader) digits(one *run, a Agreement) (sum float64) {
	for i, fig := range r.f.Log.Figures {
		if fig.Name == a.Figure || slices.Contains(a.Times, fig.Name) || slices.Contains(a.Over, fig.Name) {
			sum += one.digits[i]
		}
	}
	return sum
}

func (r *reader) term(one *run, values map[string][]float64, name string, k int) (float64, bool) {
	if v, err := strconv.ParseFloat(name, 64); err == nil {
		return v, true
	}
	if v := values[name]; k < len(v) {
		return v[k], true
	}
	for i, p := range r.f.Log.Parameters {
		if p.Name == name {
			v, err := strconv.ParseFloat(one.parameters[i], 64)
			return v, err == nil
		}
	}
	return 0, false
}

// reading is what is told of the log, also of one that does not count.
func (r *reader) reading() *Reading {
	f := &r.frame
	out := &Reading{
		Parameters: map[string]string{}, Tasks: f.tasks, Cores: f.cores, Replayed: f.replayed, ReplayText: f.replayText, Matches: r.matches,
	}
	for _, one := range r.runs {
		out.Runs = append(out.Runs, Run{Name: one.name, Figures: r.f.valuesOf(one)})
		for j, p := range r.f.Log.Parameters {
			if v := one.parameters[j]; v != "" && out.Parameters[p.Name] == "" {
				out.Parameters[p.Name] = v
			}
		}
	}
	if out.Parameters["ranks"] == "" && f.ranks > 0 {
		out.Parameters["ranks"] = strconv.Itoa(f.ranks)
	}
	if out.Parameters["nodes"] == "" && f.nodes > 0 {
		out.Parameters["nodes"] = strconv.Itoa(f.nodes)
	}
	if out.Primary = r.f.primaryOf(r.runs); out.Primary == "" {
		out.Primary = r.f.Log.Primary[0] // of a log that does not count
	}
	return out
}
