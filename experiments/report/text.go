package report

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"
)

// WriteText writes the analysis for a terminal: what is simulated first, then the answer, the arms, the comparisons and what is left out.
func WriteText(w io.Writer, a *Analysis) error {
	t := &textWriter{w: w}
	if a.Simulated {
		t.line("SIMULATED. %s", a.Simulation)
		t.line("")
	}
	t.line("%s", a.Question)
	t.line("%s", a.Answer)
	t.line("")
	t.arms(a)
	t.comparisons(a)
	t.checks(a)
	t.excluded(a)
	t.forecast(a)
	return t.err
}

type textWriter struct {
	w   io.Writer
	err error
}

func (t *textWriter) line(format string, args ...any) {
	if t.err == nil {
		_, t.err = fmt.Fprintf(t.w, format+"\n", args...)
	}
}

func (t *textWriter) table(rows [][]string) {
	if t.err != nil {
		return
	}
	tw := tabwriter.NewWriter(t.w, 0, 0, 2, ' ', 0)
	for _, r := range rows {
		fmt.Fprintln(tw, strings.Join(r, "\t"))
	}
	t.err = tw.Flush()
}

func (t *textWriter) arms(a *Analysis) {
	t.line("%s by arm, %s%s", a.Metric.Unit, captionUnit, simulatedSuffix(a))
	rows := [][]string{{"ARM", "TRIALS", "TYPES", "NODES", "RANKS", "MEAN", "SD", "GEO. MEAN", "95%", "REGRET", "PER RANK", "PER $/H", "USD"}}
	for i := range a.Arms {
		arm := &a.Arms[i]
		row := []string{arm.Name, fmt.Sprintf("%d/%d", arm.Complete, arm.Trials), typesText(arm.InstanceTypes, 2), fmt.Sprint(arm.Nodes), rangeText(arm.Ranks)}
		f := arm.FOM()
		if f == nil {
			rows = append(rows, append(row, "-", "-", "-", "-", "-", "-", "-", usd(arm.CostUSD)))
			continue
		}
		rows = append(rows, append(row, num(f.Mean), num(f.SD), num(f.GeometricMean), interval(f.CI95), regretText(arm.Regret), meanOf(arm.PerRank()), meanOf(arm.PerDollarHour), usd(arm.CostUSD)))
	}
	t.table(rows)
	t.line("")
}

const captionUnit = "one figure per trial; geometric means are over machines, with their 95% t-interval; regret is against the best arm"

func simulatedSuffix(a *Analysis) string {
	if a.Simulated {
		return " (simulated)"
	}
	return ""
}

func (t *textWriter) comparisons(a *Analysis) {
	if len(a.Comparisons) == 0 {
		return
	}
	t.line("Against %s%s", a.Baseline, simulatedSuffix(a))
	head, rows := comparisonTable(a.Comparisons, true)
	rows = slices.Insert(rows, 0, upper(head))
	t.table(rows)
	t.line("")
	for i := range a.Comparisons {
		t.line("- %s: %s", a.Comparisons[i].Arm, a.Comparisons[i].Sentence)
	}
	t.line("")
}

func (t *textWriter) checks(a *Analysis) {
	t.line("Checks")
	for _, g := range a.findings() {
		if g.Status == Pass {
			continue
		}
		t.line("  %-7s %s (%s)", statusText(g.Status), g.Title, g.Name)
		for i, item := range g.Items {
			if i == 2 && len(g.Items) > 3 {
				t.line("          and in %d more comparisons", len(g.Items)-i)
				break
			}
			t.line("          %s", item.Text)
		}
	}
	t.line("")
}

func (t *textWriter) excluded(a *Analysis) {
	if len(a.Excluded) == 0 {
		return
	}
	t.line("Left out")
	const most = 20
	for i, e := range a.Excluded {
		if i == most {
			t.line("  and %d more, see the report", len(a.Excluded)-most)
			break
		}
		t.line("  %s/%d attempt %d: %s: %s", e.Arm, e.Trial, e.Attempt, e.Reason, e.Detail)
	}
	t.line("")
}

func (t *textWriter) forecast(a *Analysis) {
	if f := a.Forecast; f != nil {
		t.line("Forecast for the real study: %s", f.Text())
	}
}

func num(v float64) string {
	switch {
	case v == 0:
		return "0"
	case v >= 1000:
		return fmt.Sprintf("%.0f", v)
	case v >= 100:
		return fmt.Sprintf("%.1f", v)
	case v >= 1:
		return fmt.Sprintf("%.2f", v)
	}
	return fmt.Sprintf("%.3g", v)
}

func meanOf(f *Figures) string {
	if f == nil {
		return "-"
	}
	return num(f.Mean)
}

func interval(ci *[2]float64) string {
	if ci == nil {
		return "-"
	}
	return num(ci[0]) + " to " + num(ci[1])
}

func usd(v float64) string { return fmt.Sprintf("$%.2f", v) }

func rangeText(n []int) string {
	switch {
	case len(n) == 0:
		return "-"
	case len(n) <= 3:
		return list(n)
	}
	return fmt.Sprintf("%d to %d", n[0], n[len(n)-1])
}

// typesText names up to most types, the most frequent first.
func typesText(types map[string]int, most int) string {
	keys := slices.SortedFunc(maps.Keys(types), func(a, b string) int {
		if types[a] != types[b] {
			return types[b] - types[a]
		}
		return strings.Compare(a, b)
	})
	if len(keys) == 0 {
		return "-"
	}
	if len(keys) > most {
		return fmt.Sprintf("%d types", len(keys))
	}
	return strings.Join(keys, ", ")
}
