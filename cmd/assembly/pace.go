package assembly

import (
	"fmt"
	"time"

	"github.com/compspec/ocifit-lab/experiments/schedule"
	"github.com/compspec/ocifit-lab/experiments/study"
	"github.com/compspec/ocifit-lab/experiments/trial"
	"github.com/compspec/ocifit-lab/provision"
	"github.com/compspec/ocifit-lab/provision/cost"
	"github.com/compspec/ocifit-lab/templates"
	"github.com/compspec/ocifit-lab/webhook/compat"
	"github.com/compspec/ocifit-lab/webhook/features"
	"github.com/compspec/ocifit-lab/webhook/predict"
)

// Pace is what a study takes with so many trials side by side, when all goes as it ordinarily does.
type Pace struct {
	Parallel int     `json:"parallel"`
	Hours    float64 `json:"hours"`
	USD      float64 `json:"usd"`
	// LeastHours is below what no order of the trials can come: see schedule.LowerBound.
	LeastHours float64 `json:"leastHours"`
}

// paces are the numbers of trials side by side that a plan compares.
var paces = []int{1, 4, 8, 16}

// Times of the published study; a trial on a node that is there waits for its container only.
var ordinary = schedule.Times{Start: trialStart, Warm: trialWarm, Run: longestRun, Between: 5 * time.Second, Idle: scaleDownAfter}

// Paces plays the study with more and more trials side by side, by the same rules as it is run. It asks nobody: types are decided by the node
// features that the lab installs, as the webhook does.
func (l *Lab) Paces(s *study.Study) ([]Pace, error) {
	prices, note := templates.Prices()
	trials, err := l.decided(s, prices)
	if err != nil {
		return nil, err
	}
	bill := l.costs(prices, note)
	var out []Pace
	for _, n := range paces {
		limits, exclusive := l.limits(prices, s)
		limits.Parallel = n
		rule := schedule.Reused
		if s.FreshNodes {
			rule = schedule.FreshToArm
			if exclusive && n > 1 {
				rule = schedule.FreshToTrial
			}
		}
		uses, took := schedule.Play(limits, trials, ordinary, rule)
		out = append(out, Pace{Parallel: n, Hours: took.Hours(), USD: paid(bill, uses, took), LeastHours: schedule.LowerBound(limits, trials, ordinary, rule).Hours()})
	}
	return out, nil
}

// limits are those of the lab's node groups. Without a chart that keeps trials apart on a node, a type has one trial at a time.
func (l *Lab) limits(prices map[string]float64, s *study.Study) (limits schedule.Limits, exclusive bool) {
	limits, several := l.machines(prices)
	if exclusive = several && s.Chart == ""; !exclusive {
		limits = limits.OneNodeEach()
	}
	return limits, exclusive
}

// decided are the study's trials with the types that the webhook would choose.
func (l *Lab) decided(s *study.Study, prices map[string]float64) ([]schedule.Trial, error) {
	candidates, err := features.ParseCatalogue(templates.NodeFeatures(l.Spec.HasGroup))
	if err != nil {
		return nil, err
	}
	models, err := predict.Published()
	if err != nil {
		return nil, err
	}
	options := predict.Options{TieBreak: l.Spec.Webhook.TieBreak, Prices: prices, Skip: l.Spec.Webhook.Skip}
	chosen := map[string]string{compat.Random: ""}
	for _, m := range models {
		if t, err := predict.Rank(m, "", candidates, options); err == nil {
			chosen[m.Name] = t.Selected
		}
	}
	pool, err := predict.NewPool(candidates, options)
	if err != nil {
		return nil, err
	}
	var out []schedule.Trial
	for _, t := range s.Trials() {
		kind, known := chosen[t.Arm.Model]
		if !known {
			return nil, fmt.Errorf("arm %s: model %s chooses none of the lab's instance types", t.Arm.Name, t.Arm.Model)
		}
		if t.Arm.Model == compat.Random {
			drawn, err := pool.Draw(trial.Seed(s.Seed, t))
			if err != nil {
				return nil, err
			}
			kind = drawn.Selected
		}
		out = append(out, schedule.Trial{Arm: t.Arm.Name, Block: trial.Block(s, t), Type: kind})
	}
	return out, nil
}

// costs is the lab as far as it costs money.
func (l *Lab) costs(prices map[string]float64, note string) cost.Lab {
	_, billed := l.Provider.(provision.Estimator)
	out := cost.Lab{Prices: cost.ListPrices(prices, note), ControlPlane: billed, ScaleDownAfter: scaleDownAfter}
	for _, g := range l.Spec.Groups() {
		out.Groups = append(out.Groups, cost.Group{Name: g.Name, InstanceType: g.InstanceType, Min: g.Min, Desired: g.Desired, Max: g.Max, VCPU: g.Type.VCPU})
	}
	return out
}

// paid is the bill of what ran, with the control plane and the standing nodes meanwhile.
func paid(lab cost.Lab, uses []schedule.Use, took time.Duration) float64 {
	begin := time.Time{}.Add(time.Hour)
	m := cost.NewMeter(lab)
	m.Start(begin)
	for _, u := range uses {
		m.Use(cost.Use{Node: u.Node, InstanceType: u.Type, From: begin.Add(u.From), Ready: begin.Add(u.Ready), To: begin.Add(u.To)})
	}
	for _, u := range uses {
		if u.Gone > 0 {
			m.Gone(u.Node, begin.Add(u.Gone))
		}
	}
	return m.Bill(begin.Add(took)).Committed
}
