package eks

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/compspec/ocifit-lab/provision"
	"github.com/compspec/ocifit-lab/provision/eks/account"
)

// family is a group of instance types that share one quota of vCPUs.
type family struct {
	name, quota string
	prefixes    []string
}

// families are EC2's on-demand quotas, the special ones first; what none of them claims is standard.
var families = []family{
	{"hpc", "L-F7808C92", []string{"hpc"}},
	{"inf", "L-1945791B", []string{"inf"}},
	{"trn", "L-2C3B7624", []string{"trn"}},
	{"dl", "L-6E869C2A", []string{"dl"}},
	{"p", "L-417A185B", []string{"p"}},
	{"g and vt", "L-DB2E81BA", []string{"g", "vt"}},
	{"f", "L-74FC7D96", []string{"f"}},
	{"x", "L-7295265B", []string{"x"}},
	{"u", "L-43DA4232", []string{"u-", "u"}},
	{"standard (a, c, d, h, i, m, r, t, z)", "L-1216C47A", nil},
}

func familyOf(instanceType string) family {
	for _, f := range families {
		for _, prefix := range f.prefixes {
			rest, ok := strings.CutPrefix(instanceType, prefix)
			// A generation must follow: "p" means p4d, not a type of which p is the first of several letters.
			if ok && rest != "" && rest[0] >= '0' && rest[0] <= '9' {
				return f
			}
		}
	}
	return families[len(families)-1]
}

// checkQuotas compares what the account may have with what the lab needs at least, which is its sticky nodes and one of the largest others,
// and at most. It also wants room for a VPC and a cluster.
func (p *Provider) checkQuotas(ctx context.Context, c *account.Cloud, r *provision.Report) error {
	groups := slices.Clone(p.opts.NodeGroups)
	if err := p.fillSizes(ctx, groups); err != nil {
		return nil // a type that does not exist is another check's matter
	}
	type sizes struct {
		always, largest, most int
		types                 []NodeGroup // those that start nodes
	}
	wanted := map[string]*sizes{}
	for _, g := range groups {
		f := familyOf(g.InstanceType)
		n := wanted[f.quota]
		if n == nil {
			n = &sizes{}
			wanted[f.quota] = n
		}
		n.always += g.Desired * g.VCPU
		// A type that is never chosen starts no node, and an empty group needs no quota.
		if slices.Contains(p.opts.Skip, g.InstanceType) {
			n.most += g.Desired * g.VCPU
			continue
		}
		if g.Max > g.Desired {
			n.largest = max(n.largest, g.VCPU)
			n.types = append(n.types, g)
		}
		n.most += g.Max * g.VCPU
	}
	good := true
	for _, f := range families {
		n := wanted[f.quota]
		if n == nil {
			continue
		}
		limit, err := c.Quota(ctx, "ec2", f.quota)
		name := fmt.Sprintf("quota of vCPUs, family %s", f.name)
		try := fmt.Sprintf("ask for more: Service Quotas, EC2, %s, in %s", f.quota, p.opts.Region)
		least := n.always + n.largest
		switch {
		case err != nil:
			good = false
			r.Add(name, provision.CheckUnknown, "", "it cannot be asked: %v", err)
		case int(limit) < least:
			good = false
			// What does not fit beside the standing nodes can be left out, if anything else is left.
			var out []string
			for _, g := range n.types {
				if n.always+g.VCPU > int(limit) && !slices.Contains(out, g.InstanceType) {
					out = append(out, g.InstanceType)
				}
			}
			if n.always <= int(limit) {
				r.Unavailable = append(r.Unavailable, out...)
				try += fmt.Sprintf(";\nor leave these types out with --skip-unavailable, or in lab.yaml:\n  webhook:\n    skip: [%s]", strings.Join(append(slices.Clone(p.opts.Skip), out...), ", "))
			}
			r.Add(name, provision.CheckFailed, try, "it is %d, and the lab needs %d (sticky nodes and one of its largest); no node of %s can start",
				int(limit), least, strings.Join(out, ", "))
		case int(limit) < n.most:
			good = false
			r.Add(name, provision.CheckWarning, try, "it is %d: enough for one experiment at a time, not for all groups at once (%d)", int(limit), n.most)
		}
	}
	p.checkRoom(ctx, c, r)
	if good {
		r.Add("quotas of vCPUs", provision.CheckOK, "", "enough for all groups at once")
	}
	return nil
}

var _ provision.Quoter = (*Provider)(nil)

// Quotas implements provision.Quoter. Nodes that idle until the autoscaler takes them are not known here; a trial waits for their vCPUs.
func (p *Provider) Quotas(ctx context.Context) (provision.Quotas, error) {
	c, err := p.quick(ctx)
	if err != nil {
		return provision.Quotas{}, err
	}
	groups := slices.Clone(p.opts.NodeGroups)
	if err := p.fillSizes(ctx, groups); err != nil {
		return provision.Quotas{}, err
	}
	out := provision.Quotas{Family: map[string]string{}, VCPUs: map[string]int{}}
	always, used := map[string]int{}, map[string]family{}
	for _, g := range groups {
		f := familyOf(g.InstanceType)
		if slices.Contains(p.opts.Skip, g.InstanceType) {
			always[f.name] += g.Min * g.VCPU
			continue
		}
		out.Family[g.InstanceType], used[f.name] = f.name, f
	}
	for name, f := range used {
		if limit, err := c.Quota(ctx, "ec2", f.quota); err == nil {
			out.VCPUs[name] = max(0, int(limit)-always[name])
		}
	}
	return out, context.Cause(ctx)
}

// checkRoom wants one more VPC to be allowed, unless the lab has its own already or uses another's.
func (p *Provider) checkRoom(ctx context.Context, c *account.Cloud, r *provision.Report) {
	v, err := p.snapshotWith(ctx, c)
	if err != nil || v.cluster != nil || len(v.stacks) > 0 || p.facts != nil {
		return
	}
	have, err := c.VPCs(ctx)
	if err != nil {
		return
	}
	limit, err := c.Quota(ctx, "vpc", "L-F678F1CE")
	if err != nil {
		r.Add("quota of VPCs", provision.CheckUnknown, "", "it cannot be asked: %v", err)
		return
	}
	if have >= int(limit) {
		r.Add("quota of VPCs", provision.CheckFailed, "remove a VPC that nobody uses, or ask for more: Service Quotas, VPC, L-F678F1CE", "all %d of %s are in use", int(limit), p.opts.Region)
		return
	}
	r.Add("quota of VPCs", provision.CheckOK, "", "%d of %d are in use", have, int(limit))
}
