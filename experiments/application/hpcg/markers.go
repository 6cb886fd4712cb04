package hpcg

import (
	"bytes"
	"regexp"
	"strconv"
	"strings"
)

// marker handles a line that starts with FLUX at column 0 and tells whether it was a marker.
func (p *parser) marker(b []byte) bool {
	switch {
	case bytes.HasPrefix(b, []byte("FLUX-RUN START ")):
		p.runStart(b[len("FLUX-RUN START "):])
	case bytes.HasPrefix(b, []byte("FLUX-RUN END ")):
		p.runEnd(b[len("FLUX-RUN END "):])
	case string(b) == "FLUX-RESULTS START":
		p.resultsStart()
	case string(b) == "FLUX-RESULTS END":
		p.resultsEnd()
	case bytes.HasPrefix(b, []byte("FLUX-JOB")):
		return p.jobMarker(b)
	case string(b) == "FLUX JOB STATS":
		if p.state != afterResults {
			p.misplaced(b)
		}
		p.state = inStats
	default:
		return false
	}
	return true
}

// Markers that end a line, where a program's last words had no line end of their own.
var (
	wholeMarkers = [][]byte{[]byte("FLUX-RESULTS START"), []byte("FLUX-RESULTS END"), []byte("HPCG-BENCHMARKS"), []byte("FLUX JOB STATS")}
	namedMarker  = regexp.MustCompile(`FLUX-(?:RUN (?:START|END) \S+-\d+|JOB (?:START|END) \d+ \S+-\d+|JOB-(?:JOBSPEC|RESOURCES|EVENTLOG) (?:START|END))$`)
)

// glued is where a marker begins that ends the line, 0 when there is none or nothing before it.
func glued(b []byte) int {
	if at := bytes.Index(b, []byte("FLUX-")); at > 0 {
		if m := namedMarker.FindIndex(b); m != nil {
			return m[0]
		}
	}
	for _, m := range wholeMarkers {
		if bytes.HasSuffix(b, m) {
			return len(b) - len(m)
		}
	}
	return 0
}

func (p *parser) misplaced(b []byte) {
	p.fail(ReasonDisorder, "%q %s", clip(b), stateNames[p.state])
}

// clip keeps a line of a broken log from filling the screen.
func clip(b []byte) string {
	const most = 80
	if len(b) > most {
		return string(b[:most]) + "..."
	}
	return string(b)
}

// iteration is the number at the end of hpcg-iter-2, 0 when there is none.
func iteration(b []byte) int {
	name := string(bytes.TrimSpace(b))
	n, err := strconv.Atoi(name[strings.LastIndexByte(name, '-')+1:])
	if err != nil {
		return 0
	}
	return n
}

func (p *parser) runStart(name []byte) {
	if p.state > inRuns || p.running || iteration(name) != p.log.RunsStarted+1 {
		p.fail(ReasonDisorder, "run %q starts after %d runs, %s", clip(name), p.log.RunsStarted, stateNames[p.state])
		return
	}
	p.state, p.running = inRuns, true
	p.log.RunsStarted++
}

func (p *parser) runEnd(name []byte) {
	if !p.running || iteration(name) != p.log.RunsStarted {
		p.fail(ReasonDisorder, "run %q ends, but %d runs were started", clip(name), p.log.RunsStarted)
		return
	}
	p.running = false
	p.log.RunsEnded++
}

func (p *parser) resultsStart() {
	if p.state != inRuns || p.running {
		p.misplaced([]byte("FLUX-RESULTS START"))
		return
	}
	p.state = inStdout
}

func (p *parser) resultsEnd() {
	if p.state != inFiles {
		p.misplaced([]byte("FLUX-RESULTS END"))
		return
	}
	p.state, p.ended = afterResults, true
}

func (p *parser) jobMarker(b []byte) bool {
	rest := func(prefix string) (string, bool) {
		t, ok := bytes.CutPrefix(b, []byte(prefix))
		return string(t), ok
	}
	move := func(from, to state) {
		if p.state != from {
			p.misplaced(b)
			return
		}
		p.state = to
	}
	if name, ok := rest("FLUX-JOB START "); ok {
		move(afterResults, inJob)
		p.newJob(name)
		return true
	}
	if name, ok := rest("FLUX-JOB END "); ok {
		if p.job != nil && name != p.job.ID+" "+p.job.Name {
			p.fail(ReasonDisorder, "job %q ends inside job %q", clip([]byte(name)), p.job.ID)
		}
		move(inJob, afterResults)
		p.job = nil
		return true
	}
	switch string(b) {
	case "FLUX-JOB-JOBSPEC START":
		move(inJob, inJobspec)
	case "FLUX-JOB-RESOURCES START":
		move(inJob, inJobResources)
	case "FLUX-JOB-EVENTLOG START":
		move(inJob, inEvents)
	case "FLUX-JOB-JOBSPEC END":
		move(inJobspec, inJob)
	case "FLUX-JOB-RESOURCES END":
		move(inJobResources, inJob)
	case "FLUX-JOB-EVENTLOG END":
		move(inEvents, inJob)
	default:
		return false
	}
	return true
}

func (p *parser) newJob(name string) {
	if p.reject != nil {
		return
	}
	if len(p.log.Jobs) >= maxJobs {
		p.fail(ReasonTooLarge, "more than %d job records", maxJobs)
		return
	}
	id, job, _ := strings.Cut(name, " ")
	p.log.Jobs = append(p.log.Jobs, Job{ID: id, Name: job, Events: map[string]Event{}})
	p.job = &p.log.Jobs[len(p.log.Jobs)-1]
}
