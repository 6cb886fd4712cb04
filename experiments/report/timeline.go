package report

import (
	"fmt"
	"html/template"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/compspec/ocifit-lab/provision/words"
)

// mostLanes is the number of machines up to which each has a lane of its own in the timeline.
const mostLanes = 40

// lane is what ran on one machine, or on one instance type.
type lane struct {
	instanceType, node string // node is empty for a whole type
	trials             []*TrialRow
	machines           int
}

// lanes divides the trials whose times are known, machines of one type in the order in which they came.
func (a *Analysis) lanes(byNode bool) []*lane {
	at := map[string]*lane{}
	nodes := map[string]map[string]bool{}
	var out []*lane
	for i := range a.Trials {
		t := &a.Trials[i]
		if t.Created.IsZero() || !t.Finished.After(t.Created) {
			continue
		}
		l := lane{instanceType: orUnknown(t.InstanceType)}
		if byNode {
			l.node = clusterOf(t)
		}
		key := l.instanceType + "\x00" + l.node
		if at[key] == nil {
			at[key], nodes[key] = &l, map[string]bool{}
			out = append(out, &l)
		}
		at[key].trials = append(at[key].trials, t)
		nodes[key][clusterOf(t)] = true
		at[key].machines = len(nodes[key])
	}
	for _, l := range out {
		slices.SortStableFunc(l.trials, func(a, b *TrialRow) int { return a.Created.Compare(b.Created) })
	}
	slices.SortStableFunc(out, func(a, b *lane) int {
		if a.instanceType != b.instanceType {
			return strings.Compare(a.instanceType, b.instanceType)
		}
		return a.trials[0].Created.Compare(b.trials[0].Created)
	})
	return out
}

// timeline draws when each trial ran and on which machine, or on which instance type where there are many machines.
func timeline(a *Analysis) (template.HTML, string) {
	byNode := len(distinct(a.Trials, clusterOf)) <= mostLanes
	lanes := a.lanes(byNode)
	if len(lanes) == 0 {
		return "", ""
	}
	note := "One lane per machine: a bar is a trial, from the pod's creation to its end, in the colour of its arm."
	if !byNode {
		note = "One lane per instance type, for there were many machines: a bar is a trial, from the pod's creation to its end, in the colour of its arm."
	}
	from, to := lanes[0].trials[0].Created, lanes[0].trials[0].Finished
	for _, l := range lanes {
		for _, t := range l.trials {
			if t.Created.Before(from) {
				from = t.Created
			}
			if t.Finished.After(to) {
				to = t.Finished
			}
		}
	}
	classes := map[string]string{}
	for i := range a.Arms {
		classes[a.Arms[i].Name] = armClass(a, i)
	}
	s := linear(to.Sub(from).Minutes())
	p := &plot{}
	for _, l := range lanes {
		p.lane(l, s, from, classes)
	}
	p.axis(s, "minutes since "+from.UTC().Format("2 January 2006 15:04 UTC"))
	return p.html("Trials over time"), note
}

func (p *plot) lane(l *lane, s scale, from time.Time, classes map[string]string) {
	const h = 24
	label := fmt.Sprintf("%s %s: %s on %s", l.instanceType, l.node, words.Count(len(l.trials), "trial"), words.Count(l.machines, "machine"))
	p.row("lane", l.instanceType, shortNode(l.node), label, h)
	p.grid(s, h)
	for _, t := range l.trials {
		x := s.at(t.Created.Sub(from).Minutes())
		w := math.Max(0.12, s.at(t.Finished.Sub(from).Minutes())-x)
		p.printf(`<g class="%s"><rect class="bar" x="%.3f%%" width="%.3f%%" y="5" height="%d"/></g>`, classes[t.Arm], x, w, h-10)
	}
	if l.node == "" {
		p.end(words.Count(l.machines, "machine"), "")
	} else {
		p.end(words.Count(len(l.trials), "trial"), "")
	}
}

// shortNode keeps the part of a long machine name that tells it from others.
func shortNode(name string) string {
	const most = 28
	if len(name) > most {
		return "…" + name[len(name)-most:]
	}
	return name
}
