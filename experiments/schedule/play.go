package schedule

import (
	"cmp"
	"fmt"
	"slices"
	"time"
)

// Times are the lengths of what a trial consists of.
type Times struct {
	Start   time.Duration // from the wish for a node that is started for the trial to its container
	Warm    time.Duration // the same on a node that is there
	Run     time.Duration // the container
	Between time.Duration // from the container's end until the next trial can have the place
	Idle    time.Duration // how long a node that nobody needs stays; 0 keeps it
}

// Nodes say what becomes of a node after a trial.
type Nodes int

// What becomes of nodes.
const (
	Reused       Nodes = iota // the next trial takes it
	FreshToArm                // the next trial of another arm takes it; one of the same arm has it replaced
	FreshToTrial              // it ends with the trial
)

// Use is a trial's use of a node, in time since the study's beginning.
type Use struct {
	Trial           int
	Node, Type      string
	From, Ready, To time.Duration
	// Gone is when the node was taken away for another; zero: nobody took it.
	Gone time.Duration
}

type node struct {
	name   string
	served map[string]bool
	free   time.Duration // when its trial ends
	busy   bool
	last   int // the use of it that came last
}

// Play runs the study on a clock of its own, with the queue that the real one uses, and returns what ran when and how long all took.
func Play(l Limits, trials []Trial, t Times, n Nodes) ([]Use, time.Duration) {
	q := New(l, trials, true)
	p := &player{times: t, nodes: n, pool: map[string][]*node{}}
	type finish struct {
		at    time.Duration
		trial int
		on    *node
	}
	var running []finish
	now := time.Duration(0)
	for {
		for {
			i, ok := q.Next()
			if !ok {
				break
			}
			on := p.start(now, i, trials[i], l.Machine(trials[i].Type).Nodes)
			running = append(running, finish{p.uses[on.last].To + t.Between, i, on})
		}
		if len(running) == 0 {
			return p.uses, p.end
		}
		next := slices.MinFunc(running, func(a, b finish) int { return cmp.Or(cmp.Compare(a.at, b.at), cmp.Compare(a.trial, b.trial)) })
		running = slices.DeleteFunc(running, func(f finish) bool { return f.trial == next.trial })
		now = next.at
		p.end = max(p.end, now)
		next.on.busy = false
		if n == FreshToTrial {
			p.remove(trials[next.trial].Type, next.on, p.uses[next.on.last].To)
		}
		q.End(next.trial)
	}
}

type player struct {
	times Times
	nodes Nodes
	pool  map[string][]*node
	uses  []Use
	count int
	end   time.Duration
}

// start puts a trial on a node that is there, or on a new one.
func (p *player) start(now time.Duration, i int, t Trial, most int) *node {
	p.expire(now, t.Type)
	var idle []*node
	for _, n := range p.pool[t.Type] {
		if !n.busy {
			idle = append(idle, n)
		}
	}
	var on *node
	if k := slices.IndexFunc(idle, func(n *node) bool { return p.nodes == Reused || !n.served[t.Arm] }); k >= 0 {
		on = idle[k]
	}
	use := Use{Trial: i, Type: t.Type, From: now, Ready: now + p.times.Warm}
	if on == nil {
		if len(p.pool[t.Type]) >= most && len(idle) > 0 {
			p.remove(t.Type, idle[0], now)
		}
		p.count++
		on = &node{name: fmt.Sprintf("%s-%d", t.Type, p.count), served: map[string]bool{}}
		p.pool[t.Type] = append(p.pool[t.Type], on)
		use.Ready = now + p.times.Start
	}
	use.Node, use.To = on.name, use.Ready+p.times.Run
	p.uses = append(p.uses, use)
	on.busy, on.free, on.last = true, use.To, len(p.uses)-1
	on.served[t.Arm] = true
	return on
}

// expire forgets the nodes that the autoscaler has taken.
func (p *player) expire(now time.Duration, instanceType string) {
	if p.times.Idle <= 0 {
		return
	}
	p.pool[instanceType] = slices.DeleteFunc(p.pool[instanceType], func(n *node) bool { return !n.busy && n.free+p.times.Idle <= now })
}

func (p *player) remove(instanceType string, n *node, at time.Duration) {
	p.uses[n.last].Gone = at
	p.pool[instanceType] = slices.DeleteFunc(p.pool[instanceType], func(m *node) bool { return m == n })
}

// LowerBound is a time below which no order of the trials can come, by area and by chain: all trials share the places, the trials of a type its
// nodes, a family's its quota, all of them the dollars an hour; and no trial is shorter than itself. Every trial counts as short as one can be,
// and as many nodes are started as there have to be.
func LowerBound(l Limits, trials []Trial, t Times, n Nodes) time.Duration {
	l.Parallel = max(1, l.Parallel)
	perArm := map[string]map[string]int{}
	count := map[string]int{}
	for _, x := range trials {
		if perArm[x.Type] == nil {
			perArm[x.Type] = map[string]int{}
		}
		perArm[x.Type][x.Arm]++
		count[x.Type]++
	}
	var all, bound time.Duration
	family, dollars := map[string]float64{}, 0.0
	for kind, trialsOfType := range count {
		starts := 1
		switch n {
		case FreshToTrial:
			starts = trialsOfType
		case FreshToArm:
			for _, k := range perArm[kind] {
				starts = max(starts, k)
			}
		}
		work := time.Duration(trialsOfType)*(t.Warm+t.Run+t.Between) + time.Duration(starts)*(t.Start-t.Warm)
		m := l.Machine(kind)
		all += work
		family[m.Family] += float64(m.VCPU) * work.Hours()
		dollars += m.USDPerHour * work.Hours()
		bound = max(bound, work/time.Duration(m.Nodes), t.Start+t.Run)
	}
	bound = max(bound, all/time.Duration(l.Parallel))
	for f, hours := range family {
		if quota := l.VCPUs[f]; quota > 0 {
			bound = max(bound, time.Duration(hours/float64(quota)*float64(time.Hour)))
		}
	}
	if l.USDPerHour > 0 {
		bound = max(bound, time.Duration(dollars/l.USDPerHour*float64(time.Hour)))
	}
	return bound
}
