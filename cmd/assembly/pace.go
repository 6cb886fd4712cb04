package assembly

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/compspec/ocifit-lab/experiments/schedule"
	"github.com/compspec/ocifit-lab/experiments/study"
	"github.com/compspec/ocifit-lab/experiments/trial"
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
	USD      float64 `json:"usd"` // until the last idle node is gone
	// LeastHours is below what no order of the trials can come: see schedule.LowerBound.
	LeastHours float64 `json:"leastHours"`
}

// paces are the numbers of trials side by side that a plan compares.
var paces = []int{1, 4, 8, 16}

// Paces forecasts the study with more and more trials side by side.
func (l *Lab) Paces(ctx context.Context, s *study.Study) ([]Pace, error) {
	p, err := l.player(ctx, s)
	if err != nil {
		return nil, err
	}
	return p.paces(), nil
}

// player plays a study whose trials are decided, on a clock of its own.
type player struct {
	lab    *Lab
	study  *study.Study
	costs  *cost.Lab
	trials []schedule.Trial
}

func (l *Lab) player(ctx context.Context, s *study.Study) (*player, error) {
	c, err := l.Costs(ctx, false)
	if err != nil {
		return nil, err
	}
	prices, _ := templates.Prices()
	trials, err := l.decided(s, prices)
	return &player{l, s, c, trials}, err
}

func (p *player) paces() []Pace {
	var out []Pace
	for _, n := range paces {
		f, least := p.play(n)
		out = append(out, Pace{Parallel: n, Hours: f.Hours, USD: f.USD, LeastHours: least.Hours()})
	}
	return out
}

// play prices the study with so many trials side by side. least is a time below which no order of the trials can come.
func (p *player) play(parallel int) (f *cost.Forecast, least time.Duration) {
	l, s, c, trials := p.lab, p.study, p.costs, p.trials
	prices, _ := templates.Prices()
	limits, exclusive := l.limits(prices, s)
	limits.Parallel = parallel
	rule := schedule.Reused
	if s.FreshNodes {
		rule = schedule.FreshToArm
		if exclusive && parallel > 1 {
			rule = schedule.FreshToTrial
		}
	}
	t := l.times(s)
	times := schedule.Times{Start: t.Start, Warm: t.Warm, Run: t.Run, Between: t.Between, Idle: c.ScaleDownAfter}
	uses, took := schedule.Play(limits, trials, times, rule)
	played := cost.Study{Retries: s.Retries, Took: took}
	for _, u := range uses {
		if u.Type == "" {
			continue
		}
		played.Uses = append(played.Uses, cost.PlayedUse{Node: u.Node, InstanceType: u.Type, From: u.From, Ready: u.Ready, To: u.To, Gone: u.Gone})
	}
	played.May = slices.Repeat([][]string{l.chooseable()}, len(trials))
	return c.Forecast(played, t, time.Now()), t.Create + schedule.LowerBound(limits, trials, times, rule) + t.Delete
}

// limits are those of the lab's node groups. Without a chart that keeps trials apart on a node, a type has one trial at a time.
func (l *Lab) limits(prices map[string]float64, s *study.Study) (limits schedule.Limits, exclusive bool) {
	limits, several := l.machines(prices)
	if exclusive = several && s.Chart == ""; !exclusive {
		limits = limits.OneNodeEach()
	}
	return limits, exclusive
}

// decide chooses as the webhook will, or gives the pool that an arm draws from.
func decide(arm study.Arm, models []*predict.Model, candidates []features.Candidate, options predict.Options) (string, *predict.Pool, error) {
	var err error
	if options.Objective, err = compat.ParseObjective(arm.Objective); err != nil {
		return "", nil, err
	}
	options.Time = predict.Named(models, compat.TimeModel)
	if arm.InstanceType != "" {
		options.LeaveOut = func(c features.Candidate) string {
			if c.InstanceType != arm.InstanceType {
				return "the arm is for " + arm.InstanceType
			}
			return ""
		}
	}
	m := predict.Named(models, arm.Model)
	if m != nil && options.Objective.Aim == compat.AimTime {
		m = options.Time
	}
	if m != nil {
		if t, err := predict.Rank(m, "", candidates, options); err == nil {
			return t.Selected, nil, nil
		}
	}
	pool, err := predict.NewPool(candidates, options)
	return "", pool, err
}

// decided are the study's trials with the types that the webhook would choose. What the model of an artifact
// that is not this lab's will choose is not known before: any type stands for it.
func (l *Lab) decided(s *study.Study, prices map[string]float64) ([]schedule.Trial, error) {
	candidates, err := features.ParseCatalogue(templates.NodeFeatures(l.Spec.HasGroup))
	if err != nil {
		return nil, err
	}
	models, err := artifactModels(l.Spec)
	if err != nil {
		return nil, err
	}
	options := predict.Options{TieBreak: l.Spec.Webhook.TieBreak, Prices: prices, Skip: l.Spec.Webhook.Skip}
	chosen, pools := map[string]string{}, map[string]*predict.Pool{}
	for _, arm := range s.Arms {
		if chosen[arm.Name], pools[arm.Name], err = decide(arm, models, candidates, options); err != nil {
			return nil, err
		}
	}
	var out []schedule.Trial
	if s.Adaptive != nil { // at most, all are measured
		if out, err = l.decided(s.Measuring(l.chooseable()), prices); err != nil {
			return nil, err
		}
	}
	for _, t := range s.Trials() {
		kind := chosen[t.Arm.Name]
		if kind == "" {
			switch drawn, err := pools[t.Arm.Name].Draw(trial.Seed(s.Seed, t)); {
			case err == nil:
				kind = drawn.Selected
			case !errors.Is(err, predict.ErrNoCandidate): // the preflight says why a lab has no type to choose; its trials take no node
				return nil, err
			}
		}
		out = append(out, schedule.Trial{Arm: t.Arm.Name, Block: trial.Block(s, t), Type: kind})
	}
	return out, nil
}
