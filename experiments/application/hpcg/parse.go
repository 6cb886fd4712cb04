package hpcg

import (
	"bytes"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/compspec/ocifit-lab/experiments/application"
)

// Limits on what is kept of a log, so that a broken one of any size needs little memory.
const (
	maxNumber  = 1e15    // no figure of a result file but the operation counts comes near it
	maxRating  = 1e7     // GFLOP/s of one trial
	maxLevels  = 64      // multigrid levels
	maxExtra   = 256     // unknown lines kept per result file
	maxJobs    = 4096    // job records
	maxJobJSON = 1 << 20 // bytes of a jobspec or resource record
)

type state int

const (
	atHead state = iota
	inScript
	inResources
	inRuns
	inStdout
	inFiles
	afterResults
	inJob
	inJobspec
	inJobResources
	inEvents
	inStats
)

var stateNames = [...]string{
	"before the batch script", "in the batch script", "in the resource list", "in the runs", "in the solver output",
	"in the result files", "after the results", "in a job record", "in a jobspec", "in a job's resources", "in a job's events", "in the job statistics",
}

// Parse reads a log to its end and checks that it is the log of a complete trial with that many iterations; 0 takes the number that
// the log itself shows. A log that is not complete gives a *Rejection, and beside it whatever was read, for looking at only.
// The log is streamed: memory does not grow with its length.
func Parse(r io.Reader, iterations int) (*Log, error) {
	p := &parser{log: &Log{}, iterations: iterations}
	lines := newLineReader(r)
	for {
		line, err := lines.next()
		if err == io.EOF {
			break
		}
		p.n++
		if err != nil {
			return p.log, p.failed(err)
		}
		if p.reject == nil {
			p.line(line)
		}
		if p.reject != nil {
			break
		}
	}
	p.log.Lines = p.n
	if p.reject == nil {
		p.finish()
	}
	if p.reject != nil {
		return p.log, p.reject
	}
	return p.log, nil
}

type parser struct {
	log        *Log
	iterations int
	state      state
	n          int64
	sawText    bool
	running    bool // between FLUX-RUN START and END
	ended      bool // FLUX-RESULTS END was seen
	job        *Job
	failure    string // how a program failed, in a launcher's words
	reject     *Rejection
}

func (p *parser) fail(reason Reason, format string, args ...any) {
	if p.reject == nil {
		p.reject = &Rejection{Reason: reason, Line: p.n, Detail: fmt.Sprintf(format, args...)}
	}
}

func (p *parser) failed(err error) *Rejection {
	if err == errBinary {
		return &Rejection{Reason: ReasonBinary, Line: p.n, Detail: "the log has NUL bytes"}
	}
	return &Rejection{Reason: ReasonUnreadable, Line: p.n, Detail: err.Error(), Err: err}
}

func (p *parser) line(b []byte) {
	if len(b) == 0 {
		return
	}
	p.sawText = true
	if at := glued(b); at > 0 && p.state >= inResources {
		p.line(b[:at])
		b = b[at:]
	}
	if p.state == inFiles && b[0] != 'F' && b[0] != 'H' {
		p.keyValue(b)
		return
	}
	if b[0] == 'F' && bytes.HasPrefix(b, []byte("FLUX")) && p.marker(b) {
		return
	}
	switch p.state {
	case atHead:
		p.head(b)
	case inScript:
		p.script(b)
	case inResources:
		p.resource(b)
	case inStdout:
		p.solver(b)
	case inFiles:
		p.file(b)
	case inJobspec:
		p.keep(&p.job.Jobspec, b)
	case inJobResources:
		p.keep(&p.job.Resources, b)
	case inEvents:
		p.event(b)
	case inStats:
		p.stats(b)
	case afterResults:
		p.log.Noise++
		if t := string(b); strings.HasPrefix("FLUX-JOB START ", t) || strings.HasPrefix("FLUX JOB STATS", t) {
			p.fail(ReasonTruncated, "the log ends inside a marker, %s", stateNames[p.state])
		}
	default:
		p.noise(b)
	}
}

// noise remembers how a program failed, which explains why a log ends early.
func (p *parser) noise(b []byte) {
	p.log.Noise++
	if p.failure == "" {
		p.failure = application.Failure(b)
	}
}

// head reads what stands before the script: the two lines of hpcg.dat among whatever the container's start printed.
func (p *parser) head(b []byte) {
	switch {
	case bytes.HasPrefix(b, []byte("#!")):
		p.state = inScript
	case p.log.Local == [3]int{}:
		if d, ok := threeInts(b); ok {
			p.log.Local = d
			return
		}
		p.noise(b)
	case p.log.Seconds == 0:
		if n, err := strconv.Atoi(string(bytes.TrimSpace(b))); err == nil && n > 0 {
			p.log.Seconds = n
			return
		}
		p.noise(b)
	default:
		p.noise(b)
	}
}

// script reads the echo of the batch script. The marker words in it stand inside echo commands, never at column 0.
func (p *parser) script(b []byte) {
	if text, ok := bytes.CutPrefix(b, []byte("# REPLAY")); ok {
		p.log.Replayed = true
		p.log.ReplayText = strings.TrimLeft(string(text), ": ")
		return
	}
	t := bytes.TrimSpace(b)
	switch {
	case bytes.HasPrefix(t, []byte("flux run ")):
		p.log.Launch = string(t)
		p.log.Tasks = tasksOf(p.log.Launch)
	case bytes.HasPrefix(t, []byte("STATE ")) && bytes.Contains(t, []byte("NCORES")):
		p.state = inResources
	}
}

// tasksOf returns the value of -n, which may be a shell expression with blanks.
func tasksOf(launch string) string {
	_, after, ok := strings.Cut(launch, " -n ")
	if !ok {
		return ""
	}
	if depth := 0; strings.HasPrefix(after, "$(") {
		for i, c := range after {
			switch c {
			case '(':
				depth++
			case ')':
				if depth--; depth == 0 {
					return after[:i+1]
				}
			}
		}
	}
	value, _, _ := strings.Cut(strings.TrimSpace(after), " ")
	return value
}

func (p *parser) resource(b []byte) {
	f := strings.Fields(string(b))
	if len(f) < 4 || len(p.log.Resources) >= maxLevels {
		p.noise(b)
		return
	}
	var n [3]int
	for i := range n {
		v, err := strconv.Atoi(f[i+1])
		if err != nil || v < 0 {
			p.noise(b)
			return
		}
		n[i] = v
	}
	r := Resource{State: f[0], Nodes: n[0], Cores: n[1], GPUs: n[2]}
	if len(f) > 4 {
		r.NodeList = f[4]
	}
	p.log.Resources = append(p.log.Resources, r)
}

func threeInts(b []byte) (d [3]int, ok bool) {
	f := bytes.Fields(b)
	if len(f) != 3 {
		return d, false
	}
	for i := range f {
		n, err := strconv.Atoi(string(f[i]))
		if err != nil || n <= 0 {
			return [3]int{}, false
		}
		d[i] = n
	}
	return d, true
}
