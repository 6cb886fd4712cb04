package assembly

import (
	"context"
	"fmt"

	"github.com/compspec/ocifit-lab/experiments/study"
	"github.com/compspec/ocifit-lab/provision"
	"github.com/compspec/ocifit-lab/provision/cost"
	"github.com/compspec/ocifit-lab/provision/step"
	"github.com/compspec/ocifit-lab/templates"
)

// Plan is what a lab and its study would make and take.
type Plan struct {
	Name       string         `json:"name"`
	Provider   string         `json:"provider"`
	Steps      []string       `json:"steps"`
	NodeGroups []PlannedGroup `json:"nodeGroups"`
	Study      string         `json:"study"`
	Arms       []PlannedArm   `json:"arms"`
	Trials     int            `json:"trials"`
	// Measures is the number of instance types that an adaptive study may measure before its arms run.
	Measures  int       `json:"measures,omitempty"`
	WorstCase WorstCase `json:"worstCase"`
	// Paces compares numbers of trials side by side.
	Paces      []Pace             `json:"sideBySide,omitempty"`
	Forecast   *cost.Forecast     `json:"forecast"`        // of the study when all goes well
	Power      *Power             `json:"power,omitempty"` // what the study can show
	Prices     string             `json:"prices"`
	Images     map[string]string  `json:"images"`
	NodeImage  string             `json:"nodeImage,omitempty"`
	Components []PlannedComponent `json:"components,omitempty"`
	// Bill is set on a provider that costs money.
	Bill *Bill `json:"eks,omitempty"`
}

// PlannedGroup is a node group with its price.
type PlannedGroup struct {
	Name         string  `json:"name"`
	InstanceType string  `json:"instanceType"`
	Min          int     `json:"min"`
	Desired      int     `json:"desired"`
	Max          int     `json:"max"`
	Sticky       bool    `json:"sticky"`
	PriceUSD     float64 `json:"priceUSDPerHour"`
}

// PlannedArm is an arm of the study.
type PlannedArm struct {
	Name   string `json:"name"`
	Model  string `json:"model"`
	Trials int    `json:"trials"`
	Launch string `json:"launch"`
}

// PlannedComponent is what is installed from elsewhere.
type PlannedComponent struct {
	Name    string   `json:"name"`
	Version string   `json:"version"`
	Chart   string   `json:"chart"`
	Digest  string   `json:"digest"`
	Images  []string `json:"images"`
	// Warning says that the component does not name the cluster's minor version among those that it supports.
	Warning string `json:"warning,omitempty"`
}

// WorstCase is what the study may cost at most; it is the limit of `experiment` when none is given.
type WorstCase struct {
	Hours   float64 `json:"hours"`
	CostUSD float64 `json:"costUSD"`
	Rule    string  `json:"rule"`
}

// Bill is what only a provider that costs money has to plan: prices, and the file that the cluster is made from.
type Bill struct {
	Region string `json:"region"`
	// Cost is added up from dated tables: a plan asks nobody.
	Cost        *provision.Estimate `json:"cost"`
	ClusterFile string              `json:"clusterFile"`
	// Deviations are how the cluster differs from the study's.
	Deviations []string `json:"deviations,omitempty"`
	// Missing is what this version cannot install; up refuses as long as there is anything.
	Missing   []string          `json:"missing,omitempty"`
	Preflight *provision.Report `json:"preflight,omitempty"`
}

// Plan needs neither network nor credentials.
func (l *Lab) Plan(ctx context.Context, s *study.Study) (*Plan, error) {
	prices, note := templates.Prices()
	traits := l.Provider.Traits()
	p := &Plan{
		Name: l.Spec.Name, Provider: l.Spec.Provider, Steps: step.Describe(l.Steps()), Study: s.Name,
		Trials: len(s.Trials()), Prices: note, Images: l.Spec.Artifact.Images, NodeImage: traits.NodeImage,
	}
	for _, g := range l.Spec.NodeGroups {
		p.NodeGroups = append(p.NodeGroups, PlannedGroup{g.Name, g.InstanceType, g.Min, g.Desired, g.Max, g.Sticky, prices[g.InstanceType]})
	}
	if s.Adaptive != nil {
		p.Measures = len(l.chooseable())
	}
	for _, arm := range s.Arms {
		p.Arms = append(p.Arms, PlannedArm{arm.Name, arm.Model, s.Repeats, study.PolicyText(arm.Tasks)})
	}
	if !traits.Outside {
		list, err := l.Components()
		if err != nil {
			return nil, err
		}
		p.Components = plannedComponents(list, traits.KubernetesVersion)
	}
	var err error
	if p.Bill, err = l.bill(ctx); err != nil {
		return nil, err
	}
	player, err := l.player(ctx, s)
	if err != nil {
		return nil, err
	}
	p.Paces = player.paces()
	p.Forecast, _ = player.play(1)
	p.WorstCase = WorstCase{Hours: p.Forecast.WorstHours, CostUSD: p.Forecast.WorstUSD, Rule: p.Forecast.Rule}
	p.Power = l.power(s, p.Forecast.USD/float64(max(1, p.Trials)))
	return p, nil
}

// plannedComponents warns of a minor version that a component does not name.
func plannedComponents(list []templates.Component, minor string) []PlannedComponent {
	var out []PlannedComponent
	for _, pins := range list {
		row := PlannedComponent{Name: pins.Name, Version: pins.Version, Chart: pins.Chart, Digest: pins.Digest}
		for _, i := range pins.ImagesFor(minor) {
			row.Images = append(row.Images, i.Pinned())
		}
		if minor != "" && !pins.Supports(minor) {
			row.Warning = fmt.Sprintf("supports Kubernetes %s to %s, the cluster gets %s", pins.Kubernetes.From, pins.Kubernetes.To, minor)
		}
		out = append(out, row)
	}
	return out
}

// bill is nil on a provider that costs nothing.
func (l *Lab) bill(ctx context.Context) (*Bill, error) {
	e, ok := l.Provider.(provision.Estimator)
	if !ok {
		return nil, nil
	}
	rate, err := e.Estimate(ctx, false)
	if err != nil {
		return nil, err
	}
	b := &Bill{Region: l.Spec.Region, Cost: rate, Missing: l.Missing}
	if p, ok := l.Provider.(provision.Deviator); ok {
		b.Deviations = p.Deviations()
	}
	if p, ok := l.Provider.(provision.Previewer); ok {
		file, err := p.Preview()
		if err != nil {
			return nil, err
		}
		b.ClusterFile = string(file)
	}
	return b, nil
}
