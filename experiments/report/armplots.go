package report

import (
	"fmt"
	"html"
	"html/template"
	"math"
	"strings"

	"github.com/compspec/ocifit-lab/provision/words"
)

// armClass is the CSS class of the i-th arm, and its colour: the hues go round the circle by the golden angle.
func armClass(a *Analysis, i int) string {
	if a.Arms[i].Baseline {
		return `arm base`
	}
	return fmt.Sprintf(`arm" style="--h:%.0f`, math.Mod(210+137.5*float64(i-1), 360))
}

// byArm are the complete trials of each arm.
func (a *Analysis) byArm() map[string][]*TrialRow {
	rows := map[string][]*TrialRow{}
	for i := range a.Trials {
		t := &a.Trials[i]
		rows[t.Arm] = append(rows[t.Arm], t)
	}
	return rows
}

// spread draws every trial of every arm.
func spread(a *Analysis) template.HTML {
	top, least := 0.0, math.Inf(1)
	rows := a.byArm()
	for i := range a.Trials {
		t := &a.Trials[i]
		top, least = math.Max(top, t.Figure), math.Min(least, t.Figure)
	}
	s, unit := linear(top), a.Metric.Unit
	if armsApart(a) {
		s, unit = ratios(least, top), unit+", logarithmic"
	}
	const h = 46
	p := &plot{}
	for i := range a.Arms {
		arm := &a.Arms[i]
		f := arm.FOM()
		label := arm.Name + ": no complete trial"
		if f != nil {
			label = fmt.Sprintf("%s: %d trials from %s to %s, median %s, mean %s %s", arm.Name, f.N, num(f.Min), num(f.Max), num(f.Median), num(f.Mean), a.Metric.Unit)
		}
		p.row(armClass(a, i), arm.Name, arm.Launch, label, h)
		p.grid(s, h)
		if f == nil {
			p.end("-", "")
			continue
		}
		p.printf(`<line class="wh" x1="%.2f%%" x2="%.2f%%" y1="%d" y2="%d"/>`, s.at(f.Min), s.at(f.Max), h/2, h/2)
		p.printf(`<rect class="box" x="%.2f%%" width="%.2f%%" y="8" height="%d" rx="2"/>`, s.at(f.Q1), math.Max(0.1, s.at(f.Q3)-s.at(f.Q1)), h-16)
		for k, t := range rows[arm.Name] {
			class := "dot"
			if t.Source == sourceEstimated {
				class = "dot est"
			}
			// A fixed scatter, so that the same data gives the same picture.
			y := h/2 + float64((k*7)%23-11)
			p.printf(`<circle class="%s" cx="%.2f%%" cy="%.0f" r="%s"/>`, class, s.at(t.Figure), y, radius(len(rows[arm.Name])))
		}
		p.printf(`<line class="med" x1="%.2f%%" x2="%.2f%%" y1="6" y2="%d"/>`, s.at(f.Median), s.at(f.Median), h-6)
		p.end("median "+num(f.Median), "mean "+num(f.Mean))
	}
	p.axis(s, unit)
	return p.html(a.Metric.Name + " by arm")
}

// armsApart tells whether the arms' medians differ by ten times or more, so that a linear axis would flatten the lower ones.
func armsApart(a *Analysis) bool {
	lo, hi := math.Inf(1), 0.0
	for i := range a.Arms {
		if f := a.Arms[i].FOM(); f != nil {
			lo, hi = math.Min(lo, f.Median), math.Max(hi, f.Median)
		}
	}
	return lo > 0 && hi >= 10*lo
}

func radius(n int) string {
	if n > 200 {
		return "1.5"
	}
	return "3"
}

// costBars draws what the trials of each arm cost.
func costBars(a *Analysis) template.HTML {
	top := 0.0
	for _, arm := range a.Arms {
		top = math.Max(top, arm.CostUSD)
	}
	s := linear(top)
	const h = 26
	p := &plot{}
	for i := range a.Arms {
		arm := &a.Arms[i]
		p.row(armClass(a, i), arm.Name, "", fmt.Sprintf("%s: %s for %s", arm.Name, usd(arm.CostUSD), words.Count(arm.Complete, "trial")), h)
		p.grid(s, h)
		p.printf(`<rect class="bar" x="0" width="%.2f%%" y="6" height="%d" rx="2"/>`, s.at(arm.CostUSD), h-12)
		sub := ""
		if arm.TimeToSolution != nil {
			sub = num(arm.TimeToSolution.Mean) + " s a trial"
		}
		p.end(usd(arm.CostUSD), sub)
	}
	p.axis(s, "US dollars")
	return p.html("Cost of the trials by arm")
}

func legend(a *Analysis) template.HTML {
	var b strings.Builder
	b.WriteString(`<ul class="legend">`)
	for i := range a.Arms {
		fmt.Fprintf(&b, `<li class="%s"><i aria-hidden="true"></i>%s</li>`, armClass(a, i), html.EscapeString(a.Arms[i].Name))
	}
	b.WriteString(`</ul>`)
	return template.HTML(b.String())
}
