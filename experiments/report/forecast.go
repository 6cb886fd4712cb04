package report

import (
	"fmt"
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
	f := &Forecast{Arms: []Expected{}, Assumption: "Replayed figures vary as the published measurements did, nodes start as fast as in the study, " +
		"and trials run one after another. The cluster's control plane, the sticky node and idle nodes are not in the price."}
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
			f.Arms = append(f.Arms, Expected{c.Arm, c.Primary.Ratio, c.Primary.CI95, c.Comparable})
		}
	}
	return f
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
