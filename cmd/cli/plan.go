package cli

import (
	"context"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/compspec/ocifit-lab/cmd/ui"
	"github.com/compspec/ocifit-lab/experiments/study"
	"github.com/compspec/ocifit-lab/provision/lab"
	"github.com/compspec/ocifit-lab/provision/labstate"
	"github.com/compspec/ocifit-lab/provision/step"
	"github.com/compspec/ocifit-lab/templates"
)

func (a *app) planCmd() *cobra.Command {
	var provider providerFlags
	var check bool
	cmd := &cobra.Command{
		Use:   "plan",
		Short: "Print steps, node groups, trials, and the worst case in hours and dollars; touches nothing",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			spec, err := a.spec()
			if err != nil {
				return err
			}
			if err := provider.apply(spec); err != nil {
				return err
			}
			dir, err := labstate.Open(a.stateDir, spec.Name)
			if err != nil {
				return err
			}
			setup, err := a.assemble(spec, dir)
			if err != nil {
				return err
			}
			return a.printPlan(cmd.Context(), setup, check)
		},
	}
	provider.add(cmd)
	cmd.Flags().BoolVar(&check, "check", false, "eks: also ask AWS whether up would work, and exit with 4 if not")
	return cmd
}

type plan struct {
	Name       string             `json:"name"`
	Provider   string             `json:"provider"`
	Steps      []string           `json:"steps"`
	NodeGroups []plannedGroup     `json:"nodeGroups"`
	Study      string             `json:"study"`
	Arms       []plannedArm       `json:"arms"`
	Trials     int                `json:"trials"`
	WorstCase  plannedWorst       `json:"worstCase"`
	Prices     string             `json:"prices"`
	Images     map[string]string  `json:"images"`
	NodeImage  string             `json:"nodeImage,omitempty"`
	Components []plannedComponent `json:"components,omitempty"`
	EKS        *eksPlan           `json:"eks,omitempty"`
}

type plannedGroup struct {
	Name         string  `json:"name"`
	InstanceType string  `json:"instanceType"`
	Min          int     `json:"min"`
	Desired      int     `json:"desired"`
	Max          int     `json:"max"`
	Sticky       bool    `json:"sticky"`
	PriceUSD     float64 `json:"priceUSDPerHour"`
}

type plannedArm struct {
	Name   string `json:"name"`
	Model  string `json:"model"`
	Trials int    `json:"trials"`
	Launch string `json:"launch"`
}

// plannedWorst assumes that every trial starts a node of the dearest type that may be chosen.
type plannedWorst struct {
	Hours   float64 `json:"hours"`
	CostUSD float64 `json:"costUSD"`
	Rule    string  `json:"rule"`
}

// Times of one trial in the published study, rounded up.
const (
	trialWithNodeStart = 110 * time.Second
	trialRun           = 75 * time.Second
)

func (a *app) printPlan(ctx context.Context, s *setup, check bool) error {
	chosen, err := loadStudy(s.spec)
	if err != nil {
		return err
	}
	p, err := makePlan(ctx, s, chosen)
	if err != nil {
		return err
	}
	return a.printEKSPlan(ctx, s, p, check)
}

func makePlan(ctx context.Context, s *setup, chosen *study.Study) (*plan, error) {
	prices, note := templates.Prices()
	p := &plan{
		Name: s.spec.Name, Provider: s.spec.Provider, Steps: step.Describe(s.steps()), Study: chosen.Name,
		Trials: len(chosen.Trials()), Prices: note, Images: s.spec.Artifact.Images,
	}
	sticky := 0.0
	for _, g := range s.spec.NodeGroups {
		p.NodeGroups = append(p.NodeGroups, plannedGroup{g.Name, g.InstanceType, g.Min, g.Desired, g.Max, g.Sticky, prices[g.InstanceType]})
		sticky += float64(g.Desired) * prices[g.InstanceType]
	}
	for _, arm := range chosen.Arms {
		p.Arms = append(p.Arms, plannedArm{arm.Name, arm.Model, chosen.Repeats, study.PolicyText(arm.Tasks)})
	}
	if !s.outside {
		p.addComponents(s.spec)
	}
	p.WorstCase.Hours = (time.Duration(p.Trials) * (trialWithNodeStart + trialRun)).Hours()
	p.WorstCase.CostUSD = p.WorstCase.Hours * (dearest(s.spec, prices) + sticky)
	p.WorstCase.Rule = "every trial starts a node of the dearest type and none is used twice; 110 s for the start and 75 s for the run, as in the published study"
	var err error
	if p.EKS, err = s.eksPlan(ctx); err != nil {
		return nil, err
	}
	p.addFixedCosts(dearest(s.spec, prices))
	return p, nil
}

// dearest is the highest price per hour of a type that may be chosen.
func dearest(spec *lab.Spec, prices map[string]float64) float64 {
	price := 0.0
	for _, t := range spec.InstanceTypes() {
		if !slices.Contains(spec.Webhook.Skip, t) {
			price = max(price, prices[t])
		}
	}
	return price
}

func (p *plan) text(w io.Writer) error {
	fmt.Fprintf(w, "lab %s on %s\n\nsteps\n", p.Name, p.Provider)
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
		rows = append(rows, []string{"  " + g.Name, g.InstanceType, fmt.Sprintf("%d..%d", g.Min, g.Max), strconv.Itoa(g.Desired), ui.Dollars(g.PriceUSD), mark})
	}
	if err := ui.Table(w, []string{"  NAME", "INSTANCE TYPE", "NODES", "AT START", "$/HOUR", ""}, rows); err != nil {
		return err
	}
	fmt.Fprintf(w, "\nstudy %s: %d trials\n", p.Study, p.Trials)
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
	if err := p.componentsText(w); err != nil {
		return err
	}
	fmt.Fprintf(w, "\nworst case on AWS: %.1f hours, %s (%s)\nprices: %s\n", p.WorstCase.Hours, ui.Dollars(p.WorstCase.CostUSD), p.WorstCase.Rule, p.Prices)
	if p.Provider != "eks" {
		fmt.Fprintf(w, "provider %s costs nothing\n", p.Provider)
	}
	return p.EKS.text(w)
}

// loadStudy reads the lab's study: a shipped one by name, or a file.
func loadStudy(spec *lab.Spec) (*study.Study, error) {
	name := spec.Experiment.Study
	data, file, err := studySource(name)
	if err != nil {
		return nil, err
	}
	s, err := study.Load(data, file)
	if err != nil {
		return nil, err
	}
	if spec.Experiment.Trials > 0 {
		s.Repeats = spec.Experiment.Trials
	}
	if spec.Experiment.Seed > 0 {
		s.Seed = spec.Experiment.Seed
	}
	return s, s.Validate()
}

// studySource finds a study's text: a name is a shipped study, anything that looks like a path is a file.
func studySource(name string) (data []byte, file string, err error) {
	if strings.ContainsAny(name, "/.") {
		data, err = os.ReadFile(name)
		return data, name, err
	}
	data, err = templates.Study(name)
	return data, name + ".yaml", err
}
