package report

import (
	"fmt"
	"math"
	"strings"
)

// question is what the run asks.
func (a *Analysis) question() string {
	what := "a better"
	if !a.Metric.HigherIsBetter {
		what = "a lower"
	}
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
	return fmt.Sprintf("Does choosing the node by %s give %s %s (%s) than choosing it %s?", models, what, a.Metric.Name, a.Metric.Unit, base)
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
	var s, better, worse = []string{}, []*Comparison{}, []*Comparison{}
	for _, c := range by[Supported] {
		if (*c.RatioOfMedians > 1) == a.Metric.HigherIsBetter {
			better = append(better, c)
		} else {
			worse = append(worse, c)
		}
	}
	if len(better) > 0 {
		s = append(s, fmt.Sprintf("Yes for %s: %s.", a.which(better), a.timesText(better)))
	}
	if len(worse) > 0 {
		s = append(s, fmt.Sprintf("The opposite for %s: %s.", a.which(worse), a.timesText(worse)))
	}
	if c := by[Limited]; len(c) > 0 {
		s = append(s, fmt.Sprintf("Only within limits for %s (%s): %s.", a.which(c), limitsOf(c), a.timesText(c)))
	}
	if c := by[NotShown]; len(c) > 0 {
		s = append(s, "No difference is shown for "+a.which(c)+".")
	}
	if c := by[Refused]; len(c) > 0 {
		s = append(s, "Not comparable: "+a.which(c)+".")
	}
	return s
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
	lo, hi := math.Inf(1), math.Inf(-1)
	for _, c := range cs {
		if c.RatioOfMedians != nil {
			lo, hi = math.Min(lo, *c.RatioOfMedians), math.Max(hi, *c.RatioOfMedians)
		}
	}
	if math.IsInf(lo, 0) {
		return "no figures"
	}
	text := ratioText(lo)
	if ratioText(hi) != text {
		text += " to " + ratioText(hi)
	}
	return fmt.Sprintf("the median is %s times that of %s", text, a.Baseline)
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
