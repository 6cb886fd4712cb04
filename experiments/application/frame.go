package application

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"time"
)

// What a trial spends outside the benchmark's own execution time, from the published container and job times.
const (
	brokerStart = 5 * time.Second        // from the container's start to the first job
	jobOverhead = 800 * time.Millisecond // set-up and validation of one run
	wrapUp      = 2700 * time.Millisecond
)

// Chunk is a part of a log that appears after the time that the program needed for it.
type Chunk struct {
	After time.Duration
	Text  []byte
}

// WriteLog writes the whole log of a rehearsed trial.
func WriteLog(w io.Writer, l Launch, r Rehearsal) error {
	chunks, err := Chunks(l, r)
	if err != nil {
		return err
	}
	for _, c := range chunks {
		if _, err := w.Write(c.Text); err != nil {
			return err
		}
	}
	return nil
}

// Chunks is the log of a rehearsed trial, in parts as they appear.
func Chunks(launch Launch, r Rehearsal) ([]Chunk, error) {
	if len(r.Runs) != launch.Iterations || launch.Ranks < 1 || launch.Nodes < 1 {
		return nil, fmt.Errorf("log of %s: %d iterations with %d runs, %d ranks on %d nodes", launch.Application, launch.Iterations, len(r.Runs), launch.Ranks, launch.Nodes)
	}
	rng := rand.New(rand.NewPCG(launch.Seed, 0x6c6f67))
	l := &frame{Launch: launch, Rehearsal: r}
	l.preamble()
	l.emit(brokerStart)
	l.resources()
	at := launch.Start.Add(brokerStart)
	jobs := make([]job, launch.Iterations)
	for i, run := range r.Runs {
		took := time.Duration(run.Seconds*float64(time.Second)) + jobOverhead
		jobs[i] = l.job(i, at, took, rng)
		at = at.Add(took)
		l.printf("FLUX-RUN START %s\n", l.runName(i))
		l.emit(took)
		l.text.Write(run.Output)
		l.printf("FLUX-RUN END %s\n", l.runName(i))
	}
	l.text.Write(r.Results)
	if launch.SaveLogs {
		if err := l.jobs(jobs); err != nil {
			return nil, err
		}
	}
	l.emit(wrapUp)
	return l.done, nil
}

// Refusal is the log of a trial whose launch is refused: it ends, and fails, at the first run or before.
func Refusal(launch Launch, r Rehearsal, reason error) []Chunk {
	l := &frame{Launch: launch, Rehearsal: r}
	if errors.Is(reason, ErrExecFormat) { // not even the script starts
		l.printf("%s%s\n%v\n", replayMark, l.ruleLine(), ErrExecFormat)
		l.emit(0)
		return l.done
	}
	if errors.Is(reason, ErrUnknown) { // what the container would do is not known
		l.printf("%s%s\nocifit-lab sim: %v\n", replayMark, l.ruleLine(), reason)
		l.emit(0)
		return l.done
	}
	l.preamble()
	l.emit(brokerStart)
	l.resources()
	l.printf("FLUX-RUN START %s\n", l.runName(0))
	if errors.Is(reason, ErrUnsatisfiable) {
		l.printf("0.012s: job.exception type=alloc severity=0 %v\n", ErrUnsatisfiable)
	} else {
		l.printf("flux-run: ERROR: %v\n", reason)
	}
	l.emit(jobOverhead)
	return l.done
}

// replayMark begins the line that says, in every log of a rehearsal, that nothing ran.
const replayMark = "# REPLAY: ocifit-lab sim, no benchmark ran; "

func (l *frame) runName(i int) string { return fmt.Sprintf("%s-iter-%d", l.Application, i+1) }

// ruleLine is the rule without line breaks, which would break the log's grammar.
func (l *frame) ruleLine() string { return strings.Join(strings.Fields(l.Rule), " ") }

// frame writes a log.
type frame struct {
	Launch
	Rehearsal
	text bytes.Buffer
	done []Chunk
	wait time.Duration
}

func (l *frame) printf(format string, args ...any) { fmt.Fprintf(&l.text, format, args...) }

// emit closes the chunk of what was printed; what follows appears only after took.
func (l *frame) emit(took time.Duration) {
	l.done = append(l.done, Chunk{l.wait, bytes.Clone(l.text.Bytes())})
	l.text.Reset()
	l.wait = took
}

// preamble is what the wait for Flux prints in the published logs, and the echo of the batch script.
func (l *frame) preamble() {
	l.printf("%s", l.Head)
	l.printf("chmod: cannot access './wait-fs': No such file or directory\nmv: cannot stat './wait-fs': No such file or directory\n")
	l.printf("#!/bin/bash\n%s%s\n", replayMark, l.ruleLine())
	l.printf("set -euo pipefail\n%sflux resource list\n\nfor i in {1..%d}\ndo\n", l.Setup, l.Iterations)
	l.printf("  echo \"FLUX-RUN START %s-iter-$i\"\n  %s\n  echo \"FLUX-RUN END %[1]s-iter-$i\"\ndone\n", l.Application, l.launch())
	if l.Collect != "" {
		l.printf("\n%s", l.Collect)
	}
	if l.SaveLogs {
		l.printf("\nflux jobs --all --no-header --format '{id.dec} {name}' | while read -r id name\ndo\n  echo\n  echo \"FLUX-JOB START $id $name\"\n")
		for _, part := range [][2]string{{"JOBSPEC", "jobspec"}, {"RESOURCES", "R"}, {"EVENTLOG", "guest.exec.eventlog"}} {
			l.printf("  echo \"FLUX-JOB-%s START\"\n  flux job info \"$id\" %s\n", part[0], part[1])
			if part[0] == "EVENTLOG" {
				l.printf("  echo\n")
			}
			l.printf("  echo \"FLUX-JOB-%s END\"\n", part[0])
		}
		l.printf("  echo \"FLUX-JOB END $id $name\"\ndone\necho \"FLUX JOB STATS\"\nflux job stats\n")
	}
	l.printf("\n")
}

// launch is the line that starts a run.
func (l *frame) launch() string {
	words := []string{"flux run", fmt.Sprintf("--job-name=%s-iter-$i", l.Application), fmt.Sprintf("-N%d", l.Nodes)}
	if l.Tasks != "" {
		words = append(words, "-n "+l.Tasks)
	}
	words = append(words, "-o cpu-affinity=per-task -o gpu-affinity=off")
	if l.Exclusive {
		words = append(words, "--exclusive")
	}
	return strings.Join(append(words, l.Command), " ")
}

func (l *frame) resources() {
	l.printf("%10s %6s %8s %8s %s\n", "STATE", "NNODES", "NCORES", "NGPUS", "NODELIST")
	row := func(state string, nodes, cores int, list string) {
		l.printf("%10s %6d %8d %8d %s\n", state, nodes, cores, 0, list)
	}
	row("free", l.Nodes, l.Nodes*l.Type.Cores, l.hosts())
	row("allocated", 0, 0, "")
	row("down", 0, 0, "")
}

func (l *frame) hosts() string {
	if l.Nodes == 1 {
		return l.Host
	}
	return fmt.Sprintf("%s[0-%d]", strings.TrimSuffix(l.Host, "0"), l.Nodes-1) // host names of a job end in the pod's index
}
