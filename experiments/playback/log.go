package playback

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"strconv"
	"strings"
	"time"
)

// What a trial spends outside the benchmark's own execution time, from the published container and job times.
const (
	brokerStart = 5 * time.Second        // from the container's start to the first job
	jobOverhead = 800 * time.Millisecond // set-up and validation of one run
	wrapUp      = 2700 * time.Millisecond
)

// Spec is all that a trial's log is made from.
type Spec struct {
	Name         string // application, which names the runs: hpcg or stream
	Host         string // of the first pod
	Command      string // /opt/hpcg/xhpcg
	Iterations   int
	Nodes        int
	Tasks        string // -n of flux run as it was given; empty: none
	Ranks        int    // that Tasks came to, over all nodes
	Threads      int    // of each rank
	ThreadsGiven string // OMP_NUM_THREADS of STREAM as it was given; empty: one per core
	Cores        int    // physical, of one node
	Local        [3]int // grid of one rank
	Seconds      int    // that HPCG is told to aim at
	Exclusive    bool
	SaveLogs     bool
	Runs         []Figures // one per iteration
	Note         string    // says from where the figures come; it is printed near the top of the log
	Seed         uint64
	Start        time.Time // of the container, on the simulated clock
}

// chunk is a part of a log that appears after the time that the program needed for it.
type chunk struct {
	after time.Duration
	text  []byte
}

// WriteLog writes the whole log of a trial.
func WriteLog(w io.Writer, s Spec) error {
	chunks, err := s.chunks()
	if err != nil {
		return err
	}
	for _, c := range chunks {
		if _, err := w.Write(c.text); err != nil {
			return err
		}
	}
	return nil
}

func (s *Spec) chunks() ([]chunk, error) {
	if len(s.Runs) != s.Iterations || s.Ranks < 1 || s.Nodes < 1 {
		return nil, fmt.Errorf("log of %s: %d iterations with %d figures, %d ranks on %d nodes", s.Name, s.Iterations, len(s.Runs), s.Ranks, s.Nodes)
	}
	rng := rand.New(rand.NewPCG(s.Seed, 0x6c6f67))
	l := &logWriter{Spec: s}
	l.preamble()
	l.emit(brokerStart)
	l.resources()
	at := s.Start.Add(brokerStart)
	problem := newProblem(s.Local, s.Ranks)
	runs := make([]benchmark, s.Iterations)
	jobs := make([]job, s.Iterations)
	for i, f := range s.Runs {
		runs[i] = newBenchmark(f, problem, s.Threads, rng)
		took := time.Duration(runs[i].total*float64(time.Second)) + jobOverhead
		jobs[i] = s.job(i, at, took, rng)
		at = at.Add(took)
		l.printf("FLUX-RUN START %s\n", s.runName(i))
		l.emit(took)
		l.printf("FLUX-RUN END %s\n", s.runName(i))
	}
	l.results(runs)
	if s.SaveLogs {
		if err := l.jobs(jobs); err != nil {
			return nil, err
		}
	}
	l.emit(wrapUp)
	return l.done, nil
}

// refusal is the log of a trial whose launch is refused: it ends, and fails, at the first run or before.
func (s *Spec) refusal(reason error) []chunk {
	l := &logWriter{Spec: s}
	if errors.Is(reason, errExecFormat) { // not even the script starts
		l.printf("# REPLAY: ocifit-lab sim, no benchmark ran; %s\n%v\n", s.noteLine(), errExecFormat)
		l.emit(0)
		return l.done
	}
	if errors.Is(reason, errNoApplication) { // what the container would do is not known
		l.printf("# REPLAY: ocifit-lab sim, no benchmark ran; %s\nocifit-lab sim: %v\n", s.noteLine(), reason)
		l.emit(0)
		return l.done
	}
	l.preamble()
	l.emit(brokerStart)
	l.resources()
	l.printf("FLUX-RUN START %s\n", s.runName(0))
	if errors.Is(reason, ErrUnsatisfiable) {
		l.printf("0.012s: job.exception type=alloc severity=0 %v\n", ErrUnsatisfiable)
	} else {
		l.printf("flux-run: ERROR: %v\n", reason)
	}
	l.emit(jobOverhead)
	return l.done
}

func (s *Spec) runName(i int) string { return fmt.Sprintf("%s-iter-%d", s.Name, i+1) }

// noteLine is the note without line breaks, which would break the log's grammar.
func (s *Spec) noteLine() string { return strings.Join(strings.Fields(s.Note), " ") }

type logWriter struct {
	*Spec
	text bytes.Buffer
	done []chunk
	wait time.Duration
}

func (l *logWriter) printf(format string, args ...any) { fmt.Fprintf(&l.text, format, args...) }

// emit closes the chunk of what was printed; what follows appears only after took.
func (l *logWriter) emit(took time.Duration) {
	l.done = append(l.done, chunk{l.wait, bytes.Clone(l.text.Bytes())})
	l.text.Reset()
	l.wait = took
}

// preamble is what the wait for Flux prints in the published logs, and the echo of the batch script.
func (l *logWriter) preamble() {
	app, err := applicationOf(l.Spec)
	if err != nil {
		return // refused before
	}
	l.printf("%s", app.head)
	l.printf("chmod: cannot access './wait-fs': No such file or directory\nmv: cannot stat './wait-fs': No such file or directory\n")
	l.printf("#!/bin/bash\n# REPLAY: ocifit-lab sim, no benchmark ran; %s\n", l.noteLine())
	l.printf("set -euo pipefail\n%sflux resource list\n\nfor i in {1..%d}\ndo\n", app.setup, l.Iterations)
	l.printf("  echo \"FLUX-RUN START %s-iter-$i\"\n  %s\n  echo \"FLUX-RUN END %[1]s-iter-$i\"\ndone\n", l.Name, l.launch())
	if app.results != "" {
		l.printf("\n%s", app.results)
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
func (s *Spec) launch() string {
	words := []string{"flux run", fmt.Sprintf("--job-name=%s-iter-$i", s.Name), fmt.Sprintf("-N%d", s.Nodes)}
	if s.Tasks != "" {
		words = append(words, "-n "+s.Tasks)
	}
	words = append(words, "-o cpu-affinity=per-task -o gpu-affinity=off")
	if s.Exclusive {
		words = append(words, "--exclusive")
	}
	return strings.Join(append(words, s.Command), " ")
}

func (l *logWriter) resources() {
	l.printf("%10s %6s %8s %8s %s\n", "STATE", "NNODES", "NCORES", "NGPUS", "NODELIST")
	row := func(state string, nodes, cores int, list string) {
		l.printf("%10s %6d %8d %8d %s\n", state, nodes, cores, 0, list)
	}
	row("free", l.Nodes, l.Nodes*l.Cores, l.hosts())
	row("allocated", 0, 0, "")
	row("down", 0, 0, "")
}

func (s *Spec) hosts() string {
	if s.Nodes == 1 {
		return s.Host
	}
	return fmt.Sprintf("%s[0-%d]", strings.TrimSuffix(s.Host, "0"), s.Nodes-1) // host names of a job end in the pod's index
}

func (l *logWriter) results(runs []benchmark) {
	l.printf("FLUX-RESULTS START\n")
	for i := range runs {
		runs[i].stdout(&l.text)
	}
	l.printf("HPCG-BENCHMARKS\n")
	for i := range runs {
		runs[i].resultFile(&l.text)
	}
	l.printf("FLUX-RESULTS END\n")
}

// tasksOf tells how many ranks a launch starts on nodes of the type. The text is what a shell would have expanded.
func tasksOf(text string, nodes int, t TypeFacts) (int, error) {
	text = strings.TrimSpace(text)
	n, err := strconv.Atoi(text)
	switch {
	case text == "":
		return nodes, nil // without -n, flux run starts one task on each node
	case err == nil && n > 0:
		return n, nil
	case strings.Contains(text, "core"):
		return nodes * t.Cores, nil
	case strings.Contains(text, "nproc"):
		return t.VCPU, nil
	}
	return 0, fmt.Errorf("invalid value for -n: %q (the replay knows numbers, $(nproc) and cores)", text)
}

// threadsOf is how many threads OpenMP starts in a rank: the hardware threads of the cores that the rank is bound to.
// An exclusive launch shares all cores of the node among its ranks, any other gives one core to each.
func threadsOf(ranksPerNode int, exclusive bool, t TypeFacts) int {
	perCore := max(1, t.VCPU/max(1, t.Cores))
	if !exclusive || ranksPerNode < 1 {
		return perCore
	}
	return max(1, t.Cores/ranksPerNode) * perCore
}
