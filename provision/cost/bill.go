package cost

import (
	"slices"
	"time"
)

// Kinds of what is on a bill, in its order.
const (
	ControlPlane    = "control plane"
	ExtendedSupport = "control plane, extended support"
	StandingNodes   = "nodes that groups keep"
	StartingNodes   = "nodes while they start"
	BusyNodes       = "nodes while trials run"
	IdleNodes       = "nodes while they idle"
	Disks           = "disks"
	Addresses       = "addresses"
	Credits         = "CPU credits"
)

var kinds = []string{ControlPlane, ExtendedSupport, StandingNodes, StartingNodes, BusyNodes, IdleNodes, Disks, Addresses, Credits}

// Bill is what has been spent, in US dollars.
type Bill struct {
	USD float64 `json:"usd"`
	// Committed is USD with the idle tails of nodes that nobody needs any more, but that still run.
	Committed float64 `json:"committedUSD"`
	// Parts are the sums by kind; a kind that costs nothing is left out.
	Parts map[string]float64 `json:"parts"`
	// Unpriced are instance types that were used and have no price: the sums do not hold them.
	Unpriced []string  `json:"unpriced,omitempty"`
	From     time.Time `json:"from,omitzero"`
	To       time.Time `json:"to,omitzero"`
}

func newBill() *Bill { return &Bill{Parts: map[string]float64{}} }

func (b *Bill) add(kind string, usd float64) {
	if usd == 0 {
		return
	}
	b.USD += usd
	b.Parts[kind] += usd
}

func (b *Bill) unpriced(instanceType string) {
	if !slices.Contains(b.Unpriced, instanceType) {
		b.Unpriced = append(b.Unpriced, instanceType)
	}
}

// merge adds sign times the other bill.
func (b *Bill) merge(o *Bill, sign float64) {
	for k, v := range o.Parts {
		b.add(k, sign*v)
	}
	for _, t := range o.Unpriced {
		b.unpriced(t)
	}
}

// Kinds lists what is on the bill, in a bill's order.
func (b *Bill) Kinds() []string {
	var out []string
	for _, k := range kinds {
		if b.Parts[k] > 0 {
			out = append(out, k)
		}
	}
	return out
}
