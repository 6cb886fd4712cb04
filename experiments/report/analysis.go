// Package report turns a run folder into an answer: figures per arm, comparisons that are refused when the data cannot carry them, and
// the same content as JSON, text, HTML, markdown and CSV.
package report

import (
	"time"

	"github.com/compspec/ocifit-lab/experiments/stats"
	"github.com/compspec/ocifit-lab/experiments/store"
	"github.com/compspec/ocifit-lab/experiments/study"
	"github.com/compspec/ocifit-lab/experiments/training"
	"github.com/compspec/ocifit-lab/provision/cost"
)

// SchemaVersion is the version of the Analysis as JSON.
const SchemaVersion = 2

// Analysis is what a run shows.
type Analysis struct {
	SchemaVersion int  `json:"schemaVersion"`
	Simulated     bool `json:"simulated"` // at least one figure was not measured in this run
	// Simulation says in a sentence what was not real; empty for a real run.
	Simulation string       `json:"simulation,omitempty"`
	Sources    Sources      `json:"sources"`
	Run        RunFacts     `json:"run"`
	Metric     store.Metric `json:"metric"`
	Baseline   string       `json:"baseline"`
	Question   string       `json:"question"`
	Answer     string       `json:"answer"`
	Arms       []Arm        `json:"arms"`
	// Checks concern the run as a whole; each comparison has its own besides.
	Checks      []Check      `json:"checks"`
	Comparisons []Comparison `json:"comparisons"`
	Choices     []Choice     `json:"choices"` // what the arms came to
	// Types are the figures of all trials by instance type, Best is the arm with the best figure.
	Types    []TypeFigures `json:"types,omitempty"`
	Best     string        `json:"best,omitempty"`
	Excluded []Excluded    `json:"excluded"`
	Forecast *Forecast     `json:"forecast,omitempty"`
	// Bill is what the run's trials cost with the cluster around them, by the model of plan and of the limit; nil where it is not known.
	Bill *cost.Bill `json:"bill,omitempty"`

	// HeldOut is how the arms' published models do on instance types that they did not see, by the study's published matrix; nil where the
	// study has none of them or another application.
	HeldOut *training.Matrix `json:"heldOut,omitempty"`

	// Looks is how often the comparison was read before the run was whole, Plans how the plan changed meanwhile.
	Looks int                `json:"looks,omitempty"`
	Plans []store.PlanChange `json:"plans,omitempty"`

	Trials []TrialRow `json:"-"` // the complete trials, for export and plots
	now    time.Time

	endpoint string   // of the study
	skip     []string // instance types that no trial may be placed on
	// deviations are how the cluster differs from the study's.
	deviations []string
}

// Sources counts where the figures of the complete trials come from.
type Sources struct {
	Measured  int `json:"measured"`  // the benchmark ran
	Replayed  int `json:"replayed"`  // drawn from earlier measurements
	Estimated int `json:"estimated"` // made by a stated rule, no measurement exists
	Imported  int `json:"imported,omitempty"`
}

// RunFacts identify the run.
type RunFacts struct {
	ID          string    `json:"id"`
	Created     time.Time `json:"created"`
	Study       string    `json:"study"`
	Description string    `json:"description,omitempty"`
	Application string    `json:"application"`
	Order       string    `json:"order"`
	Seed        *uint64   `json:"seed"` // nil: not known
	Iterations  int       `json:"iterations"`
	// FirstIteration is what the first iteration counts, Endpoint the figure that the study is judged by.
	FirstIteration string            `json:"firstIteration,omitempty"`
	Endpoint       string            `json:"endpoint,omitempty"`
	Provider       string            `json:"provider,omitempty"`
	Lab            string            `json:"lab,omitempty"`
	Program        string            `json:"program,omitempty"`
	Imported       string            `json:"imported,omitempty"`
	PriceNote      string            `json:"priceNote,omitempty"`
	Facts          map[string]string `json:"facts,omitempty"`
}

// Figures summarise one quantity over the trials of an arm: the mean of the iterations that count of each.
type Figures struct {
	stats.Summary
	// GeometricMean is that over machines of each machine's mean, with its 95% t-interval; the interval is null below two machines.
	GeometricMean float64     `json:"geometricMean"`
	CI95          *[2]float64 `json:"ci95"`
}

// Arm is one arm's outcome.
type Arm struct {
	Name        string `json:"name"`
	Model       string `json:"model"`
	Tasks       string `json:"tasks"`
	Only        string `json:"only,omitempty"`      // instance type that the study allows the arm; empty is any
	Objective   string `json:"objective,omitempty"` // what the choice made best, where it was not the model's own figure
	Launch      string `json:"launch"`              // as observed, in words
	Baseline    bool   `json:"baseline"`
	Trials      int    `json:"trials"` // planned
	Complete    int    `json:"complete"`
	Failed      int    `json:"failed"`      // not complete, with at least one attempt that failed
	Attempts    int    `json:"attempts"`    // all of them, also the complete ones
	Interrupted int    `json:"interrupted"` // attempts during which the program was stopped

	// GFLOPS is the figure of merit of HPCG, GFLOPSPerRank the same by rank. Other applications have Figure and FigurePerRank.
	GFLOPS        *Figures `json:"gflops,omitempty"`
	GFLOPSPerRank *Figures `json:"gflopsPerRank,omitempty"`
	Figure        *Figures `json:"figure,omitempty"`
	FigurePerRank *Figures `json:"figurePerRank,omitempty"`
	// PerDollarHour is the figure of merit by the node's price: GFLOP/s per US dollar an hour.
	PerDollarHour *Figures `json:"perDollarHour,omitempty"`
	// TimeToSolution is in seconds from the pod's creation to its end; a machine's start is shared by the trials that it served.
	TimeToSolution *Figures `json:"timeToSolution,omitempty"`
	// Regret is how much worse the figure of merit is than that of the best arm, as a share of it; nil where the arm was not launched as
	// that one.
	Regret *float64 `json:"regret,omitempty"`

	Ranks         []int          `json:"ranks"`
	Threads       []int          `json:"threads"`
	Cores         []int          `json:"cores,omitempty"`
	InstanceTypes map[string]int `json:"instanceTypes"`
	Images        map[string]int `json:"images,omitempty"`
	Nodes         int            `json:"nodes"`                  // different machines; trials without a recorded machine count as one
	NodesUnknown  int            `json:"nodesUnknown,omitempty"` // trials whose machine is not recorded
	// IterationMeans is the mean over the trials of each iteration, in their order.
	IterationMeans []float64  `json:"iterationMeans,omitempty"`
	Sources        Sources    `json:"sources"`
	CostUSD        float64    `json:"costUSD"`   // of the complete trials
	WastedUSD      float64    `json:"wastedUSD"` // of the other attempts, where it is known
	Decisions      []Decision `json:"decisions,omitempty"`
}

// FOM returns the figures of merit, whatever the application.
func (a *Arm) FOM() *Figures {
	if a.GFLOPS != nil {
		return a.GFLOPS
	}
	return a.Figure
}

// PerRank returns the figures of merit by rank.
func (a *Arm) PerRank() *Figures {
	if a.GFLOPSPerRank != nil {
		return a.GFLOPSPerRank
	}
	return a.FigurePerRank
}

// draws tells whether chance decides where the trials run.
func (a *Arm) draws() bool { return a.Model == study.RandomModel && a.Only == "" }

// Decision counts the trials for which the webhook made the same choice.
type Decision struct {
	InstanceType string   `json:"instanceType"`
	Trials       int      `json:"trials"`
	Score        *float64 `json:"score,omitempty"`
	RunnerUp     string   `json:"runnerUp,omitempty"`
	Tied         []string `json:"tied,omitempty"`
	TieBreak     string   `json:"tieBreak,omitempty"`
	Candidates   int      `json:"candidates,omitempty"`
	OutOfDomain  int      `json:"outOfDomain,omitempty"`
	// Measured is the mean of what the model predicted by its score, MeasuredBy the figure's name; nil where the logs do not show it.
	Measured   *float64 `json:"measured,omitempty"`
	MeasuredBy string   `json:"measuredBy,omitempty"`
}

// Excluded is an attempt that does not count, and why.
type Excluded struct {
	Arm     string `json:"arm"`
	Trial   int    `json:"trial"`
	Attempt int    `json:"attempt,omitempty"`
	Reason  string `json:"reason"` // stable name
	Detail  string `json:"detail"`
	Path    string `json:"path"`
}

// TrialRow is one complete trial as a row of data.
type TrialRow struct {
	Arm           string    `json:"arm"`
	Model         string    `json:"model"`
	Trial         int       `json:"trial"`
	Attempt       int       `json:"attempt"`
	Figure        float64   `json:"figure"` // mean of the iterations that count
	Iterations    []float64 `json:"iterations"`
	Ranks         int       `json:"ranks"`
	Threads       int       `json:"threads"`
	Cores         int       `json:"cores"`
	InstanceType  string    `json:"instanceType"`
	Architecture  string    `json:"architecture,omitempty"`
	Node          string    `json:"node"`
	Image         string    `json:"image,omitempty"`
	Source        string    `json:"source"` // measured, replayed, estimated or imported
	Created       time.Time `json:"created,omitzero"`
	Started       time.Time `json:"started,omitzero"`
	Finished      time.Time `json:"finished,omitzero"`
	TotalSeconds  float64   `json:"totalSeconds"`
	SharedSeconds float64   `json:"sharedSeconds"`    // the same with the machine's start shared by the trials that it served
	NodeStart     *float64  `json:"nodeStartSeconds"` // nil: not known
	PriceUSDPerHr float64   `json:"priceUSDPerHour"`
	CostUSD       float64   `json:"costUSD"`

	local    [3]int
	tasks    string
	artifact string
	remarks  []string
	others   map[string]float64
	chosen   string // instance type that the webhook decided on
	// minimised says that the model's choice is the lowest prediction; candidates is how many types it had.
	minimised  bool
	candidates int
	meanError  float64 // of a replayed mean, as the deviation of its logarithm
	jobs       int     // records of the launcher in the log
}
