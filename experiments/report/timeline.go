package report

import (
	"fmt"
	"html/template"
	"maps"
	"math"
	"slices"
	"strings"
	"time"
)

// mostLanes is the number of machines up to which each has a lane of its own in the timeline.
const mostLanes = 40

// timeline draws when each trial ran and on which machine, or on which instance type where there are many machines.
func timeline(a *Analysis) (template.HTML, string) {
	var from, to time.Time
	lanes := map[string][]*TrialRow{}
	byNode := len(distinct(a.Trials, clusterOf)) <= mostLanes
	for i := range a.Trials {
		t := &a.Trials[i]
		if t.Created.IsZero() || !t.Finished.After(t.Created) {
			continue
		}
		if from.IsZero() || t.Created.Before(from) {
			from = t.Created
		}
		if t.Finished.After(to) {
			to = t.Finished
		}
		lane := orUnknown(t.InstanceType)
		if byNode {
			lane += "\x00" + clusterOf(t)
		}
		lanes[lane] = append(lanes[lane], t)
	}
	if len(lanes) == 0 {
		return "", ""
	}
	for _, trials := range lanes {
		slices.SortFunc(trials, func(a, b *TrialRow) int { return a.Created.Compare(b.Created) })
	}
	note := "One lane per machine: a bar is a trial, from the pod's creation to its end, in the colour of its arm."
	if !byNode {
		note = "One lane per instance type, for there were many machines: a bar is a trial, from the pod's creation to its end, in the colour of its arm."
	}
	classes := map[string]string{}
	for i := range a.Arms {
		classes[a.Arms[i].Name] = armClass(a, i)
	}
	minutes := func(t time.Time) float64 { return t.Sub(from).Minutes() }
	s := linear(minutes(to))
	const h = 24
	p := &plot{}
	keys := slices.Sorted(maps.Keys(lanes))
	slices.SortStableFunc(keys, func(a, b string) int { // machines of one type in the order in which they came
		typeA, _, _ := strings.Cut(a, "\x00")
		typeB, _, _ := strings.Cut(b, "\x00")
		if typeA != typeB {
			return strings.Compare(typeA, typeB)
		}
		return lanes[a][0].Created.Compare(lanes[b][0].Created)
	})
	for _, key := range keys {
		name, node, _ := strings.Cut(key, "\x00")
		trials := lanes[key]
		nodes := map[string]bool{}
		for _, t := range trials {
			nodes[clusterOf(t)] = true
		}
		p.row("lane", name, shortNode(node), fmt.Sprintf("%s %s: %s on %s", name, node, plural(len(trials), "trial"), plural(len(nodes), "machine")), h)
		p.grid(s, h)
		for _, t := range trials {
			x := s.at(minutes(t.Created))
			w := math.Max(0.12, s.at(minutes(t.Finished))-x)
			p.printf(`<g class="%s"><rect class="bar" x="%.3f%%" width="%.3f%%" y="5" height="%d"/></g>`, classes[t.Arm], x, w, h-10)
		}
		value := plural(len(trials), "trial")
		if !byNode {
			value = plural(len(nodes), "machine")
		}
		p.end(value, "")
	}
	p.axis(s, "minutes since "+from.UTC().Format("2 January 2006 15:04 UTC"))
	return p.html("Trials over time"), note
}

// shortNode keeps the part of a long machine name that tells it from others.
func shortNode(name string) string {
	const most = 28
	if len(name) > most {
		return "…" + name[len(name)-most:]
	}
	return name
}
