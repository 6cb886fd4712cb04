package report

import (
	"fmt"
	"html/template"
	"math"
	"slices"

	"github.com/compspec/ocifit-lab/experiments/stats"
)

// mostDots bounds the trials whose iterations are drawn one by one; the medians are of all.
const mostDots = 60

// offsets are the iterations of each trial of an arm, each as a share of the mean of its trial's that count, less one.
func offsets(rows []*TrialRow) [][]float64 {
	out := make([][]float64, 0, len(rows))
	for _, r := range rows {
		one := make([]float64, len(r.Iterations))
		for k, v := range r.Iterations {
			one[k] = v/r.Figure - 1
		}
		out = append(out, one)
	}
	return out
}

// iterations draws how the iterations of a trial differ by their position; nothing where trials have one.
func iterations(a *Analysis) template.HTML {
	byArm, n := a.byArm(), 0
	for i := range a.Trials {
		n = max(n, len(a.Trials[i].Iterations))
	}
	if n < 2 {
		return ""
	}
	off := make([][][]float64, len(a.Arms))
	most := 0.01
	for i := range a.Arms {
		off[i] = offsets(byArm[a.Arms[i].Name])
		for _, trial := range off[i] {
			for _, v := range trial {
				most = max(most, math.Abs(v))
			}
		}
	}
	x := scale{lo: 0.5, hi: float64(n) + 0.5}
	for k := 1; k <= n; k += 1 + n/20 {
		x.ticks = append(x.ticks, float64(k))
	}
	const h = 52
	y := func(v float64) float64 { return h/2 - v/most*(h/2-5) }
	p := &plot{}
	for i := range a.Arms {
		p.iterations(a, i, off[i], x, y, h)
	}
	p.axis(x, fmt.Sprintf("iteration; a row is %s to %s high", percent(-most), percent(most)))
	return p.html("Iterations by their order, by arm")
}

func (p *plot) iterations(a *Analysis, arm int, trials [][]float64, x scale, y func(float64) float64, h int) {
	name := a.Arms[arm].Name
	medians := byPosition(trials)
	if len(medians) == 0 {
		p.row(armClass(a, arm), name, "", name+": no complete trial", h)
		p.end("-", "")
		return
	}
	lowest := slices.Index(medians, slices.Min(medians)) + 1
	p.row(armClass(a, arm), name, "", fmt.Sprintf("%s: the first iteration's median is %s of its trial's mean, the lowest is iteration %d", name, percent(medians[0]), lowest), h)
	p.printf(`<line class="one" x1="0" x2="100%%" y1="%.1f" y2="%.1f"/>`, y(0), y(0))
	for _, trial := range trials[:min(len(trials), mostDots)] {
		for k, v := range trial {
			p.printf(`<circle class="dot" cx="%.2f%%" cy="%.1f" r="2"/>`, x.at(float64(k+1)), y(v))
		}
	}
	for k := 1; k < len(medians); k++ {
		p.printf(`<line class="med" x1="%.2f%%" x2="%.2f%%" y1="%.1f" y2="%.1f"/>`, x.at(float64(k)), x.at(float64(k+1)), y(medians[k-1]), y(medians[k]))
	}
	p.end("first "+percent(medians[0]), fmt.Sprintf("lowest is %d", lowest))
}

// byPosition are the medians over the trials of each iteration, in their order.
func byPosition(trials [][]float64) (medians []float64) {
	for k := 0; ; k++ {
		var at []float64
		for _, trial := range trials {
			if k < len(trial) {
				at = append(at, trial[k])
			}
		}
		if len(at) == 0 {
			return medians
		}
		medians = append(medians, stats.Describe(at).Median)
	}
}

func percent(share float64) string { return fmt.Sprintf("%+.1f%%", 100*share) }
