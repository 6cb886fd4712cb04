package eks

import (
	"context"
	"time"

	"github.com/compspec/ocifit-lab/provision"
)

var _ provision.ShortageTeller = (*Provider)(nil)

// Shortage implements provision.ShortageTeller: the scaling group of the type's node group says what EC2 answered.
func (p *Provider) Shortage(ctx context.Context, instanceType string, since time.Time) (string, error) {
	for _, g := range p.opts.NodeGroups {
		if g.InstanceType != instanceType {
			continue
		}
		c, err := p.quick(ctx)
		if err != nil {
			return "", err
		}
		return c.Shortage(ctx, p.opts.Name, g.Name, since)
	}
	return "", nil
}
