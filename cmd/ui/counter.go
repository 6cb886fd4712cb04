package ui

import (
	"fmt"
	"strings"
	"sync"
	"time"
)

// Counter follows a series of equal items, such as the trials of one arm. Its methods are safe for concurrent use.
type Counter struct {
	mu       *sync.Mutex // the reporter's, so that what is shown is in the order of what happened
	state    Count
	clock    func() time.Time
	began    time.Time // of the first item in this process
	last     time.Time // when the last item ended
	phase    time.Time // when state.Now began
	finished int       // items that ended in this process
	ended    bool
	show     func(c *Counter, what event) // called with mu held
}

type event int

const (
	changed event = iota
	counted
	closed
)

// Count is the state of a series at one moment.
type Count struct {
	Name                string
	Done, Failed, Total int
	Now                 string        // what the current item is doing; empty between items
	NowFor              time.Duration // for how long
	ETA                 time.Duration // until the series is through, by the pace so far; negative while unknown
	Elapsed             time.Duration // since the first item of this process
	Last                string        // what was said of the last item that ended
	Err                 error         // its error
}

func newCounter(mu *sync.Mutex, name string, done, total int, clock func() time.Time, show func(*Counter, event)) *Counter {
	return &Counter{mu: mu, state: Count{Name: clean(name), Done: done, Total: total}, clock: clock, show: show}
}

// Now says what the current item is doing.
func (c *Counter) Now(format string, args ...any) {
	text := clean(fmt.Sprintf(format, args...))
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.began.IsZero() {
		c.began = c.clock()
		c.last = c.began
	}
	if text != c.state.Now {
		c.state.Now, c.phase = text, c.clock()
	}
	c.show(c, changed)
}

// Finished counts an item as done, or as failed when err is not nil. text says in a few words what came out.
func (c *Counter) Finished(text string, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.began.IsZero() {
		c.began = c.clock()
	}
	c.last = c.clock()
	c.finished++
	if err != nil {
		c.state.Failed++
	} else {
		c.state.Done++
	}
	c.state.Last, c.state.Err, c.state.Now = clean(text), err, ""
	c.show(c, counted)
}

// End closes the series. Calling it again does nothing.
func (c *Counter) End() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.ended {
		c.ended = true
		c.show(c, closed)
	}
}

// Count gives the state of the series now.
func (c *Counter) Count() Count {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.count()
}

func (c *Counter) count() Count {
	s, now := c.state, c.clock()
	s.ETA = -1
	if s.Now != "" {
		s.NowFor = now.Sub(c.phase)
	}
	if !c.began.IsZero() {
		s.Elapsed = now.Sub(c.began)
	}
	if left := s.Total - s.Done - s.Failed; left <= 0 {
		s.ETA = 0
	} else if c.finished > 0 {
		pace := c.last.Sub(c.began) / time.Duration(c.finished)
		s.ETA = max(0, pace*time.Duration(left)-now.Sub(c.last))
	}
	return s
}

// String reads like "fom-model 7/30, 1 failed, now: waiting for node (12s), ETA 3m10s".
func (s Count) String() string { return s.Name + " " + s.progress() }

func (s Count) progress() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%d/%d", s.Done, s.Total)
	if s.Failed > 0 {
		fmt.Fprintf(&b, ", %d failed", s.Failed)
	}
	if s.Now != "" {
		fmt.Fprintf(&b, ", now: %s (%s)", s.Now, coarse(s.NowFor))
	}
	if s.ETA > 0 {
		b.WriteString(", ETA " + coarse(s.ETA))
	}
	return b.String()
}
