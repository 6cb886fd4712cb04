package trial

import (
	"context"
	"errors"
	"sync"

	"github.com/compspec/ocifit-lab/experiments/schedule"
	"github.com/compspec/ocifit-lab/experiments/study"
)

// queue hands out trials as the schedule says. For that it asks what each will run on, shortly before it may start.
type queue struct {
	mu       sync.Mutex
	changed  *sync.Cond
	schedule *schedule.Queue
	trials   []study.Trial
	alone    bool // one trial at a time: nobody needs to know where
	decide   func(context.Context, study.Trial) (string, error)
	stopped  bool
}

func (r *Runner) queue(trials []study.Trial) *queue {
	limits := r.Limits
	if !r.Exclusive {
		limits = limits.OneNodeEach()
	}
	list := make([]schedule.Trial, len(trials))
	for i, t := range trials {
		list[i] = schedule.Trial{Arm: t.Arm.Name, Block: Block(r.Study, t)}
	}
	alone := limits.Parallel <= 1
	q := &queue{schedule: schedule.New(limits, list, alone), trials: trials, alone: alone, decide: r.decide}
	q.changed = sync.NewCond(&q.mu)
	return q
}

// Block is the block of the design that a trial belongs to. A sequential study has none.
func Block(s *study.Study, t study.Trial) int {
	switch {
	case s.Order == study.Sequential:
		return 0
	case t.Warmup:
		return t.N - 1
	}
	return s.Warmup + t.N - 1
}

// next waits until a trial may start; slot is nil when none is left or the queue was stopped.
func (q *queue) next(ctx context.Context) (t study.Trial, s *slot, err error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for {
		if q.stopped || q.schedule.Waiting() == 0 {
			return study.Trial{}, nil, nil
		}
		if i, ok := q.schedule.Next(); ok {
			return q.trials[i], &slot{queue: q, index: i}, nil
		}
		if i, ok := q.schedule.Untyped(); ok {
			q.ask(ctx, i)
			continue
		}
		if err := q.schedule.Stuck(); err != nil {
			q.stopped = true
			q.changed.Broadcast()
			return study.Trial{}, nil, err
		}
		q.changed.Wait()
	}
}

// ask finds out what a trial will run on. A trial that cannot be decided starts, and says why itself.
func (q *queue) ask(ctx context.Context, i int) {
	q.mu.Unlock()
	instanceType, err := q.decide(ctx, q.trials[i])
	q.mu.Lock()
	if err != nil {
		instanceType = ""
	}
	q.schedule.Type(i, instanceType)
	q.changed.Broadcast()
}

// drop takes the waiting trials of an arm away and says how many there were.
func (q *queue) drop(arm string) int {
	q.mu.Lock()
	defer q.mu.Unlock()
	defer q.changed.Broadcast()
	return q.schedule.Drop(arm)
}

func (q *queue) stop() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.stopped = true
	q.changed.Broadcast()
}

// slot is a running trial's place in the queue.
type slot struct {
	queue *queue
	index int
}

// shared is the slot if others run beside it, or nil.
func (s *slot) shared() *slot {
	if s.queue.alone {
		return nil
	}
	return s
}

// move puts the trial on the type that was decided last, and waits until there is room if it is another one than before.
func (s *slot) move(ctx context.Context, instanceType string, now func(format string, args ...any)) error {
	if s == nil {
		return nil
	}
	q := s.queue
	defer context.AfterFunc(ctx, func() {
		q.mu.Lock()
		defer q.mu.Unlock()
		q.changed.Broadcast()
	})()
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.schedule.On(s.index) == instanceType {
		return nil
	}
	q.schedule.Move(s.index, "")
	q.changed.Broadcast()
	for told := false; !q.schedule.Room(instanceType); told = true {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if !told {
			now("waiting for another trial on %s", instanceType)
		}
		q.changed.Wait()
	}
	q.schedule.Move(s.index, instanceType)
	return nil
}

// lost says that no node came for the trial in its time.
func (s *slot) lost(ctx context.Context) {
	if s == nil || !errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return
	}
	s.queue.mu.Lock()
	defer s.queue.mu.Unlock()
	s.queue.schedule.Lose(s.queue.schedule.On(s.index))
}

func (s *slot) end() {
	s.queue.mu.Lock()
	defer s.queue.mu.Unlock()
	s.queue.schedule.End(s.index)
	s.queue.changed.Broadcast()
}
