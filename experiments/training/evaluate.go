package training

import (
	"context"
	"math"
	"slices"

	"gonum.org/v1/gonum/stat"

	"github.com/compspec/ocifit-lab/webhook/compat"
)

// Evaluation holds models against measurements.
type Evaluation struct {
	Target    string           `json:"target"`
	Unit      string           `json:"unit,omitempty"`
	Direction compat.Direction `json:"direction"`
	Types     int              `json:"types"`
	Rows      int              `json:"rows"`
	Penalty   Penalty          `json:"penalty"`
	Models    []Score          `json:"models"`
	// Predictions of the first model, by type.
	Predictions []Prediction `json:"predictions,omitempty"`
}

// Score is how well one way to predict does. What it cannot have is nil.
type Score struct {
	Name string `json:"name"`
	// SawTypes says that the predictions are of types that the model was fitted on.
	SawTypes bool `json:"sawTypes"`
	// RankCorrelation is Spearman's, between predicted and measured.
	RankCorrelation *float64 `json:"rankCorrelation"`
	// Regret is how much worse the type with the best prediction is than the best measured one, as a share of it. Types out of the
	// model's domain are not picked.
	Regret *float64 `json:"regret"`
	// Picked is that type; empty when none was.
	Picked string `json:"picked,omitempty"`
	// RegretUnseen is the mean regret over the types, each being unknown in turn while the others are known.
	RegretUnseen *float64 `json:"regretUnseen"`
	// MeanError is the mean of |predicted/measured - 1|; nil for what does not predict the figure itself.
	MeanError *float64 `json:"meanError"`
	// OutOfDomain counts the types that the model cannot judge.
	OutOfDomain int `json:"outOfDomain"`
}

// Prediction is one type as a model that did not see it predicts it.
type Prediction struct {
	InstanceType string  `json:"instanceType"`
	Measured     float64 `json:"measured"`
	Predicted    float64 `json:"predicted"`
	Rows         int     `json:"rows"`
	// Outside says why the other types do not tell about this one; empty when they do.
	Outside string `json:"outside,omitempty"`
}

// heldOut are predictions of types by models that did not see them.
type heldOut struct {
	predictions []Prediction
	errors      []float64 // predicted minus measured, in the scale of the fit
	unseen      float64   // mean regret with one type unknown
}

// predictor predicts a type in the scale of the fit, and says why the types of its fit do not tell about it; "" when they do.
type predictor func(labels map[string]string) (y float64, outside string)

// predictHeldOut predicts each type by what fit makes of the others.
func predictHeldOut(ctx context.Context, types []kind, sc scale, direction compat.Direction, fit func(others []kind) (predictor, error)) (*heldOut, error) {
	h := &heldOut{predictions: make([]Prediction, len(types)), errors: make([]float64, len(types))}
	measured, _ := measuredOf(types, sc)
	for _, out := range folds(len(types)) {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		predict, err := fit(without(types, out...))
		if err != nil {
			return nil, err
		}
		// The model of the others picks among all types.
		pickable := make([]float64, len(types))
		for i, t := range types {
			y, outside := predict(t.labels)
			if pickable[i] = sc.from(y); outside != "" {
				pickable[i] = math.NaN()
			}
			if slices.Contains(out, i) {
				h.predictions[i] = Prediction{InstanceType: t.name, Measured: measured[i], Predicted: sc.from(y), Rows: t.rows, Outside: outside}
				h.errors[i] = y - t.y
			}
		}
		if regret, _ := regretOf(pickable, measured, direction); regret != nil {
			h.unseen += *regret * float64(len(out)) / float64(len(types))
		}
	}
	return h, nil
}

// score sums the predictions up.
func (h *heldOut) score(name string, direction compat.Direction) Score {
	var predicted, pickable, measured []float64
	s := Score{Name: name, RegretUnseen: &h.unseen}
	off := 0.0
	for _, p := range h.predictions {
		predicted, measured = append(predicted, p.Predicted), append(measured, p.Measured)
		pick := p.Predicted
		if p.Outside != "" {
			s.OutOfDomain++
			pick = math.NaN()
		}
		pickable = append(pickable, pick)
		off += math.Abs(p.Predicted/p.Measured-1) / float64(len(h.predictions))
	}
	s.MeanError = &off
	s.RankCorrelation = spearman(predicted, measured)
	s.fill(h.predictions, pickable, measured, direction)
	return s
}

func (s *Score) fill(types []Prediction, pickable, measured []float64, direction compat.Direction) {
	regret, best := regretOf(pickable, measured, direction)
	if s.Regret = regret; regret != nil && best >= 0 {
		s.Picked = types[best].InstanceType
	}
}

// regretOf is how much worse what the best prediction picks is than the best measured value, as a share of that one. Several equal best
// predictions count by their mean, and have no place. NaN cannot be picked; without anything to pick there is no regret.
func regretOf(predicted, measured []float64, direction compat.Direction) (regret *float64, place int) {
	place = -1
	var ties []int
	for i, p := range predicted {
		switch {
		case math.IsNaN(p):
		case len(ties) == 0 || direction.Better(p, predicted[ties[0]]):
			ties = []int{i}
		case p == predicted[ties[0]]:
			ties = append(ties, i)
		}
	}
	if len(ties) == 0 {
		return nil, place
	}
	best := slices.Max(measured)
	if direction == compat.Minimize {
		best = slices.Min(measured)
	}
	sum := 0.0
	for _, i := range ties {
		sum += math.Abs(measured[i]-best) / math.Abs(best)
	}
	sum /= float64(len(ties))
	if len(ties) == 1 {
		place = ties[0]
	}
	return &sum, place
}

// spearman is the rank correlation, with mean ranks for equal values; nil where one side is all equal. Pairs with NaN do not count.
func spearman(a, b []float64) *float64 {
	var x, y []float64
	for i := range a {
		if !math.IsNaN(a[i]) && !math.IsNaN(b[i]) {
			x, y = append(x, a[i]), append(y, b[i])
		}
	}
	if len(x) < 3 {
		return nil
	}
	r := stat.Correlation(ranks(x), ranks(y), nil)
	if math.IsNaN(r) {
		return nil
	}
	return &r
}

func ranks(v []float64) []float64 {
	out := make([]float64, len(v))
	for i := range v {
		less, equal := 0, 0
		for _, w := range v {
			switch {
			case w < v[i]:
				less++
			case w == v[i]:
				equal++
			}
		}
		out[i] = float64(less) + float64(equal+1)/2
	}
	return out
}
