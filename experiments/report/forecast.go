package report

import (
	"fmt"
	"math"
	"strings"

	"github.com/compspec/ocifit-lab/experiments/study"
)

// Forecast is what a simulated run leads one to expect of the real study.
type Forecast struct {
	Trials     int        `json:"trials"`
	Hours      float64    `json:"hours"`      // of trials one after another, node starts included
	TrialUSD   float64    `json:"trialUSD"`   // price of the trials' nodes for that time
	Arms       []Expected `json:"arms"`       // ratio to the baseline
	Assumption string     `json:"assumption"` // what the figures rest on
}

// Expected is the ratio of its primary figure that an arm is expected to reach.
type Expected struct {
	Arm        string      `json:"arm"`
	Ratio      float64     `json:"ratio"`
	CI95       *[2]float64 `json:"ci95"`
	Comparable bool        `json:"comparable"`
}

// forecast extrapolates a simulated run to all planned trials; a real run has none.
func (a *Analysis) forecast(s *study.Study) *Forecast {
	if !a.Simulated || len(a.Trials) == 0 {
		return nil
	}
	f := &Forecast{Arms: []Expected{}, Assumption: "Iterations and machines of a replay vary as in the published trials; the intervals are predictive, they also hold " +
		"how much the mean of a type differs from one occasion to another. Nodes start as fast as in the study, and trials run one after another. The cluster's control plane, the sticky node and idle nodes are not in the price."}
	for _, arm := range a.Arms {
		f.Trials += arm.Trials
		if arm.Complete == 0 {
			continue
		}
		scale := float64(arm.Trials) / float64(arm.Complete)
		f.TrialUSD += arm.CostUSD * scale
		if arm.TimeToSolution != nil {
			f.Hours += arm.TimeToSolution.Mean * float64(arm.Trials) / 3600
		}
	}
	for _, c := range a.Comparisons {
		if c.Primary != nil {
			f.Arms = append(f.Arms, Expected{c.Arm, c.Primary.Ratio, a.predictive(&c), c.Comparable})
		}
	}
	return f
}

// predictive widens a comparison's interval by the error of the means that were replayed: each type's is common to all of its trials.
func (a *Analysis) predictive(c *Comparison) *[2]float64 {
	ci := c.Primary.CI95
	if ci == nil || ci[0] <= 0 {
		return nil
	}
	half := math.Log(ci[1]/ci[0]) / 2
	extra := meanError(a.rowsOf(c.Arm)) + meanError(a.rowsOf(c.Baseline))
	wide := math.Sqrt(half*half + 1.96*1.96*extra)
	return &[2]float64{c.Primary.Ratio * math.Exp(-wide), c.Primary.Ratio * math.Exp(wide)}
}

// meanError is the variance that the errors of replayed means give the logarithm of an arm's mean.
func meanError(rows []TrialRow) float64 {
	share, variance := map[string]float64{}, map[string]float64{}
	for i := range rows {
		share[rows[i].InstanceType] += 1 / float64(len(rows))
		variance[rows[i].InstanceType] = rows[i].meanError * rows[i].meanError
	}
	sum := 0.0
	for t, s := range share {
		sum += s * s * variance[t]
	}
	return sum
}

// Text says the forecast in sentences.
func (f *Forecast) Text() string {
	text := fmt.Sprintf("%d trials, about %.1f hours one after another, about %s for the trials' nodes.", f.Trials, f.Hours, usd(f.TrialUSD))
	var expected []string
	for _, e := range f.Arms {
		if !e.Comparable {
			continue
		}
		arm := e.Arm + " " + ratioText(e.Ratio)
		if e.CI95 != nil {
			arm += fmt.Sprintf(" (%s to %s)", ratioText(e.CI95[0]), ratioText(e.CI95[1]))
		}
		expected = append(expected, arm)
	}
	if len(expected) > 0 {
		text += " Expected ratios to the baseline: " + strings.Join(expected, ", ") + "."
	} else {
		text += " No ratio is expected that would be an effect of a model."
	}
	return text + " " + f.Assumption
}
