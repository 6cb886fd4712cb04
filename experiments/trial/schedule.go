package trial

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/hashicorp/go-multierror"
	"golang.org/x/sync/errgroup"

	"github.com/compspec/ocifit-lab/experiments/breaker"
	"github.com/compspec/ocifit-lab/experiments/store"
	"github.com/compspec/ocifit-lab/experiments/study"
	"github.com/compspec/ocifit-lab/provision/kube"
)

// Observer follows trials. Its methods are called from several goroutines when trials run side by side.
type Observer interface {
	// Now says what a trial is doing.
	Now(t study.Trial, format string, args ...any)
	// Ended is called once per attempt; err is nil for a complete trial.
	Ended(t study.Trial, record store.Trial, err error)
}

// RunAll runs the trials in their order, so many side by side as parallel and the runner's limits allow, and returns how many failed. It stops
// at the first error that is not a trial's own failure. An arm whose trials fail in a row for one reason that is not the application's
// goes no further, and the others go on; the error then wraps breaker.ErrOpen and names each such arm.
func (r *Runner) RunAll(ctx context.Context, trials []study.Trial, parallel int, obs Observer) (failed int, err error) {
	r.Limits.Parallel = max(1, parallel)
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
	q := r.queue(trials)
	context.AfterFunc(ctx, q.stop)
	var mu sync.Mutex
	var stopped *multierror.Error
	for range r.Limits.Parallel {
		group.Go(func() error {
			for {
				t, slot, err := q.next(ctx)
				if err != nil {
					return err
				}
				if slot == nil {
					return ctx.Err()
				}
				err = r.attempts(ctx, t, slot.shared(), obs)
				slot.end()
				failure, own := ownFailure(err)
				switch {
				case err == nil:
					stop.Succeeded(t.Arm.Name)
				case own && ctx.Err() == nil:
					open := failure.stopsArm(stop, t.Arm.Name)
					mu.Lock()
					failed++
					if open != nil {
						if left := q.drop(t.Arm.Name); left > 0 {
							open = fmt.Errorf("%w; %d more of its trials were not started", open, left)
						}
						stopped = multierror.Append(stopped, open)
					}
					mu.Unlock()
				default:
					return err
				}
			}
		})
	}
	if err = group.Wait(); err != nil {
		return failed, err
	}
	return failed, stopped.ErrorOrNil()
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

// stopsArm counts a failure, and says when the arm should go no further. What the application does by itself is a result, however often it
// does it.
func (f *Failure) stopsArm(stop *breaker.Breaker, arm string) error {
	if f.Phase == "container" || f.Phase == "log" {
		stop.Succeeded(arm)
		return nil
	}
	return stop.Failed(arm, f)
}

// attempts tries a trial until it is complete or its retries are used up.
func (r *Runner) attempts(ctx context.Context, t study.Trial, slot *slot, obs Observer) error {
	var outages outlast
	for try := 0; ; try++ {
		if err := r.Budget.begin(t); err != nil {
			return err
		}
		record, err := r.run(ctx, t, slot, func(format string, args ...any) { obs.Now(t, format, args...) })
		r.Budget.end(t, record)
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
