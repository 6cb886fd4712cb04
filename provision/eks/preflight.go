package eks

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/compspec/ocifit-lab/provision"
	"github.com/compspec/ocifit-lab/provision/eks/account"
	"github.com/compspec/ocifit-lab/provision/eks/clusterconfig"
	"github.com/compspec/ocifit-lab/provision/eks/eksctl/wire"
	"github.com/compspec/ocifit-lab/provision/step"
	"github.com/compspec/ocifit-lab/provision/words"
)

// Preflight looks at everything that would make up fail later: cluster file, credentials, permissions, names, version, instance types and
// their zones, quotas. It makes nothing. The error is for a preflight that could not be done; what was found is in the report.
func (p *Provider) Preflight(ctx context.Context) (*provision.Report, error) {
	r := &provision.Report{Region: p.opts.Region}
	if p.factErr != nil {
		r.Fail("cluster file", p.factErr)
		return r, nil
	}
	if p.facts != nil {
		if err := p.checkFile(ctx); err != nil {
			r.Fail("cluster file", err)
			return r, nil
		}
		r.Add("cluster file", provision.CheckOK, "", "%s is read by eksctl", p.opts.ClusterConfig)
	}
	c, err := p.quick(ctx)
	if err != nil {
		r.Fail("credentials", err)
		return r, nil
	}
	id, err := c.Identity(ctx)
	if err != nil {
		r.Fail("credentials", err)
		return r, nil // without them nothing else can be asked
	}
	r.Account, r.Caller = id.Account, id.ARN
	r.Add("credentials", provision.CheckOK, "", "%s in account %s", id.ARN, id.Account)
	checks := []func(context.Context, *account.Cloud, *provision.Report) error{
		p.checkName, p.checkVersion, p.checkTypes, p.checkQuotas, p.checkImages,
		func(ctx context.Context, c *account.Cloud, r *provision.Report) error {
			p.checkPermissions(ctx, c, id, r)
			return nil
		},
		func(_ context.Context, _ *account.Cloud, r *provision.Report) error { p.checkCatalogue(r); return nil },
	}
	for _, n := range p.opts.Checks {
		checks = append(checks, func(ctx context.Context, _ *account.Cloud, r *provision.Report) error {
			switch text, err := n.Look(ctx); {
			case err == nil:
				r.Add(n.Name, provision.CheckOK, "", "%s", text)
			case n.Elsewhere:
				r.Add(n.Name, provision.CheckUnknown, step.HintOf(err), "%v", err)
			default:
				r.Fail(n.Name, err)
			}
			return nil
		})
	}
	p.runChecks(ctx, c, r, checks)
	return r, ctx.Err()
}

// checkTime bounds each check: a service that does not answer is named, not waited for.
const checkTime = 20 * time.Second

// AddCheck implements provision.CheckTaker.
func (p *Provider) AddCheck(c provision.NamedCheck) { p.opts.Checks = append(p.opts.Checks, c) }

// runChecks looks at everything side by side and reports in the given order.
func (p *Provider) runChecks(ctx context.Context, c *account.Cloud, r *provision.Report, checks []func(context.Context, *account.Cloud, *provision.Report) error) {
	reports := make([]provision.Report, len(checks))
	var all errgroup.Group
	for i, check := range checks {
		all.Go(func() error {
			ctx, cancel := context.WithTimeout(ctx, checkTime)
			defer cancel()
			if err := check(ctx, c, &reports[i]); err != nil {
				reports[i].Fail("region "+p.opts.Region, err)
			}
			return nil
		})
	}
	_ = all.Wait() // the checks keep their errors in their reports
	for _, part := range reports {
		r.Checks = append(r.Checks, part.Checks...)
		r.Unavailable = append(r.Unavailable, part.Unavailable...)
	}
}

// checkFile has eksctl itself read the user's file.
func (p *Provider) checkFile(ctx context.Context) error {
	file, err := p.clusterFile(ctx)
	if err != nil {
		return err
	}
	req := p.request(wire.Check, nil)
	req.Config = file
	return p.run(ctx, req, func(string, ...any) {})
}

// checkName wants the cluster's name free, or used by what the lab itself made.
func (p *Provider) checkName(ctx context.Context, c *account.Cloud, r *provision.Report) error {
	v, err := p.snapshotWith(ctx, c)
	if err != nil {
		return err
	}
	const try = "choose another name in lab.yaml, or remove what exists with the tool that made it"
	if v.cluster != nil && !v.ours(p.opts.Name) {
		r.Add("name", provision.CheckFailed, try, "%s: cluster %s exists in %s without the tag %s=%s", ErrNotOurs, p.opts.Name, p.opts.Region, clusterconfig.TagLab, p.opts.Name)
		return nil
	}
	for name, s := range v.stacks {
		if s.Tags[clusterconfig.TagLab] != p.opts.Name {
			r.Add("name", provision.CheckFailed, try, "%s: stack %s exists in %s without the tag %s=%s", ErrNotOurs, name, p.opts.Region, clusterconfig.TagLab, p.opts.Name)
			return nil
		}
	}
	switch {
	case v.cluster != nil:
		r.Add("name", provision.CheckOK, "", "cluster %s exists and is this lab's; what is missing is made", p.opts.Name)
	case len(v.stacks) > 0:
		r.Add("name", provision.CheckOK, "", "%d stacks of this lab exist; what is missing is made", len(v.stacks))
	default:
		r.Add("name", provision.CheckOK, "", "%s is free in %s", p.opts.Name, p.opts.Region)
	}
	return nil
}

func (p *Provider) checkVersion(ctx context.Context, c *account.Cloud, r *provision.Report) error {
	offered, err := c.Versions(ctx)
	if err != nil {
		return err
	}
	want := p.opts.KubernetesVersion
	if want == "" {
		want = chooseVersion(offered, time.Now())
	}
	v, ok := offeredOf(want, offered)
	if !ok || !slices.Contains(knownVersions, want) {
		r.Add("kubernetes version", provision.CheckFailed, "set kubernetesVersion in lab.yaml to one of "+minors(offered), "EKS in %s does not make clusters of %s that this program knows; it can make %s",
			p.opts.Region, want, minors(offered))
		return nil
	}
	p.checkSupport(r, v, offered, time.Now())
	return nil
}

// checkTypes wants every instance type to exist, and to be where its group can be.
func (p *Provider) checkTypes(ctx context.Context, c *account.Cloud, r *provision.Report) error {
	offers, err := c.Offerings(ctx)
	if err != nil {
		return err
	}
	zones, err := c.Zones(ctx)
	if err != nil {
		return err
	}
	good := true
	for _, g := range p.opts.NodeGroups {
		if len(offers[g.InstanceType]) == 0 {
			good = false
			try := "take an instance type that the region offers"
			near := words.Nearest(g.InstanceType, slices.Collect(maps.Keys(offers)))
			if near != "" {
				try = fmt.Sprintf("write %s instead of %s, if that is what was meant", near, g.InstanceType)
			}
			r.Add("instance types", provision.CheckFailed, try, "node group %s: %s does not exist in %s; the nearest that does is %s", g.Name, g.InstanceType, p.opts.Region, near)
		}
	}
	if !good {
		return nil
	}
	where, groups, err := chooseZones(p.opts.NodeGroups, offers, controlPlaneZones(zones), nil)
	if err != nil {
		r.Fail("zones", err)
		return nil
	}
	r.Add("instance types", provision.CheckOK, "", "all %d groups' types are offered; the cluster is in %s", len(groups), strings.Join(where, ", "))
	for i, g := range p.opts.NodeGroups {
		if len(g.Zones) > 0 && len(intersect(g.Zones, offers[g.InstanceType])) == 0 {
			r.Add("zones", provision.CheckWarning, "", "node group %s: %s is not offered in %s, it will be in %s", g.Name, g.InstanceType, strings.Join(g.Zones, ", "),
				strings.Join(append(groups[i].Zones, intersect(where, offers[g.InstanceType])...)[:1], ", "))
		}
	}
	return nil
}

// checkCatalogue compares the types that the webhook may choose with those that a node group can start.
func (p *Provider) checkCatalogue(r *provision.Report) {
	have := map[string]bool{}
	for _, g := range p.opts.NodeGroups {
		have[g.InstanceType] = true
	}
	var missing, unknown []string
	for _, t := range p.opts.Catalogue {
		if !have[t] && !slices.Contains(p.opts.Skip, t) {
			missing = append(missing, t)
		}
	}
	for _, g := range p.opts.NodeGroups {
		if !g.Sticky && len(p.opts.Catalogue) > 0 && !slices.Contains(p.opts.Catalogue, g.InstanceType) && !slices.Contains(unknown, g.InstanceType) {
			unknown = append(unknown, g.InstanceType)
		}
	}
	if len(missing) > 0 {
		r.Add("catalogue", provision.CheckFailed, "add node groups for them, or put them on webhook.skip in lab.yaml",
			"the webhook could choose %s, but no node group starts it: such a pod would wait for ever", strings.Join(missing, ", "))
	}
	if len(unknown) > 0 {
		r.Add("catalogue", provision.CheckWarning, "", "no features are known of %s: the webhook chooses such a node only while it runs", strings.Join(unknown, ", "))
	}
	if len(missing)+len(unknown) == 0 {
		r.Add("catalogue", provision.CheckOK, "", "every type that the webhook may choose has a node group, and the reverse")
	}
}

// leftoversError lists what remains.
func leftoversError(items []string) error {
	return step.Try(fmt.Errorf("%d things of the cluster are %w:\n  %s", len(items), ErrLeftovers, strings.Join(items, "\n  ")),
		"repeat down; what it cannot remove has to be removed by hand")
}
