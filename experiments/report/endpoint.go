package report

import (
	"slices"

	"github.com/compspec/ocifit-lab/experiments/store"
	"github.com/compspec/ocifit-lab/experiments/study"
	"github.com/compspec/ocifit-lab/webhook/compat"
	"github.com/compspec/ocifit-lab/webhook/predict"
)

// Endpoint is the figure that a comparison's answer rests on.
type Endpoint struct {
	Key            string `json:"key"`
	Name           string `json:"name"`
	HigherIsBetter bool   `json:"higherIsBetter"`
	// Own says that it is what the arm's model was made for.
	Own bool `json:"own"`
	// Instead is the figure that was asked for and that the logs do not show.
	Instead string `json:"instead,omitempty"`

	of func(*TrialRow) (float64, bool)
}

// Models whose target is no figure of a log.
const (
	modelFOM          = "fom"
	modelFOMPerDollar = "fom_per_dollar"
)

// lowerIsBetter are the figures of HPCG that a good machine makes small; it stands in where no decision tells the model's direction.
var lowerIsBetter = []string{"duration", "mpi_allreduce_avg"}

// ownKey is what an arm's choice makes best.
func ownKey(arm *Arm, metric store.Metric) string {
	objective, _ := compat.ParseObjective(arm.Objective) // the study's reader has refused what is none
	if objective.Aim == compat.AimTime {
		return study.EndpointTime
	}
	switch arm.Model {
	case study.RandomModel, modelFOM, metric.Key:
		if objective.Aim == compat.AimPerDollar {
			return study.EndpointPerDollar
		}
		return study.EndpointFOM
	case modelFOMPerDollar:
		return study.EndpointPerDollar
	}
	if ruled(arm.Model) {
		return study.EndpointFOM
	}
	return arm.Model
}

// ruled tells whether an arm's choice needs no model, and so makes no figure best.
func ruled(model string) bool { return model == study.RandomModel || predict.IsRule(model) }

// endpointOf is the primary endpoint of an arm by the study's rule.
func endpointOf(rule string, metric store.Metric, p pair) Endpoint {
	model, own := p.arm.Model, ownKey(p.arm, metric)
	whole := Endpoint{Key: study.EndpointFOM, Name: metric.Unit, HigherIsBetter: metric.HigherIsBetter, of: fom}
	modelled := !ruled(model)
	whole.Own = own == study.EndpointFOM && modelled
	key := rule
	if rule == "" || rule == study.EndpointOwn {
		key = own
	}
	e := Endpoint{Key: key, Own: key == own && modelled, HigherIsBetter: true}
	switch key {
	case study.EndpointFOM, metric.Key:
		return whole
	case study.EndpointPerRank:
		e.Name, e.HigherIsBetter, e.of = metric.Unit+" per rank", metric.HigherIsBetter, fomPerRank
	case study.EndpointPerDollar:
		e.Name, e.of = metric.Unit+" per $/h", fomPerDollar
	case study.EndpointTime:
		e.Name, e.HigherIsBetter, e.of = "time to solution", false, timeToSolution
	default:
		e.Name = key
		e.of = func(r *TrialRow) (float64, bool) { v, ok := r.others[key]; return v, ok && v > 0 }
		e.HigherIsBetter = !minimised(key, model, p.a)
	}
	if !shown(p.a, e.of) || !shown(p.b, e.of) {
		whole.Instead, whole.Own = key, false
		return whole
	}
	return e
}

func minimised(key, model string, rows []TrialRow) bool {
	if key == model && slices.ContainsFunc(rows, func(r TrialRow) bool { return r.chosen != "" }) {
		return slices.ContainsFunc(rows, func(r TrialRow) bool { return r.Model == model && r.minimised })
	}
	return slices.Contains(lowerIsBetter, key)
}

func shown(rows []TrialRow, of func(*TrialRow) (float64, bool)) bool {
	for i := range rows {
		if _, ok := of(&rows[i]); !ok {
			return false
		}
	}
	return len(rows) > 0
}

// better tells whether a ratio is a gain.
func (e *Endpoint) better(ratio float64) bool { return (ratio > 1) == e.HigherIsBetter }
