// Package study says what a study is: its arms, how often and in which order their trials run, and within which limits.
package study

import (
	"fmt"
	"path/filepath"
	"slices"
	"time"
)

// APIVersion is the schema version of study files.
const APIVersion = "ocifit-lab/v1alpha1"

// DefaultApplication is the application whose chart and log parser are used when a study names none.
const DefaultApplication = "hpcg"

// RandomModel is the model name by which the webhook draws an instance type instead of scoring.
const RandomModel = "random"

// Order is the order in which the trials of a study's arms run.
type Order string

const (
	// Sequential runs all trials of an arm before the next arm starts. Drift over time is then not separable from the arms.
	Sequential Order = "sequential"
	// Interleaved runs one trial of each arm in the arms' order, again and again.
	Interleaved Order = "interleaved"
	// Shuffle is a randomised block design: every block has one trial of each arm, in an order drawn from the seed.
	Shuffle Order = "shuffle"
)

// FirstIteration is what the first iteration of a trial counts.
type FirstIteration string

// What the first iteration counts.
const (
	ReportFirst FirstIteration = "report"
	CountFirst  FirstIteration = "count"
)

// The endpoints that no log names.
const (
	EndpointOwn       = "own"
	EndpointFOM       = "fom"
	EndpointPerRank   = "per-rank"
	EndpointPerDollar = "per-dollar"
	EndpointTime      = "time"
)

// Study is a plan of trials, as read from a study file.
type Study struct {
	// APIVersion is always ocifit-lab/v1alpha1.
	APIVersion string `yaml:"apiVersion" json:"apiVersion"`
	// Name becomes the run's folder: lower-case letters, digits and dashes.
	Name string `yaml:"name" json:"name"`
	// Description says in a sentence what the study asks.
	Description string `yaml:"description" json:"description,omitempty"`

	// Application names the workload: the folder under logs/, the chart and the parser. It is one that ships, or the path of an application
	// file, such as ./mine.yaml; then it becomes the name in that file.
	Application string `yaml:"application" json:"application"`
	// ApplicationFile is the text of the application file, of an application that one describes; a run keeps it.
	ApplicationFile string `json:"applicationFile,omitempty"`
	// Parser names the log parser; empty is the application's own.
	Parser string `yaml:"parser" json:"parser,omitempty"`
	// Chart is where the application's Helm chart comes from: a folder or archive (a relative path starts at the study file's
	// folder), oci://registry/repository/name:version or https://repository/name@version. Empty is the chart built in for the
	// application. The chart renders a MiniCluster that is named after its release, and takes the values of the one built in.
	Chart string `yaml:"chart" json:"chart,omitempty"`

	Repeats    int    `yaml:"repeats" json:"repeats"`       // measured trials per arm
	Iterations int    `yaml:"iterations" json:"iterations"` // runs of the application inside one trial
	Warmup     int    `yaml:"warmup" json:"warmup"`         // trials per arm before the measured ones, never analysed
	Order      Order  `yaml:"order" json:"order"`           // in which the trials run
	Seed       uint64 `yaml:"seed" json:"seed"`             // of the order and of random draws
	Retries    int    `yaml:"retries" json:"retries"`       // further attempts at a failed trial within one run of the program

	// FreshNodes asks for another machine for each trial of an arm: a node that served the arm before is taken away first. An arm
	// then sees as many machines as it has trials, at the price of a node's start for many of them; arms that come to the same type
	// may follow each other on one machine. Not every provider can do it.
	FreshNodes bool `yaml:"freshNodes" json:"freshNodes,omitempty"`

	// Baseline is the arm that the others are compared with; empty is the first arm whose model is random, or else the first arm.
	Baseline string `yaml:"baseline" json:"baseline,omitempty"`

	// Endpoint is the figure that the answer rests on: "own" (what the arm's model was made for), "fom" (the application's figure of
	// merit), "per-rank", "per-dollar", "time", or a further figure of the log by its name. The others are shown beside it.
	Endpoint string `yaml:"endpoint" json:"endpoint,omitempty"`
	// FirstIteration says what the first iteration of a trial counts: "report" shows it and leaves it out of the trial's mean, because
	// it warms up what the others find warm; "count" averages it with the others.
	FirstIteration FirstIteration `yaml:"firstIteration" json:"firstIteration,omitempty"`
	// Looks are the numbers of trials per arm at which the comparison may be read before the study is whole, such as [10, 20]. The
	// level is then shared among them and the end. Empty: the study is read once, at its end.
	Looks []int `yaml:"looks" json:"looks,omitempty"`

	// Adaptive measures instance types one by one before the arms run, and learns a model from them that arms can name.
	Adaptive *Adaptive `yaml:"adaptive" json:"adaptive,omitempty"`

	// MaxCostUSD stops the study before a trial that could take the bill above it; 0 takes the plan's worst case.
	MaxCostUSD float64        `yaml:"maxCost" json:"maxCost,omitempty"`
	Deadlines  Deadlines      `yaml:"deadlines" json:"deadlines"`
	Values     map[string]any `yaml:"values" json:"values,omitempty"` // chart values of every arm
	Arms       []Arm          `yaml:"arms" json:"arms"`               // what is compared, one or more

	file  string
	lines map[string]int
}

// Arm is one way to choose the node: a model, with the launch settings of its trials.
type Arm struct {
	Name  string `yaml:"name" json:"name"`   // the arm's folder: lower-case letters, digits and dashes
	Model string `yaml:"model" json:"model"` // random, or a model of the artifact
	// InstanceType is the only one that the arm's trials may run on, whatever the model. With it the model may be left out.
	InstanceType string `yaml:"instanceType" json:"instanceType,omitempty"`
	// Objective is what the choice makes best, and within which bounds: "" (the model's own figure), "per-dollar", "time", or bounds such as
	// "fom,usd-per-hour<=2.5" and "minutes<=10".
	Objective string         `yaml:"objective" json:"objective,omitempty"`
	Tasks     string         `yaml:"tasks" json:"tasks"`             // launch policy: "" (one rank), "$(nproc)", "cores" or a count such as "4"
	Values    map[string]any `yaml:"values" json:"values,omitempty"` // chart values of this arm; they win over the study's
}

// Draws tells whether chance decides where the arm's trials run.
func (a Arm) Draws() bool { return a.Model == RandomModel && a.InstanceType == "" }

// Deadlines bound the phases of one trial. A trial whose phase passes its deadline fails.
type Deadlines struct {
	Scheduled Duration `yaml:"scheduled" json:"scheduled"` // pod created until bound to a node, node start included
	Ready     Duration `yaml:"ready" json:"ready"`         // bound until the container runs, image pull included
	Run       Duration `yaml:"run" json:"run"`             // container started until it ends
	Removed   Duration `yaml:"removed" json:"removed"`     // uninstall asked until nothing is left
}

// Duration is a time.Duration that is written as text such as "15m" in YAML and JSON.
type Duration time.Duration

// MarshalText writes the duration as Go writes it.
func (d Duration) MarshalText() ([]byte, error) { return []byte(time.Duration(d).String()), nil }

// UnmarshalText reads what MarshalText writes.
func (d *Duration) UnmarshalText(b []byte) error {
	v, err := time.ParseDuration(string(b))
	if err != nil {
		return fmt.Errorf("not a duration: %q (write 90s, 15m or 1h30m)", b)
	}
	*d = Duration(v)
	return nil
}

// Arm returns the arm of that name.
func (s *Study) Arm(name string) (Arm, bool) {
	i := slices.IndexFunc(s.Arms, func(a Arm) bool { return a.Name == name })
	if i < 0 {
		return Arm{}, false
	}
	return s.Arms[i], true
}

// ArmNames returns the arms' names in the study's order.
func (s *Study) ArmNames() []string {
	names := make([]string, len(s.Arms))
	for i, a := range s.Arms {
		names[i] = a.Name
	}
	return names
}

// BaselineArm returns the name of the arm that the others are compared with.
func (s *Study) BaselineArm() string {
	if s.Baseline != "" {
		return s.Baseline
	}
	for _, a := range s.Arms {
		if a.Draws() {
			return a.Name
		}
	}
	if len(s.Arms) == 0 {
		return ""
	}
	return s.Arms[0].Name
}

// Counts tells which iterations of a trial make its mean: all but the first, unless there is no other or the study counts it.
func (s *Study) Counts(iterations []float64) []float64 {
	if s.FirstIteration == CountFirst || len(iterations) < 2 {
		return iterations
	}
	return iterations[1:]
}

// Dir is the folder of the study's file, where relative paths in it start.
func (s *Study) Dir() string { return filepath.Dir(s.file) }

// ParserName returns the name of the log parser.
func (s *Study) ParserName() string {
	if s.Parser != "" {
		return s.Parser
	}
	return s.Application
}

// setDefaults fills what the file leaves out; an explicit zero stays, for Validate to judge.
func (s *Study) setDefaults() {
	setDefault(s, "application", &s.Application, DefaultApplication)
	setDefault(s, "repeats", &s.Repeats, 30)
	setDefault(s, "iterations", &s.Iterations, 3)
	setDefault(s, "order", &s.Order, Sequential)
	setDefault(s, "seed", &s.Seed, 1)
	setDefault(s, "endpoint", &s.Endpoint, EndpointOwn)
	setDefault(s, "firstIteration", &s.FirstIteration, ReportFirst)
	for i := range s.Arms {
		if a := &s.Arms[i]; a.InstanceType != "" && a.Model == "" {
			a.Model = RandomModel // among one
		}
	}
	if s.Adaptive != nil {
		s.Adaptive.setDefaults(s)
	}
	setDefault(s, "deadlines.scheduled", &s.Deadlines.Scheduled, Duration(20*time.Minute))
	setDefault(s, "deadlines.ready", &s.Deadlines.Ready, Duration(15*time.Minute))
	setDefault(s, "deadlines.run", &s.Deadlines.Run, Duration(30*time.Minute))
	setDefault(s, "deadlines.removed", &s.Deadlines.Removed, Duration(5*time.Minute))
}

func setDefault[T any](s *Study, field string, p *T, v T) {
	if _, given := s.lines[field]; !given {
		*p = v
	}
}
