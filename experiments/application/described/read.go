package described

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"math"
	"regexp"
	"strconv"
	"strings"

	"github.com/compspec/ocifit-lab/experiments/application"
)

// Limits on what is read and kept of a log.
const (
	maxLine    = 64 << 10 // beyond which a line is cut; only flux's records have longer ones, and they may be maxRecord
	maxRecord  = 4 << 20
	maxBytes   = 2 << 30
	maxMatches = 100_000 // of one pattern
	maxRuns    = 10_000
)

// Reading is what a log says.
type Reading struct {
	Runs       []Run
	Parameters map[string]string
	Primary    string // name of the figure of merit
	Tasks      string // -n of the launch command, as written
	Cores      int    // physical cores that flux saw
	Replayed   bool
	ReplayText string
	Matches    []Match // which line gave what, in the log's order
}

// Run is one iteration.
type Run struct {
	Name    string // as its marker calls it, empty without one
	Figures map[string][]float64
}

// Match is one line that was read.
type Match struct {
	Line int
	What string // figure, parameter or rule
	Text string // as it stands in the log
}

// run is an iteration while it is read.
type run struct {
	name       string
	line       int         // where it began
	begins     int         // first lines of programs
	values     [][]float64 // of each figure
	digits     []float64   // the largest relative error of each figure that its printed digits allow
	tables     []table     // of each figure with a table
	required   []int
	parameters []string
	empty      bool
}

type table struct {
	column int
	keys   []string
	values []float64
	open   bool
}

type reader struct {
	f          *File
	frame      frame
	runs       []*run
	jobRuns    []*run // what flux printed of jobs that ran in the background
	current    *run
	matches    []Match
	n          int
	text       bool
	unended    bool     // the line has no end: the log may be cut in it
	rules      [128]int // lengths of lines drawn of one character, by that
	reject     *application.Rejection
	failure    string // how the launcher says that a program failed
	failedLine int
	words      string // what else tells of a failure
}

// Read reads a log to its end. A log that is not that of so many complete iterations (0: as many as it shows) gives an
// *application.Rejection, and beside it what was read, for looking at only.
func (f *File) Read(in io.Reader, iterations int) (*Reading, error) {
	if f.log == nil {
		return nil, fmt.Errorf("application %s: its log is read by the parser %s", f.Name, f.Log.Parser)
	}
	r := &reader{f: f}
	if err := r.scan(in); err != nil {
		return nil, err
	}
	if r.reject == nil {
		r.finish(iterations)
	}
	out := r.reading()
	if r.reject != nil {
		return out, r.reject
	}
	return out, nil
}

func (r *reader) scan(in io.Reader) error {
	limited := &io.LimitedReader{R: application.Text(in), N: maxBytes + 1}
	lines := bufio.NewReaderSize(limited, 64<<10)
	var long []byte
	for r.reject == nil {
		part, err := lines.ReadSlice('\n')
		if err == bufio.ErrBufferFull || len(long) > 0 {
			if len(long) < maxRecord {
				long = append(long, part...)
			}
			if err == bufio.ErrBufferFull {
				continue
			}
			part = long
		}
		if len(part) > 0 {
			r.n++
			r.unended = part[len(part)-1] != '\n'
			r.physical(part)
		}
		long = long[:0]
		if err == io.EOF {
			break
		}
		if err != nil {
			return &application.Rejection{Reason: "read-error", Detail: fmt.Sprintf("line %d: %v", r.n, err), Err: err}
		}
	}
	if limited.N <= 0 {
		r.fail("too-large", "the log has more than %d bytes", maxBytes)
	}
	return nil
}

func (r *reader) fail(reason, format string, args ...any) {
	if r.reject == nil {
		r.reject = &application.Rejection{Reason: reason, Detail: fmt.Sprintf(format, args...)}
	}
}

// physical reads a line of the file. A carriage return in it ends a line too, for programs show their progress with it.
func (r *reader) physical(b []byte) {
	if bytes.IndexByte(b, 0) >= 0 {
		r.fail("binary", "line %d has NUL bytes", r.n)
		return
	}
	for part := range bytes.SplitSeq(bytes.TrimRight(b, "\r\n"), []byte("\r")) {
		part = application.Plain(part)
		if len(bytes.TrimSpace(part)) == 0 {
			continue
		}
		r.text = true
		if at := gluedMarker(part); at > 0 && !r.frame.inScript {
			r.line(part[:at])
			part = part[at:]
		}
		r.line(part)
	}
}

func (r *reader) line(b []byte) {
	if r.frame.take(r, b) || r.reject != nil {
		return
	}
	r.launcher(b)
	if r.unended && cutMarker(b) {
		r.fail("truncated", "the log ends in line %d, inside a marker: %s", r.n, clip(b))
		return
	}
	if r.ruleCut(b) {
		r.fail("truncated", "the log ends in line %d, inside a rule of %q", r.n, b[:1])
		return
	}
	if r.current == nil {
		if r.frame.marked {
			return // between the runs
		}
		r.open("", r.n)
	}
	if len(b) > maxLine {
		b = b[:maxLine]
	}
	r.output(b)
}

// ruleCut tells whether the log ends inside a line that is drawn of one character, as programs put between parts of their output. How long
// such a line is, an earlier one shows.
func (r *reader) ruleCut(b []byte) bool {
	if bytes.ContainsFunc(b, func(c rune) bool { return c != rune(b[0]) }) || !bytes.ContainsAny(b[:1], "-=*#_+~") {
		return false
	}
	if !r.unended {
		r.rules[b[0]] = max(r.rules[b[0]], len(b))
	}
	return r.unended && len(b) < r.rules[b[0]]
}

var launcherLine = regexp.MustCompile(`^(?:flux-job|flux-run|flux-shell|flux-broker|flux-submit|srun|slurmstepd|mpirun|mpiexec|mpiexec\.hydra|prterun|prun|orterun|=+ +EXIT|\s*Primary job|\d+\.\d+s: )`)

// launcher remembers how a launcher says that a program failed.
func (r *reader) launcher(b []byte) {
	why := application.Failure(b)
	if why == "" {
		return
	}
	if r.words == "" {
		r.words = fmt.Sprintf("%s (line %d)", why, r.n)
	}
	if launcherLine.Match(b) && (r.failure == "" || strings.HasPrefix(why, "exit code") && !strings.HasPrefix(r.failure, "exit code")) {
		r.failure, r.failedLine = why, r.n
	}
}

// open begins an iteration.
func (r *reader) open(name string, line int) {
	if len(r.runs)+len(r.jobRuns) >= maxRuns {
		r.fail("too-large", "more than %d iterations", maxRuns)
	}
	l := &r.f.Log
	r.current = &run{
		name: name, line: line, empty: true, values: make([][]float64, len(l.Figures)), digits: make([]float64, len(l.Figures)), tables: make([]table, len(l.Figures)),
		required: make([]int, len(l.Require)), parameters: make([]string, len(l.Parameters)),
	}
	if r.frame.inJobLog {
		r.jobRuns = append(r.jobRuns, r.current)
		return
	}
	r.runs = append(r.runs, r.current)
}

// output reads a line that the application printed.
func (r *reader) output(b []byte) {
	c := r.f.log
	if c.begin != nil && c.begin.Match(b) {
		if r.current.begins > 0 && !r.frame.marked && !r.sideBySide() {
			r.open("", r.n)
		}
		r.current.begins++
		r.current.empty = false
	}
	for i, re := range c.forbid {
		if re.Match(b) {
			means := r.f.Log.Forbid[i].Means
			if means == "" {
				means = "a complete log has no such line"
			}
			r.fail("forbidden", "line %d: %s: %s", r.n, means, clip(b))
			return
		}
	}
	for i, re := range c.require {
		if re.Match(b) {
			r.current.required[i]++
			r.current.empty = false
			r.note("required", b)
		}
	}
	for i, re := range c.parameters {
		if m := re.FindSubmatch(b); m != nil && r.current.parameters[i] == "" {
			r.current.parameters[i] = strings.TrimSpace(string(m[max(1, re.SubexpIndex("value"))]))
			r.note(r.f.Log.Parameters[i].Name, b)
		}
	}
	for i := range c.figures {
		if c.figures[i].line != nil {
			r.figure(i, b)
		} else {
			r.row(i, b)
		}
	}
}

// sideBySide tells that programs of this kind print at the same time, so that the first line of one does not end another.
func (r *reader) sideBySide() bool {
	for _, fig := range r.f.Log.Figures {
		if fig.Combine == Each || fig.Combine == Sum {
			return true
		}
	}
	return false
}

func (r *reader) note(what string, b []byte) {
	if len(r.matches) < maxMatches {
		r.matches = append(r.matches, Match{Line: r.n, What: what, Text: clip(b)})
	}
}

func (r *reader) figure(i int, b []byte) {
	p, fig := &r.f.log.figures[i], &r.f.Log.Figures[i]
	at := p.line.FindSubmatchIndex(b)
	if at == nil {
		return
	}
	if r.unended && at[2*p.value+1] == len(b) {
		r.cut(fig.Name)
		return
	}
	m := groups(b, at)
	v, err := strconv.ParseFloat(string(m[p.value]), 64)
	if err != nil || math.IsNaN(v) || math.IsInf(v, 0) {
		r.fail("bad-number", "line %d: %s is %q", r.n, fig.Name, clip(m[p.value]))
		return
	}
	if p.unit > 0 && string(m[p.unit]) != fig.Unit {
		factor, known := fig.Units[string(m[p.unit])]
		if !known {
			r.fail("unit", "line %d: %s has the unit %q, which is not %s nor among its units", r.n, fig.Name, clip(m[p.unit]), fig.Unit)
			return
		}
		v *= factor
	}
	if len(r.current.values[i]) >= maxMatches {
		r.fail("too-many", "more than %d lines give %s: its pattern matches too much", maxMatches, fig.Name)
		return
	}
	r.current.values[i] = append(r.current.values[i], v)
	r.current.digits[i] = max(r.current.digits[i], printedError(string(m[p.value])))
	r.current.empty = false
	r.note(fig.Name, b)
}

// cut refuses a number at the very end of the log, for it may have had more digits.
func (r *reader) cut(name string) {
	r.fail("truncated", "the log ends in line %d, in the number that is %s", r.n, name)
}

func groups(b []byte, at []int) [][]byte {
	out := make([][]byte, len(at)/2)
	for i := range out {
		if at[2*i] >= 0 {
			out[i] = b[at[2*i]:at[2*i+1]]
		}
	}
	return out
}

// printedError is the relative error that the digits of a printed number allow: half of the last one.
func printedError(text string) float64 {
	mantissa, _, _ := strings.Cut(strings.ToLower(strings.TrimLeft(text, "+-")), "e")
	digits, point := 0.0, false
	for _, c := range mantissa {
		switch {
		case c == '.':
			point = true
		case c >= '0' && c <= '9':
			if digits = digits*10 + float64(c-'0'); digits > 1e15 {
				return 0
			}
		}
	}
	if digits == 0 || !point {
		return 0
	}
	return 0.5 / digits
}

var blanks = regexp.MustCompile(`\s{2,}|\t`)

// row reads a line of a table, or its line of headers.
func (r *reader) row(i int, b []byte) {
	p, fig, t := &r.f.log.figures[i], &r.f.Log.Figures[i], &r.current.tables[i]
	if p.header.Match(b) {
		if len(t.keys) > 0 {
			r.fail("interleaved", "line %d: the table of %s begins a second time in one iteration", r.n, fig.Name)
			return
		}
		for at, name := range headers(string(b)) {
			if p.column.MatchString(name) {
				t.column, t.open = at, true
				r.current.empty = false
				return
			}
		}
		r.fail("column", "line %d: the table has no column %q: %s", r.n, fig.Table.Column, clip(b))
		return
	}
	if !t.open {
		return
	}
	f := strings.Fields(string(b))
	if len(f) <= t.column {
		return
	}
	key, err := strconv.ParseFloat(f[0], 64)
	if err != nil {
		return // a remark among the rows
	}
	v, err := strconv.ParseFloat(f[t.column], 64)
	if err != nil {
		return
	}
	if r.unended && t.column == len(f)-1 {
		r.cut(fig.Name)
		return
	}
	if math.IsNaN(v) || math.IsInf(v, 0) {
		r.fail("bad-number", "line %d: %s is %q", r.n, fig.Name, clip([]byte(f[t.column])))
		return
	}
	if n := len(t.keys); n > 0 {
		if before, _ := strconv.ParseFloat(t.keys[n-1], 64); key <= before {
			r.fail("interleaved", "line %d: row %s comes after row %s", r.n, f[0], t.keys[n-1])
			return
		}
	}
	if len(t.keys) >= maxMatches {
		r.fail("too-many", "the table of %s has more than %d rows", fig.Name, maxMatches)
		return
	}
	t.keys, t.values = append(t.keys, f[0]), append(t.values, v)
	if fig.Table.Row == "" || fig.Table.Row == f[0] {
		r.note(fig.Name, b)
	}
}

// headers are the names of a table's columns; a comment sign before the first is none.
func headers(line string) []string {
	return blanks.Split(strings.TrimSpace(strings.TrimLeft(strings.TrimSpace(line), "#")), -1)
}

func clip(b []byte) string {
	const most = 160
	b = bytes.TrimSpace(b)
	if len(b) > most {
		return string(bytes.ToValidUTF8(b[:most], nil)) + "..."
	}
	return string(bytes.ToValidUTF8(b, nil))
}
