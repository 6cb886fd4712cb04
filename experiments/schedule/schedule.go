// Package schedule decides which trials of a study run side by side, and tells how long a study takes that way.
package schedule

import (
	"fmt"
	"math"
	"slices"
	"strings"
)

// Trial is one trial as far as its place in time matters.
type Trial struct {
	Arm string
	// Block is the block of the design that the trial belongs to, counted from 0; trials of one block are to run close together in time.
	Block int
	// Type is the instance type that it runs on.
	Type string
}

// Machine is an instance type as far as trials share it.
type Machine struct {
	Nodes      int     // how many there can be at once; 0 counts as 1
	VCPU       int     // of one, for quotas
	Family     string  // whose quota it counts against
	USDPerHour float64 // of one
}

// Limits bound what runs at once.
type Limits struct {
	Parallel int // trials
	// Machines are the known types; one that is not named has a single node.
	Machines map[string]Machine
	VCPUs    map[string]int // quotas by family; a family that is not named has none
	// USDPerHour bounds what the nodes of the running trials cost together; 0 is no bound.
	USDPerHour float64
}

// Machine of a type.
func (l Limits) Machine(instanceType string) Machine {
	m := l.Machines[instanceType]
	m.Nodes = max(1, m.Nodes)
	return m
}

// OneNodeEach are limits under which two trials never come to one type.
func (l Limits) OneNodeEach() Limits {
	machines := make(map[string]Machine, len(l.Machines))
	for name, m := range l.Machines {
		m.Nodes = 1
		machines[name] = m
	}
	l.Machines = machines
	return l
}

// Check reports types whose single trial passes a limit: they would be waited for in vain.
func (l Limits) Check(types []string) error {
	var bad []string
	for _, t := range types {
		m := l.Machine(t)
		if l.USDPerHour > 0 && m.USDPerHour > l.USDPerHour {
			bad = append(bad, fmt.Sprintf("one %s costs $%.2f an hour, and the limit is $%.2f", t, m.USDPerHour, l.USDPerHour))
		}
		if quota, ok := l.VCPUs[m.Family]; ok && m.VCPU > quota {
			bad = append(bad, fmt.Sprintf("one %s has %d vCPUs, and the quota of family %s is %d", t, m.VCPU, m.Family, quota))
		}
	}
	if len(bad) == 0 {
		return nil
	}
	slices.Sort(bad)
	return fmt.Errorf("some trials could never start: %s", strings.Join(slices.Compact(bad), "; "))
}

// Queue hands out trials in the study's order, each as soon as there is room for it. A trial that has no room lets later ones pass, but only
// those of the next few blocks: drift over time then falls on all arms of a block alike. It is not safe for concurrent use.
type Queue struct {
	limits Limits
	trials []Trial
	state  []state
	typed  []bool // the type is known
	asked  []bool // somebody finds it out
	order  []int  // waiting trials, in the study's order
	ahead  int    // how many blocks may be begun at once

	running int
	nodes   map[string]int
	vcpus   map[string]int
	usd     float64
	lost    map[string]int // nodes of a type that could not be had
}

type state int

const (
	waiting state = iota
	running
	ended
)

// New queues trials. With typed, their types are known; otherwise Type says each when it is.
func New(l Limits, trials []Trial, typed bool) *Queue {
	l.Parallel = max(1, l.Parallel)
	q := &Queue{
		limits: l, trials: slices.Clone(trials), state: make([]state, len(trials)), typed: make([]bool, len(trials)), asked: make([]bool, len(trials)),
		nodes: map[string]int{}, vcpus: map[string]int{}, lost: map[string]int{},
	}
	size, largest := map[int]int{}, 1
	for i, t := range trials {
		q.order = append(q.order, i)
		q.typed[i] = typed
		size[t.Block]++
		largest = max(largest, size[t.Block])
	}
	q.ahead = 1 + (l.Parallel+largest-1)/largest
	return q
}

// window are the waiting trials that may be looked at now: those of the first blocks that still wait.
func (q *Queue) window() []int {
	if len(q.order) == 0 {
		return nil
	}
	first := math.MaxInt
	for _, i := range q.order {
		first = min(first, q.trials[i].Block)
	}
	end := len(q.order)
	if i := slices.IndexFunc(q.order, func(i int) bool { return q.trials[i].Block >= first+q.ahead }); i >= 0 {
		end = i
	}
	return q.order[:end]
}

// Next starts the next trial for which there is room now; ok is false when there is none.
func (q *Queue) Next() (trial int, ok bool) {
	if q.running >= q.limits.Parallel {
		return 0, false
	}
	for _, i := range q.window() {
		if q.typed[i] && q.Room(q.trials[i].Type) {
			q.order = slices.DeleteFunc(q.order, func(j int) bool { return j == i })
			q.state[i] = running
			q.running++
			q.count(q.trials[i].Type, 1)
			return i, true
		}
	}
	return 0, false
}

// Untyped hands out, once each, the trials that might start soon and whose type is not known; ok is false when there is none.
func (q *Queue) Untyped() (trial int, ok bool) {
	for _, i := range q.window() {
		if !q.typed[i] && !q.asked[i] {
			q.asked[i] = true
			return i, true
		}
	}
	return 0, false
}

// Type says on which type a trial will run; empty: it needs no node that is counted.
func (q *Queue) Type(trial int, instanceType string) {
	q.trials[trial].Type, q.typed[trial] = instanceType, true
}

// Move puts a running trial on another type, whether there is room or not: see Room.
func (q *Queue) Move(trial int, instanceType string) {
	q.count(q.trials[trial].Type, -1)
	q.trials[trial].Type = instanceType
	q.count(instanceType, 1)
}

// On is the type of a trial.
func (q *Queue) On(trial int) string { return q.trials[trial].Type }

// End gives back what a trial used.
func (q *Queue) End(trial int) {
	if q.state[trial] != running {
		return
	}
	q.state[trial] = ended
	q.running--
	q.count(q.trials[trial].Type, -1)
}

// Stuck tells why nothing can ever start: nothing runs, no type is being found out, and no trial has room. It is nil as long as one may.
func (q *Queue) Stuck() error {
	if q.running > 0 || len(q.order) == 0 {
		return nil
	}
	var types []string
	for _, i := range q.window() {
		if !q.typed[i] || q.Room(q.trials[i].Type) {
			return nil
		}
		types = append(types, q.trials[i].Type)
	}
	return q.limits.Check(types)
}

// Waiting is how many trials have not started.
func (q *Queue) Waiting() int { return len(q.order) }

// Drop takes the waiting trials of an arm away and says how many there were.
func (q *Queue) Drop(arm string) int {
	before := len(q.order)
	q.order = slices.DeleteFunc(q.order, func(i int) bool { return q.trials[i].Arm == arm })
	return before - len(q.order)
}

// Lose says that a node of a type could not be had: the study goes on with fewer of them, but never with none.
func (q *Queue) Lose(instanceType string) {
	if q.limits.Machine(instanceType).Nodes-q.lost[instanceType] > 1 {
		q.lost[instanceType]++
	}
}

// Room tells whether one more trial may run on a type.
func (q *Queue) Room(instanceType string) bool {
	if instanceType == "" {
		return true
	}
	m := q.limits.Machine(instanceType)
	if q.nodes[instanceType] >= m.Nodes-q.lost[instanceType] {
		return false
	}
	if quota, ok := q.limits.VCPUs[m.Family]; ok && q.vcpus[m.Family]+m.VCPU > quota {
		return false
	}
	return q.limits.USDPerHour <= 0 || q.usd+m.USDPerHour <= q.limits.USDPerHour+1e-9
}

func (q *Queue) count(instanceType string, by int) {
	if instanceType == "" {
		return
	}
	m := q.limits.Machine(instanceType)
	q.nodes[instanceType] += by
	q.vcpus[m.Family] += by * m.VCPU
	q.usd += float64(by) * m.USDPerHour
}
