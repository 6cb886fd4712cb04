package trial

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/compspec/ocifit-lab/experiments/breaker"
	"github.com/compspec/ocifit-lab/experiments/store"
	"github.com/compspec/ocifit-lab/experiments/study"
	"github.com/compspec/ocifit-lab/provision/kube"
	"github.com/compspec/ocifit-lab/provision/step"
)

// Observer follows trials. Its methods are called from several goroutines when trials run side by side.
type Observer interface {
	// Now says what a trial is doing.
	Now(t study.Trial, format string, args ...any)
	// Ended is called once per attempt; err is nil for a complete trial.
	Ended(t study.Trial, record store.Trial, err error)
}

// RunAll runs the trials in their order and returns how many failed. With parallel above one, trials of different arms run
// side by side; an arm's own trials never do. It stops at the first error that is not a trial's own failure.
func (r *Runner) RunAll(ctx context.Context, trials []study.Trial, parallel int, obs Observer) (failed int, err error) {
	if parallel > 1 && r.Nodes == nil {
		r.Nodes = NewNodes()
	}
	if err := r.readServed(ctx); err != nil {
		return 0, err
	}
	if err := r.readArtifact(ctx); err != nil {
		return 0, err
	}
	if err := r.sweep(ctx); err != nil {
		return 0, err
	}
	stop := breaker.New(sameFailures)
	group, ctx := errgroup.WithContext(ctx)
	q := newQueue(trials)
	context.AfterFunc(ctx, q.stop)
	var mu sync.Mutex
	for range max(1, parallel) {
		group.Go(func() error {
			for {
				t, ok := q.next()
				if !ok {
					return ctx.Err()
				}
				err := r.attempts(ctx, t, obs)
				q.done(t)
				failure, own := ownFailure(err)
				switch {
				case err == nil:
					stop.Succeeded()
				case own && ctx.Err() == nil:
					mu.Lock()
					failed++
					mu.Unlock()
					if err := failure.endsStudy(stop); err != nil {
						return err
					}
				default:
					return err
				}
			}
		})
	}
	err = group.Wait()
	return failed, err
}

// sameFailures is how many trials in a row may fail for one reason that is not the application's.
const sameFailures = 3

// ownFailure tells whether an error is the failure of one trial, not the end of the lab nor of what all trials need.
func ownFailure(err error) (*Failure, bool) {
	var failure *Failure
	var outage *Outage
	own := errors.As(err, &failure) && !errors.As(err, &outage) && !errors.Is(err, kube.ErrLost) && !errors.Is(err, ErrArtifactChanged)
	return failure, own
}

// endsStudy counts a failure. What the application does by itself is a result, however often it does it.
func (f *Failure) endsStudy(stop *breaker.Breaker) error {
	if f.Phase == "container" || f.Phase == "log" {
		stop.Succeeded()
		return nil
	}
	return step.Try(stop.Failed(f), "mend the cause, then run the same command again; `ocifit-lab status` and `ocifit-lab up` look at the lab")
}

// attempts tries a trial until it is complete or its retries are used up.
func (r *Runner) attempts(ctx context.Context, t study.Trial, obs Observer) error {
	var outages outlast
	for try := 0; ; try++ {
		if err := r.affordable(ctx); err != nil {
			return err
		}
		record, err := r.run(ctx, t, func(format string, args ...any) { obs.Now(t, format, args...) })
		if outage := new(Outage); errors.As(err, &outage) && ctx.Err() == nil {
			if err := outages.wait(ctx, t, outage, obs); err != nil {
				obs.Ended(t, record, err)
				return err
			}
			try--
			continue
		}
		obs.Ended(t, record, err)
		if _, own := ownFailure(err); !own || try >= r.Study.Retries {
			return err
		}
	}
}

// ErrMaxCost says that the study's limit keeps the next trial from starting.
var ErrMaxCost = errors.New("the study's cost limit is reached")

// affordable refuses a trial that could pass the study's limit.
func (r *Runner) affordable(ctx context.Context) error {
	limit := r.Study.MaxCostUSD
	if limit <= 0 {
		return nil
	}
	spent, err := r.Store.Spent(ctx)
	if err != nil {
		return err
	}
	if spent+r.TrialUSD > limit {
		return fmt.Errorf("%w: $%.2f of $%.2f are spent, and the next trial may cost $%.2f", ErrMaxCost, spent, limit, r.TrialUSD)
	}
	return nil
}

// queue hands out trials in their order, never two of one arm at a time.
type queue struct {
	mu      sync.Mutex
	changed *sync.Cond
	waiting []study.Trial
	busy    map[string]bool
	stopped bool
}

func newQueue(trials []study.Trial) *queue {
	q := &queue{waiting: slices.Clone(trials), busy: map[string]bool{}}
	q.changed = sync.NewCond(&q.mu)
	return q
}

// next waits for a trial whose arm is free; ok is false when nothing is left to start.
func (q *queue) next() (t study.Trial, ok bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for {
		if q.stopped || len(q.waiting) == 0 {
			return study.Trial{}, false
		}
		i := slices.IndexFunc(q.waiting, func(t study.Trial) bool { return !q.busy[t.Arm.Name] })
		if i >= 0 {
			t = q.waiting[i]
			q.waiting = slices.Delete(q.waiting, i, i+1)
			q.busy[t.Arm.Name] = true
			return t, true
		}
		q.changed.Wait()
	}
}

func (q *queue) done(t study.Trial) {
	q.mu.Lock()
	defer q.mu.Unlock()
	delete(q.busy, t.Arm.Name)
	q.changed.Broadcast()
}

func (q *queue) stop() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.stopped = true
	q.changed.Broadcast()
}
