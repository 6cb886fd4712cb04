package application

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"path"
	"strings"
	"time"
)

// job is what Flux records of one run.
type job struct {
	id           uint64
	name         string
	start, end   time.Time
	startingLast bool // the line "starting" comes from another process, so its place in the event log varies
	service      string
	pid          int
}

func (l *frame) job(i int, start time.Time, took time.Duration, rng *rand.Rand) job {
	const alphabet = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
	id := make([]byte, 8)
	for k := range id {
		id[k] = alphabet[rng.IntN(len(alphabet))]
	}
	sinceBroker := start.Sub(l.Start) - brokerStart + 841*time.Millisecond
	return job{
		id:   uint64(sinceBroker.Milliseconds()) << 24, // Flux counts milliseconds above 24 bits of its own
		name: l.runName(i), start: start, end: start.Add(took - 100*time.Millisecond),
		startingLast: rng.IntN(2) == 0, service: "0-shell-f" + string(id), pid: 101 + 37*i,
	}
}

// jobs prints the section of each job, the newest first, and the totals.
func (l *frame) jobs(jobs []job) error {
	for i := len(jobs) - 1; i >= 0; i-- {
		j := jobs[i]
		l.printf("\nFLUX-JOB START %d %s\n", j.id, j.name)
		for _, part := range []struct {
			name string
			docs []any
		}{{"JOBSPEC", []any{l.jobspec(j)}}, {"RESOURCES", []any{l.granted(j)}}, {"EVENTLOG", l.events(j)}} {
			l.printf("FLUX-JOB-%s START\n", part.name)
			for _, doc := range part.docs {
				text, err := json.Marshal(doc)
				if err != nil {
					return fmt.Errorf("job %s: %w", j.name, err)
				}
				l.printf("%s\n", text)
			}
			if part.name == "EVENTLOG" {
				l.printf("\n")
			}
			l.printf("FLUX-JOB-%s END\n", part.name)
		}
		l.printf("FLUX-JOB END %d %s\n", j.id, j.name)
	}
	totals := fmt.Sprintf(`{"job_states":{"depend":0,"priority":0,"sched":0,"run":0,"cleanup":0,"inactive":%d,"total":%[1]d},`+
		`"successful":%[1]d,"failed":0,"canceled":0,"timeout":0,"inactive_purged":0,"queues":[]}`, len(jobs))
	l.printf("FLUX JOB STATS\n%s\n", totals)
	return nil
}

type object = map[string]any

func (l *frame) jobspec(j job) any {
	perNode := l.RanksPerNode()
	slot := object{"type": "slot", "count": perNode, "label": "task", "with": []any{object{"type": "core", "count": 1}}}
	return object{
		"resources": []any{object{"type": "node", "count": l.Nodes, "exclusive": l.Exclusive, "with": []any{slot}}},
		"tasks":     []any{object{"command": strings.Fields(l.Command), "slot": "task", "count": object{"per_slot": 1}}},
		"attributes": object{
			"system": object{
				"duration": 0, "cwd": path.Dir(l.Command), "job": object{"name": j.name},
				"shell": object{"options": object{"cpu-affinity": "per-task", "gpu-affinity": "off"}},
			},
			"user": object{"study_id": j.name},
		},
		"version": 1,
	}
}

// granted is Flux's R: the cores that the job had.
func (l *frame) granted(j job) any {
	last := l.Type.Cores - 1
	if !l.Exclusive {
		last = l.RanksPerNode() - 1
	}
	return object{"version": 1, "execution": object{
		"R_lite":    []any{object{"rank": span(l.Nodes - 1), "children": object{"core": span(last)}}},
		"starttime": seconds(j.start), "expiration": 0.0, "nodelist": []string{l.hosts()},
	}}
}

func (l *frame) events(j job) []any {
	perNode := l.RanksPerNode()
	at := func(t time.Time, name string, context any) any {
		e := object{"timestamp": seconds(t), "name": name}
		if context != nil {
			e["context"] = context
		}
		return e
	}
	starting := at(j.start.Add(1100*time.Microsecond), "starting", nil)
	out := []any{
		at(j.start.Add(700*time.Microsecond), "init", nil),
		at(j.start.Add(6700*time.Microsecond), "shell.init", object{"leader-rank": 0, "size": l.Nodes, "service": j.service}),
	}
	shellStart := at(j.start.Add(7700*time.Microsecond), "shell.start",
		object{"taskmap": object{"version": 1, "map": []any{[]int{0, l.Nodes, perNode, 1}}}})
	if j.startingLast {
		out = append(out, shellStart, starting)
	} else {
		out = append(out[:1], starting, out[1], shellStart)
	}
	return append(out,
		at(j.end, "shell.task-exit", object{"localid": 0, "rank": 0, "state": "Exited", "pid": j.pid, "wait_status": 0, "signaled": 0, "exitcode": 0}),
		at(j.end.Add(760*time.Microsecond), "complete", object{"status": 0}),
		at(j.end.Add(790*time.Microsecond), "done", nil))
}

func span(last int) string {
	if last <= 0 {
		return "0"
	}
	return fmt.Sprintf("0-%d", last)
}

// seconds is a Unix time with its fraction, to the microsecond.
func seconds(t time.Time) json.Number {
	return json.Number(fmt.Sprintf("%d.%06d", t.Unix(), t.Nanosecond()/1000))
}
