package cli

import (
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/compspec/ocifit-lab/cmd/ui"
	"github.com/compspec/ocifit-lab/provision/eks"
)

// eksPlan is what only provider eks has to plan: money, and the file that eksctl is given.
type eksPlan struct {
	Region string `json:"region"`
	// Cost is added up from dated tables: a plan asks nobody.
	Cost        *eks.Estimate `json:"cost"`
	ClusterFile string        `json:"clusterFile"`
	// Missing is what this version cannot install; up refuses as long as there is anything.
	Missing   []string    `json:"missing,omitempty"`
	Preflight *eks.Report `json:"preflight,omitempty"`
}

// eksPlan needs neither network nor credentials.
func (s *setup) eksPlan(ctx context.Context) (*eksPlan, error) {
	p, ok := s.provider.(*eks.Provider)
	if !ok {
		return nil, nil
	}
	cost, err := p.Estimate(ctx, false)
	if err != nil {
		return nil, err
	}
	file, err := p.Preview()
	if err != nil {
		return nil, err
	}
	return &eksPlan{Region: s.spec.Region, Cost: cost, ClusterFile: string(file), Missing: s.missing}, nil
}

func (p *eksPlan) text(w io.Writer) error {
	if p == nil {
		return nil
	}
	fmt.Fprintf(w, "\nwhile it is up, in %s: %s per hour idle, %s per hour with every node group at its largest\n", p.Region, ui.Dollars(p.Cost.Idle), ui.Dollars(p.Cost.Worst))
	for _, i := range p.Cost.Items {
		if i.Count > 0 {
			fmt.Fprintf(w, "  %d x %s: %s (%s)\n", i.Count, i.What, ui.Dollars(i.Each), i.Source)
		}
	}
	if len(p.Cost.Unpriced) > 0 {
		fmt.Fprintf(w, "  not in these sums, as no price is known: %s\n", strings.Join(p.Cost.Unpriced, ", "))
	}
	fmt.Fprintf(w, "no price was asked for; all are from dated tables: %s\n", strings.Join(p.Cost.Sources, "; "))
	if len(p.Missing) > 0 {
		fmt.Fprintf(w, "this version cannot install on eks, so that up refuses: %s\n", strings.Join(p.Missing, ", "))
	}
	if p.Preflight == nil {
		return nil
	}
	fmt.Fprintln(w)
	return checksTable(w, p.Preflight)
}

// printEKSPlan prints a plan, on request after asking AWS whether it can be carried out.
func (a *app) printEKSPlan(ctx context.Context, s *setup, p *plan, check bool) error {
	var bad error
	if provider, ok := s.provider.(*eks.Provider); ok && check {
		report, err := provider.Preflight(ctx)
		if err != nil {
			return err
		}
		if p.EKS.Preflight = report; report.Err() != nil {
			bad = exit{ExitCheck, report.Err()}
		}
	}
	err := a.print(p, func(w io.Writer) error {
		if err := p.text(w); err != nil {
			return err
		}
		if p.EKS == nil || !a.verbose {
			return nil
		}
		_, err := fmt.Fprintf(w, "\nthe cluster file for eksctl; up replaces its zones by those that the region has then\n\n%s", p.EKS.ClusterFile)
		return err
	})
	if err != nil {
		return err
	}
	return bad
}

// inUse says which of the parts that have a stand-in are in use.
func (s *setup) inUse() map[string]string {
	if s.outside {
		return map[string]string{"webhook": "beside the cluster", "miniclusters": "beside the cluster", "autoscaler": "beside the cluster"}
	}
	return inUse(s.spec)
}

// addFixedCosts counts what a cluster on eks costs besides its nodes.
func (s *labStatus) addFixedCosts(ctx context.Context, setup *setup) error {
	p, ok := setup.provider.(*eks.Provider)
	if !ok {
		return nil
	}
	cost, err := p.Estimate(ctx, false)
	if err != nil {
		return err
	}
	nodes := map[string]int{}
	for _, n := range s.Nodes {
		nodes[n.Group]++
	}
	s.CostHour = cost.With(nodes)
	return nil
}

// addFixedCosts adds what a cluster costs besides the nodes of the trials.
func (p *plan) addFixedCosts(dearest float64) {
	if p.EKS == nil {
		return
	}
	p.WorstCase.CostUSD = p.WorstCase.Hours * (p.EKS.Cost.Idle + dearest)
	p.WorstCase.Rule += "; control plane, sticky nodes, disks and addresses run all the time"
}
