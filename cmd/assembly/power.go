package assembly

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/compspec/ocifit-lab/experiments/application/hpcg"
	"github.com/compspec/ocifit-lab/experiments/stats"
	"github.com/compspec/ocifit-lab/experiments/study"
	"github.com/compspec/ocifit-lab/templates"
)

// Power is what a study can show: by a two-sided t-test between machines at 5%, with a chance of 80%.
type Power struct {
	// Machines that each arm meets; 0 where the study does not say, because an arm may stay on one machine.
	Machines int `json:"machines"`
	// Spread is the standard deviation of the logarithm of a machine's figure, the mean of both arms; Rule says where it is from.
	Spread float64 `json:"spread"`
	Rule   string  `json:"rule"`
	// SmallestRatio is the least ratio above 1 that this many machines show; nil where they show none.
	SmallestRatio *float64 `json:"smallestRatio"`
	Needed        []Needed `json:"needed"`
}

// Needed is what it takes to show a ratio. Trials and cost are of all arms, every trial on its own machine.
type Needed struct {
	Ratio    float64 `json:"ratio"`
	Machines int     `json:"machines"` // of each arm
	Trials   int     `json:"trials"`
	CostUSD  float64 `json:"costUSD"` // at most
}

const (
	powerLevel = 0.05
	powerAsked = 0.80
)

// power is nil for an application whose spread is not known. trial is what a trial costs at most, in US dollars.
func (l *Lab) power(s *study.Study, trial float64) *Power {
	if s.Application != study.DefaultApplication {
		return nil
	}
	p := &Power{Spread: hpcg.MachineSpread, Rule: "machines of one type differ by 2.4%, as in the published random arm"}
	if base, ok := s.Arm(s.BaselineArm()); ok && base.Draws() {
		tags := map[string]string{}
		for arch, image := range l.Spec.Artifact.Images {
			tags[arch] = image[strings.LastIndexByte(image, ':')+1:]
		}
		if sd, ok := hpcg.TypeSpread(l.candidateTypes(), tags); ok {
			p.Spread = math.Sqrt((sd*sd + hpcg.MachineSpread*hpcg.MachineSpread) / 2)
			p.Rule = fmt.Sprintf("the types that random draws from differ by a factor of %.2f (one deviation, from the published measurements), machines of one type by 2.4%%", math.Exp(sd))
		}
	}
	if s.FreshNodes {
		p.Machines = s.Repeats
		if ratio, ok := stats.SmallestRatio(p.Machines, p.Spread, powerLevel, powerAsked); ok && p.Machines >= stats.FewestForInterval {
			p.SmallestRatio = &ratio
		}
	}
	for _, ratio := range []float64{1.05, 1.10} {
		if n, ok := stats.MachinesFor(ratio, p.Spread, powerLevel, powerAsked); ok {
			trials := n * len(s.Arms)
			p.Needed = append(p.Needed, Needed{Ratio: ratio, Machines: n, Trials: trials, CostUSD: float64(trials) * trial})
		}
	}
	return p
}

// candidateTypes are the instance types that a trial may be placed on.
func (l *Lab) candidateTypes() []templates.InstanceType {
	var out []templates.InstanceType
	wanted := l.Spec.InstanceTypes()
	for _, t := range templates.InstanceTypes() {
		if slices.Contains(wanted, t.Name) && !slices.Contains(l.Spec.Webhook.Skip, t.Name) {
			out = append(out, t)
		}
	}
	return out
}

// Text says the power in lines.
func (p *Power) Text() []string {
	if p == nil {
		return nil
	}
	var out []string
	switch {
	case p.Machines == 0:
		out = append(out, "an arm may stay on one machine (freshNodes is not set): then nothing is shown about other machines, however many trials it has")
	case p.SmallestRatio == nil:
		out = append(out, fmt.Sprintf("%d machines an arm are too few for any claim: %d at least", p.Machines, stats.FewestForInterval))
	default:
		out = append(out, fmt.Sprintf("%d machines an arm show a ratio of %.2f or more against the baseline, in 80%% of such studies at 5%%", p.Machines, *p.SmallestRatio))
	}
	for _, n := range p.Needed {
		out = append(out, fmt.Sprintf("%.0f%% needs %d machines an arm: %d trials, at most $%.2f", 100*(n.Ratio-1), n.Machines, n.Trials, n.CostUSD))
	}
	return append(out, p.Rule)
}
