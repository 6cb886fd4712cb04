package store

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/compspec/ocifit-lab/experiments/study"
)

// State is what stands in a trial's place.
type State struct {
	Exists bool
	Done   bool
	Reason string // why something that exists is not done
}

// State looks at a trial's folder. A trial is done when its folder exists, its record says complete and belongs to this run and this
// trial, and its log parses as complete. The error is one of reading, not of the trial.
func (r *Run) State(arm string, n int, warmup bool) (State, error) {
	dir := filepath.Join(r.armDir(arm), key(n, warmup))
	if _, err := os.Lstat(dir); errors.Is(err, os.ErrNotExist) {
		return State{}, nil
	} else if err != nil {
		return State{}, err
	}
	_, _, err := r.read(dir, arm, n, warmup)
	var rejection *Rejection
	if errors.As(err, &rejection) {
		return State{Exists: true, Reason: rejection.Reason + ": " + rejection.Detail}, nil
	}
	return State{Exists: true, Done: err == nil}, err
}

// Done tells whether a trial is done.
func (r *Run) Done(arm string, n int, warmup bool) (bool, error) {
	s, err := r.State(arm, n, warmup)
	return s.Done, err
}

// Unfinished returns the trials that are not done, each read once; with failedOnly those alone of which an attempt failed or does not
// count.
func (r *Run) Unfinished(trials []study.Trial, failedOnly bool) ([]study.Trial, error) {
	failed := map[string]map[string]bool{}
	var out []study.Trial
	for _, t := range trials {
		state, err := r.State(t.Arm.Name, t.N, t.Warmup)
		if err != nil {
			return nil, err
		}
		if state.Done {
			continue
		}
		if failedOnly {
			if failed[t.Arm.Name] == nil {
				failed[t.Arm.Name] = r.failedTrials(t.Arm.Name)
			}
			if !state.Exists && !failed[t.Arm.Name][key(t.N, t.Warmup)] {
				continue
			}
		}
		out = append(out, t)
	}
	return out, nil
}

// read reads a trial that is meant to be complete; what is wrong with it is a *Rejection.
func (r *Run) read(dir, arm string, n int, warmup bool) (*Trial, *Outcome, error) {
	t, err := readTrial(dir)
	if err != nil {
		return nil, nil, err
	}
	if why := r.foreign(t, arm, n, warmup); why != "" {
		return t, nil, &Rejection{Reason: "mixed-runs", Detail: why}
	}
	if t.Verdict != Complete {
		return t, nil, &Rejection{Reason: "verdict", Detail: fmt.Sprintf("the record says %s: %s", t.Verdict, t.Reason)}
	}
	o, err := parseFile(r.parser, filepath.Join(dir, r.LogName()), r.info.Study.Iterations)
	if err != nil {
		return t, nil, err
	}
	if !slices.Equal(t.FOM(), o.Figures) || t.Ranks != o.Ranks || t.Threads != o.Threads {
		return t, o, &Rejection{Reason: "edited", Detail: "the record and the log differ in figures, ranks or threads"}
	}
	if o.Replayed && !t.Simulated {
		return t, o, &Rejection{Reason: "edited", Detail: "the log says that it is a replay, the record says that it is not simulated"}
	}
	return t, o, nil
}

func readTrial(dir string) (*Trial, error) {
	data, err := os.ReadFile(filepath.Join(dir, trialFile))
	if errors.Is(err, os.ErrNotExist) {
		return nil, &Rejection{Reason: "no-record", Detail: "there is no " + trialFile, Err: err}
	}
	if err != nil {
		return nil, err
	}
	var t Trial
	if err := json.Unmarshal(data, &t); err != nil {
		return nil, &Rejection{Reason: "broken-record", Detail: err.Error(), Err: err}
	}
	if t.SchemaVersion != SchemaVersion {
		return nil, &Rejection{Reason: "broken-record", Detail: fmt.Sprintf("schema version %d, this program reads %d", t.SchemaVersion, SchemaVersion)}
	}
	return &t, nil
}

// foreign says why a record does not belong where it lies.
func (r *Run) foreign(t *Trial, arm string, n int, warmup bool) string {
	switch {
	case t.Run != r.info.ID:
		return fmt.Sprintf("it is of run %q, this is run %q", t.Run, r.info.ID)
	case t.Arm != arm || t.Trial != n || t.Warmup != warmup:
		return fmt.Sprintf("it is trial %s/%s, but lies at %s/%s", t.Arm, key(t.Trial, t.Warmup), arm, key(n, warmup))
	}
	return ""
}

// ArmProgress is how far an arm is.
type ArmProgress struct {
	Name   string `json:"name"`
	Model  string `json:"model"`
	Trials int    `json:"trials"` // planned
	Done   int    `json:"done"`
	Failed int    `json:"failed"` // not done, with at least one attempt that failed
}

// Progress counts the trials of each arm of the study, warm-ups apart. A run that cannot be read counts as nothing done.
func (r *Run) Progress(s *study.Study) []ArmProgress {
	out := make([]ArmProgress, len(s.Arms))
	for i, arm := range s.Arms {
		p := &out[i]
		p.Name, p.Model, p.Trials = arm.Name, arm.Model, s.Repeats
		failed := r.failedTrials(arm.Name)
		for n := 1; n <= s.Repeats; n++ {
			state, err := r.State(arm.Name, n, false)
			switch {
			case err == nil && state.Done:
				p.Done++
			case state.Exists || failed[key(n, false)]:
				p.Failed++
			}
		}
	}
	return out
}

func (r *Run) failedTrials(arm string) map[string]bool {
	entries, err := os.ReadDir(r.armDir(arm))
	if err != nil {
		return map[string]bool{}
	}
	failed := map[string]bool{}
	for _, e := range entries {
		trial, _, ok := splitFailed(e.Name())
		if !ok || strings.HasPrefix(trial, ".") {
			continue
		}
		if t, err := readTrial(filepath.Join(r.armDir(arm), e.Name())); err != nil || t.Verdict != Interrupted {
			failed[trial] = true
		}
	}
	return failed
}
