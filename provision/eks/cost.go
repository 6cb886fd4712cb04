package eks

import (
	"context"
	"fmt"
	"slices"

	"github.com/compspec/ocifit-lab/provision"
)

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
func (p *Provider) Estimate(ctx context.Context, online bool) (*provision.Estimate, error) {
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
	e := &provision.Estimate{}
	e.Add(provision.CostItem{What: "EKS control plane", Count: 1, Most: 1, Each: clusterPrice, Source: fixedNote})
	for _, g := range p.opts.NodeGroups {
		each, source := asked[g.InstanceType], pricingNote
		if each == 0 {
			each, source = p.opts.Prices[g.InstanceType], p.opts.PricesNote
		}
		if each == 0 {
			e.Unpriced = append(e.Unpriced, g.InstanceType)
			source = "no price known"
		}
		e.Add(provision.CostItem{Group: g.Name, What: fmt.Sprintf("node group %s (%s)", g.Name, g.InstanceType), Count: g.Desired, Most: g.Max, Each: each, Source: source})
		size := g.VolumeGiB
		if size == 0 {
			size = 80
		}
		e.Add(provision.CostItem{Group: g.Name, What: fmt.Sprintf("address and %d GiB of disk of a node of %s", size, g.Name), Count: g.Desired, Most: g.Max,
			Each: addressPrice + float64(size)*diskPrice, Source: fixedNote})
	}
	return e, nil
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
