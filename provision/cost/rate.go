package cost

import (
	"fmt"
	"slices"
	"time"
)

// Item is one thing that costs money while it exists.
type Item struct {
	What   string  `json:"what"`
	Group  string  `json:"group,omitempty"` // of whose nodes it is, one for each; empty: there whatever runs
	Count  int     `json:"count"`           // while nothing runs
	Most   int     `json:"most"`            // with every group at its largest
	Each   float64 `json:"eachUSDPerHour"`
	Source string  `json:"source"` // where the price is from
}

// Rate is what the lab costs an hour.
type Rate struct {
	Items []Item  `json:"items"`
	Idle  float64 `json:"idleUSDPerHour"`  // while no experiment runs
	Worst float64 `json:"worstUSDPerHour"` // with every node group at its largest
	// Unpriced are instance types without a price: the sums do not hold them.
	Unpriced []string `json:"unpriced,omitempty"`
	Sources  []string `json:"sources"`
}

// Rate adds up the lab's price an hour at a moment.
func (l *Lab) Rate(at time.Time) *Rate {
	r := &Rate{}
	if l.ControlPlane {
		what, each := "EKS control plane", l.Prices.ControlPlane
		if !l.StandardUntil.IsZero() && !at.Before(l.StandardUntil) {
			what, each = "EKS control plane in extended support", l.Prices.Extended
		}
		r.add(Item{What: what, Count: 1, Most: 1, Each: each, Source: l.Prices.FixedNote})
	}
	for _, g := range l.Groups {
		instance, disk, address := l.parts(g)
		source := l.Prices.Note
		if instance == 0 {
			source = "no price known"
			if !slices.Contains(r.Unpriced, g.InstanceType) {
				r.Unpriced = append(r.Unpriced, g.InstanceType)
			}
		}
		r.add(Item{Group: g.Name, What: fmt.Sprintf("node group %s (%s)", g.Name, g.InstanceType), Count: g.Desired, Most: g.Max, Each: instance, Source: source})
		if disk+address > 0 {
			size := g.DiskGiB
			if size == 0 {
				size = DefaultDiskGiB
			}
			r.add(Item{
				Group: g.Name, What: fmt.Sprintf("address and %d GiB of disk of a node of %s", size, g.Name), Count: g.Desired, Most: g.Max,
				Each: disk + address, Source: l.Prices.FixedNote,
			})
		}
	}
	return r
}

func (r *Rate) add(i Item) {
	r.Items = append(r.Items, i)
	r.Idle += float64(i.Count) * i.Each
	r.Worst += float64(i.Most) * i.Each
	if i.Source != "" && !slices.Contains(r.Sources, i.Source) {
		r.Sources = append(r.Sources, i.Source)
	}
}

// With is the price an hour while so many nodes of each group run.
func (r *Rate) With(nodes map[string]int) float64 {
	sum := 0.0
	for _, i := range r.Items {
		n := i.Count
		if i.Group != "" {
			n = nodes[i.Group]
		}
		sum += float64(n) * i.Each
	}
	return sum
}

// Hourly is the price an hour at a moment while so many nodes of each group run.
func (l *Lab) Hourly(at time.Time, nodes map[string]int) float64 { return l.Rate(at).With(nodes) }

// Standing is what the lab costs between two moments without a single trial: the control plane and the nodes that groups keep.
func (l *Lab) Standing(from, to time.Time) float64 {
	b := newBill()
	l.standing(b, from, to)
	return b.USD
}

func (l *Lab) standing(b *Bill, from, to time.Time) {
	if !to.After(from) {
		return
	}
	hours := to.Sub(from).Hours()
	standard, extended := l.controlPlane(from, to)
	b.add(ControlPlane, standard)
	b.add(ExtendedSupport, extended)
	for _, g := range l.Groups {
		instance, disk, address := l.parts(g)
		b.add(StandingNodes, hours*float64(g.Min)*instance)
		b.add(Disks, hours*float64(g.Min)*disk)
		b.add(Addresses, hours*float64(g.Min)*address)
		if g.Min > 0 && instance == 0 {
			b.unpriced(g.InstanceType)
		}
		// What starts beyond the minimum and is not needed goes like any other idle node.
		if extra := float64(g.Desired - g.Min); extra > 0 {
			idle := hours
			if l.ScaleDownAfter > 0 {
				idle = min(idle, l.ScaleDownAfter.Hours())
			}
			b.add(IdleNodes, extra*idle*instance)
			b.add(Disks, extra*idle*disk)
			b.add(Addresses, extra*idle*address)
		}
	}
}
