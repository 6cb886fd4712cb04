// Package sim is the provider that rehearses the study on this machine: a real Kubernetes control plane in a detached supervisor
// process, simulated nodes, a node-group scaler, and whatever parts the program adds to them.
package sim

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"time"

	"github.com/hashicorp/go-multierror"

	"github.com/compspec/ocifit-lab/provision/atomicfile"
	"github.com/compspec/ocifit-lab/provision/sim/scaler"
	"github.com/compspec/ocifit-lab/provision/step"
)

// simulatedNote says what of a sim cluster is not real.
const simulatedNote = "No benchmark runs: figures are replayed from published measurements or estimated. " +
	"The control plane and the registry are real; nodes, their start and their containers are simulated, and time may be compressed."

// Settings are what a supervisor is told, through a file.
type Settings struct {
	// APIServerPort is the API server's port on loopback; 0 takes a free one.
	APIServerPort int `json:"apiServerPort,omitempty"`
	// TimeScale multiplies simulated waits: 1 is real time, 0.1 ten times faster, 0 does not wait at all.
	TimeScale float64 `json:"timeScale"`
	// NodeStart is the simulated time from the scaler's decision to the node.
	NodeStart time.Duration `json:"nodeStartNanoseconds"`
	// ScaleDownAfter is the simulated time after which a node without pods is removed; 0 keeps nodes.
	ScaleDownAfter time.Duration `json:"scaleDownAfterNanoseconds"`
	// Groups are the node groups.
	Groups []scaler.Group `json:"groups"`
	// Extra is for parts that the program adds; the supervisor only passes it on.
	Extra json.RawMessage `json:"extra,omitempty"`
}

// Validate tells every fault of the settings.
func (s Settings) Validate() error {
	var errs *multierror.Error
	if s.APIServerPort < 0 || s.APIServerPort > 65535 {
		errs = multierror.Append(errs, fmt.Errorf("API server port %d: want 0 (any free port) to 65535", s.APIServerPort))
	}
	if s.TimeScale < 0 {
		errs = multierror.Append(errs, fmt.Errorf("time scale %v: want 0 (no waiting), 1 (real time) or between", s.TimeScale))
	}
	if s.NodeStart < 0 || s.ScaleDownAfter < 0 {
		errs = multierror.Append(errs, fmt.Errorf("node start %s and scale-down %s must not be negative", s.NodeStart, s.ScaleDownAfter))
	}
	seen := map[string]bool{}
	for _, g := range s.Groups {
		errs = multierror.Append(errs, g.Validate())
		if seen[g.Name] {
			errs = multierror.Append(errs, fmt.Errorf("node group %s is there twice", g.Name))
		}
		seen[g.Name] = true
	}
	return step.Listed(errs)
}

// folder is the part of a lab's state folder that belongs to this provider.
type folder string

func (f folder) file(name string) string  { return filepath.Join(string(f), name) }
func (f folder) settings() string         { return f.file("settings.json") }
func (f folder) status() string           { return f.file("status.json") }
func (f folder) log() string              { return f.file("supervisor.log") }
func (f folder) lock() string             { return f.file("supervisor.lock") }
func (f folder) upLock() string           { return f.file("up.lock") }
func (f folder) registryPassword() string { return f.file("registry.password") }
func (f folder) clock() string            { return f.file("clock.json") }
func (f folder) controlPlane() string     { return f.file("controlplane") }
func (f folder) podLogs() string          { return f.file("pods") }
func (f folder) serving() string          { return f.file("serving") }
func (f folder) kubeconfig() string       { return filepath.Join(f.controlPlane(), "kubeconfig") }

func readSettings(file string) (Settings, error) {
	var s Settings
	if err := atomicfile.ReadJSON(file, &s); err != nil {
		return s, fmt.Errorf("settings of the supervisor: %w", err)
	}
	return s, s.Validate()
}
