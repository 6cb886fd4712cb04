package step

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"sync"
	"time"

	"github.com/hashicorp/go-multierror"
)

// grace is how long a step may take to stop after its context has ended before it is left behind.
const grace = 15 * time.Second

// schedule calls do for every step, each when all steps named in before[its name] are through, as many at once as
// possible. With strict set, a step that failed is never through: those after it do not start.
func schedule(ctx context.Context, steps []Step, before map[string][]string, strict bool, do func(ctx context.Context, s Step) error) error {
	type outcome struct {
		name string
		err  error
	}
	waiting := append([]Step(nil), steps...)
	through := make(map[string]bool, len(steps))
	outcomes := make(chan outcome)
	running := 0
	var errs *multierror.Error
	for {
		var later []Step
		for _, s := range waiting {
			if ctx.Err() != nil || !all(before[s.Name], through) {
				later = append(later, s)
				continue
			}
			running++
			go func() { outcomes <- outcome{s.Name, do(ctx, s)} }()
		}
		waiting = later
		if running == 0 {
			break
		}
		o := <-outcomes
		running--
		through[o.name] = o.err == nil || !strict
		if o.err != nil {
			errs = multierror.Append(errs, o.err)
		}
	}
	// A context that ends between two steps must not look like success.
	if errs == nil && len(waiting) > 0 {
		errs = multierror.Append(errs, classify(ctx, "step "+waiting[0].Name+" not started", 0, "", ctx.Err()))
	}
	return Listed(errs)
}

func all(names []string, in map[string]bool) bool {
	for _, n := range names {
		if !in[n] {
			return false
		}
	}
	return true
}

// runner carries what the steps of one Up or Down share.
type runner struct {
	rep   Reporter
	mark  func(name string) error
	mu    sync.Mutex // makes the calls of mark one at a time
	grace time.Duration
}

func newRunner(rep Reporter, mark func(string) error) *runner {
	if rep == nil {
		rep = silent{}
	}
	if mark == nil {
		mark = func(string) error { return nil }
	}
	return &runner{rep: rep, mark: mark, grace: grace}
}

func (r *runner) up(ctx context.Context, s Step) error {
	return r.one(ctx, s, s.Plan, func(ctx context.Context, log Log) (bool, error) {
		if s.Done != nil {
			done, err := s.Done(ctx)
			if err != nil {
				return false, fmt.Errorf("find out whether it is done: %w", err)
			}
			if done {
				return true, nil
			}
		}
		return false, s.Run(ctx, log)
	})
}

func (r *runner) down(ctx context.Context, s Step) error {
	if s.Undo == nil {
		return r.record(s.Name)
	}
	return r.one(ctx, s, "undo: "+s.Plan, func(ctx context.Context, log Log) (bool, error) {
		return false, s.Undo(ctx, log)
	})
}

// one runs work under the step's deadline and tells the reporter.
func (r *runner) one(ctx context.Context, s Step, plan string, work func(context.Context, Log) (bool, error)) error {
	start := time.Now()
	r.rep.Start(s.Name, plan)
	stepCtx, cancel := context.WithTimeout(ctx, s.Timeout)
	defer cancel()

	notes := &notes{rep: r.rep, name: s.Name}
	skipped, err := guarded(stepCtx, r.grace, func() (bool, error) { return work(stepCtx, notes.log) })
	last := notes.close()
	if err != nil {
		if stepCtx.Err() != nil {
			err = classify(ctx, s.Name, s.Timeout, last, err)
		} else {
			err = fmt.Errorf("%s: %w", s.Name, err)
		}
	} else {
		err = r.record(s.Name)
	}
	r.rep.End(s.Name, Result{Err: err, Skipped: skipped && err == nil, Elapsed: time.Since(start)})
	return err
}

func (r *runner) record(name string) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if err := r.mark(name); err != nil {
		return fmt.Errorf("%s: record its state: %w", name, err)
	}
	return nil
}

// classify says why a step whose context has ended failed: the caller's context or its own deadline.
func classify(outer context.Context, name string, limit time.Duration, last string, err error) error {
	seen := last
	if text := err.Error(); !isContextText(err) && text != last {
		seen = join(last, text)
	}
	switch {
	case errors.Is(outer.Err(), context.Canceled):
		text := name + ": interrupted"
		if seen != "" {
			text += "; last seen: " + seen
		}
		return &ended{text: text, mark: ErrInterrupted, cause: errors.Join(context.Canceled, err)}
	case outer.Err() != nil:
		return Timeout(name+": the time for the whole command is over", 0, seen, err)
	}
	return Timeout(name, limit, seen, err)
}

func isContextText(err error) bool {
	return err == context.Canceled || err == context.DeadlineExceeded
}

func join(a, b string) string {
	if a == "" {
		return b
	}
	return a + "; " + b
}

// guarded calls f in its own goroutine, turns a panic into an error and does not wait for ever for an f that goes on
// after ctx has ended.
func guarded(ctx context.Context, grace time.Duration, f func() (bool, error)) (bool, error) {
	type answer struct {
		skipped bool
		err     error
	}
	ch := make(chan answer, 1)
	go func() {
		a := answer{err: errors.New("ended without an answer")}
		defer func() {
			if v := recover(); v != nil {
				a = answer{err: &Panic{Value: v, Stack: debug.Stack()}}
			}
			ch <- a
		}()
		a.skipped, a.err = f()
	}()
	select {
	case a := <-ch:
		return a.skipped, a.err
	case <-ctx.Done():
	}
	timer := time.NewTimer(grace)
	defer timer.Stop()
	select {
	case a := <-ch:
		return a.skipped, a.err
	case <-timer.C:
		return false, fmt.Errorf("it did not stop within %s and was left behind", grace)
	}
}

// notes keeps the last detail of a step and hands details on for as long as the step has not ended.
type notes struct {
	mu     sync.Mutex
	rep    Reporter
	name   string
	last   string
	closed bool
}

func (n *notes) log(format string, args ...any) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.closed {
		return
	}
	n.last = fmt.Sprintf(format, args...)
	n.rep.Detail(n.name, n.last)
}

func (n *notes) close() string {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.closed = true
	return n.last
}

type silent struct{}

func (silent) Start(string, string)  {}
func (silent) Detail(string, string) {}
func (silent) End(string, Result)    {}
