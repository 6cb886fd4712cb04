package eks

import (
	"context"
	"fmt"
	"slices"
)

// CostItem is one thing that costs money while it exists.
type CostItem struct {
	What   string  `json:"what"`
	Group  string  `json:"group,omitempty"` // of whose nodes it is, one for each; empty: there whatever runs
	Count  int     `json:"count"`           // while nothing runs
	Most   int     `json:"most"`            // in the worst case
	Each   float64 `json:"eachUSDPerHour"`
	Source string  `json:"source"` // where the price is from
}

// Estimate is what the lab costs an hour.
type Estimate struct {
	Items []CostItem `json:"items"`
	Idle  float64    `json:"idleUSDPerHour"`  // while no experiment runs
	Worst float64    `json:"worstUSDPerHour"` // with every node group at its largest
	// Unpriced are instance types without a price in any source: the sums do not hold them.
	Unpriced []string `json:"unpriced,omitempty"`
	Sources  []string `json:"sources"`
}

// Prices that no service is asked for: list prices of us-east-1, in USD an hour.
const (
	fixedNote    = "AWS list prices of us-east-1, January 2026"
	clusterPrice = 0.10       // EKS control plane in standard support
	addressPrice = 0.005      // public IPv4 address of a node
	diskPrice    = 0.08 / 730 // gp3, a GiB; AWS counts 730 hours a month
	pricingNote  = "AWS Pricing service"
)

// Estimate adds up the hourly price of the idle lab and of its worst case. Online it asks the Pricing service and falls back to the dated
// table where that gives no answer; offline it touches nothing.
func (p *Provider) Estimate(ctx context.Context, online bool) (*Estimate, error) {
	if p.factErr != nil {
		return nil, p.factErr
	}
	asked := map[string]float64{}
	if online {
		if c, err := p.aws(ctx); err == nil {
			if got, err := c.Prices(ctx, p.types()); err == nil {
				asked = got
			}
		}
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
	}
	e := &Estimate{}
	e.add(CostItem{What: "EKS control plane", Count: 1, Most: 1, Each: clusterPrice, Source: fixedNote})
	for _, g := range p.opts.NodeGroups {
		each, source := asked[g.InstanceType], pricingNote
		if each == 0 {
			each, source = p.opts.Prices[g.InstanceType], p.opts.PricesNote
		}
		if each == 0 {
			e.Unpriced = append(e.Unpriced, g.InstanceType)
			source = "no price known"
		}
		e.add(CostItem{Group: g.Name, What: fmt.Sprintf("node group %s (%s)", g.Name, g.InstanceType), Count: g.Desired, Most: g.Max, Each: each, Source: source})
		size := g.VolumeGiB
		if size == 0 {
			size = 80
		}
		e.add(CostItem{Group: g.Name, What: fmt.Sprintf("address and %d GiB of disk of a node of %s", size, g.Name), Count: g.Desired, Most: g.Max,
			Each: addressPrice + float64(size)*diskPrice, Source: fixedNote})
	}
	return e, nil
}

// With is the hourly price while so many nodes of each group run.
func (e *Estimate) With(nodes map[string]int) float64 {
	sum := 0.0
	for _, i := range e.Items {
		n := i.Count
		if i.Group != "" {
			n = nodes[i.Group]
		}
		sum += float64(n) * i.Each
	}
	return sum
}

func (e *Estimate) add(i CostItem) {
	e.Items = append(e.Items, i)
	e.Idle += float64(i.Count) * i.Each
	e.Worst += float64(i.Most) * i.Each
	if !slices.Contains(e.Sources, i.Source) {
		e.Sources = append(e.Sources, i.Source)
	}
}

func (p *Provider) types() []string {
	var types []string
	for _, g := range p.opts.NodeGroups {
		if !slices.Contains(types, g.InstanceType) {
			types = append(types, g.InstanceType)
		}
	}
	return types
}
