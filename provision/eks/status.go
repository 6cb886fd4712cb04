package eks

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/compspec/ocifit-lab/provision"
	"github.com/compspec/ocifit-lab/provision/eks/account"
	"github.com/compspec/ocifit-lab/provision/step"
)

// Status implements provision.Provider.
func (p *Provider) Status(ctx context.Context) (provision.Status, error) {
	s := provision.Status{Provider: p.Name(), State: provision.Absent, Simulated: p.opts.Environment.Simulated, Facts: map[string]string{"region": p.opts.Region}}
	if url := os.Getenv("AWS_ENDPOINT_URL"); url != "" {
		s.Facts["AWS"] = url + " answers in its place (AWS_ENDPOINT_URL)"
	}
	p.invalidate()
	v, err := p.snapshot(ctx)
	if err != nil {
		return s, err
	}
	var bad, busy []string
	for _, st := range v.stacks {
		switch {
		case st.Busy():
			busy = append(busy, st.Name+" "+st.Status)
		case !st.Whole():
			bad = append(bad, st.Name+" "+st.Status)
		}
	}
	slices.Sort(bad)
	slices.Sort(busy)
	switch {
	case v.cluster == nil && len(v.stacks) == 0:
		return s, nil
	case v.cluster != nil && !v.ours(p.opts.Name):
		s.State, s.Detail = provision.Broken, fmt.Sprintf("cluster %s is %v", p.opts.Name, ErrNotOurs)
		return s, nil
	case len(bad) > 0:
		s.State, s.Detail = provision.Broken, strings.Join(bad, ", ")
	case len(busy) > 0 || v.cluster == nil || v.cluster.Status != "ACTIVE":
		s.State, s.Detail = provision.Starting, strings.Join(busy, ", ")
	default:
		s.State = provision.Running
	}
	if v.cluster == nil {
		return s, nil
	}
	s.Endpoint = v.cluster.Endpoint
	s.Facts["kubernetes"], s.Facts["cluster"] = v.cluster.Version, v.cluster.Status
	return s, p.groupFacts(ctx, s.Facts)
}

func (p *Provider) groupFacts(ctx context.Context, facts map[string]string) error {
	c, err := p.aws(ctx)
	if err != nil {
		return err
	}
	groups, err := c.NodeGroups(ctx, p.opts.Name)
	if err != nil {
		return err
	}
	nodes := 0
	var issues []string
	for _, g := range groups {
		nodes += g.Desired
		for _, i := range g.Issues {
			issues = append(issues, g.Name+": "+i)
		}
	}
	facts["node groups"] = fmt.Sprintf("%d of %d", len(groups), len(p.opts.NodeGroups))
	facts["nodes wanted"] = fmt.Sprint(nodes)
	if len(issues) > 0 {
		facts["node group issues"] = strings.Join(issues, "; ")
	}
	return nil
}

// Leftovers implements provision.Provider: everything that bears the cluster's tags or name. The error tells what could not be looked at.
func (p *Provider) Leftovers(ctx context.Context) ([]string, error) {
	c, err := p.aws(ctx)
	if err != nil {
		return nil, err
	}
	items, err := c.Inventory(ctx, p.owner())
	var out []string
	for _, i := range items {
		out = append(out, i.String())
	}
	return out, err
}

// emptyPatience bounds how long what goes by itself, as an ending machine, is waited for before it counts as left.
const emptyPatience = 3 * time.Minute

// verifyEmpty looks until nothing is left, or nothing changes any more.
func (p *Provider) verifyEmpty(ctx context.Context, log step.Log) error {
	c, err := p.aws(ctx)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, emptyPatience)
	defer cancel()
	for {
		items, err := c.Inventory(ctx, p.owner())
		if len(items) == 0 {
			return err
		}
		var texts []string
		for _, i := range items {
			texts = append(texts, i.String())
		}
		if err != nil || slices.ContainsFunc(items, stays) || !slices.ContainsFunc(items, goesByItself) {
			return errors.Join(leftoversError(texts), err)
		}
		log("waiting for %s to go", texts[0])
		select {
		case <-time.After(p.opts.Poll):
		case <-ctx.Done():
			return leftoversError(texts)
		}
	}
}

// stays tells of a stack, cluster or node group that nobody is deleting: with it stays all that belongs to it.
func stays(i account.Item) bool {
	return slices.Contains([]string{"stack", "cluster", "node group"}, i.Kind) && !goesByItself(i)
}

func goesByItself(i account.Item) bool {
	return i.Kind == "instance" || i.Kind == "NAT gateway" || strings.Contains(i.Detail, "DELETE_IN_PROGRESS") || i.Detail == "DELETING"
}

// CollectLogs writes what AWS knows about failures into a folder: the events of every stack, the health of node groups and addons.
func (p *Provider) CollectLogs(ctx context.Context, dir string) error {
	c, err := p.aws(ctx)
	if err != nil {
		return err
	}
	stacks, err := c.Stacks(ctx, p.opts.Name)
	if err != nil {
		return err
	}
	type stackReport struct {
		Name, Status, Reason string
		Causes               []string
		Events               []account.Event
	}
	var reports []stackReport
	var errs []error
	for _, s := range stacks {
		events, err := c.Events(ctx, s.ID)
		errs = append(errs, err)
		reports = append(reports, stackReport{s.Name, s.Status, s.Reason, account.Causes(events), events})
	}
	groups, err := c.NodeGroups(ctx, p.opts.Name)
	errs = append(errs, err)
	addons, err := c.Addons(ctx, p.opts.Name)
	errs = append(errs, err)
	if len(reports)+len(groups)+len(addons) == 0 {
		return errors.Join(errs...) // nothing to tell, and perhaps an older file that does
	}
	for name, v := range map[string]any{"eks-stacks.json": reports, "eks-node-groups.json": groups, "eks-addons.json": addons} {
		data, err := json.MarshalIndent(v, "", "  ")
		if err == nil {
			err = writeFile(dir+"/"+name, append(data, '\n'), 0o600)
		}
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}
