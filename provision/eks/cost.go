package eks

import (
	"context"
	"maps"
	"slices"
	"time"

	"github.com/compspec/ocifit-lab/provision"
	"github.com/compspec/ocifit-lab/provision/cost"
)

const pricingNote = "AWS Pricing service"

// listPrices are the prices that no service is asked for.
func (o Options) listPrices() cost.Prices { return cost.ListPrices(o.Prices, o.PricesNote) }

// Costs implements provision.Estimator. Online it asks the Pricing service for the nodes' prices, and EKS until when the Kubernetes
// version is in standard support, and falls back to dated tables where these give no answer; offline it touches nothing.
func (p *Provider) Costs(ctx context.Context, online bool) (*cost.Lab, error) {
	if p.factErr != nil {
		return nil, p.factErr
	}
	prices, until := p.opts.listPrices(), StandardUntil(p.opts.KubernetesVersion)
	if online {
		prices = p.askPrices(ctx, prices)
		if asked := p.askSupport(ctx); !asked.IsZero() {
			until = asked
		}
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
	}
	l := &cost.Lab{Prices: prices, ControlPlane: true, StandardUntil: until, ScaleDownAfter: p.opts.ScaleDownAfter}
	for _, g := range p.opts.NodeGroups {
		l.Groups = append(l.Groups, cost.Group{Name: g.Name, InstanceType: g.InstanceType, Min: g.Min, Desired: g.Desired, Max: g.Max, VCPU: g.VCPU, DiskGiB: g.VolumeGiB})
	}
	return l, nil
}

// askPrices takes the region's own prices of nodes where AWS gives them.
func (p *Provider) askPrices(ctx context.Context, prices cost.Prices) cost.Prices {
	c, err := p.quick(ctx)
	if err != nil {
		return prices
	}
	asked, err := c.Prices(ctx, p.types())
	if err != nil || len(asked) == 0 {
		return prices
	}
	prices.Node = maps.Clone(prices.Node)
	if prices.Node == nil {
		prices.Node = map[string]float64{}
	}
	complete := true
	for _, t := range p.types() {
		if asked[t] > 0 {
			prices.Node[t] = asked[t]
		} else {
			complete = false
		}
	}
	if complete {
		prices.Note = pricingNote
	} else {
		prices.Note = pricingNote + ", and for types without an answer: " + prices.Note
	}
	return prices
}

// askSupport is when the lab's version leaves standard support, zero when AWS does not tell.
func (p *Provider) askSupport(ctx context.Context) (until time.Time) {
	c, err := p.quick(ctx)
	if err != nil {
		return until
	}
	offered, err := c.Versions(ctx)
	if err != nil {
		return until
	}
	want := p.opts.KubernetesVersion
	if want == "" {
		want = chooseVersion(offered, time.Now())
	}
	v, _ := offeredOf(want, offered)
	return v.StandardUntil
}

// Estimate is what the lab costs an hour.
type Estimate = cost.Rate

// Estimate is the hourly price of the idle lab and of its worst case.
func (p *Provider) Estimate(ctx context.Context, online bool) (*provision.Estimate, error) {
	l, err := p.Costs(ctx, online)
	if err != nil {
		return nil, err
	}
	return l.Rate(time.Now()), nil
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
