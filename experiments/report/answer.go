package report

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/compspec/ocifit-lab/experiments/study"
)

// question is what the run asks.
func (a *Analysis) question() string {
	models := "a model"
	if n := len(a.Comparisons); n > 1 {
		models = fmt.Sprintf("one of %d models", n)
	}
	base := a.Baseline
	if arm := a.arm(a.Baseline); arm != nil && arm.Model == "random" {
		base = "at random"
	}
	if base != "at random" {
		base = "as " + base + " does"
	}
	figure := fmt.Sprintf("%s (%s)", a.Metric.Name, a.Metric.Unit)
	switch {
	case a.endpoint == study.EndpointFOM || a.judgedByFOM():
	case a.endpoint == "" || a.endpoint == study.EndpointOwn:
		figure = "value of what the model was made for"
	default:
		figure = a.endpoint
	}
	return fmt.Sprintf("Does choosing the node by %s give a better %s than choosing it %s?", models, figure, base)
}

// judgedByFOM tells whether every comparison rests on the application's own figure, whatever was asked for.
func (a *Analysis) judgedByFOM() bool {
	return len(a.Comparisons) > 0 && !slices.ContainsFunc(a.Comparisons, func(c Comparison) bool { return c.Endpoint.Key != study.EndpointFOM })
}

// answer says in two or three short sentences what the comparisons allow.
func (a *Analysis) answer() string {
	by := map[Claim][]*Comparison{}
	for i := range a.Comparisons {
		c := &a.Comparisons[i]
		by[c.Claim] = append(by[c.Claim], c)
	}
	n := len(a.Comparisons)
	var s []string
	if a.Simulated {
		s = append(s, "These figures are simulated.")
	}
	switch {
	case n == 0:
		s = append(s, "There is nothing to compare.")
	case len(by[Refused]) == n && a.started() < 2:
		s = append(s, "The trials that would be compared have not run yet.")
	case len(by[Refused]) == n:
		s = append(s, "This run cannot tell: "+a.commonRefusal())
	default:
		s = append(s, a.claims(by)...)
	}
	return strings.Join(s, " ")
}

func (a *Analysis) started() int {
	n := 0
	for _, arm := range a.Arms {
		if arm.Complete > 0 {
			n++
		}
	}
	return n
}

func (a *Analysis) commonRefusal() string {
	count := map[*checkKind]int{}
	for _, c := range a.Comparisons {
		for _, check := range c.Checks {
			if check.Status == Refuse {
				count[check.kind]++
			}
		}
	}
	if n := count[equalLaunch]; n > 0 {
		base := a.arm(a.Baseline)
		return fmt.Sprintf("in %d of %d comparisons the arms were not launched alike (%s: %s), so their gap shows the number of ranks and not the model.",
			n, len(a.Comparisons), base.Name, base.Launch)
	}
	return lower(a.Comparisons[0].Reason)
}

func (a *Analysis) claims(by map[Claim][]*Comparison) []string {
	s, better, worse := []string{}, []*Comparison{}, []*Comparison{}
	for _, c := range by[Supported] {
		if c.Endpoint.better(c.Primary.Ratio) {
			better = append(better, c)
		} else {
			worse = append(worse, c)
		}
	}
	if len(better) > 0 {
		s = append(s, fmt.Sprintf("Yes for %s: %s.", a.choicesText(better), a.timesText(better)))
	}
	if len(worse) > 0 {
		s = append(s, fmt.Sprintf("The opposite for %s: %s.", a.choicesText(worse), a.timesText(worse)))
	}
	if c := by[Limited]; len(c) > 0 {
		s = append(s, fmt.Sprintf("Only within limits (%s) for %s: %s.", limitsOf(c), a.choicesText(c), a.timesText(c)))
	}
	if c := by[NotShown]; len(c) > 0 {
		s = append(s, "No difference is shown for "+a.choicesText(c)+".")
	}
	if c := by[Refused]; len(c) > 0 {
		s = append(s, "Not comparable: "+a.which(c)+".")
	}
	return append(s, a.losses()...)
}

// losses name what a gain by the primary figure costs by another.
func (a *Analysis) losses() []string {
	var s []string
	for _, loss := range []struct {
		kind *checkKind
		by   string
		of   func(*Comparison) float64
	}{
		{perRankLoss, "Per rank", func(c *Comparison) float64 { return c.PerRank.Ratio }},
		{perDollarLoss, "Per dollar", func(c *Comparison) float64 { return c.PerDollar.Ratio }},
	} {
		lo, hi := math.Inf(1), 0.0
		var arms []*Comparison
		for i := range a.Comparisons {
			c := &a.Comparisons[i]
			for _, check := range c.Checks {
				if check.kind == loss.kind && c.Comparable {
					arms = append(arms, c)
					lo, hi = math.Min(lo, loss.of(c)), math.Max(hi, loss.of(c))
				}
			}
		}
		if len(arms) > 0 {
			s = append(s, fmt.Sprintf("%s they lose: %s times %s for %s.", loss.by, rangeOf(lo, hi), a.Baseline, a.which(arms)))
		}
	}
	return s
}

func rangeOf(lo, hi float64) string {
	if ratioText(lo) == ratioText(hi) {
		return ratioText(lo)
	}
	return ratioText(lo) + " to " + ratioText(hi)
}

// which names a few arms and counts more; the plot below the answer names them all.
func (a *Analysis) which(cs []*Comparison) string {
	switch n := len(cs); {
	case n == len(a.Comparisons) && n > 2:
		return fmt.Sprintf("all %d models", n)
	case n <= 3:
		return names(cs)
	default:
		return fmt.Sprintf("%d of %d models", n, len(a.Comparisons))
	}
}

// timesText gives the range of the ratios.
func (a *Analysis) timesText(cs []*Comparison) string {
	lo, hi, by := math.Inf(1), math.Inf(-1), map[string]bool{}
	for _, c := range cs {
		if c.Primary != nil {
			lo, hi = math.Min(lo, c.Primary.Ratio), math.Max(hi, c.Primary.Ratio)
			by[c.Endpoint.Name] = true
		}
	}
	if math.IsInf(lo, 0) {
		return "no figures"
	}
	figure := "what each model was made for"
	if len(by) == 1 {
		for name := range by {
			figure = name
		}
	}
	return fmt.Sprintf("%s is %s times that of %s", figure, rangeOf(lo, hi), a.Baseline)
}

func limitsOf(cs []*Comparison) string {
	var out []string
	seen := map[*checkKind]bool{}
	for _, c := range cs {
		for _, check := range c.Checks {
			if check.Status == Limit && !seen[check.kind] {
				seen[check.kind] = true
				out = append(out, check.kind.within)
			}
		}
	}
	return strings.Join(out, ", ")
}

func names(cs []*Comparison) string {
	out := make([]string, len(cs))
	for i, c := range cs {
		out[i] = c.Arm
	}
	return strings.Join(out, ", ")
}
