// Package step runs named steps in the order of their needs, forwards to make something and backwards to take it away.
package step

import (
	"context"
	"time"
)

// Step is one named piece of work that can be planned, tested for being done, run and undone.
type Step struct {
	// Name is unique among the steps of one call, in kebab-case.
	Name string
	// Needs names the steps that must have succeeded first. Steps that do not need each other run side by side.
	Needs []string
	// Timeout bounds Done and Run together, and Undo. It must be positive.
	Timeout time.Duration
	// Plan says in one line and in the present tense what Run does.
	Plan string
	// Done tells whether Run has nothing to do. A nil Done means: always run.
	Done func(ctx context.Context) (bool, error)
	// Run does the work. It has to stop when ctx ends.
	Run func(ctx context.Context, log Log) error
	// Undo takes away what Run made, whole or half-made, and succeeds when there is nothing. A nil Undo means: nothing to undo.
	Undo func(ctx context.Context, log Log) error
}

// Log says what a running step is doing now. The last text becomes "what was last seen" when the step runs out of time.
type Log func(format string, args ...any)

// Reporter is told about every step that is started. Its methods are called from several goroutines at once.
type Reporter interface {
	Start(name, plan string)
	Detail(name, text string)
	End(name string, r Result)
}

// Result is how one step ended.
type Result struct {
	// Err is nil on success. errors.Is tells ErrTimeout and ErrInterrupted from real failures.
	Err error
	// Skipped is set when Done said that there was nothing to do.
	Skipped bool
	// Elapsed is the time from start to end of the step.
	Elapsed time.Duration
}

// Up runs the steps so that each one starts when all its needs have succeeded. After a failure the steps that do not need the failed one
// go on: the next call then has only the rest to do. checkpoint, which may be nil, is called for each step that succeeded or was
// already done; its calls never overlap, and its error counts as the step's failure.
//
// The error holds every failure (a *multierror.Error when there are several); steps that did not start because one that they need
// failed are not counted. It matches ErrTimeout when a deadline passed, and ErrInterrupted and context.Canceled
// when ctx was cancelled.
func Up(ctx context.Context, steps []Step, rep Reporter, checkpoint func(name string) error) error {
	if err := Validate(steps); err != nil {
		return err
	}
	r := newRunner(rep, checkpoint)
	return schedule(ctx, steps, needs(steps), true, r.up)
}

// Down undoes the steps in the reverse order: a step is undone when all steps that need it have been dealt with. It goes
// on after failures and gathers all of them. forget, which may be nil, is called for each step that is undone or has
// nothing to undo; its calls never overlap. When ctx is cancelled no further step is undone.
func Down(ctx context.Context, steps []Step, rep Reporter, forget func(name string) error) error {
	if err := Validate(steps); err != nil {
		return err
	}
	r := newRunner(rep, forget)
	return schedule(ctx, steps, dependents(steps), false, r.down)
}
