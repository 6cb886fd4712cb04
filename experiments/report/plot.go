package report

import (
	"fmt"
	"html"
	"html/template"
	"maps"
	"math"
	"slices"
	"strings"
)

// Plots are rows of name, drawing and value. Positions across are percentages and positions down are pixels, so that a drawing fills
// whatever width the page has while its text and its dots keep their size.
type plot struct{ b strings.Builder }

func (p *plot) printf(format string, args ...any) { fmt.Fprintf(&p.b, format, args...) }

func (p *plot) html(label string) template.HTML {
	return template.HTML(fmt.Sprintf(`<div class="plot" role="list" aria-label="%s">%s</div>`, html.EscapeString(label), p.b.String()))
}

// row starts a row; end finishes it with the value. label is what a screen reader says instead of the drawing.
func (p *plot) row(class, name, sub, label string, height int) {
	p.printf(`<div class="row" role="listitem"><div class="name">%s`, html.EscapeString(name))
	if sub != "" {
		p.printf(`<small>%s</small>`, html.EscapeString(sub))
	}
	p.printf(`</div><svg class="%s" height="%d" role="img" aria-label="%s">`, class, height, html.EscapeString(label))
}

func (p *plot) end(value, sub string) {
	p.printf(`</svg><div class="value">%s`, html.EscapeString(value))
	if sub != "" {
		p.printf(`<small>%s</small>`, html.EscapeString(sub))
	}
	p.printf("</div></div>\n")
}

// axis draws the ticks of a scale below the rows.
func (p *plot) axis(s scale, label string) {
	p.printf(`<div class="name" aria-hidden="true"></div><svg class="axis" height="16" aria-hidden="true">`)
	for _, t := range s.ticks {
		anchor := "middle"
		switch at := s.at(t); {
		case at < 3:
			anchor = "start"
		case at > 97:
			anchor = "end"
		}
		p.printf(`<text x="%.2f%%" y="13" text-anchor="%s">%s</text>`, s.at(t), anchor, tickText(t))
	}
	p.printf(`</svg><div class="value" aria-hidden="true"></div><div class="axis-label" style="margin-top:0">%s</div>`, html.EscapeString(label))
}

func (p *plot) grid(s scale, height int) {
	for _, t := range s.ticks {
		p.printf(`<line class="g" x1="%.2f%%" x2="%.2f%%" y1="0" y2="%d"/>`, s.at(t), s.at(t), height)
	}
}

// scale maps values to percent of the width.
type scale struct {
	lo, hi float64
	log    bool
	ticks  []float64
}

func (s scale) at(v float64) float64 {
	a, b, x := s.lo, s.hi, v
	if s.log {
		a, b, x = math.Log(a), math.Log(b), math.Log(v)
	}
	return math.Max(0, math.Min(100, 100*(x-a)/(b-a)))
}

// linear is a scale from 0 to at least hi with at most seven ticks.
func linear(hi float64) scale {
	if !(hi > 0) {
		hi = 1
	}
	step := math.Pow(10, math.Floor(math.Log10(hi)))
	for _, f := range []float64{0.1, 0.2, 0.5, 1, 2, 5} {
		if hi/(step*f) <= 6 {
			step *= f
			break
		}
	}
	s := scale{hi: math.Ceil(hi/step-1e-9) * step}
	for i := 0; float64(i)*step <= s.hi*(1+1e-9); i++ {
		s.ticks = append(s.ticks, float64(i)*step)
	}
	return s
}

// ratios is a logarithmic scale around 1.
func ratios(lo, hi float64) scale {
	steps := []float64{0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100, 200, 500, 1000}
	s := scale{log: true, lo: 0.5, hi: 2}
	for _, v := range steps {
		if v <= lo {
			s.lo = math.Min(v, 0.5)
		}
	}
	if lo < steps[0] {
		s.lo = steps[0]
	}
	for _, v := range slices.Backward(steps) {
		if v >= hi {
			s.hi = math.Max(v, 2)
		}
	}
	for _, v := range steps {
		if v >= s.lo && v <= s.hi {
			s.ticks = append(s.ticks, v)
		}
	}
	return s
}

func tickText(v float64) string { return strings.TrimSuffix(fmt.Sprintf("%.4g", v), ".0") }

// forest draws the ratio of each arm to the baseline.
func forest(a *Analysis) template.HTML {
	if len(a.Comparisons) == 0 {
		return ""
	}
	lo, hi := 1.0, 1.0
	for i := range a.Comparisons {
		for _, v := range forestPoints(&a.Comparisons[i]) {
			lo, hi = math.Min(lo, v), math.Max(hi, v)
		}
	}
	s := ratios(lo, hi)
	const h = 40
	p := &plot{}
	for i := range a.Comparisons {
		c := &a.Comparisons[i]
		value := "no figures"
		if c.Primary != nil {
			value = "× " + ratioText(c.Primary.Ratio)
		}
		p.row("k-"+string(c.Claim), c.Arm, orDash(c.Choice)+", by "+c.Endpoint.Name, c.Arm+": "+claimText(c.Claim)+". "+c.Sentence, h)
		p.grid(s, h)
		p.printf(`<line class="one" x1="%.2f%%" x2="%.2f%%" y1="0" y2="%d"/>`, s.at(1), s.at(1), h)
		if c.Primary != nil {
			if ci := c.Primary.CI95; ci != nil {
				p.printf(`<line class="ci" x1="%.2f%%" x2="%.2f%%" y1="%d" y2="%d"/>`, s.at(ci[0]), s.at(ci[1]), h/2, h/2)
			}
			p.printf(`<circle class="pt" cx="%.2f%%" cy="%d" r="6"/>`, s.at(c.Primary.Ratio), h/2)
		}
		p.end(value, claimText(c.Claim))
	}
	p.axis(s, "times "+a.Baseline)
	return p.html("Ratio to " + a.Baseline + ", by arm")
}

func forestPoints(c *Comparison) []float64 {
	if c.Primary == nil {
		return nil
	}
	out := []float64{c.Primary.Ratio}
	if ci := c.Primary.CI95; ci != nil {
		out = append(out, ci[0], ci[1])
	}
	return out
}

func sortedTypes(types map[string]int) []string {
	return slices.SortedFunc(maps.Keys(types), func(a, b string) int {
		if types[a] != types[b] {
			return types[b] - types[a]
		}
		return strings.Compare(a, b)
	})
}
