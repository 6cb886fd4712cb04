package described

import (
	"bytes"
	"encoding/json"
	"regexp"
	"strconv"
	"strings"
)

// frame follows what the batch script and Flux print around an application's output.
type frame struct {
	inScript bool // the echo of the batch script
	marked   bool // the runs have markers
	ended    int  // runs whose end was seen
	app      string
	planned  int // iterations that the script's loop has

	section  string // of a job record: JOBSPEC, RESOURCES, EVENTLOG or LOG
	inJobLog bool
	inJob    bool
	jobs     int
	stats    bool

	tail     string // of a log that ends in START OF JOBSPEC and START OF EVENTLOG
	jobspec  bool   // the tail's jobspec was read
	events   int
	finished bool
	ranks    int // by the jobspec
	nodes    int

	tasks      string
	cores      int
	replayed   bool
	replayText string
}

var (
	runMarker = regexp.MustCompile(`^FLUX-RUN (START|END) (\S+)$`)
	atEnd     = regexp.MustCompile(`FLUX-RUN (?:START|END) \S+-iter-[^\s"'$]+$`)
	loop      = regexp.MustCompile(`^\s*for \w+ in \{1\.\.(\d+)\}`)
	jobMarker = regexp.MustCompile(`^FLUX-JOB(?:-(JOBSPEC|RESOURCES|EVENTLOG|LOG))? (START|END)(?: |$)`)
)

// gluedMarker is where the marker of a run begins that follows a program's last words on one line; 0 when there is none.
func gluedMarker(b []byte) int {
	if bytes.Index(b, []byte("FLUX-RUN ")) <= 0 {
		return 0
	}
	if m := atEnd.FindIndex(b); m != nil {
		return m[0]
	}
	return 0
}

// cutMarker tells the beginning of a marker that no program prints.
func cutMarker(b []byte) bool {
	const shortest = 2
	text := string(b)
	return len(text) >= shortest && (strings.HasPrefix("START OF JOBSPEC", text) || strings.HasPrefix("FLUX-RUN START ", text) ||
		strings.HasPrefix("FLUX-JOB START ", text) || strings.HasPrefix("FLUX JOB STATS", text))
}

// take reads a line that belongs to the frame and tells whether it was one.
func (f *frame) take(r *reader, b []byte) bool {
	if bytes.HasPrefix(b, []byte("FLUX")) && f.marker(r, b) {
		return true
	}
	switch {
	case f.tail != "":
		return f.tailLine(r, b)
	case string(b) == "START OF JOBSPEC":
		f.tail = "jobspec"
		f.jobspec, f.finished, f.events = false, false, 0
		return true
	case string(b) == "START OF EVENTLOG":
		f.tail = "eventlog"
		return true
	case f.section == "JOBSPEC":
		f.readJobspec(b)
		return true
	case f.section == "EVENTLOG":
		f.event(r, b)
		return true
	case f.section == "RESOURCES", f.stats, f.inJob && f.section == "":
		return true
	case f.inScript:
		f.scriptLine(b)
		return true
	case bytes.HasPrefix(b, []byte("#!")) && !f.marked && len(r.runs) == 0 || bytes.HasPrefix(b, []byte("#!/bin/bash")) && !f.marked:
		f.inScript = true
		return true
	case !f.marked && f.resource(b):
		return true
	}
	return false
}

func (f *frame) marker(r *reader, b []byte) bool {
	if m := runMarker.FindSubmatch(b); m != nil {
		f.inScript = false
		if string(m[1]) == "START" {
			f.start(r, string(m[2]))
		} else {
			f.end(r, string(m[2]))
		}
		return true
	}
	if m := jobMarker.FindSubmatch(b); m != nil && !f.inScript {
		f.jobMarker(r, string(m[1]), string(m[2]) == "START", b)
		return true
	}
	if string(b) == "FLUX JOB STATS" && !f.inScript {
		f.stats = true
		return true
	}
	return false
}

func (f *frame) start(r *reader, name string) {
	if !f.marked {
		f.marked = true
		r.runs, r.current = nil, nil // what came before the first marker was no run
	}
	if f.jobs > 0 || f.stats {
		r.fail("interleaved", "line %d: a run starts after the job records", r.n)
		return
	}
	if r.current != nil {
		if r.failure != "" {
			return
		}
		r.fail("interleaved", "line %d: run %s starts inside run %s", r.n, name, r.current.name)
		return
	}
	app, number := split(name)
	if f.app == "" {
		f.app = app
	} else if app != f.app {
		r.fail("mixed", "line %d: a run of %s in a log of %s", r.n, app, f.app)
		return
	}
	if number > 0 && number != len(r.runs)+1 {
		r.fail("interleaved", "line %d: run %s starts after %d runs", r.n, name, len(r.runs))
		return
	}
	r.open(name, r.n)
}

func (f *frame) end(r *reader, name string) {
	if r.current == nil || r.current.name != name {
		r.fail("interleaved", "line %d: run %s ends, and is not the one that started", r.n, name)
		return
	}
	r.current = nil
	f.ended++
}

// split takes the name of a run apart: the application and the number of the iteration, 0 when that is no number.
func split(name string) (app string, number int) {
	app, rest, _ := strings.Cut(name, "-iter-")
	number, _ = strconv.Atoi(rest)
	return app, number
}

func (f *frame) jobMarker(r *reader, section string, start bool, b []byte) {
	if section == "" {
		f.inJob = start
		f.section = ""
		if start {
			f.jobs++
		}
		return
	}
	if section == "LOG" {
		r.current, f.inJobLog = nil, start
		f.section = ""
		if start {
			fields := strings.Fields(string(b))
			f.section = "LOG"
			r.open(strings.Join(fields[2:], " "), r.n)
		}
		return
	}
	f.section = ""
	if start {
		f.section = section
	}
}

// tailLine reads what follows START OF JOBSPEC; a line that is no JSON is the next log's.
func (f *frame) tailLine(r *reader, b []byte) bool {
	b = bytes.TrimSpace(b)
	switch {
	case string(b) == "START OF EVENTLOG":
		if !f.jobspec {
			r.fail("truncated", "line %d: the jobspec before it is missing", r.n)
		}
		f.tail = "eventlog"
		return true
	case string(b) == "START OF JOBSPEC":
		r.fail("interleaved", "line %d: a jobspec inside another record", r.n)
		return true
	case b[0] == '{':
		if f.tail == "jobspec" {
			f.readJobspec(b)
			f.jobspec = json.Valid(b)
		} else {
			f.event(r, b)
		}
		return true
	case f.tail == "eventlog" && f.finished:
		f.tail = ""
		r.current = nil
		return false
	}
	r.fail("truncated", "line %d: flux's record of the job is broken: %s", r.n, clip(b))
	return true
}

func (f *frame) readJobspec(b []byte) {
	var spec struct {
		Resources []resource `json:"resources"`
		Tasks     []struct {
			Count struct {
				PerSlot int `json:"per_slot"`
				Total   int `json:"total"`
			} `json:"count"`
		} `json:"tasks"`
	}
	if json.Unmarshal(b, &spec) != nil || len(spec.Tasks) == 0 {
		return
	}
	nodes, slots := count(spec.Resources)
	if f.nodes == 0 {
		f.nodes = nodes
	}
	if f.ranks == 0 {
		if f.ranks = spec.Tasks[0].Count.Total; f.ranks == 0 {
			f.ranks = slots * spec.Tasks[0].Count.PerSlot
		}
	}
}

type resource struct {
	Type  string          `json:"type"`
	Count json.RawMessage `json:"count"`
	With  []resource      `json:"with"`
}

// count is the number of nodes and of task slots, 0 when the request does not tell.
func count(request []resource) (nodes, slots int) {
	n := 1
	for len(request) > 0 {
		r := request[0]
		c, err := strconv.Atoi(string(r.Count))
		if err != nil || c < 0 || c > 1<<24 {
			return nodes, 0
		}
		n = min(n*c, 1<<30)
		if r.Type == "node" {
			nodes = c
		}
		if r.Type == "slot" {
			return nodes, n
		}
		request = r.With
	}
	return nodes, 0
}

// event reads a line of a job's event log.
func (f *frame) event(r *reader, b []byte) {
	var e struct {
		Name    string `json:"name"`
		Context struct {
			Status   int    `json:"status"`
			ExitCode int    `json:"exitcode"`
			Signaled int    `json:"signaled"`
			Type     string `json:"type"`
			Note     string `json:"note"`
			Severity *int   `json:"severity"`
		} `json:"context"`
	}
	if err := json.Unmarshal(b, &e); err != nil {
		if f.tail != "" {
			r.fail("truncated", "line %d: an event of the job is cut: %s", r.n, clip(b))
		}
		return
	}
	f.events++
	switch e.Name {
	case "done", "clean":
		f.finished = true
	case "exception":
		if e.Context.Severity == nil || *e.Context.Severity == 0 {
			r.fail("failed-job", "line %d: flux stopped the job: %s", r.n, strings.TrimSpace(e.Context.Type+" "+e.Context.Note))
		}
	case "complete", "finish":
		if status := e.Context.Status; status != 0 {
			r.fail("failed-job", "line %d: flux says that the job ended with %s", r.n, waitStatus(status))
		}
	case "shell.task-exit":
		if e.Context.ExitCode != 0 || e.Context.Signaled != 0 {
			code := e.Context.ExitCode
			if e.Context.Signaled != 0 {
				code = 128 + e.Context.Signaled
			}
			r.fail("failed-job", "line %d: a task ended with %s", r.n, exitText(code))
		}
	}
}

func (f *frame) resource(b []byte) bool {
	w := strings.Fields(string(b))
	if len(w) >= 4 && w[0] == "STATE" && w[2] == "NCORES" {
		return true
	}
	if len(w) < 4 || w[0] != "free" && w[0] != "allocated" && w[0] != "down" {
		return false
	}
	n, err := strconv.Atoi(w[2])
	if err != nil {
		return false
	}
	if w[0] != "down" {
		f.cores += n
	}
	return true
}

// scriptLine reads the echo of the batch script, which repeats the markers inside echo commands.
func (f *frame) scriptLine(b []byte) {
	if text, ok := bytes.CutPrefix(b, []byte("# REPLAY")); ok {
		f.replayed, f.replayText = true, strings.TrimLeft(string(text), ": ")
		return
	}
	text := strings.TrimSpace(string(b))
	switch {
	case strings.HasPrefix(text, "STATE ") && strings.Contains(text, "NCORES"):
		f.inScript = false
	case strings.HasPrefix(text, "flux run ") && f.tasks == "":
		f.tasks = tasksOf(text)
	case loop.MatchString(text) && f.planned == 0:
		f.planned, _ = strconv.Atoi(loop.FindStringSubmatch(text)[1])
	}
}

// tasksOf returns the value of -n, which may be a shell expression with blanks.
func tasksOf(launch string) string {
	_, after, ok := strings.Cut(launch, " -n ")
	if !ok {
		return ""
	}
	after = strings.TrimSpace(after)
	if strings.HasPrefix(after, "$(") {
		depth := 0
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
	value, _, _ := strings.Cut(after, " ")
	return value
}
