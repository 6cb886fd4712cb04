package ui

import (
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/compspec/ocifit-lab/provision/step"
)

// quiet is how long a plain reporter holds back the details of a step after its last line, unless it is verbose.
const quiet = 5 * time.Second

// plain writes one line per event, for logs and pipes.
type plain struct {
	mu   sync.Mutex
	w    io.Writer
	o    options
	said map[string]spoken
}

// spoken is the last line about a step.
type spoken struct {
	text string
	at   time.Time
}

func newPlain(w io.Writer, o options) *plain { return &plain{w: w, o: o, said: map[string]spoken{}} }

func (p *plain) line(name, text string) {
	p.said[name] = spoken{text, p.o.now()}
	fmt.Fprintf(p.w, "%s: %s\n", name, text)
}

func (p *plain) Start(name, plan string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.line(name, clean(plan))
}

func (p *plain) Detail(name, text string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	text = clean(text)
	last := p.said[name]
	if text == last.text || !p.o.verbose && p.o.now().Sub(last.at) < quiet {
		return
	}
	p.line(name, text)
}

func (p *plain) End(name string, r step.Result) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.line(name, outcome(name, r))
	delete(p.said, name)
}

func (p *plain) Counter(name string, done, total int) *Counter {
	return newCounter(&p.mu, name, done, total, p.o.now, p.count)
}

func (p *plain) count(c *Counter, what event) {
	s := c.count()
	switch what {
	case counted:
		fmt.Fprintln(p.w, itemLine(s))
	case closed:
		s.ETA = 0
		fmt.Fprintf(p.w, "%s in %s\n", s, Duration(s.Elapsed))
	}
}

// itemLine is the line for one item of a series that has just ended.
func itemLine(s Count) string {
	line := s.String()
	switch {
	case s.Err != nil:
		line += ": failed: " + clean(s.Err.Error())
	case s.Last != "":
		line += ": " + s.Last
	}
	return line
}

func (p *plain) Say(format string, args ...any) {
	p.mu.Lock()
	defer p.mu.Unlock()
	fmt.Fprintf(p.w, format+"\n", args...)
}

func (p *plain) Close() {}
