package cli

import (
	"context"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/compspec/ocifit-lab/cmd/assembly"
	"github.com/compspec/ocifit-lab/cmd/cli/command"
	"github.com/compspec/ocifit-lab/cmd/ui"
	"github.com/compspec/ocifit-lab/provision"
)

func (a *app) planCmd() *cobra.Command {
	var provider providerFlags
	var check bool
	cmd := &cobra.Command{
		Use:   "plan",
		Short: "Print steps, node groups, trials, and the worst case in hours and dollars; touches nothing",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			spec, err := a.Spec()
			if err != nil {
				return err
			}
			if err := provider.apply(spec); err != nil {
				return err
			}
			l, err := a.Assemble(cmd.Context(), spec)
			if err != nil {
				return err
			}
			if provider.eks.skipUnavailable {
				if l, err = a.withoutUnavailable(cmd.Context(), spec, l); err != nil {
					return err
				}
			}
			return a.printPlan(cmd.Context(), l, check)
		},
	}
	provider.add(cmd)
	cmd.Flags().BoolVar(&check, "check", false, "eks: also ask AWS whether up would work, and exit with 4 if not")
	return cmd
}

// printPlan prints a plan, on request after asking whether it can be carried out.
func (a *app) printPlan(ctx context.Context, l *assembly.Lab, check bool) error {
	p, err := a.plan(ctx, l)
	if err != nil {
		return err
	}
	var refused error
	if looker, ok := l.Provider.(provision.Preflighter); ok && check {
		report, err := looker.Preflight(ctx)
		if err != nil {
			return err
		}
		if p.Bill.Preflight = report; report.Err() != nil {
			refused = command.Fail(command.ExitCheck, report.Err())
		}
	}
	err = a.Print(p, func(w io.Writer) error {
		if err := planText(w, p); err != nil {
			return err
		}
		if p.Bill == nil || !a.Verbose {
			return nil
		}
		_, err := fmt.Fprintf(w, "\nthe cluster file for eksctl; up replaces its zones by those that the region has then\n\n%s", p.Bill.ClusterFile)
		return err
	})
	if err != nil {
		return err
	}
	return refused
}

func (a *app) plan(ctx context.Context, l *assembly.Lab) (*assembly.Plan, error) {
	chosen, err := assembly.LoadStudy(l.Spec)
	if err != nil {
		return nil, err
	}
	return l.Plan(ctx, chosen)
}

// priceText is a price that may not be known, or not apply.
func priceText(usd float64) string {
	if usd <= 0 {
		return "-"
	}
	return ui.Dollars(usd)
}

func planText(w io.Writer, p *assembly.Plan) error {
	fmt.Fprintf(w, "lab %s on %s\n", p.Name, p.Provider)
	if p.Bill != nil && len(p.Bill.Deviations) > 0 {
		fmt.Fprintf(w, "\nunlike the study\n  %s\n", strings.Join(p.Bill.Deviations, "\n  "))
	}
	fmt.Fprintln(w, "\nsteps")
	for _, s := range p.Steps {
		fmt.Fprintf(w, "  %s\n", s)
	}
	fmt.Fprintln(w, "\nnode groups")
	var rows [][]string
	for _, g := range p.NodeGroups {
		mark := ""
		if g.Sticky {
			mark = "carries the addons"
		}
		rows = append(rows, []string{"  " + g.Name, g.InstanceType, fmt.Sprintf("%d..%d", g.Min, g.Max), strconv.Itoa(g.Desired), priceText(g.PriceUSD), mark})
	}
	if err := ui.Table(w, []string{"  NAME", "INSTANCE TYPE", "NODES", "AT START", "$/HOUR", ""}, rows); err != nil {
		return err
	}
	fmt.Fprintf(w, "\nstudy %s: %d trials\n", p.Study, p.Trials)
	if p.Measures > 0 {
		fmt.Fprintf(w, "  before them, trials on up to %d instance types, until enough is known; hours and dollars below are for all of them\n", p.Measures)
	}
	rows = nil
	for _, arm := range p.Arms {
		rows = append(rows, []string{"  " + arm.Name, arm.Model, strconv.Itoa(arm.Trials), arm.Launch})
	}
	if err := ui.Table(w, []string{"  ARM", "MODEL", "TRIALS", "LAUNCH"}, rows); err != nil {
		return err
	}
	fmt.Fprintln(w, "\nimages")
	for _, arch := range []string{"amd64", "arm64"} {
		fmt.Fprintf(w, "  %s  %s\n", arch, p.Images[arch])
	}
	if err := componentsText(w, p); err != nil {
		return err
	}
	if lines := p.Power.Text(); len(lines) > 0 {
		fmt.Fprintf(w, "\npower\n  %s\n", strings.Join(lines, "\n  "))
	}
	if err := pacesText(w, p); err != nil {
		return err
	}
	f := p.Forecast
	fmt.Fprintf(w, "\nexpected on AWS: %.1f hours, %s, of which\n", f.Hours, ui.Dollars(f.USD))
	for _, kind := range f.Bill.Kinds() {
		fmt.Fprintf(w, "  %8s  %s\n", ui.Dollars(f.Bill.Parts[kind]), kind)
	}
	if tails := f.USD - f.Bill.USD; tails >= 0.005 {
		fmt.Fprintf(w, "  %8s  nodes that idle after the last trial\n", ui.Dollars(tails))
	}
	if len(f.Bill.Unpriced) > 0 {
		fmt.Fprintf(w, "  without a price, and so not in the sum: %s\n", strings.Join(f.Bill.Unpriced, ", "))
	}
	fmt.Fprintf(w, "\nworst case on AWS, and the limit of experiment unless --max-cost gives another: %.1f hours, %s (%s)\nprices: %s\n", p.WorstCase.Hours, ui.Dollars(p.WorstCase.CostUSD), p.WorstCase.Rule, p.Prices)
	if p.Bill == nil {
		_, err := fmt.Fprintf(w, "provider %s costs nothing\n", p.Provider)
		return err
	}
	return billText(w, p.Bill)
}

func componentsText(w io.Writer, p *assembly.Plan) error {
	if p.NodeImage != "" {
		fmt.Fprintf(w, "  nodes  %s\n", p.NodeImage)
	}
	if len(p.Components) == 0 {
		return nil
	}
	fmt.Fprintln(w, "\ninstalled from elsewhere")
	for _, c := range p.Components {
		fmt.Fprintf(w, "  %s %s\n    %s\n    %s\n", c.Name, c.Version, c.Chart, orText(c.Digest, "digest not known to this program: the first installation fixes it, another content is refused then"))
		if c.Warning != "" {
			fmt.Fprintf(w, "    warning: %s\n", c.Warning)
		}
		for _, i := range c.Images {
			fmt.Fprintf(w, "    image %s\n", i)
		}
	}
	return nil
}

func billText(w io.Writer, p *assembly.Bill) error {
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
		fmt.Fprintf(w, "this version cannot install there, so that up refuses: %s\n", strings.Join(p.Missing, ", "))
	}
	if p.Preflight == nil {
		return nil
	}
	fmt.Fprintln(w)
	return checksTable(w, p.Preflight)
}

// pacesText shows what trials side by side save, and what keeps them from saving more.
func pacesText(w io.Writer, p *assembly.Plan) error {
	fmt.Fprintln(w, "\non AWS, when all goes as it ordinarily does, for so many trials side by side (experiment --parallel)")
	var rows [][]string
	for _, x := range p.Paces {
		rows = append(rows, []string{"  " + strconv.Itoa(x.Parallel), fmt.Sprintf("%.1f", x.Hours), fmt.Sprintf("%.1f", x.LeastHours), ui.Dollars(x.USD)})
	}
	if err := ui.Table(w, []string{"  TRIALS", "HOURS", "AT LEAST", "COST"}, rows); err != nil {
		return err
	}
	_, err := fmt.Fprintln(w, "  trials that come to one instance type run side by side on as many nodes as nodeGroups.max of lab.yaml allows")
	return err
}
