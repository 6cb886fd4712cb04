package step

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// tape records what a reporter is told.
type tape struct {
	mu    sync.Mutex
	lines []string
	ends  map[string]Result
}

func (t *tape) add(format string, args ...any) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.lines = append(t.lines, fmt.Sprintf(format, args...))
}
func (t *tape) Start(name, plan string)  { t.add("start %s (%s)", name, plan) }
func (t *tape) Detail(name, text string) { t.add("detail %s: %s", name, text) }
func (t *tape) End(name string, r Result) {
	t.add("end %s skipped=%v err=%v", name, r.Skipped, r.Err)
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.ends == nil {
		t.ends = map[string]Result{}
	}
	t.ends[name] = r
}

func (t *tape) result(name string) Result {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.ends[name]
}

// names collects names from several goroutines.
type names struct {
	mu  sync.Mutex
	all []string
}

func (n *names) add(name string) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.all = append(n.all, name)
	return nil
}

func ok(name string, needs ...string) Step {
	return Step{
		Name: name, Needs: needs, Timeout: time.Minute, Plan: "do " + name,
		Run: func(context.Context, Log) error { return nil },
	}
}

func TestUpOrderAndSideBySide(t *testing.T) {
	// b and c can only pass if both run at once.
	meet := make(chan struct{})
	rendezvous := func(ctx context.Context, send bool) error {
		if send {
			select {
			case meet <- struct{}{}:
			case <-ctx.Done():
				return ctx.Err()
			}
			return nil
		}
		select {
		case <-meet:
		case <-ctx.Done():
			return ctx.Err()
		}
		return nil
	}
	b, c := ok("b", "a"), ok("c", "a")
	b.Run = func(ctx context.Context, _ Log) error { return rendezvous(ctx, true) }
	c.Run = func(ctx context.Context, _ Log) error { return rendezvous(ctx, false) }
	var got names
	if err := Up(t.Context(), []Step{ok("d", "b", "c"), b, c, ok("a")}, nil, got.add); err != nil {
		t.Fatal(err)
	}
	if got.all[0] != "a" || got.all[3] != "d" {
		t.Errorf("order of checkpoints: %v", got.all)
	}
}

func TestUpReportsSkippedStepsAndDetails(t *testing.T) {
	a, b := ok("a"), ok("b", "a")
	a.Done = func(context.Context) (bool, error) { return true, nil }
	a.Run = func(context.Context, Log) error { t.Error("a is done and must not run"); return nil }
	b.Run = func(_ context.Context, log Log) error { log("pulling %d", 3); return nil }
	var rep tape
	var got names
	if err := Up(t.Context(), []Step{a, b}, &rep, got.add); err != nil {
		t.Fatal(err)
	}
	want := []string{
		"start a (do a)", "end a skipped=true err=<nil>",
		"start b (do b)", "detail b: pulling 3", "end b skipped=false err=<nil>",
	}
	if d := cmp.Diff(want, rep.lines); d != "" {
		t.Error(d)
	}
	if d := cmp.Diff([]string{"a", "b"}, got.all); d != "" {
		t.Errorf("checkpoints: %s", d)
	}
}

func TestUpIndependentStepsFinish(t *testing.T) {
	boom := errors.New("no quota")
	failed := make(chan struct{})
	bad, slow, worse := ok("bad"), ok("slow"), ok("worse", "slow")
	bad.Run = func(context.Context, Log) error { return Try(boom, "ask for more") }
	slow.Run = func(ctx context.Context, _ Log) error {
		select {
		case <-failed:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	worse.Run = func(context.Context, Log) error { return errors.New("no such chart") }
	never := ok("never", "bad", "after")
	never.Run = func(context.Context, Log) error { t.Error("must not run"); return nil }
	rep := &failing{on: "bad", failed: failed}
	var marked names
	err := Up(t.Context(), []Step{bad, slow, worse, ok("after", "slow"), never}, rep, marked.add)
	if !errors.Is(err, boom) || !strings.Contains(err.Error(), "worse: no such chart") || strings.Contains(err.Error(), "never") {
		t.Errorf("error = %v", err)
	}
	for _, mark := range []error{ErrInterrupted, ErrTimeout, context.Canceled} {
		if errors.Is(err, mark) {
			t.Errorf("error must not match %v: %v", mark, err)
		}
	}
	if got := HintOf(err); got != "ask for more" {
		t.Errorf("hint = %q", got)
	}
	if slices.Sort(marked.all); !slices.Equal(marked.all, []string{"after", "slow"}) {
		t.Errorf("checkpoints %v", marked.all)
	}
}

// failing tells when a step has failed.
type failing struct {
	tape
	on     string
	failed chan struct{}
}

func (f *failing) End(name string, r Result) {
	f.tape.End(name, r)
	if name == f.on {
		close(f.failed)
	}
}

func TestUpTimeoutSaysWhatWasSeen(t *testing.T) {
	s := ok("nodes")
	s.Timeout = 20 * time.Millisecond
	for name, tc := range map[string]struct {
		run  func(context.Context, Log) error
		want string
	}{
		"detail": {
			func(ctx context.Context, log Log) error { log("2 of 3 ready"); <-ctx.Done(); return ctx.Err() },
			"nodes: timed out after 20ms; last seen: 2 of 3 ready",
		},
		"detail and error": {func(ctx context.Context, log Log) error {
			log("waiting for hpcg-0")
			<-ctx.Done()
			return fmt.Errorf("pod Pending: no node: %w", ctx.Err())
		}, "nodes: timed out after 20ms; last seen: waiting for hpcg-0; pod Pending: no node: context deadline exceeded"},
		"nothing": {func(ctx context.Context, _ Log) error { <-ctx.Done(); return ctx.Err() }, "nodes: timed out after 20ms"},
	} {
		t.Run(name, func(t *testing.T) {
			s.Run = tc.run
			err := Up(t.Context(), []Step{s}, nil, nil)
			if !errors.Is(err, ErrTimeout) || err.Error() != tc.want {
				t.Errorf("got  %v\nwant %s", err, tc.want)
			}
		})
	}
}

func TestUpDoneIsUnderTheDeadlineToo(t *testing.T) {
	s := ok("a")
	s.Timeout = 10 * time.Millisecond
	s.Done = func(ctx context.Context) (bool, error) { <-ctx.Done(); return false, ctx.Err() }
	if err := Up(t.Context(), []Step{s}, nil, nil); !errors.Is(err, ErrTimeout) {
		t.Errorf("error = %v", err)
	}
}

func TestUpInterrupted(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	a := ok("a")
	a.Run = func(ctx context.Context, log Log) error { log("making it"); cancel(); <-ctx.Done(); return ctx.Err() }
	err := Up(ctx, []Step{a, ok("b", "a")}, nil, nil)
	if !errors.Is(err, ErrInterrupted) || !errors.Is(err, context.Canceled) || errors.Is(err, ErrTimeout) {
		t.Errorf("error = %v", err)
	}
	if want := "a: interrupted; last seen: making it"; err.Error() != want {
		t.Errorf("got %q, want %q", err, want)
	}
	err = Up(ctx, []Step{ok("a")}, nil, nil)
	if !errors.Is(err, ErrInterrupted) || !strings.Contains(err.Error(), "a not started") {
		t.Errorf("with a dead context: %v", err)
	}
	late, stop := context.WithTimeout(t.Context(), time.Nanosecond)
	defer stop()
	<-late.Done()
	if err := Up(late, []Step{ok("a")}, nil, nil); !errors.Is(err, ErrTimeout) {
		t.Errorf("with the command's time over: %v", err)
	}
}

func TestPanicNamesTheStep(t *testing.T) {
	cause := errors.New("index out of range")
	a := ok("a")
	a.Run = func(context.Context, Log) error { panic(cause) }
	err := Up(t.Context(), []Step{a}, nil, nil)
	var p *Panic
	if !errors.As(err, &p) || !errors.Is(err, cause) || err.Error() != "a: panicked: index out of range" {
		t.Fatalf("error = %v", err)
	}
	if !strings.Contains(string(p.Stack), "TestPanicNamesTheStep") {
		t.Errorf("stack without the place: %s", p.Stack)
	}
}

func TestStepThatIgnoresItsContextIsLeftBehind(t *testing.T) {
	release := make(chan struct{})
	ended := make(chan struct{})
	defer func() { close(release); <-ended }()
	a := ok("a")
	a.Timeout = time.Millisecond
	a.Run = func(_ context.Context, log Log) error { defer close(ended); <-release; log("too late"); return nil }
	var rep tape
	r := newRunner(&rep, nil)
	r.grace = time.Millisecond
	err := schedule(t.Context(), []Step{a}, needs([]Step{a}), true, r.up)
	if !errors.Is(err, ErrTimeout) || !strings.Contains(err.Error(), "left behind") {
		t.Errorf("error = %v", err)
	}
}

func TestCheckpointFailureStops(t *testing.T) {
	full := errors.New("disk full")
	b := ok("b", "a")
	b.Run = func(context.Context, Log) error { t.Error("must not run"); return nil }
	var rep tape
	err := Up(t.Context(), []Step{ok("a"), b}, &rep, func(string) error { return full })
	if !errors.Is(err, full) || !errors.Is(rep.result("a").Err, full) {
		t.Errorf("error = %v, reported %v", err, rep.result("a").Err)
	}
}

func TestDownGoesOnAndGathers(t *testing.T) {
	var order names
	undo := func(name string, err error) func(context.Context, Log) error {
		return func(context.Context, Log) error { order.add(name); return err }
	}
	a, b, c, d := ok("a"), ok("b", "a"), ok("c", "b"), ok("d", "b")
	a.Undo, b.Undo, c.Undo, d.Undo = undo("a", nil), undo("b", errors.New("in use")), undo("c", errors.New("gone mad")), undo("d", nil)
	e := ok("e", "a")
	var forgot names
	var rep tape
	err := Down(t.Context(), []Step{a, b, c, d, e}, &rep, forgot.add)
	if err == nil || !strings.HasPrefix(err.Error(), "2 errors:") ||
		!strings.Contains(err.Error(), "b: in use") || !strings.Contains(err.Error(), "c: gone mad") {
		t.Errorf("error = %v", err)
	}
	at := func(n string) int { return slices.Index(order.all, n) }
	if len(order.all) != 4 || at("b") < at("c") || at("b") < at("d") || at("a") != 3 {
		t.Errorf("order = %v", order.all)
	}
	slices.Sort(forgot.all)
	if d := cmp.Diff([]string{"a", "d", "e"}, forgot.all); d != "" {
		t.Errorf("forgotten: %s", d)
	}
	if slices.ContainsFunc(rep.lines, func(l string) bool { return strings.Contains(l, " e ") }) {
		t.Errorf("a step without Undo was reported: %v", rep.lines)
	}
}

func TestDownInterruptedStartsNoMore(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	a, b := ok("a"), ok("b", "a")
	a.Undo = func(context.Context, Log) error { t.Error("must not run"); return nil }
	b.Undo = func(context.Context, Log) error { cancel(); return nil }
	var forgot names
	if err := Down(ctx, []Step{a, b}, nil, forgot.add); !errors.Is(err, ErrInterrupted) {
		t.Errorf("error = %v", err)
	}
	if d := cmp.Diff([]string{"b"}, forgot.all); d != "" {
		t.Error(d)
	}
}

func TestManyStepsRace(t *testing.T) {
	var steps []Step
	for i := range 60 {
		s := ok(fmt.Sprintf("s%d", i))
		if i >= 3 {
			s.Needs = []string{fmt.Sprintf("s%d", i/3), fmt.Sprintf("s%d", i-3)}
		}
		s.Run = func(_ context.Context, log Log) error { log("%s", s.Name); return nil }
		s.Undo = s.Run
		steps = append(steps, s)
	}
	done := map[string]bool{} // not locked: checkpoint calls never overlap
	if err := Up(t.Context(), steps, &tape{}, func(n string) error { done[n] = true; return nil }); err != nil || len(done) != 60 {
		t.Errorf("%d done, %v", len(done), err)
	}
	if err := Down(t.Context(), steps, &tape{}, func(n string) error { delete(done, n); return nil }); err != nil || len(done) != 0 {
		t.Errorf("%d left, %v", len(done), err)
	}
}
