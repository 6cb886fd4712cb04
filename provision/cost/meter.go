package cost

import (
	"maps"
	"slices"
	"sync"
	"time"
)

// Meter is the running sum of a bill. Telling it something and asking it cost the same whatever it was told before. Its methods are safe
// for concurrent use.
type Meter struct {
	lab Lab

	mu       sync.Mutex
	from     time.Time // of the control plane and the standing nodes
	last     time.Time
	nodes    map[string]*lifetime
	standing map[string]int // how many of a type's standing nodes have been met
	all      *Bill          // of all nodes until their ends
	open     map[string]bool
	reserved map[string]float64 // attempts that have begun and are not told yet, at their worst
}

// Use is a trial's use of a node.
type Use struct {
	Node         string
	InstanceType string
	// From is when the trial began to need the node: the launch of a node that was started for it. Ready is when its container began and
	// To when it ended.
	From, Ready, To time.Time
}

// lifetime is a node from its launch to its end.
type lifetime struct {
	group     Group
	from, end time.Time
	forever   bool // nothing takes it away: end is that of its last use
	starting  time.Duration
	busy      time.Duration
	kept      bool // one of those that the group keeps, and paid for as such
	cost      *Bill
}

// NewMeter starts at nothing.
func NewMeter(lab Lab) *Meter {
	return &Meter{lab: lab, nodes: map[string]*lifetime{}, standing: map[string]int{}, all: newBill(), open: map[string]bool{}, reserved: map[string]float64{}}
}

// Start says since when the control plane and the nodes that groups keep are paid. Without it, it is the first use.
func (m *Meter) Start(at time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.start(at)
	m.last = later(m.last, at)
}

func (m *Meter) start(at time.Time) {
	if m.from.IsZero() || at.Before(m.from) {
		m.from = at
	}
}

// Use adds a trial's use of a node. The node is paid from its first use, and until ScaleDownAfter after its last.
func (m *Meter) Use(u Use) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if u.Node == "" || u.From.IsZero() || u.To.Before(u.From) {
		return
	}
	m.start(u.From)
	m.last = later(m.last, u.To)
	if u.Ready.Before(u.From) || u.Ready.After(u.To) {
		u.Ready = u.From
	}
	n := m.nodes[u.Node]
	if n == nil {
		n = &lifetime{group: m.lab.group(u.InstanceType), from: u.From, starting: u.Ready.Sub(u.From), cost: newBill()}
		if m.standing[u.InstanceType] < n.group.Min {
			m.standing[u.InstanceType]++
			n.kept = true
		}
		m.replaced(n.group, u.From)
		m.nodes[u.Node] = n
	}
	if u.From.Before(n.from) {
		n.from = u.From
	}
	n.forever = m.lab.ScaleDownAfter == 0
	n.busy += u.To.Sub(u.Ready)
	n.end = later(n.end, u.To.Add(m.lab.ScaleDownAfter))
	m.reprice(u.Node, n)
}

// replaced ends the node of a group that must have gone for another to start: the group has no room for both.
func (m *Meter) replaced(g Group, at time.Time) {
	there, first := 0, ""
	for name := range m.open {
		n := m.nodes[name]
		if n.kept || n.group.Name != g.Name || !n.forever && !n.end.After(at) {
			continue
		}
		there++
		if first == "" || n.end.Before(m.nodes[first].end) {
			first = name
		}
	}
	if n := m.nodes[first]; n != nil && there >= g.Max-g.Min && n.from.Before(at) {
		n.end, n.forever = at, false
		m.reprice(first, n)
	}
}

// Gone says that a node ended at a moment, earlier or later than the model has it.
func (m *Meter) Gone(node string, at time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if n := m.nodes[node]; n != nil && !n.kept && at.After(n.from) {
		n.end, n.forever = at, false
		m.last = later(m.last, at)
		m.reprice(node, n)
	}
}

// reprice puts a node's new price in the place of its old one.
func (m *Meter) reprice(name string, n *lifetime) {
	m.all.merge(n.cost, -1)
	n.cost = m.lab.bill(n, n.end)
	m.all.merge(n.cost, 1)
	m.open[name] = true
}

// bill prices a node from its launch until a moment, its end at most.
func (l *Lab) bill(n *lifetime, until time.Time) *Bill {
	b := newBill()
	if n.kept {
		b.add(Credits, l.surplus(n.group, n.busy, until.Sub(n.from)))
		return b
	}
	instance, disk, address := l.parts(n.group)
	if instance == 0 {
		b.unpriced(n.group.InstanceType)
	}
	life := until.Sub(n.from)
	starting := min(n.starting, life)
	busy := min(n.busy, life-starting)
	b.add(StartingNodes, starting.Hours()*instance)
	b.add(BusyNodes, busy.Hours()*instance)
	b.add(IdleNodes, (life-starting-busy).Hours()*instance)
	b.add(Disks, life.Hours()*disk)
	b.add(Addresses, life.Hours()*address)
	b.add(Credits, l.surplus(n.group, busy, life))
	return b
}

// Last is the bill until the last moment that the meter was told of.
func (m *Meter) Last() *Bill { return m.Bill(time.Time{}) }

// Bill is the bill until a moment, which is not before that of the last call.
func (m *Meter) Bill(at time.Time) *Bill {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.bill(at)
}

func (m *Meter) bill(at time.Time) *Bill {
	if at.IsZero() {
		at = m.last
	}
	b := newBill()
	if !m.from.IsZero() {
		m.lab.standing(b, m.from, at)
	}
	b.merge(m.all, 1)
	b.Committed = b.USD
	for name := range m.open {
		n := m.nodes[name]
		if !n.forever && !n.end.After(at) {
			delete(m.open, name)
			continue
		}
		now := m.lab.bill(n, later(n.from, at))
		b.merge(n.cost, -1)
		b.merge(now, 1)
		if n.forever {
			b.Committed += now.USD - n.cost.USD
		}
	}
	b.From, b.To = m.from, at
	slices.Sort(b.Unpriced)
	maps.DeleteFunc(b.Parts, func(_ string, v float64) bool { return v < 1e-12 && v > -1e-12 })
	return b
}

// Reserve counts an attempt that is about to begin, on one of the types, until it is released. It returns the bill that will come, with
// all that is reserved at its worst: a node started for each attempt, and its idle tail.
func (m *Meter) Reserve(key string, at time.Time, types []string, t Times) float64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	if at.IsZero() {
		at = m.last
	}
	m.reserved[key] = m.lab.attempt(types, t) + m.lab.Standing(at, at.Add(t.attempt()))
	total := m.bill(at).Committed
	for _, usd := range m.reserved {
		total += usd
	}
	return total
}

// Release ends a reservation; one that is not there is fine.
func (m *Meter) Release(key string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.reserved, key)
}
