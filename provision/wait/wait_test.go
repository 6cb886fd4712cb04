package wait

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/compspec/ocifit-lab/provision/step"
)

var errNotYet = errors.New("no leader yet")

func TestUntil(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start, looks := time.Now(), 0
		err := Until(t.Context(), "wait for it", Backoff{First: time.Second, Longest: 2 * time.Second}, func(context.Context) (bool, string, error) {
			looks++
			return looks == 5, "not yet", nil
		})
		// 1 s, 1.5 s, and then no more than 2 s.
		if took := time.Since(start); err != nil || took != 6500*time.Millisecond {
			t.Errorf("took %s, want 6.5s; error %v", took, err)
		}
	})
}

func TestUntilEnds(t *testing.T) {
	refused := errors.New("refused")
	for name, c := range map[string]struct {
		ctx       func(context.Context) (context.Context, context.CancelFunc)
		fails     error
		want      error
		wantText  string
		wantAfter time.Duration
	}{
		"by the deadline": {
			ctx: func(ctx context.Context) (context.Context, context.CancelFunc) {
				return context.WithTimeout(ctx, time.Minute)
			},
			want: step.ErrTimeout, wantText: "wait for the pod: timed out after 1m0s; last seen: Pending", wantAfter: time.Minute,
		},
		"by the deadline of waits that have none": {
			ctx:  context.WithCancel,
			want: step.ErrTimeout, wantText: "wait for the pod: timed out after 10m0s; last seen: Pending", wantAfter: Patience,
		},
		"by cancellation": {
			ctx: func(ctx context.Context) (context.Context, context.CancelFunc) {
				ctx, cancel := context.WithCancel(ctx)
				time.AfterFunc(5*time.Second, cancel)
				return ctx, cancel
			},
			want: context.Canceled, wantText: "wait for the pod: context canceled; last seen: Pending", wantAfter: 5 * time.Second,
		},
		"by an error": {ctx: context.WithCancel, fails: refused, want: refused, wantText: "refused"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := c.ctx(t.Context())
				defer cancel()
				start := time.Now()
				err := Until(ctx, "wait for the pod", Every(time.Second), func(context.Context) (bool, string, error) { return false, "Pending", c.fails })
				if !errors.Is(err, c.want) || err.Error() != c.wantText || time.Since(start) != c.wantAfter {
					t.Errorf("got %v after %s, want %q after %s", err, time.Since(start), c.wantText, c.wantAfter)
				}
			})
		})
	}
}

func TestRetry(t *testing.T) {
	final := errors.New("no such bucket")
	for name, c := range map[string]struct {
		tries int
		fails []error // one per try; then success
		want  error
		text  string
		took  time.Duration
	}{
		"succeeds after two failures": {fails: []error{errNotYet, errNotYet}, took: 2 * time.Second},
		"gives up":                    {tries: 3, fails: []error{errNotYet, errNotYet, errNotYet}, want: errNotYet, text: "ask: no leader yet (tried 3 times)", took: 2 * time.Second},
		"tries once":                  {tries: 1, fails: []error{errNotYet}, want: errNotYet, text: "ask: no leader yet"},
		"is told to stop":             {fails: []error{errNotYet, Stop(final)}, want: final, text: "ask: no such bucket", took: time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				start, n := time.Now(), 0
				err := Retry(t.Context(), "ask", Backoff{First: time.Second, Longest: time.Second, Tries: c.tries}, func(context.Context) error {
					n++
					if n > len(c.fails) {
						return nil
					}
					return c.fails[n-1]
				})
				if !errors.Is(err, c.want) || (err == nil) != (c.want == nil) || c.text != text(err) || time.Since(start) != c.took {
					t.Errorf("got %v after %s, want %q after %s", err, time.Since(start), c.text, c.took)
				}
			})
		})
	}
}

// A try that the deadline cuts off must not hide what the tries before it found.
func TestRetryTellsTheLastFailure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
		defer cancel()
		n := 0
		err := Retry(ctx, "ask", Every(time.Second), func(ctx context.Context) error {
			if n++; n < 3 {
				return errNotYet
			}
			<-ctx.Done()
			return ctx.Err()
		})
		if !errors.Is(err, errNotYet) || !errors.Is(err, step.ErrTimeout) || !strings.HasSuffix(err.Error(), "last seen: no leader yet") {
			t.Errorf("got %v", err)
		}
	})
}

func TestPauser(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, start := Backoff{First: 2 * time.Second, Longest: 3 * time.Second}.Pauser(), time.Now()
		for range 3 {
			if err := p.Wait(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		p.Reset()
		if err := p.Wait(t.Context()); err != nil || time.Since(start) != 10*time.Second {
			t.Errorf("took %s, want 2+3+3+2 s; error %v", time.Since(start), err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := p.Wait(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("a pause beyond the deadline gave %v", err)
		}
	})
}
