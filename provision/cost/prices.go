package cost

import (
	"slices"
	"strings"
	"time"
)

// Prices are in US dollars.
type Prices struct {
	Node         map[string]float64 `json:"node"`                // on-demand Linux, an hour, by instance type
	ControlPlane float64            `json:"controlPlane"`        // an hour, in standard support
	Extended     float64            `json:"extended"`            // an hour, in extended support
	Address      float64            `json:"address"`             // a node's public IPv4 address, an hour
	DiskGiB      float64            `json:"diskGiB"`             // gp3, an hour
	Credit       float64            `json:"credit"`              // a vCPU-hour beyond the baseline, T3 and T3a
	CreditArm    float64            `json:"creditArm"`           // the same of T4g
	Note         string             `json:"note,omitempty"`      // where the prices of nodes are from
	FixedNote    string             `json:"fixedNote,omitempty"` // where the other prices are from
}

// hoursOfMonth is by what AWS divides the monthly price of a disk.
const hoursOfMonth = 730

// ListPrices are the given prices of nodes with the list prices of everything else in us-east-1: EKS's and EC2's public price pages.
func ListPrices(node map[string]float64, note string) Prices {
	return Prices{
		Node: node, Note: note,
		ControlPlane: 0.10, Extended: 0.60, Address: 0.005, DiskGiB: 0.08 / hoursOfMonth, Credit: 0.05, CreditArm: 0.04,
		FixedNote: "AWS list prices of us-east-1, November 2026",
	}
}

// Group is a node group as far as it costs money.
type Group struct {
	Name         string `json:"name"`
	InstanceType string `json:"instanceType"`
	Min          int    `json:"min"` // nodes that run whatever happens
	Desired      int    `json:"desired"`
	Max          int    `json:"max"`
	VCPU         int    `json:"vcpu"`    // for CPU credits; 0 leaves them out
	DiskGiB      int    `json:"diskGiB"` // 0 is DefaultDiskGiB
}

// DefaultDiskGiB is the size of a node's disk when nothing else is said.
const DefaultDiskGiB = 80

// Lab is what prices depend on.
type Lab struct {
	Prices Prices  `json:"prices"`
	Groups []Group `json:"groups"`
	// ControlPlane says that the control plane is paid for.
	ControlPlane bool `json:"controlPlane"`
	// StandardUntil is when the Kubernetes version leaves standard support and the control plane's price goes up; zero is not soon.
	StandardUntil time.Time `json:"standardUntil,omitzero"`
	// ScaleDownAfter is how long a node that nobody needs stays; 0 keeps it for ever.
	ScaleDownAfter time.Duration `json:"scaleDownAfter"`
}

// group finds the group of a type, or makes up one with the default disk.
func (l *Lab) group(instanceType string) Group {
	for _, g := range l.Groups {
		if g.InstanceType == instanceType {
			return g
		}
	}
	return Group{Name: instanceType, InstanceType: instanceType, Max: 1}
}

// Node is the price an hour of a node of the type with its disk and address; known is false when the instance itself has no price.
func (l *Lab) Node(instanceType string) (usd float64, known bool) {
	i, d, a := l.parts(l.group(instanceType))
	return i + d + a, i > 0
}

func (l *Lab) parts(g Group) (instance, disk, address float64) {
	size := g.DiskGiB
	if size == 0 {
		size = DefaultDiskGiB
	}
	return l.Prices.Node[g.InstanceType], float64(size) * l.Prices.DiskGiB, l.Prices.Address
}

// controlPlane is the price of the control plane between two moments.
func (l *Lab) controlPlane(from, to time.Time) (standard, extended float64) {
	if !l.ControlPlane || !to.After(from) {
		return 0, 0
	}
	end := to
	if !l.StandardUntil.IsZero() && l.StandardUntil.Before(to) {
		end = later(from, l.StandardUntil)
	}
	return end.Sub(from).Hours() * l.Prices.ControlPlane, to.Sub(end).Hours() * l.Prices.Extended
}

// baseline is the share of a vCPU that a burstable type may use without credits beyond those it earns (EC2 user guide, "Key concepts for
// burstable performance instances"); 1 for every other type.
func baseline(instanceType string) float64 {
	family, size, _ := strings.Cut(instanceType, ".")
	if !slices.Contains([]string{"t3", "t3a", "t4g"}, family) {
		return 1
	}
	switch size {
	case "nano":
		return 0.05
	case "micro":
		return 0.10
	case "small", "medium":
		return 0.20
	case "large":
		return 0.30
	}
	return 0.40
}

// surplus is the price of the CPU credits of a node that ran for lifetime and computed on all its vCPUs for busy of that. Nodes are
// unlimited, as is the default of T3, T3a and T4g: what the average use over the node's life, of a day at most, is above the baseline is
// paid by the vCPU-hour.
func (l *Lab) surplus(g Group, busy, lifetime time.Duration) float64 {
	b := baseline(g.InstanceType)
	if b == 1 {
		return 0
	}
	price := l.Prices.Credit
	if strings.HasPrefix(g.InstanceType, "t4g.") {
		price = l.Prices.CreditArm
	}
	return max(0, busy.Hours()-b*lifetime.Hours()) * float64(g.VCPU) * price
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
