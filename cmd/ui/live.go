package ui

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/compspec/ocifit-lab/provision/step"
)

// nameWidth is the least width of the column of names on a wide terminal. Finished rows cannot be moved when a longer name comes,
// so it is not narrower than most names.
const nameWidth = 22

// live redraws what is running at the end of a terminal.
type live struct {
	mu       sync.Mutex
	o        options
	screen   *screen
	running  []*runningStep
	counters []*Counter
	finished []row // not drawn yet
	closed   bool
	began    time.Time
	stop     chan struct{}
	stopped  chan struct{}
	names    int // width of the longest name so far, nameWidth at least
}

type runningStep struct {
	name, plan, text string
	since            time.Time
}

func newLive(w io.Writer, o options) *live {
	l := &live{
		o: o, began: o.now(), stop: make(chan struct{}), stopped: make(chan struct{}), names: nameWidth,
		screen: &screen{w: w, size: o.size, colour: o.colour, ascii: o.ascii},
	}
	go l.redraw()
	return l
}

// redraw turns the spinner and the clocks until Close.
func (l *live) redraw() {
	defer close(l.stopped)
	ticker := time.NewTicker(l.o.tick)
	defer ticker.Stop()
	for {
		select {
		case <-l.stop:
			return
		case <-ticker.C:
			l.mu.Lock()
			if len(l.running)+len(l.counters) > 0 {
				l.draw()
			}
			l.mu.Unlock()
		}
	}
}

func (l *live) Start(name, plan string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.running = append(l.running, &runningStep{name: name, plan: clean(plan), text: clean(plan), since: l.o.now()})
	l.draw()
}

// Detail waits for the next redraw, so that a talkative step costs nothing.
func (l *live) Detail(name, text string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if i := l.find(name); i >= 0 {
		l.running[i].text = clean(text)
	}
}

func (l *live) End(name string, r step.Result) {
	l.mu.Lock()
	defer l.mu.Unlock()
	text := ""
	if i := l.find(name); i >= 0 {
		text = l.running[i].plan
		l.running = slices.Delete(l.running, i, i+1)
	}
	if r.Skipped {
		text = "already done"
	} else if r.Err != nil {
		text = trouble(name, r.Err)
	}
	l.finish(l.row(l.mark(state(r)), name, r.Elapsed, text, r.Err != nil))
}

func (l *live) find(name string) int {
	return slices.IndexFunc(l.running, func(s *runningStep) bool { return s.name == name })
}

func (l *live) finish(rows ...row) {
	l.finished = append(l.finished, rows...)
	l.draw()
}

func (l *live) Counter(name string, done, total int) *Counter {
	l.mu.Lock()
	defer l.mu.Unlock()
	c := newCounter(&l.mu, name, done, total, l.o.now, l.count)
	l.counters = append(l.counters, c)
	l.names = max(l.names, width(c.state.Name))
	l.draw()
	return c
}

func (l *live) count(c *Counter, what event) {
	s := c.count()
	switch {
	case what == closed:
		l.counters = slices.DeleteFunc(l.counters, func(other *Counter) bool { return other == c })
		how := "done"
		if s.Failed > 0 {
			how = "failed"
		} else if s.Done < s.Total {
			how = "stopped"
		}
		s.Now, s.ETA = "", 0
		l.finish(l.row(l.mark(how), s.Name, s.Elapsed, s.progress(), false))
	case what == counted && s.Err != nil:
		// A failure stays on the screen; successes only move the count.
		l.finish(l.row(l.mark("failed"), s.Name, s.Elapsed, clean(s.Err.Error()), true))
	}
}

func (l *live) Say(format string, args ...any) {
	l.mu.Lock()
	defer l.mu.Unlock()
	var rows []row
	for line := range strings.SplitSeq(strings.TrimSuffix(fmt.Sprintf(format, args...), "\n"), "\n") {
		rows = append(rows, row{whole: true, parts: []part{{"", cleanLine(line)}}})
	}
	l.finish(rows...)
}

func (l *live) Close() {
	l.mu.Lock()
	if !l.closed {
		l.closed = true
		close(l.stop)
		l.draw()
	}
	l.mu.Unlock()
	<-l.stopped
}

// draw shows everything; the caller holds mu.
func (l *live) draw() {
	now := l.o.now()
	spinner := part{styleCyan, l.spinner(now)}
	var rows []row
	for _, s := range l.running {
		rows = append(rows, l.row(spinner, s.name, now.Sub(s.since), s.text, false))
	}
	for _, c := range l.counters {
		s := c.count()
		p := spinner
		if s.Now == "" {
			p.text = " "
		}
		rows = append(rows, l.row(p, s.Name, s.Elapsed, s.progress(), false))
	}
	if l.closed {
		rows = nil
	}
	l.screen.draw(l.finished, rows)
	l.finished = nil
}

func (l *live) row(mark part, name string, elapsed time.Duration, text string, whole bool) row {
	columns, _ := l.o.size()
	limit := columns / 4
	if columns > 100 {
		limit = columns / 3
	}
	// As wide as the longest name so far, so that the columns behind it stand in line.
	l.names = max(l.names, width(name))
	return row{whole: whole, parts: []part{
		mark, {"", " " + padRight(name, min(l.names, limit)) + " "}, {styleFaint, padLeft(Duration(elapsed), 6) + "  "}, {"", text},
	}}
}

func (l *live) spinner(now time.Time) string {
	frames := []rune("⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏")
	if l.o.ascii {
		frames = []rune(`-\|/`)
	}
	return string(frames[int(now.Sub(l.began)/l.o.tick)%len(frames)])
}

// mark shows how something ended.
func (l *live) mark(state string) part {
	marks := map[string][2]string{"done": {"✓", "+"}, "skipped": {"✓", "+"}, "failed": {"✗", "x"}, "timeout": {"✗", "x"}, "stopped": {"■", "-"}}
	styles := map[string]string{"done": styleGreen, "skipped": styleFaint, "failed": styleRed, "timeout": styleRed, "stopped": styleYellow}
	m := marks[state][0]
	if l.o.ascii {
		m = marks[state][1]
	}
	return part{styles[state], m}
}
