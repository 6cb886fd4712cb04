package store

import (
	"encoding/json"
	"fmt"
	"math"
	"time"

	"github.com/compspec/ocifit-lab/webhook/compat"
)

// SchemaVersion is the version of run.json and trial.json. It changes when a field changes its meaning.
const SchemaVersion = 1

// Verdict is how an attempt at a trial ended.
type Verdict string

// The verdicts.
const (
	Complete    Verdict = "complete"    // the log parses as complete and the record is whole
	Failed      Verdict = "failed"      // the trial did not get to its end
	Rejected    Verdict = "rejected"    // it got to its end, but its log does not count
	Interrupted Verdict = "interrupted" // the program was stopped while it ran
)

// Trial is the record of one attempt at one trial, the file trial.json. Times are UTC; in a simulated trial they are on the simulated clock.
type Trial struct {
	SchemaVersion int    `json:"schemaVersion"`
	Run           string `json:"run"`
	Arm           string `json:"arm"`
	Trial         int    `json:"trial"` // from 1 within the arm
	Warmup        bool   `json:"warmup,omitempty"`
	Attempt       int    `json:"attempt"` // from 1

	// Source is the folder that an imported trial was taken from, relative to Info.Imported; of a merged one the shard's id and the
	// folder in it.
	Source string `json:"source,omitempty"`

	Model     string `json:"model"`
	Tasks     string `json:"tasks"` // the arm's launch policy
	Release   string `json:"release,omitempty"`
	Namespace string `json:"namespace,omitempty"`

	// Simulated is true when anything but the control plane was emulated; Replay then says where the figures come from.
	Simulated bool            `json:"simulated"`
	Replay    json.RawMessage `json:"replay,omitempty"`

	Decision *compat.Decision `json:"decision,omitempty"`
	Artifact string           `json:"artifact,omitempty"` // digest of the compatibility artifact
	Chart    string           `json:"chart,omitempty"`    // name-version@digest
	Image    string           `json:"image,omitempty"`
	ImageID  string           `json:"imageID,omitempty"` // with digest, as the node resolved it
	Node     Node             `json:"node"`

	// What the log says, filled in by Commit.
	Ranks   int    `json:"ranks,omitempty"`
	Threads int    `json:"threads,omitempty"` // per rank
	Cores   int    `json:"cores,omitempty"`   // physical cores that flux saw
	Local   [3]int `json:"local"`             // grid points per rank
	// GFLOPS has the HPCG rating of each iteration. Other applications have their figures in Figures, in Unit.
	GFLOPS  []float64 `json:"gflops,omitempty"`
	Figures []float64 `json:"figures,omitempty"`
	Unit    string    `json:"unit,omitempty"`

	Phases  Phases  `json:"phases"`
	Seconds Seconds `json:"seconds"`

	PriceUSDPerHour float64 `json:"priceUSDPerHour,omitempty"` // 0 is unknown
	CostUSD         float64 `json:"costUSD,omitempty"`

	Verdict Verdict `json:"verdict"`
	Reason  string  `json:"reason,omitempty"` // why it is not complete
}

// Node is where the trial ran.
type Node struct {
	Name         string            `json:"name,omitempty"`
	InstanceType string            `json:"instanceType,omitempty"`
	Labels       map[string]string `json:"labels,omitempty"`
}

// Phases are the moments of a trial; a moment that did not come or is not known is left out.
type Phases struct {
	Created     time.Time `json:"created,omitzero"`
	Scheduled   time.Time `json:"scheduled,omitzero"`
	NodeReady   time.Time `json:"nodeReady,omitzero"` // only when the node was started for the trial
	ImagePulled time.Time `json:"imagePulled,omitzero"`
	Started     time.Time `json:"started,omitzero"`
	Finished    time.Time `json:"finished,omitzero"`
}

// Seconds are the lengths of a trial's phases.
type Seconds struct {
	NodeStart float64 `json:"nodeStart"` // created until the new node was ready; 0 on a node that was there
	Start     float64 `json:"start"`     // from then until the container started, image pull included
	Run       float64 `json:"run"`       // the container's
	Total     float64 `json:"total"`     // created until finished: the time to solution
}

// seconds derives the lengths from the moments. A clock that jumped back gives an error rather than a negative length.
func (p Phases) seconds() (Seconds, error) {
	var s Seconds
	ready := p.Created
	if p.NodeReady.After(p.Created) {
		ready = p.NodeReady
	}
	for _, d := range []struct {
		name     string
		from, to time.Time
		out      *float64
	}{
		{"node start", p.Created, ready, &s.NodeStart},
		{"start", ready, p.Started, &s.Start},
		{"run", p.Started, p.Finished, &s.Run},
		{"trial", p.Created, p.Finished, &s.Total},
	} {
		if d.from.IsZero() || d.to.IsZero() {
			continue
		}
		// The API server's clock and the node's may differ a little, and both are rounded to seconds.
		v := d.to.Sub(d.from).Seconds()
		if v < -5 {
			return s, fmt.Errorf("the %s ends %.0f s before it begins: a clock jumped", d.name, -v)
		}
		*d.out = max(v, 0)
	}
	return s, nil
}

// FOM returns the figures of merit, one per iteration.
func (t *Trial) FOM() []float64 {
	if len(t.GFLOPS) > 0 {
		return t.GFLOPS
	}
	return t.Figures
}

// fill takes over what the log says, which wins over what the record claims, and derives what follows from it.
func (t *Trial) fill(o *Outcome) error {
	t.Ranks, t.Threads, t.Cores, t.Local = o.Ranks, o.Threads, o.Cores, o.Local
	t.GFLOPS, t.Figures, t.Unit = nil, nil, ""
	if o.Metric.Key == MetricGFLOPS {
		t.GFLOPS = o.Figures
	} else {
		t.Figures, t.Unit = o.Figures, o.Metric.Unit
	}
	if o.Replayed {
		t.Simulated = true
	}
	err := t.derive()
	if t.CostUSD < 0 || math.IsNaN(t.CostUSD) || math.IsInf(t.CostUSD, 0) {
		err = fmt.Errorf("a cost of %v US dollars cannot be", t.CostUSD)
	}
	return err
}

// derive fills in the lengths of the phases and the cost, where the runner did not.
func (t *Trial) derive() (err error) {
	if t.Seconds == (Seconds{}) {
		t.Seconds, err = t.Phases.seconds()
	}
	if t.CostUSD == 0 {
		t.CostUSD = t.PriceUSDPerHour * t.Seconds.Total / 3600
	}
	return err
}
