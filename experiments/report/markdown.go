package report

import (
	"fmt"
	"io"
	"strings"
	"time"
)

// WriteMarkdown writes the report's content as markdown, for a pull request or an issue.
func WriteMarkdown(w io.Writer, a *Analysis) error {
	m := &textWriter{w: w}
	if a.Simulated {
		m.line("> **SIMULATED.** %s\n", escapeMarkdown(a.Simulation))
	}
	m.line("# %s\n", escapeMarkdown(a.Question))
	m.line("**%s**\n", escapeMarkdown(a.Answer))
	m.line("Study %s, run `%s`, %s.\n", a.Run.Study, a.Run.ID, dateText(a.Run.Created, "2 January 2006"))
	m.markdownComparisons(a)
	m.markdownArms(a)
	m.line("## What to keep in mind\n")
	for _, g := range a.findings() {
		if g.Status == Pass {
			continue
		}
		m.line("- **%s** (%s, `%s`): %s", g.Title, statusText(g.Status), g.Name, escapeMarkdown(g.Items[0].Text))
		for _, item := range g.Items[1:] {
			m.line("  - %s", escapeMarkdown(item.Text))
		}
	}
	m.line("")
	m.markdownTypes(a)
	m.markdownDecisions(a)
	m.markdownExcluded(a)
	if f := a.Forecast; f != nil {
		m.line("## Forecast for the real study\n\n%s\n", f.Text())
	}
	m.line("## Method\n")
	for _, p := range method(a) {
		m.line("%s\n", p)
	}
	for _, f := range runFacts(a) {
		m.line("- %s: %s", f.Name, escapeMarkdown(f.Value))
	}
	m.line("\nWritten by ocifit-lab on %s.", a.now.UTC().Format(time.DateTime+" UTC"))
	return m.err
}

// escapeMarkdown keeps text from ending a table's cell or starting markup.
func escapeMarkdown(s string) string {
	return strings.NewReplacer("|", `\|`, "\n", " ", "<", "&lt;", "*", `\*`).Replace(s)
}

func (t *textWriter) markdownTable(header []string, rows [][]string) {
	t.line("| %s |", strings.Join(header, " | "))
	t.line("|---%s|", strings.Repeat("|--:", len(header)-1))
	for _, r := range rows {
		for i := range r {
			r[i] = escapeMarkdown(r[i])
		}
		t.line("| %s |", strings.Join(r, " | "))
	}
	t.line("")
}

func (t *textWriter) markdownComparisons(a *Analysis) {
	if len(a.Comparisons) == 0 {
		return
	}
	t.line("## Each model against %s%s\n", a.Baseline, simulatedSuffix(a))
	head, rows := comparisonTable(a.Comparisons, false)
	t.markdownTable(head, rows)
}

func (t *textWriter) markdownArms(a *Analysis) {
	t.line("## %s by arm%s\n", a.Metric.Unit, simulatedSuffix(a))
	var rows [][]string
	for i := range a.Arms {
		arm := &a.Arms[i]
		row := []string{arm.Name, fmt.Sprintf("%d of %d", arm.Complete, arm.Trials), typesText(arm.InstanceTypes, 2), fmt.Sprint(arm.Nodes), rangeText(arm.Ranks), "-", "-", "-", "-", regretText(arm.Regret)}
		if f := arm.FOM(); f != nil {
			row[5], row[6], row[7], row[8] = num(f.Mean), num(f.SD), num(f.GeometricMean), interval(f.CI95)
		}
		rows = append(rows, append(row, meanOf(arm.PerRank()), meanOf(arm.TimeToSolution), usd(arm.CostUSD)))
	}
	t.markdownTable([]string{"Arm", "Trials", "Types", "Nodes", "Ranks", "Mean", "SD", "Geo. mean", "95%", "Regret", "Per rank", "Time, s", "Cost"}, rows)
}

func (t *textWriter) markdownDecisions(a *Analysis) {
	t.line("## What the models chose%s\n", simulatedSuffix(a))
	var rows [][]string
	for _, d := range decisionRows(a) {
		rows = append(rows, []string{d.Arm, d.Model, d.Type, fmt.Sprint(d.Trials), d.Score, d.Measured, d.RunnerUp, d.Tied})
	}
	t.markdownTable([]string{"Arm", "Model", "Instance type", "Trials", "Predicted", "Measured", "Runner-up", "Tied with"}, rows)
}

func (t *textWriter) markdownTypes(a *Analysis) {
	if len(a.Types) == 0 {
		return
	}
	t.line("## %s by instance type%s\n", a.Metric.Unit, simulatedSuffix(a))
	rows := make([][]string, len(a.Types))
	for i := range a.Types {
		g := &a.Types[i]
		rows[i] = []string{g.InstanceType, fmt.Sprint(g.Trials), fmt.Sprint(g.Nodes), num(g.Figure.GeometricMean), interval(g.Figure.CI95), meanOf(g.PerDollarHour), g.Launch, strings.Join(g.Arms, ", ")}
	}
	t.markdownTable([]string{"Instance type", "Trials", "Nodes", "Geo. mean", "95%", "Per $/h", "Launch", "Arms"}, rows)
}

func (t *textWriter) markdownExcluded(a *Analysis) {
	if len(a.Excluded) == 0 {
		return
	}
	t.line("## Left out, and why\n")
	var rows [][]string
	for i, e := range a.Excluded {
		if i == mostExcluded {
			break
		}
		rows = append(rows, []string{fmt.Sprintf("%s/%d", e.Arm, e.Trial), fmt.Sprint(e.Attempt), e.Reason, e.Detail})
	}
	t.markdownTable([]string{"Trial", "Attempt", "Reason", "Detail"}, rows)
	if more := len(a.Excluded) - len(rows); more > 0 {
		t.line("And %d more.\n", more)
	}
}
