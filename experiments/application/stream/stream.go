// Package stream reads the log of a STREAM trial: the memory-bandwidth benchmark, printed once for each iteration between run markers.
package stream

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"
)

// Log is what a trial's log says.
type Log struct {
	Replayed   bool
	ReplayText string
	Tasks      string // the value of -n in the launch command
	Cores      int    // physical cores that flux saw
	Reports    []Report
}

// Report is what one run of STREAM printed. Rates are in MB/s (1e6 bytes), times in seconds.
type Report struct {
	ElementBytes int
	ArraySize    int64
	Times        int // how often each kernel ran
	Threads      int // that took part
	Copy         Kernel
	Scale        Kernel
	Add          Kernel
	Triad        Kernel
	Validated    bool
}

// Kernel is a line of the result table.
type Kernel struct {
	BestRate, Avg, Min, Max float64
}

// Rejection says why a log does not count. Reasons are stable names.
type Rejection struct {
	Reason string
	Line   int
	Detail string
	Err    error
}

func (r *Rejection) Error() string {
	return fmt.Sprintf("%s at line %d: %s", r.Reason, r.Line, r.Detail)
}

// Unwrap returns the error of the reader.
func (r *Rejection) Unwrap() error { return r.Err }

// Limits on what is believed and kept.
const (
	maxLine = 1 << 20
	maxRate = 1e9 // MB/s
	maxRuns = 100000
)

type parser struct {
	log     *Log
	n       int
	script  bool // inside the echo of the batch script
	started int
	run     *Report // the open run
	inJobs  bool
	stats   bool
	sawText bool
}

// Parse reads a log to its end. A log that is not that of a complete trial with so many iterations (0: as many as it has) gives a
// *Rejection.
func Parse(r io.Reader, iterations int) (*Log, error) {
	p := &parser{log: &Log{}}
	lines := bufio.NewScanner(r)
	lines.Buffer(make([]byte, 32<<10), maxLine)
	for lines.Scan() {
		p.n++
		if rej := p.line(lines.Bytes()); rej != nil {
			return p.log, rej
		}
	}
	if err := lines.Err(); errors.Is(err, bufio.ErrTooLong) {
		return p.log, p.reject("too-large", "a line of more than %d bytes", maxLine)
	} else if err != nil {
		return p.log, &Rejection{Reason: "read-error", Line: p.n, Detail: err.Error(), Err: err}
	}
	if rej := p.finish(iterations); rej != nil {
		return p.log, rej
	}
	return p.log, nil
}

func (p *parser) reject(reason, format string, args ...any) *Rejection {
	return &Rejection{Reason: reason, Line: p.n, Detail: fmt.Sprintf(format, args...)}
}

func (p *parser) line(b []byte) *Rejection {
	if bytes.IndexByte(b, 0) >= 0 {
		return p.reject("binary", "the log has NUL bytes")
	}
	line := string(bytes.TrimRight(b, "\r"))
	if line == "" {
		return nil
	}
	p.sawText = true
	switch {
	case strings.HasPrefix(line, "#!") && p.started == 0:
		p.script = true
	case strings.HasPrefix(line, "FLUX-RUN START "):
		if p.run != nil || p.inJobs || iteration(line) != p.started+1 || p.started >= maxRuns {
			return p.reject("interleaved", "%q after %d runs", line, p.started)
		}
		p.script, p.run, p.started = false, &Report{}, p.started+1
	case strings.HasPrefix(line, "FLUX-RUN END "):
		return p.end(line)
	case strings.HasPrefix(line, "FLUX-JOB START "):
		p.inJobs = true
	case line == "FLUX JOB STATS":
		p.inJobs, p.stats = true, true
	case p.run != nil:
		return p.output(line)
	case p.script:
		p.scriptLine(line)
	}
	return nil
}

func iteration(line string) int {
	n, err := strconv.Atoi(line[strings.LastIndexByte(line, '-')+1:])
	if err != nil {
		return 0
	}
	return n
}

// scriptLine reads the echo of the script, and the resource list that follows it.
func (p *parser) scriptLine(line string) {
	if text, ok := strings.CutPrefix(line, "# REPLAY"); ok {
		p.log.Replayed, p.log.ReplayText = true, strings.TrimLeft(text, ": ")
		return
	}
	f := strings.Fields(line)
	if len(f) >= 4 && (f[0] == "free" || f[0] == "allocated") {
		if cores, err := strconv.Atoi(f[2]); err == nil {
			p.log.Cores += cores
		}
		return
	}
	if strings.HasPrefix(strings.TrimSpace(line), "flux run ") {
		if _, after, ok := strings.Cut(line, " -n "); ok {
			p.log.Tasks, _, _ = strings.Cut(after, " ")
		}
	}
}

// output reads a line that STREAM printed.
func (p *parser) output(line string) *Rejection {
	r := p.run
	switch {
	case strings.HasPrefix(line, "This system uses "):
		_, err := fmt.Sscanf(line, "This system uses %d bytes per array element.", &r.ElementBytes)
		return p.badNumber(line, err)
	case strings.HasPrefix(line, "Array size = "):
		_, err := fmt.Sscanf(line, "Array size = %d", &r.ArraySize)
		return p.badNumber(line, err)
	case strings.HasPrefix(line, "Each kernel will be executed "):
		_, err := fmt.Sscanf(line, "Each kernel will be executed %d times.", &r.Times)
		return p.badNumber(line, err)
	case strings.HasPrefix(line, "Number of Threads counted = "):
		_, err := fmt.Sscanf(line, "Number of Threads counted = %d", &r.Threads)
		return p.badNumber(line, err)
	case strings.HasPrefix(line, "Solution Validates"):
		r.Validated = true
	case strings.HasPrefix(line, "Failed Validation"):
		return p.reject("invalid", "%s", line)
	}
	name, rest, ok := strings.Cut(line, ":")
	k := r.kernel(name)
	if !ok || k == nil {
		return nil
	}
	if *k != (Kernel{}) {
		return p.reject("interleaved", "%s comes twice in one run", name)
	}
	f := strings.Fields(rest)
	if len(f) != 4 {
		return p.reject("truncated", "%q has not four figures", line)
	}
	for i, to := range []*float64{&k.BestRate, &k.Avg, &k.Min, &k.Max} {
		v, err := strconv.ParseFloat(f[i], 64)
		if err != nil || math.IsNaN(v) || v < 0 || v > maxRate {
			return p.reject("bad-number", "%q", line)
		}
		*to = v
	}
	return nil
}

func (p *parser) badNumber(line string, err error) *Rejection {
	if err != nil {
		return p.reject("bad-number", "%q", line)
	}
	return nil
}

func (r *Report) kernel(name string) *Kernel {
	switch name {
	case "Copy":
		return &r.Copy
	case "Scale":
		return &r.Scale
	case "Add":
		return &r.Add
	case "Triad":
		return &r.Triad
	}
	return nil
}
