// Package hpcg reads the log of an HPCG trial: strict about what makes a trial complete, indifferent to noise between it.
package hpcg

import "time"

// Log is all that a trial's log says.
type Log struct {
	Local   [3]int // hpcg.dat: local grid points per rank in x, y, z; zero when the log does not show it
	Seconds int    // hpcg.dat: the run time that HPCG aims at

	Replayed   bool   // the batch script says that no benchmark ran and the figures were replayed
	ReplayText string // what it says

	Launch    string     // the script's flux run line
	Tasks     string     // the value of -n in it; empty when flux chooses the number of ranks
	Resources []Resource // flux resource list, before the first run

	RunsStarted, RunsEnded int

	Solvers []Solver // what the k-th result file's solver printed, in the order of Results
	Results []Result // the result files; Results[k] is taken for iteration k+1
	Jobs    []Job    // flux's own record, where the image could print it
	Stats   *JobStats

	Lines int64 // lines read
	Noise int64 // lines that belong to no part of the grammar
}

// Resource is a row of flux resource list.
type Resource struct {
	State              string // free, allocated or down
	Nodes, Cores, GPUs int
	NodeList           string
}

// Cores returns the physical cores that flux saw before the first run, 0 when the log does not tell.
func (l *Log) Cores() int {
	n := 0
	for _, r := range l.Resources {
		if r.State == "free" || r.State == "allocated" {
			n += r.Cores
		}
	}
	return n
}

// Ratings returns the HPCG rating of each iteration in GFLOP/s.
func (l *Log) Ratings() []float64 {
	out := make([]float64, len(l.Results))
	for i := range l.Results {
		out[i] = l.Results[i].Rating
	}
	return out
}

// Notes returns the distinct remarks on the figures that the result files make, such as "severely suboptimal".
func (l *Log) Notes() []Note {
	var out []Note
	seen := map[Note]bool{}
	for i := range l.Results {
		for _, n := range l.Results[i].Notes {
			if !seen[n] {
				seen[n] = true
				out = append(out, n)
			}
		}
	}
	return out
}

// Solver is the solver's own output for one iteration. Residuals are scaled.
type Solver struct {
	Sets              int // CG sets, one residual line each
	ResidualMean      float64
	UnpreconditionedN [2]int
	PreconditionedN   [2]int
	DepartureSpMV     float64
	DepartureMG       float64

	warnings, calls int
	sum             float64
}

// Job is flux's record of one iteration.
type Job struct {
	ID        string
	Name      string // hpcg-iter-1
	Jobspec   []byte // JSON, empty when flux printed none
	Resources []byte // JSON
	Events    map[string]Event
}

// Event is a line of a job's event log. The lines are not in order of time.
type Event struct {
	Time    time.Time
	Context EventContext
}

// EventContext has what the parser uses of an event's context.
type EventContext struct {
	Status   int  `json:"status"`
	ExitCode int  `json:"exitcode"`
	Signaled int  `json:"signaled"`
	Rank     *int `json:"rank"`
}

// Seconds returns the time between two events of the job, 0 when one is missing.
func (j *Job) Seconds(from, to string) float64 {
	a, ok1 := j.Events[from]
	b, ok2 := j.Events[to]
	if !ok1 || !ok2 {
		return 0
	}
	return b.Time.Sub(a.Time).Seconds()
}

// JobStats is flux job stats.
type JobStats struct {
	Successful int `json:"successful"`
	Failed     int `json:"failed"`
	Canceled   int `json:"canceled"`
	Timeout    int `json:"timeout"`
}
