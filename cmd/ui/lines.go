package ui

import (
	"encoding/json"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/compspec/ocifit-lab/provision/step"
)

// lines writes one JSON object per event, for programs that follow a run.
type lines struct {
	mu  sync.Mutex
	enc *json.Encoder
	o   options
}

// record is one line. Event is "start", "detail", "end" (of a step), "count" (a series moved on), "closed" (a series is
// through) or "message". Seconds is the duration of what ended, or of the current phase of a series.
type record struct {
	Time    string   `json:"time"`
	Event   string   `json:"event"`
	Name    string   `json:"name,omitempty"`
	Text    string   `json:"text,omitempty"`
	State   string   `json:"state,omitempty"` // of an end: "done", "skipped", "failed", "timeout", "stopped"
	Seconds *float64 `json:"seconds,omitempty"`
	Error   string   `json:"error,omitempty"`
	Try     string   `json:"try,omitempty"`
	Done    *int     `json:"done,omitempty"`
	Failed  *int     `json:"failed,omitempty"`
	Total   *int     `json:"total,omitempty"`
	Now     string   `json:"now,omitempty"`
	ETA     *float64 `json:"etaSeconds,omitempty"`
}

func newLines(w io.Writer, o options) *lines {
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	return &lines{enc: enc, o: o}
}

// put writes r; the caller holds mu. Progress that cannot be written must not stop the work.
func (l *lines) put(r record) {
	r.Time = l.o.now().UTC().Format(time.RFC3339Nano)
	_ = l.enc.Encode(r)
}

func (l *lines) locked(r record) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.put(r)
}

func (l *lines) Start(name, plan string) { l.locked(record{Event: "start", Name: name, Text: plan}) }

func (l *lines) Detail(name, text string) { l.locked(record{Event: "detail", Name: name, Text: text}) }

func (l *lines) End(name string, r step.Result) {
	rec := record{Event: "end", Name: name, State: state(r), Seconds: seconds(r.Elapsed)}
	if r.Err != nil {
		rec.Error, rec.Try = r.Err.Error(), step.HintOf(r.Err)
	}
	l.locked(rec)
}

func (l *lines) Counter(name string, done, total int) *Counter {
	return newCounter(&l.mu, name, done, total, l.o.now, l.count)
}

func (l *lines) count(c *Counter, what event) {
	s := c.count()
	rec := record{Event: "count", Name: s.Name, Done: &s.Done, Failed: &s.Failed, Total: &s.Total, Now: s.Now}
	if s.ETA >= 0 {
		rec.ETA = seconds(s.ETA)
	}
	switch what {
	case changed:
		rec.Seconds = seconds(s.NowFor)
	case counted:
		rec.Text = s.Last
		if s.Err != nil {
			rec.Error, rec.Try = s.Err.Error(), step.HintOf(s.Err)
		}
	case closed:
		rec.Event, rec.Seconds, rec.ETA = "closed", seconds(s.Elapsed), nil
	}
	l.put(rec)
}

func (l *lines) Say(format string, args ...any) {
	l.locked(record{Event: "message", Text: fmt.Sprintf(format, args...)})
}

func (l *lines) Close() {}

// seconds are rounded to milliseconds, which is all that a person or a plot needs.
func seconds(d time.Duration) *float64 {
	s := d.Round(time.Millisecond).Seconds()
	return &s
}
