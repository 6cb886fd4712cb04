package store

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/compspec/ocifit-lab/provision/atomicfile"
)

// ErrDone is what Begin wraps for a trial that is done.
var ErrDone = errors.New("the trial is done")

// key names a trial's folder within its arm.
func key(n int, warmup bool) string {
	if warmup {
		return "warmup-" + strconv.Itoa(n)
	}
	return strconv.Itoa(n)
}

func (r *Run) armDir(arm string) string {
	return filepath.Join(r.dir, logsDir, r.info.Study.Application, arm)
}

// Attempt is one try at a trial. Its files are gathered in a hidden folder, which becomes the trial's folder when it is committed.
type Attempt struct {
	run    *Run
	arm    string
	n      int
	warmup bool
	number int
	dir    string
	closed bool
}

// Begin starts an attempt at a trial. What stands in the trial's place without being done is kept beside it under another name.
func (r *Run) Begin(arm string, n int, warmup bool) (*Attempt, error) {
	if r.mode != Write {
		return nil, fmt.Errorf("the run %s is open for reading only", r.dir)
	}
	if _, ok := r.info.Study.Arm(arm); !ok || n < 1 {
		return nil, fmt.Errorf("the study %s has no trial %s/%d", r.info.Study.Name, arm, n)
	}
	a := &Attempt{run: r, arm: arm, n: n, warmup: warmup}
	if !r.take(a.id()) {
		return nil, fmt.Errorf("trial %s is already running in this program", a.id())
	}
	if err := a.begin(); err != nil {
		r.release(a.id())
		return nil, explain(r.dir, err)
	}
	return a, nil
}

func (a *Attempt) id() string { return a.arm + "/" + key(a.n, a.warmup) }

func (r *Run) take(id string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.active[id] {
		return false
	}
	r.active[id] = true
	return true
}

func (r *Run) release(id string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.active, id)
}

func (a *Attempt) begin() error {
	state, err := a.run.State(a.arm, a.n, a.warmup)
	if err != nil {
		return err
	}
	if state.Done {
		return fmt.Errorf("%w: %s", ErrDone, a.id())
	}
	if state.Exists {
		if err := a.run.setAside(a.final(), state.Reason); err != nil {
			return err
		}
	}
	if err := os.MkdirAll(a.run.armDir(a.arm), 0o700); err != nil {
		return err
	}
	a.number, err = a.run.nextAttempt(a.arm, key(a.n, a.warmup))
	if err != nil {
		return err
	}
	a.dir = filepath.Join(a.run.armDir(a.arm), fmt.Sprintf(".%s.attempt-%d", key(a.n, a.warmup), a.number))
	if err := os.RemoveAll(a.dir); err != nil {
		return err
	}
	return os.Mkdir(a.dir, 0o700)
}

func (a *Attempt) final() string {
	return filepath.Join(a.run.armDir(a.arm), key(a.n, a.warmup))
}

// nextAttempt is one more than the highest number of a kept attempt.
func (r *Run) nextAttempt(arm, trial string) (int, error) {
	entries, err := os.ReadDir(r.armDir(arm))
	if err != nil {
		return 0, err
	}
	last := 0
	for _, e := range entries {
		if _, k, ok := splitFailed(e.Name()); ok && strings.HasPrefix(e.Name(), trial+".failed-") {
			last = max(last, k)
		}
	}
	return last + 1, nil
}

// splitFailed takes 7.failed-2 apart.
func splitFailed(name string) (trial string, attempt int, ok bool) {
	trial, k, ok := strings.Cut(name, ".failed-")
	if !ok {
		return "", 0, false
	}
	attempt, err := strconv.Atoi(k)
	return trial, attempt, err == nil
}

// Dir returns the folder for the attempt's files.
func (a *Attempt) Dir() string { return a.dir }

// Number returns which attempt at the trial this is, from 1.
func (a *Attempt) Number() int { return a.number }

// Record returns the record to be filled in, with what the store knows.
func (a *Attempt) Record() Trial {
	arm, _ := a.run.info.Study.Arm(a.arm)
	return Trial{
		SchemaVersion: SchemaVersion, Run: a.run.info.ID, Arm: a.arm, Trial: a.n, Warmup: a.warmup, Attempt: a.number,
		Model: arm.Model, Tasks: arm.Tasks, Simulated: a.run.info.Simulated,
	}
}

// WriteFile makes a file of the attempt appear whole or not at all.
func (a *Attempt) WriteFile(name string, data []byte) error {
	return explain(a.run.dir, writeFile(filepath.Join(a.dir, name), data))
}

// Commit makes the trial done, if its log parses as complete: what the log says is taken into the record, and the folder moves into its
// place at once. A log that does not count is kept as a rejected attempt, and the error is a *Rejection.
func (a *Attempt) Commit(t Trial) error {
	if a.closed {
		return fmt.Errorf("attempt %d at %s has ended before", a.number, a.id())
	}
	outcome, err := parseFile(a.run.parser, filepath.Join(a.dir, a.run.LogName()), a.run.info.Study.Iterations)
	if err == nil {
		t = a.stamped(t)
		t.Verdict, t.Reason = Complete, ""
		if e := t.fill(outcome); e != nil {
			err = &Rejection{Reason: "record", Detail: e.Error(), Err: e}
		}
	}
	var rejection *Rejection
	if errors.As(err, &rejection) {
		t.Verdict, t.Reason = Rejected, rejection.Reason+": "+rejection.Detail
		return errors.Join(err, a.Fail(t))
	}
	if err == nil {
		err = a.finish(t, a.final())
	}
	return explain(a.run.dir, err)
}

// Fail keeps the attempt beside the trial's place, so that the trial can be tried again and the failure be seen.
func (a *Attempt) Fail(t Trial) error {
	if a.closed {
		return nil
	}
	t = a.stamped(t)
	if t.Verdict == "" || t.Verdict == Complete {
		t.Verdict = Failed
	}
	_ = t.derive() // a clock that jumped costs a failed attempt its lengths only
	return explain(a.run.dir, a.finish(t, fmt.Sprintf("%s.failed-%d", a.final(), a.number)))
}

// Discard ends an attempt that was stopped from outside. It is kept as interrupted when the application had begun to write its log.
func (a *Attempt) Discard() error {
	if a.closed {
		return nil
	}
	if info, err := os.Stat(filepath.Join(a.dir, a.run.LogName())); err == nil && info.Size() > 0 {
		t := a.Record()
		t.Verdict, t.Reason = Interrupted, "the program was stopped while the trial ran"
		return a.Fail(t)
	}
	a.closed = true
	a.run.release(a.id())
	return explain(a.run.dir, os.RemoveAll(a.dir))
}

// stamped makes sure that a record belongs to this attempt, whatever the caller filled in.
func (a *Attempt) stamped(t Trial) Trial {
	known := a.Record()
	t.SchemaVersion, t.Run, t.Arm, t.Trial, t.Warmup, t.Attempt = known.SchemaVersion, known.Run, known.Arm, known.Trial, known.Warmup, known.Attempt
	t.Model, t.Tasks = known.Model, known.Tasks
	t.Simulated = t.Simulated || known.Simulated
	return t
}

func (a *Attempt) finish(t Trial, to string) error {
	if err := writeJSON(filepath.Join(a.dir, trialFile), t); err != nil {
		return err
	}
	atomicfile.SyncDir(a.dir)
	if err := a.run.spend(t.CostUSD, func() error { return os.Rename(a.dir, to) }); err != nil {
		return err
	}
	atomicfile.SyncDir(filepath.Dir(to))
	a.closed = true
	a.run.release(a.id())
	return nil
}
