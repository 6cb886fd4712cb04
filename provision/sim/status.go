package sim

import (
	"errors"
	"fmt"
	"io/fs"
	"sync"
	"time"

	"github.com/compspec/ocifit-lab/provision/atomicfile"
)

type phase string

const (
	phaseStarting phase = "starting"
	phaseRunning  phase = "running"
	phaseFailed   phase = "failed"
	phaseStopped  phase = "stopped"
)

// report is what a supervisor says about itself in its status file.
type report struct {
	Process process   `json:"process"`
	Phase   phase     `json:"phase"`
	Doing   string    `json:"doing,omitempty"` // what it waits for while it starts
	Error   string    `json:"error,omitempty"`
	Since   time.Time `json:"since"`
	// ReadyMillis is how long the start took.
	ReadyMillis int64  `json:"readyMillis,omitempty"`
	Server      string `json:"server,omitempty"`   // URL of the API server
	Registry    string `json:"registry,omitempty"` // host:port
	Webhook     string `json:"webhook,omitempty"`  // host:port
	Ports       []int  `json:"ports,omitempty"`    // every loopback port it listens on
	// APIServerPort is asked for again by the next supervisor.
	APIServerPort int `json:"apiServerPort,omitempty"`
}

// readReport returns nil when no supervisor ever wrote one.
func readReport(f folder) (*report, error) {
	var r report
	err := atomicfile.ReadJSON(f.status(), &r)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("status of the supervisor: %w", err)
	}
	return &r, nil
}

// board holds the report of this process and writes each change.
type board struct {
	mu     sync.Mutex
	file   string
	report report
}

func (b *board) change(f func(r *report)) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	f(&b.report)
	return atomicfile.WriteJSON(b.file, b.report, 0o600)
}
