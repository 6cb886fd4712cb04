// Package wait looks again and again, with growing pauses and a deadline, until something is so, and tells what it last saw.
package wait

import (
	"context"
	"errors"
	"fmt"
	"time"

	"k8s.io/apimachinery/pkg/util/wait"

	"github.com/compspec/ocifit-lab/provision/step"
)

// Patience is the deadline of waits whose context has none.
const Patience = 10 * time.Minute

// growth is the ratio of a pause to the one before it.
const growth = 1.5

// Backoff is how long to pause between looks: First, then half as much again each time, up to Longest. Longest 0 means that all
// pauses are alike.
type Backoff struct {
	First, Longest time.Duration
	// Tries bounds how often Retry tries; 0 leaves the bound to the context. Until does not look at it.
	Tries int
}

// Every pauses for the same time after each look.
func Every(pause time.Duration) Backoff { return Backoff{First: pause, Longest: pause} }

func (b Backoff) delays() wait.DelayFunc {
	return wait.Backoff{Duration: b.First, Cap: max(b.First, b.Longest), Factor: growth, Steps: int(^uint32(0) >> 1)}.DelayFunc()
}

// Pauser hands out the pauses of a Backoff one by one, for loops that start over when something moved.
type Pauser struct {
	backoff Backoff
	delays  wait.DelayFunc
}

// Pauser starts with the first pause.
func (b Backoff) Pauser() *Pauser { return &Pauser{b, b.delays()} }

// Reset makes the next pause the first one again.
func (p *Pauser) Reset() { p.delays = p.backoff.delays() }

// Wait passes the next pause, or returns the error of a context that ends before.
func (p *Pauser) Wait(ctx context.Context) error { return Pause(ctx, p.delays()) }

// Pause passes the time, or returns the error of a context that ends before.
func Pause(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return ctx.Err()
	}
	return wait.DelayFunc(func() time.Duration { return d }).Until(ctx, false, true, func(context.Context) (bool, error) { return true, nil })
}

// Bounded gives a context a deadline if it has none.
func Bounded(ctx context.Context, limit time.Duration) (context.Context, context.CancelFunc) {
	if _, ok := ctx.Deadline(); ok {
		return context.WithCancel(ctx)
	}
	return context.WithTimeout(ctx, limit)
}

// Until looks at once and after each pause until look says that it is so, or fails, which ends the wait with that error. seen is what a
// wait that takes too long tells: its error matches step.ErrTimeout and reads "<doing>: timed out after …; last seen: <seen>". An empty
// seen keeps the one before. doing says what is waited for. A context without a deadline gets Patience.
func Until(ctx context.Context, doing string, b Backoff, look func(ctx context.Context) (done bool, seen string, err error)) error {
	ctx, cancel := Bounded(ctx, Patience)
	defer cancel()
	start, last := time.Now(), ""
	var failed error
	err := b.delays().Until(ctx, true, true, func(ctx context.Context) (bool, error) {
		done, seen, err := look(ctx)
		if seen != "" {
			last = seen
		}
		failed = err
		return done, err
	})
	if err == nil || failed != nil && ctx.Err() == nil {
		return err
	}
	return Ended(ctx, doing, start, last, failed)
}

// Retry tries at once and after each pause until try succeeds. What it fails with is what was last seen; an error from Stop, and the
// last of b.Tries, end the wait. The error that ended it is wrapped. A context without a deadline gets Patience.
func Retry(ctx context.Context, doing string, b Backoff, try func(ctx context.Context) error) error {
	ctx, cancel := Bounded(ctx, Patience)
	defer cancel()
	start, tries := time.Now(), 0
	var last error
	err := b.delays().Until(ctx, true, true, func(ctx context.Context) (bool, error) {
		err := try(ctx)
		if err == nil {
			return true, nil
		}
		// What the end of the context made of the last try says less than the try before it.
		if last == nil || ctx.Err() == nil {
			last = err
		}
		tries++
		if final := new(stop); errors.As(err, final) {
			return false, final.error
		}
		if tries == b.Tries && ctx.Err() == nil {
			if tries > 1 {
				return false, fmt.Errorf("%w (tried %d times)", err, tries)
			}
			return false, err
		}
		return false, nil
	})
	switch final := new(stop); {
	case err == nil:
		return nil
	case ctx.Err() != nil && !errors.As(last, final):
		return Ended(ctx, doing, start, text(last), last)
	}
	return fmt.Errorf("%s: %w", doing, err)
}

type stop struct{ error }

func (s stop) Unwrap() error { return s.error }

// Stop marks an error that no other try can change.
func Stop(err error) error {
	if err == nil {
		return nil
	}
	return stop{err}
}

// Ended is the error of a wait whose context is over: a timeout that says how long it took and what was last seen, or the cancellation.
// cause, which may be nil, is wrapped.
func Ended(ctx context.Context, doing string, start time.Time, seen string, cause error) error {
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return step.Timeout(doing, time.Since(start), seen, errors.Join(ctx.Err(), cause))
	}
	if seen != "" {
		seen = "; last seen: " + seen
	}
	return fmt.Errorf("%s: %w%s", doing, context.Cause(ctx), seen)
}

func text(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}
