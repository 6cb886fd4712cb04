package store

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"sort"
	"strings"
	"sync"

	"github.com/hashicorp/go-multierror"

	"github.com/compspec/ocifit-lab/experiments/study"
)

// Record is one attempt that the run folder holds.
type Record struct {
	Arm     string
	N       int
	Warmup  bool
	Path    string // of its folder, inside the run folder
	Trial   Trial  // zero when there is no readable record
	Outcome *Outcome
	// Problem says why the attempt does not count; it is empty for a complete trial. ProblemName is its stable name.
	Problem     string
	ProblemName string
	// LogSHA256 and PodUID tell a copy of a trial from another trial; empty where they are not known.
	LogSHA256, PodUID string
}

// Complete tells whether the trial counts.
func (r *Record) Complete() bool { return r.Outcome != nil && r.Problem == "" }

// Records reads every attempt of the run, complete or not, in the order of the study's arms and of the trials' numbers. Every log is
// parsed again, so that a folder that was edited or mixed up does not count. The node labels are dropped from the records, for they
// are many and all alike.
func (r *Run) Records(ctx context.Context) ([]Record, error) {
	list, err := r.list()
	if err != nil {
		return nil, err
	}
	var (
		wg   sync.WaitGroup
		mu   sync.Mutex
		errs *multierror.Error
		next = make(chan int)
	)
	for range min(runtime.GOMAXPROCS(0), max(len(list), 1)) {
		wg.Go(func() {
			for i := range next {
				if err := r.fillRecord(&list[i]); err != nil {
					mu.Lock()
					errs = multierror.Append(errs, err)
					mu.Unlock()
				}
			}
		})
	}
	for i := range list {
		if ctx.Err() != nil {
			break
		}
		next <- i
	}
	close(next)
	wg.Wait()
	if ctx.Err() != nil {
		return nil, fmt.Errorf("reading the trials of %s was stopped: %w", r.dir, ctx.Err())
	}
	return list, errs.ErrorOrNil()
}

// list names the attempts without reading them.
func (r *Run) list() ([]Record, error) {
	var out []Record
	rank := map[string]int{}
	for i, arm := range r.info.Study.Arms {
		rank[arm.Name] = i
		entries, err := os.ReadDir(r.armDir(arm.Name))
		if errors.Is(err, os.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		for _, e := range entries {
			if strings.HasPrefix(e.Name(), ".") || !e.IsDir() {
				continue
			}
			trial, _, failed := splitFailed(e.Name())
			if !failed {
				trial = e.Name()
			}
			rec := Record{Arm: arm.Name, Path: filepath.Join(logsDir, r.info.Study.Application, arm.Name, e.Name())}
			var ok bool
			if rec.N, rec.Warmup, ok = parseKey(trial); !ok {
				rec.Problem, rec.ProblemName = "the folder's name is not that of a trial", "stray-folder"
			}
			out = append(out, rec)
		}
	}
	sort.SliceStable(out, func(i, j int) bool {
		a, b := &out[i], &out[j]
		switch {
		case rank[a.Arm] != rank[b.Arm]:
			return rank[a.Arm] < rank[b.Arm]
		case a.Warmup != b.Warmup:
			return a.Warmup
		case a.N != b.N:
			return a.N < b.N
		}
		return a.Path < b.Path
	})
	return out, nil
}

func (r *Run) fillRecord(rec *Record) error {
	if rec.Problem != "" {
		return nil
	}
	dir := filepath.Join(r.dir, rec.Path)
	t, o, err := r.read(dir, rec.Arm, rec.N, rec.Warmup)
	if t != nil {
		rec.Trial = *t
		rec.Trial.Node.Labels = nil
	}
	var rejection *Rejection
	switch {
	case errors.As(err, &rejection):
		rec.ProblemName, rec.Problem = rejection.Reason, rejection.Detail
		if rejection.Reason == "verdict" {
			rec.ProblemName, rec.Problem = string(t.Verdict), t.Reason
		}
	case err != nil:
		return err
	case strings.Contains(filepath.Base(dir), ".failed-"):
		rec.ProblemName, rec.Problem = "set-aside", "the folder is named as a failed attempt"
	}
	rec.Outcome = o
	if o != nil && rec.Problem == "" {
		return r.identify(rec, dir)
	}
	return nil
}

func (r *Run) identify(rec *Record, dir string) error {
	data, err := os.ReadFile(filepath.Join(dir, r.LogName()))
	if err != nil {
		return err
	}
	sum := sha256.Sum256(data)
	rec.LogSHA256 = hex.EncodeToString(sum[:])
	if p, err := readPod(dir); err == nil {
		rec.PodUID = p.Metadata.UID
	}
	return nil
}

// Planned is the progress of a study of which nothing has run.
func Planned(s *study.Study) []ArmProgress {
	out := make([]ArmProgress, len(s.Arms))
	for i, arm := range s.Arms {
		out[i] = ArmProgress{Name: arm.Name, Model: arm.Model, Trials: s.Repeats}
	}
	return out
}

// Spent is what all recorded attempts have cost so far, complete or not, in US dollars. The folder is read once; a run that is open for
// writing then adds what its own attempts cost.
func (r *Run) Spent(ctx context.Context) (float64, error) {
	r.costs.Lock()
	defer r.costs.Unlock()
	if r.spent != nil {
		return *r.spent, nil
	}
	sum, err := r.readSpent(ctx)
	if err == nil && r.mode == Write {
		r.spent = &sum
	}
	return sum, err
}

func (r *Run) readSpent(ctx context.Context) (float64, error) {
	list, err := r.list()
	if err != nil {
		return 0, err
	}
	sum := 0.0
	for i := range list {
		if err := ctx.Err(); err != nil {
			return 0, err
		}
		if t, err := readTrial(filepath.Join(r.dir, list[i].Path)); err == nil && t.Run == r.info.ID {
			sum += t.CostUSD
		}
	}
	return sum, nil
}

// spend makes an attempt's record and its cost appear together, so that a sum that is read meanwhile counts it once.
func (r *Run) spend(usd float64, record func() error) error {
	r.costs.Lock()
	defer r.costs.Unlock()
	if err := record(); err != nil {
		return err
	}
	if r.spent != nil {
		*r.spent += usd
	}
	return nil
}
