package hpcg

import (
	"bytes"
	"encoding/json"
	"math"
	"time"
)

func (p *parser) keep(to *[]byte, b []byte) {
	if len(*to)+len(b) > maxJobJSON {
		p.fail(ReasonTooLarge, "a job record of more than %d bytes", maxJobJSON)
		return
	}
	*to = append(*to, b...)
}

// event reads a line of an event log; lines that are no JSON are noise, for the section is not needed for the result.
func (p *parser) event(b []byte) {
	var e struct {
		Timestamp float64      `json:"timestamp"`
		Name      string       `json:"name"`
		Context   EventContext `json:"context"`
	}
	if b[0] != '{' || json.Unmarshal(b, &e) != nil || e.Name == "" || e.Timestamp < 0 || e.Timestamp > maxNumber {
		p.log.Noise++
		return
	}
	if len(p.job.Events) > maxJobs {
		p.fail(ReasonTooLarge, "more than %d events in one job", maxJobs)
		return
	}
	whole, part := math.Modf(e.Timestamp)
	p.job.Events[e.Name] = Event{Time: time.Unix(int64(whole), int64(part*1e9)).UTC(), Context: e.Context}
}

func (p *parser) stats(b []byte) {
	if p.log.Stats != nil || !bytes.HasPrefix(b, []byte("{")) {
		p.log.Noise++
		return
	}
	var s JobStats
	if json.Unmarshal(b, &s) != nil {
		p.log.Noise++
		return
	}
	p.log.Stats = &s
}

// failedJob describes the first failed run in flux's record, empty when there is none.
func (l *Log) failedJob() string {
	for i := range l.Jobs {
		j := &l.Jobs[i]
		if e, ok := j.Events["exception"]; ok {
			return j.Name + " raised an exception at " + e.Time.Format(time.RFC3339)
		}
		if e, ok := j.Events["complete"]; ok && e.Context.Status != 0 {
			return j.Name + " completed with a status that is not 0"
		}
		if e, ok := j.Events["shell.task-exit"]; ok && (e.Context.ExitCode != 0 || e.Context.Signaled != 0) {
			return j.Name + " had a task that did not exit with 0"
		}
	}
	if s := l.Stats; s != nil && s.Failed+s.Canceled+s.Timeout > 0 {
		return "flux counts failed, canceled or timed-out jobs"
	}
	return ""
}
