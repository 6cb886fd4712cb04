// Package store keeps a run's trials in a folder: what is done, what failed and why, so that a killed program can go on.
package store

import (
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/compspec/ocifit-lab/experiments/study"
	"github.com/compspec/ocifit-lab/provision/atomicfile"
	"github.com/compspec/ocifit-lab/provision/cost"
	"github.com/compspec/ocifit-lab/provision/filelock"
)

const (
	runFile   = "run.json"
	lockFile  = "run.lock"
	trialFile = "trial.json"
	logsDir   = "logs"
)

// ErrNoRun is what Open wraps when the folder holds no run.
var ErrNoRun = errors.New("no run")

// Info describes a run, the file run.json.
type Info struct {
	SchemaVersion int       `json:"schemaVersion"`
	ID            string    `json:"id"`
	Created       time.Time `json:"created,omitzero"`
	Program       string    `json:"program,omitempty"` // version of ocifit-lab
	Lab           string    `json:"lab,omitempty"`
	Provider      string    `json:"provider,omitempty"`
	// Simulated says that the cluster is emulated; Simulation says in a sentence what of it is.
	Simulated  bool   `json:"simulated"`
	Simulation string `json:"simulation,omitempty"`
	Imported   string `json:"imported,omitempty"` // where the trials were imported from
	// Merged are the runs of labs of their own whose trials this run holds.
	Merged []Shard `json:"merged,omitempty"`
	// PlanUnknown says that the trials came without their plan: order and seed of the study are then placeholders.
	PlanUnknown bool               `json:"planUnknown,omitempty"`
	Plans       []PlanChange       `json:"plans,omitempty"` // how the plan was changed after the run began
	Skip        []string           `json:"skip,omitempty"`  // instance types that no trial may be placed on
	Study       *study.Study       `json:"study"`
	Prices      map[string]float64 `json:"prices,omitempty"` // US dollars per hour by instance type
	PriceNote   string             `json:"priceNote,omitempty"`
	Costs       *cost.Lab          `json:"costs,omitempty"` // what the bill depends on besides the trials
	Facts       map[string]string  `json:"facts,omitempty"` // versions and the like
	// Deviations are how the cluster differs from the study's, each in a sentence.
	Deviations []string `json:"deviations,omitempty"`
}

// Mode is what a run is opened for.
type Mode int

const (
	// Read opens a run without a lock; another program may be writing to it.
	Read Mode = iota
	// Write opens a run as its only writer.
	Write
)

// Run is an open run folder. Its methods are safe for concurrent use.
type Run struct {
	dir    string
	info   Info
	mode   Mode
	parser Parser
	lock   *filelock.Lock

	mu     sync.Mutex
	active map[string]bool // trials that have an open attempt

	costs sync.Mutex
	spent *float64 // US dollars; nil until it was asked for
}

// Create starts a run in a folder that has none, as its only writer. ID, schema version and time are filled in when info lacks them.
func Create(dir string, info Info) (*Run, error) {
	if info.Study == nil {
		return nil, errors.New("a run needs a study")
	}
	parser, err := info.Study.LogParser()
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, explain(dir, err)
	}
	r := &Run{dir: dir, mode: Write, parser: parser, active: map[string]bool{}}
	if err := r.acquire(); err != nil {
		return nil, err
	}
	if _, err := os.Lstat(filepath.Join(dir, runFile)); err == nil {
		return nil, errors.Join(fmt.Errorf("%s already holds a run: choose another folder, or go on with that run", dir), r.Close())
	}
	info.SchemaVersion = SchemaVersion
	if info.Created.IsZero() && info.Imported == "" { // when imported trials ran, only they can tell
		info.Created = time.Now().UTC()
	}
	if info.ID == "" {
		info.ID = newID(time.Now())
	}
	r.info = info
	if err := writeJSON(filepath.Join(dir, runFile), info); err != nil {
		return nil, errors.Join(explain(dir, err), r.Close())
	}
	atomicfile.SyncDir(dir)
	return r, nil
}

// newID is a label value: a time for people, and enough chance for two runs of the same second.
func newID(t time.Time) string {
	var b [4]byte
	_, _ = rand.Read(b[:]) // never fails
	return t.UTC().Format("20060102-150405") + "-" + hex.EncodeToString(b[:])
}

// Open opens the run in a folder. For writing it locks the run and clears up what a killed program left.
func Open(dir string, mode Mode) (*Run, error) {
	r := &Run{dir: dir, mode: mode, active: map[string]bool{}}
	if err := r.load(); err != nil {
		return nil, err
	}
	if mode == Read {
		return r, nil
	}
	if err := r.acquire(); err != nil {
		return nil, err
	}
	if err := r.recover(); err != nil {
		return nil, errors.Join(explain(dir, err), r.Close())
	}
	return r, nil
}

func (r *Run) load() error {
	data, err := os.ReadFile(filepath.Join(r.dir, runFile))
	if errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("%w in %s: it has no %s; published data without one can be taken over by an import", ErrNoRun, r.dir, runFile)
	}
	if err != nil {
		return err
	}
	if err := json.Unmarshal(data, &r.info); err != nil {
		return fmt.Errorf("%s is broken: %w", filepath.Join(r.dir, runFile), err)
	}
	if r.info.SchemaVersion != SchemaVersion {
		return fmt.Errorf("%s has schema version %d, this program reads %d", filepath.Join(r.dir, runFile), r.info.SchemaVersion, SchemaVersion)
	}
	if r.info.ID == "" || r.info.Study == nil {
		return fmt.Errorf("%s names no run or no study", filepath.Join(r.dir, runFile))
	}
	r.parser, err = r.info.Study.LogParser()
	return err
}

// OpenOrCreate goes on with the run in dir when it is a run of the same study, and starts it when there is none.
// A study may get more repeats, other deadlines and another description; anything else would mix two studies and is an error.
func OpenOrCreate(dir string, info Info) (*Run, error) {
	r, err := Open(dir, Write)
	if errors.Is(err, ErrNoRun) {
		return Create(dir, info)
	}
	if err != nil {
		return nil, err
	}
	if what := difference(r.info.Study, info.Study); what != "" {
		return nil, errors.Join(fmt.Errorf("%s holds a run of study %s with another %s than study %s now: choose another results folder, or put the study back",
			dir, r.info.Study.Name, what, info.Study.Name), r.Close())
	}
	if r.info.Simulated != info.Simulated {
		return nil, errors.Join(fmt.Errorf("%s holds a run with simulated=%v, this one would have simulated=%v: choose another results folder",
			dir, r.info.Simulated, info.Simulated), r.Close())
	}
	r.info.Plans = append(r.info.Plans, r.planChanges(info.Study)...)
	r.info.Study = info.Study
	if len(info.Skip) > 0 {
		r.info.Skip = info.Skip
	}
	if err := writeJSON(filepath.Join(dir, runFile), r.info); err != nil {
		return nil, errors.Join(explain(dir, err), r.Close())
	}
	return r, nil
}

// difference names the first setting in which two studies would give trials that do not belong together.
func difference(a, b *study.Study) string {
	same := func(x, y any) bool {
		p, err1 := json.Marshal(x)
		q, err2 := json.Marshal(y)
		return err1 == nil && err2 == nil && string(p) == string(q)
	}
	for _, d := range []struct {
		name string
		x, y any
	}{
		{"name", a.Name, b.Name},
		{"application", a.Application, b.Application},
		{"parser", a.ParserName(), b.ParserName()},
		{"chart", a.Chart, b.Chart},
		{"number of iterations", a.Iterations, b.Iterations},
		{"order", a.Order, b.Order},
		{"seed", a.Seed, b.Seed},
		{"baseline", a.BaselineArm(), b.BaselineArm()},
		{"set of values", a.Values, b.Values},
		{"list of arms", a.Arms, b.Arms},
	} {
		if !same(d.x, d.y) {
			return d.name
		}
	}
	return ""
}

// Close gives up the lock.
func (r *Run) Close() error {
	return r.lock.Release()
}

// ID returns the run's unique name, fit for a label value.
func (r *Run) ID() string { return r.info.ID }

// Dir returns the run folder.
func (r *Run) Dir() string { return r.dir }

// Info returns the description of the run.
func (r *Run) Info() Info { return r.info }

// Parser returns the parser of the run's logs.
func (r *Run) Parser() Parser { return r.parser }

// LogName returns the name of the log file in each trial folder.
func (r *Run) LogName() string { return r.info.Study.Application + ".out" }
