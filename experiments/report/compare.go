package report

import (
	"fmt"
	"math"
	"strings"

	"github.com/compspec/ocifit-lab/experiments/stats"
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

// level of the tests after Holm's adjustment.
const level = 0.05

// Ratio is an arm's figure over the baseline's.
type Ratio struct {
	Value float64     `json:"value"`
	CI95  *[2]float64 `json:"ci95"`
}

// Target compares the quantity that the arm's model predicts, where the log shows it.
type Target struct {
	Name     string  `json:"name"`
	Arm      float64 `json:"arm"`
	Baseline float64 `json:"baseline"`
	Ratio    float64 `json:"ratio"`
}

// Comparison sets an arm against the baseline. Tests are made only where the arms are comparable.
type Comparison struct {
	Arm        string  `json:"arm"`
	Baseline   string  `json:"baseline"`
	Comparable bool    `json:"comparable"`
	Reason     string  `json:"reason"` // why they are or are not
	Claim      Claim   `json:"claim"`
	Sentence   string  `json:"sentence"` // what may be said
	Checks     []Check `json:"checks"`

	RatioOfMedians     *float64           `json:"ratioOfMedians"`
	RatioOfMediansCI95 *[2]float64        `json:"ratioOfMediansCI95"`
	CI95Unit           string             `json:"ci95Unit,omitempty"`
	RatioOfMeans       *Ratio             `json:"ratioOfMeans,omitempty"`
	CliffsDelta        *Ratio             `json:"cliffsDelta,omitempty"` // Value is the delta itself
	PerRank            *Ratio             `json:"perRank,omitempty"`
	PerDollar          *Ratio             `json:"perDollar,omitempty"`
	TimeToSolution     *Ratio             `json:"timeToSolution,omitempty"`
	Target             *Target            `json:"target,omitempty"`
	MannWhitney        *stats.RankTest    `json:"mannWhitney,omitempty"`
	Permutation        *stats.Permutation `json:"permutation,omitempty"`
	PHolm              *float64           `json:"pHolm,omitempty"` // of the permutation test, over the comparable arms
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
	a.Comparisons = []Comparison{}
	for i := range a.Arms {
		if base != nil && a.Arms[i].Name != a.Baseline {
			a.Comparisons = append(a.Comparisons, Comparison{Arm: a.Arms[i].Name, Baseline: a.Baseline})
		}
	}
	inParallel(len(a.Comparisons), func(i int) {
		c := &a.Comparisons[i]
		c.fill(pair{study: s, arm: a.arm(c.Arm), base: base, a: rows[c.Arm], b: rows[a.Baseline]})
	})
	adjust(a.Comparisons)
	for i := range a.Comparisons {
		a.Comparisons[i].conclude()
	}
}

func (c *Comparison) fill(p pair) {
	c.Checks = checksOf(p)
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
	x, y := sample(p.a, fom), sample(p.b, fom)
	if e, ok := stats.Effects(x, y, seedOf(p.study, c.Arm, "effects")); ok {
		c.RatioOfMedians, c.RatioOfMediansCI95, c.CI95Unit = &e.RatioOfMedians, ends(e.RatioInterval, x, y), e.RatioInterval.Unit
		c.RatioOfMeans = &Ratio{e.RatioOfMeans, ends(e.MeansInterval, x, y)}
		c.CliffsDelta = &Ratio{e.CliffsDelta, ends(e.DeltaInterval, x, y)}
	}
	c.PerRank = ratio(p, fomPerRank, "rank")
	c.PerDollar = ratio(p, fomPerDollar, "dollar")
	c.TimeToSolution = ratio(p, timeToSolution, "time")
	c.Target = target(p)
	if c.Comparable {
		test := stats.MannWhitney(x.Values, y.Values)
		perm := stats.ClusterPermutation(x, y, seedOf(p.study, c.Arm, "permutation"))
		c.MannWhitney, c.Permutation = &test, &perm
	}
}

// ends leaves out an interval that rests on a single trial.
func ends(i stats.Interval, x, y stats.Sample) *[2]float64 {
	if len(x.Values) < 2 || len(y.Values) < 2 {
		return nil
	}
	return &[2]float64{i.Lo, i.Hi}
}

func ratio(p pair, of func(*TrialRow) (float64, bool), use string) *Ratio {
	x, y := sample(p.a, of), sample(p.b, of)
	e, ok := stats.Effects(x, y, seedOf(p.study, p.arm.Name, "effects", use))
	if !ok {
		return nil
	}
	return &Ratio{e.RatioOfMedians, ends(e.RatioInterval, x, y)}
}

func target(p pair) *Target {
	mean := func(rows []TrialRow) (float64, bool) {
		sum := 0.0
		for i := range rows {
			v, ok := rows[i].others[p.arm.Model]
			if !ok {
				return 0, false
			}
			sum += v / float64(len(rows))
		}
		return sum, len(rows) > 0
	}
	a, ok1 := mean(p.a)
	b, ok2 := mean(p.b)
	if !ok1 || !ok2 || b <= 0 || math.IsInf(a/b, 0) {
		return nil
	}
	return &Target{Name: p.arm.Model, Arm: a, Baseline: b, Ratio: a / b}
}

// conclude says what the comparison shows, and no more.
func (c *Comparison) conclude() {
	var limits []string
	for _, check := range c.Checks {
		if check.Status == Limit {
			limits = append(limits, check.Text)
		}
	}
	if !c.Comparable {
		c.Claim = Refused
		c.Sentence = "Not comparable. " + c.Reason
		if c.RatioOfMedians != nil {
			c.Sentence += fmt.Sprintf(" The ratio of medians, %s, is no effect of the model.", ratioText(*c.RatioOfMedians))
		}
		return
	}
	significant := c.PHolm != nil && *c.PHolm < level && c.RatioOfMedians != nil
	switch {
	case len(limits) > 0:
		c.Claim = Limited
		c.Sentence = fmt.Sprintf("%s, but: %s", c.gap(), strings.Join(limits, " "))
	case significant && c.includesOne():
		c.Claim = NotShown
		c.Sentence = fmt.Sprintf("Not clear: %s, an interval that includes 1, although p = %s over machines, adjusted for all arms.", lower(c.gap()), pText(*c.PHolm))
	case significant:
		c.Claim = Supported
		c.Sentence = fmt.Sprintf("%s; p = %s over machines, adjusted for all arms.", c.gap(), pText(*c.PHolm))
	default:
		c.Claim = NotShown
		c.Sentence = fmt.Sprintf("No difference is shown: %s; p = %s over machines, adjusted for all arms.", lower(c.gap()), pText(*c.PHolm))
		if c.Permutation.Smallest > level {
			c.Sentence += fmt.Sprintf(" With %d and %d machines no p-value below %s is possible.", c.Permutation.ClustersX, c.Permutation.ClustersY, pText(c.Permutation.Smallest))
		}
	}
}

func (c *Comparison) includesOne() bool {
	ci := c.RatioOfMediansCI95
	return ci == nil || ci[0] <= 1 && 1 <= ci[1]
}

// gap states the figures without judging them.
func (c *Comparison) gap() string {
	if c.RatioOfMedians == nil {
		return "There is nothing to compare"
	}
	text := fmt.Sprintf("The median of %s is %s times that of %s", c.Arm, ratioText(*c.RatioOfMedians), c.Baseline)
	if ci := c.RatioOfMediansCI95; ci != nil {
		text += fmt.Sprintf(" (95%% interval %s to %s)", ratioText(ci[0]), ratioText(ci[1]))
	}
	return text
}

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
