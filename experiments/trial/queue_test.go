package trial

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/compspec/ocifit-lab/experiments/schedule"
	"github.com/compspec/ocifit-lab/experiments/study"
)

// onTypes is a runner whose trials' types are known by the arm: x/2 may have two nodes.
func onTypes(parallel int, exclusive bool, arms ...string) (*Runner, *queue) {
	r := &Runner{
		Study: &study.Study{Order: study.Interleaved}, Exclusive: exclusive,
		Limits: schedule.Limits{Parallel: parallel, Machines: map[string]schedule.Machine{"x": {Nodes: 2}, "y": {Nodes: 1}}},
	}
	var trials []study.Trial
	for n := 1; n <= 12; n++ {
		for _, arm := range arms {
			trials = append(trials, planned(arm, "m", n))
		}
	}
	q := r.queue(trials)
	q.decide = func(_ context.Context, t study.Trial) (string, error) {
		if t.Arm.Name == "bad" {
			return "", errors.New("no decision")
		}
		return t.Arm.Name[:1], nil
	}
	return r, q
}

// Many workers take from the queue: all trials run, each once, and never more on a type than it has nodes.
func TestQueueKeepsTypesApart(t *testing.T) {
	for _, exclusive := range []bool{false, true} {
		t.Run(fmt.Sprintf("exclusive %v", exclusive), func(t *testing.T) {
			_, q := onTypes(6, exclusive, "x1", "x2", "y1", "bad")
			var mu sync.Mutex
			busy, most, done := map[string]int{}, map[string]int{}, map[string]int{}
			var workers sync.WaitGroup
			for range 6 {
				workers.Go(func() {
					for {
						p, s, err := q.next(t.Context())
						if err != nil || s == nil {
							if err != nil {
								t.Error(err)
							}
							return
						}
						kind := p.Arm.Name[:1]
						mu.Lock()
						busy[kind]++
						most[kind] = max(most[kind], busy[kind])
						done[fmt.Sprint(p.Arm.Name, p.N)]++
						mu.Unlock()
						time.Sleep(100 * time.Microsecond)
						mu.Lock()
						busy[kind]--
						mu.Unlock()
						s.end()
					}
				})
			}
			workers.Wait()
			want := 1
			if exclusive {
				want = 2
			}
			if most["x"] > want || most["y"] > 1 {
				t.Errorf("side by side on x and y: %v", most)
			}
			if len(done) != 48 {
				t.Errorf("%d of 48 trials ran", len(done))
			}
			for name, n := range done {
				if n != 1 {
					t.Errorf("trial %s ran %d times", name, n)
				}
			}
		})
	}
}

// One trial at a time goes in the study's order and asks nobody for types.
func TestQueueInOrder(t *testing.T) {
	_, q := onTypes(1, true, "x1", "y1")
	q.decide = nil
	var got []string
	for {
		p, s, err := q.next(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if s == nil {
			break
		}
		if s.shared() != nil {
			t.Error("a trial alone has a slot to share")
		}
		got = append(got, fmt.Sprint(p.Arm.Name, "/", p.N))
		s.end()
	}
	if len(got) != 24 || !slices.Equal(got[:4], []string{"x1/1", "y1/1", "x1/2", "y1/2"}) {
		t.Errorf("%d trials: %v", len(got), got)
	}
}

func TestQueueStops(t *testing.T) {
	_, q := onTypes(2, false, "x1")
	first, _, _ := q.next(t.Context())
	ended := make(chan *slot)
	go func() {
		_, s, _ := q.next(t.Context()) // waits, for the type is taken
		ended <- s
	}()
	q.stop()
	if s := <-ended; s != nil {
		t.Errorf("a trial began after the stop, while %v ran", first.N)
	}
}

// A trial that is decided differently in the end waits for room on the other type, and gives the first one back.
func TestSlotMoves(t *testing.T) {
	_, q := onTypes(3, false, "x1", "y1")
	_, x, _ := q.next(t.Context())
	_, y, _ := q.next(t.Context())
	said, moved := make(chan string, 1), make(chan error, 1)
	go func() {
		moved <- y.move(t.Context(), "x", func(f string, args ...any) { said <- fmt.Sprintf(f, args...) })
	}()
	if text := <-said; text != "waiting for another trial on x" {
		t.Error(text)
	}
	x.end()
	if err := <-moved; err != nil || q.schedule.On(y.index) != "x" {
		t.Errorf("%v, on %s", err, q.schedule.On(y.index))
	}
	_, z, _ := q.next(t.Context())
	ctx, cancel := context.WithCancel(t.Context())
	go func() { moved <- z.move(ctx, "x", func(string, ...any) { cancel() }) }()
	if err := <-moved; !errors.Is(err, context.Canceled) {
		t.Errorf("a stopped trial waits on: %v", err)
	}
}

// What can never start is an error, not a wait for ever.
func TestQueueSaysWhenItIsStuck(t *testing.T) {
	r, _ := onTypes(2, true, "x1")
	r.Limits.Machines["x"] = schedule.Machine{Nodes: 2, USDPerHour: 5}
	r.Limits.USDPerHour = 4
	q := r.queue([]study.Trial{planned("x1", "m", 1)})
	q.decide = func(context.Context, study.Trial) (string, error) { return "x", nil }
	if _, s, err := q.next(t.Context()); s != nil || err == nil || !strings.Contains(err.Error(), "one x costs $5.00 an hour") {
		t.Errorf("%v, %v", s, err)
	}
}

func TestBlocks(t *testing.T) {
	s := &study.Study{Order: study.Shuffle, Warmup: 2}
	for _, c := range []struct {
		t    study.Trial
		want int
	}{{study.Trial{N: 1, Warmup: true}, 0}, {study.Trial{N: 2, Warmup: true}, 1}, {study.Trial{N: 1}, 2}, {study.Trial{N: 5}, 6}} {
		if got := Block(s, c.t); got != c.want {
			t.Errorf("trial %+v is in block %d, want %d", c.t, got, c.want)
		}
	}
	if got := Block(&study.Study{Order: study.Sequential}, study.Trial{N: 9}); got != 0 {
		t.Errorf("a sequential study has block %d", got)
	}
}
