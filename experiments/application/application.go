// Package application is what an application has to offer: how its log is read, and how a trial of it is rehearsed without running it.
// It also writes and reads the frame that the batch script and Flux put around an application's output.
package application

import (
	"errors"
	"io"
	"time"

	"github.com/compspec/ocifit-lab/templates"
)

// MetricGFLOPS is the key of HPCG's figure of merit.
const MetricGFLOPS = "gflops"

// Metric is an application's figure of merit.
type Metric struct {
	Key            string `json:"key"`
	Name           string `json:"name"`
	Unit           string `json:"unit"`
	HigherIsBetter bool   `json:"higherIsBetter"`
}

// Outcome is what a parser makes of a complete log.
type Outcome struct {
	Metric     Metric
	Figures    []float64 // the metric, one per iteration
	Ranks      int
	Threads    int // per rank
	Cores      int // physical cores that the launcher saw, 0 when unknown
	Local      [3]int
	Tasks      string // the task count in the launch command, as written
	Replayed   bool
	ReplayText string
	Remarks    []string             // the application's own remarks on its figures
	Others     map[string]float64   // further figures by the names that the models use, means over the iterations
	Each       map[string][]float64 // the same one per iteration, where the log tells them apart
	Parameters map[string]string    // settings that the log shows, such as the problem's size
	Jobs       int                  // records of the launcher that the log has
}

// Parser reads the log of one application. A log that does not count gives a *Rejection.
type Parser interface {
	Name() string
	Metric() Metric
	Parse(r io.Reader, iterations int) (*Outcome, error)
}

// Rejection says why a log does not count.
type Rejection struct {
	Reason string // stable name, such as truncated
	Detail string
	Err    error
}

func (r *Rejection) Error() string { return "the log does not count: " + r.Reason + ": " + r.Detail }

// Unwrap returns the parser's own error.
func (r *Rejection) Unwrap() error { return r.Err }

// Variables by which a trial's container tells of its launch; the charts put them there. An application may have more of its own.
const (
	EnvApplication = "OCIFIT_APP"
	EnvCommand     = "OCIFIT_COMMAND"
	EnvNodes       = "OCIFIT_NODES"
	EnvTasks       = "OCIFIT_TASKS"
	EnvIterations  = "OCIFIT_ITERATIONS"
	EnvExclusive   = "OCIFIT_EXCLUSIVE"
	EnvSaveLogs    = "OCIFIT_SAVE_LOGS"
	EnvFile        = "OCIFIT_APPLICATION_FILE" // the application file, of an application that a file describes
)

// Launch is one trial as its container asks for it, on the node that it came to.
type Launch struct {
	Application string            // names the runs
	Command     string            // that flux run starts
	Env         map[string]string // of the container, for what only the application knows
	Host        string            // of the first pod
	Iterations  int
	Nodes       int
	Tasks       string // -n of flux run as it was given; empty: none
	Ranks       int    // that Tasks came to, over all nodes
	Threads     int    // hardware threads that each rank is bound to
	Exclusive   bool
	SaveLogs    bool

	Type     templates.InstanceType // of the nodes
	Machine  string                 // names the first node among all that there are
	ImageTag string
	Seed     uint64
	Start    time.Time // of the container, on the simulated clock
}

// RanksPerNode is the most ranks that a node has.
func (l *Launch) RanksPerNode() int { return (l.Ranks + l.Nodes - 1) / max(1, l.Nodes) }

// Rehearser makes the output of a trial without running it.
type Rehearser interface {
	Name() string
	// DefaultCommand is what flux run starts when the container does not say.
	DefaultCommand() string
	// Rehearse makes the output of a launch. The error is what the launch fails with; what can be known of the log is returned all the
	// same.
	Rehearse(l *Launch) (Rehearsal, error)
}

// Rehearsal is what a trial's log is made from, beside its launch.
type Rehearsal struct {
	Source string // replay.Measured or replay.Estimated
	Rule   string // a sentence: where the figures come from; it is printed near the top of the log
	// MeanError is how far the mean that the figures are drawn around may be from that of another occasion, as the standard
	// deviation of its logarithm; 0 is not known.
	MeanError float64

	Head    string // what the container prints before the echo of the batch script
	Setup   string // lines of the batch script before the first run
	Collect string // lines of the batch script after the last run, which print Results

	Runs    []Run
	Results []byte
}

// Run is one iteration.
type Run struct {
	Seconds float64 // that the application itself runs
	Output  []byte  // what it prints between the markers of the run
}

// What a launch can fail with.
var (
	// ErrUnsatisfiable is what Flux says of more ranks than the nodes have cores.
	ErrUnsatisfiable = errors.New("unsatisfiable request")
	// ErrExecFormat is what the kernel says of a program for another architecture.
	ErrExecFormat = errors.New("exec /bin/bash: exec format error")
	// ErrUnknown says that a pod runs something that cannot be rehearsed.
	ErrUnknown = errors.New("nothing is known of this application")
)
