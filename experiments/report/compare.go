package report

import (
	"fmt"
	"strings"

	"github.com/compspec/ocifit-lab/experiments/stats"
	"github.com/compspec/ocifit-lab/experiments/store"
	"github.com/compspec/ocifit-lab/experiments/study"
)

// Claim is what a comparison lets one say.
type Claim string

// The claims.
const (
	Refused   Claim = "refused"   // the arms are not comparable
	Limited   Claim = "limited"   // comparable, but a check limits what the gap stands for
	Supported Claim = "supported" // a difference is shown
	NotShown  Claim = "not-shown" // no difference is shown
)

// wholeLevel of the tests after Holm's adjustment.
const wholeLevel = 0.05

// Comparison sets an arm against the baseline. Tests are made only where the arms are comparable.
type Comparison struct {
	Arm        string  `json:"arm"`
	Baseline   string  `json:"baseline"`
	Comparable bool    `json:"comparable"`
	Reason     string  `json:"reason"` // why they are or are not
	Claim      Claim   `json:"claim"`
	Sentence   string  `json:"sentence"` // what may be said
	Checks     []Check `json:"checks"`

	// Choice is what the arm's model came to; the trials of all arms of the same choice stand together.
	Choice     string   `json:"choice"`
	ChoiceArms []string `json:"choiceArms"`

	// Endpoint is the figure that the claim rests on, Primary its ratio, and PHolm the adjusted p-value over all planned arms.
	Endpoint Endpoint        `json:"endpoint"`
	Primary  *stats.Contrast `json:"primary"`
	PHolm    *float64        `json:"pHolm,omitempty"`

	// The other figures, with their intervals.
	FOM            *stats.Contrast `json:"fom,omitempty"`
	PerRank        *stats.Contrast `json:"perRank,omitempty"`
	PerDollar      *stats.Contrast `json:"perDollar,omitempty"`
	TimeToSolution *stats.Contrast `json:"timeToSolution,omitempty"`

	// A second view of the primary endpoint: the ratio of the trials' medians, Cliff's delta (-1 to 1), and the rank test that would
	// hold if trials on one machine were independent.
	RatioOfMedians *float64        `json:"ratioOfMedians"`
	CliffsDelta    *float64        `json:"cliffsDelta,omitempty"`
	MannWhitney    *stats.RankTest `json:"mannWhitney,omitempty"`
}

func (a *Analysis) arm(name string) *Arm {
	for i := range a.Arms {
		if a.Arms[i].Name == name {
			return &a.Arms[i]
		}
	}
	return nil
}

// compare fills in the comparisons of every arm with the baseline.
func (a *Analysis) compare(s *study.Study, rows map[string][]TrialRow) {
	base := a.arm(a.Baseline)
	a.Choices = a.choices(rows)
	a.Comparisons = []Comparison{}
	for i := range a.Arms {
		if base != nil && a.Arms[i].Name != a.Baseline {
			a.Comparisons = append(a.Comparisons, Comparison{Arm: a.Arms[i].Name, Baseline: a.Baseline})
		}
	}
	inParallel(len(a.Comparisons), func(i int) {
		c := &a.Comparisons[i]
		p := pair{study: s, arm: a.arm(c.Arm), base: base, own: rows[c.Arm], a: rows[c.Arm], b: rows[a.Baseline], skip: a.skip, plans: a.Plans}
		if choice := a.choiceFor(c.Arm); choice != nil {
			c.Choice, c.ChoiceArms = choice.Name, choice.Arms
			p.a = choice.pooled(rows)
		}
		c.fill(p, a.endpoint, a.Metric)
	})
	adjust(a.Comparisons, len(a.Comparisons))
	level := levelOf(s, a.Arms)
	for i := range a.Comparisons {
		a.Comparisons[i].conclude(level)
	}
}

// family is the number of tests that were planned: one for each arm but the baseline.
func adjust(comparisons []Comparison, family int) {
	var tested []*Comparison
	var p []float64
	for i := range comparisons {
		if c := &comparisons[i]; c.Comparable && c.Primary != nil && c.Primary.P != nil {
			tested = append(tested, c)
			p = append(p, *c.Primary.P)
		}
	}
	for i, adjusted := range stats.Holm(p, family) {
		tested[i].PHolm = &adjusted
	}
}

func (c *Comparison) fill(p pair, endpoint string, metric store.Metric) {
	c.Endpoint = endpointOf(endpoint, metric, p)
	x, y := sample(p.a, c.Endpoint.of), sample(p.b, c.Endpoint.of)
	c.Primary = contrast(p, c.Endpoint.of)
	c.FOM = contrast(p, fom)
	c.PerRank = contrast(p, fomPerRank)
	c.PerDollar = contrast(p, fomPerDollar)
	c.TimeToSolution = contrast(p, timeToSolution)
	c.Checks = append(checksOf(p), lossChecks(c)...)
	c.Comparable = true
	var why []string
	for _, check := range c.Checks {
		if check.Status == Refuse {
			c.Comparable = false
			why = append(why, check.title()+". "+check.Text)
		}
	}
	c.Reason = strings.Join(why, " ")
	if c.Comparable {
		c.Reason = "Launch, threads, problem, image and artifact match, and the trials are complete enough."
	}
	if len(x.Values) > 0 && len(y.Values) > 0 {
		if median := stats.Describe(y.Values).Median; median > 0 {
			ratio := stats.Describe(x.Values).Median / median
			c.RatioOfMedians = &ratio
		}
		delta := stats.CliffsDelta(x.Values, y.Values)
		c.CliffsDelta = &delta
	}
	if !c.Comparable { // no test of what is no effect of the model
		for _, k := range []*stats.Contrast{c.Primary, c.FOM, c.PerRank, c.PerDollar, c.TimeToSolution} {
			if k != nil {
				k.P = nil
			}
		}
		return
	}
	test := stats.MannWhitney(x.Values, y.Values)
	c.MannWhitney = &test
}

// contrast is nil where a trial of the pair lacks the figure.
func contrast(p pair, of func(*TrialRow) (float64, bool)) *stats.Contrast {
	if !shown(p.a, of) || !shown(p.b, of) {
		return nil
	}
	c, ok := stats.ContrastOf(sample(p.a, of), sample(p.b, of))
	if !ok {
		return nil
	}
	return &c
}

// conclude says what the comparison shows at the level, and no more.
func (c *Comparison) conclude(level float64) {
	var limits []string
	for _, check := range c.Checks {
		if check.Status == Limit {
			limits = append(limits, check.Text)
		}
	}
	if !c.Comparable {
		c.Claim = Refused
		c.Sentence = "Not comparable. " + c.Reason
		if c.Primary != nil {
			c.Sentence += fmt.Sprintf(" The ratio of %s, %s, is no effect of the model.", c.Endpoint.Name, ratioText(c.Primary.Ratio))
		}
		return
	}
	switch {
	case len(limits) > 0:
		c.Claim = Limited
		c.Sentence = fmt.Sprintf("%s, but: %s", c.gap(), strings.Join(limits, " "))
	case c.PHolm == nil:
		c.Claim = NotShown
		c.Sentence = fmt.Sprintf("No difference is shown: %s, and the machines do not differ enough to test it.", lower(c.gap()))
	case *c.PHolm < level:
		c.Claim = Supported
		c.Sentence = fmt.Sprintf("%s; p = %s over machines, adjusted for all arms.", c.gap(), pText(*c.PHolm))
	default:
		c.Claim = NotShown
		c.Sentence = fmt.Sprintf("No difference is shown: %s; p = %s over machines, adjusted for all arms.", lower(c.gap()), pText(*c.PHolm))
		if *c.Primary.P < level {
			c.Sentence += fmt.Sprintf(" Alone, p would be %s.", pText(*c.Primary.P))
		}
	}
	if c.Endpoint.Instead != "" {
		c.Sentence += fmt.Sprintf(" The logs do not show %s, for which %s is judged by %s.", c.Endpoint.Instead, c.Arm, c.Endpoint.Name)
	}
}

// gap states the figures without judging them.
func (c *Comparison) gap() string {
	if c.Primary == nil {
		return "There is nothing to compare"
	}
	text := fmt.Sprintf("%s of %s is %s times that of %s", sentenceStart(c.Endpoint.Name), c.Arm, ratioText(c.Primary.Ratio), c.Baseline)
	if ci := c.Primary.CI95; ci != nil {
		text += fmt.Sprintf(" (95%% interval %s to %s)", ratioText(ci[0]), ratioText(ci[1]))
	}
	return text
}

// sentenceStart begins a sentence with a figure's name, which keeps its own letters.
func sentenceStart(name string) string { return "The " + name }

func lower(s string) string { return strings.ToLower(s[:1]) + s[1:] }

func ratioText(v float64) string {
	if v >= 10 {
		return fmt.Sprintf("%.1f", v)
	}
	return fmt.Sprintf("%.2f", v)
}

func pText(p float64) string {
	switch {
	case p < 0.0001:
		return "0.0001 or less"
	case p < 0.01:
		return fmt.Sprintf("%.4f", p)
	}
	return fmt.Sprintf("%.3f", p)
}
