package report

import (
	"bytes"
	_ "embed"
	"encoding/base64"
	"fmt"
	"html/template"
	"io"
	"slices"
	"strings"
	"time"
)

//go:embed page/report.html.tmpl
var pageTemplate string

//go:embed page/style.css
var pageStyle string

// WriteHTML writes the report as one file that needs nothing else: no network, no scripts, plots as inline SVG, the data embedded.
func WriteHTML(w io.Writer, a *Analysis) error {
	t, err := template.New("report").Funcs(template.FuncMap{
		"num": num, "interval": interval, "meanOf": meanOf, "rangeText": rangeText, "usd": usd, "regretText": regretText,
		"join":       func(s []string) string { return strings.Join(s, ", ") },
		"rest":       func(items []findingItem) []findingItem { return items[1:] },
		"statusText": statusText,
	}).Parse(pageTemplate)
	if err != nil {
		return err
	}
	p, err := newPage(a)
	if err != nil {
		return err
	}
	return t.Execute(w, p)
}

func statusText(s Status) string {
	return map[Status]string{Pass: "passed", Note: "note", Limit: "limits", Refuse: "refuses"}[s]
}

func claimText(c Claim) string {
	return map[Claim]string{Refused: "not comparable", Limited: "within limits", Supported: "shown", NotShown: "not shown"}[c]
}

// page is what the template shows.
type page struct {
	A                                             *Analysis
	Style                                         template.CSS
	Date, Written, AnswerClass, Mark, SourcesText string
	TimelineNote, FirstText                       string
	Forest, Spread, Timeline, Legend, Cost        template.HTML
	Iterations                                    template.HTML
	Caveats, Passed                               []finding
	Arms                                          []*Arm
	Comparisons                                   htmlTable
	Decisions                                     []decisionRow
	ExcludedShown                                 []Excluded
	ExcludedMore                                  int
	Method                                        []string
	Facts                                         []fact
	CSV                                           template.URL
}

// htmlTable is a table of comparisons; the claim is shown as a tag.
type htmlTable struct {
	Head []string
	Rows []htmlRow
}

type htmlRow struct {
	Claim Claim
	Cells []string
}

func newHTMLTable(comparisons []Comparison) htmlTable {
	head, rows := comparisonTable(comparisons, false)
	t := htmlTable{Head: head}
	for i, cells := range rows {
		t.Rows = append(t.Rows, htmlRow{comparisons[i].Claim, cells})
	}
	return t
}

type decisionRow struct {
	Arm, Model, Type, Score, Measured, RunnerUp, Tied string
	Trials                                            int
}

type fact struct{ Name, Value string }

// mostExcluded bounds a table that could otherwise fill the page.
const mostExcluded = 200

// shownExcluded are the excluded attempts that a page shows, and how many more there are.
func (a *Analysis) shownExcluded() (shown []Excluded, more int) {
	shown = a.Excluded[:min(len(a.Excluded), mostExcluded)]
	return shown, len(a.Excluded) - len(shown)
}

func newPage(a *Analysis) (*page, error) {
	p := &page{
		A: a, Style: template.CSS(pageStyle), Date: dateText(a.Run.Created, "2 January 2006"), Written: a.now.UTC().Format(time.DateTime + " UTC"),
		AnswerClass: answerClass(a), Method: method(a), Facts: runFacts(a),
	}
	if a.Simulated {
		p.Mark = " (simulated)"
		p.SourcesText = fmt.Sprintf("Of %d trials, %d replay published measurements, %d are estimates and %d were measured.",
			a.Sources.total(), a.Sources.Replayed, a.Sources.Estimated, a.Sources.Measured)
	}
	for i := range a.Arms {
		p.Arms = append(p.Arms, &a.Arms[i])
	}
	p.Comparisons = newHTMLTable(a.Comparisons)
	for _, g := range a.findings() {
		if g.Status == Pass {
			p.Passed = append(p.Passed, g)
		} else {
			p.Caveats = append(p.Caveats, g)
		}
	}
	p.Decisions = decisionRows(a)
	p.ExcludedShown, p.ExcludedMore = a.shownExcluded()
	p.Forest, p.Spread, p.Cost, p.Legend = forest(a), spread(a), costBars(a), legend(a)
	p.Iterations, p.FirstText = iterations(a), firstText(a.Run.FirstIteration)
	p.Timeline, p.TimelineNote = timeline(a)
	var csv bytes.Buffer
	if err := WriteCSV(&csv, a); err != nil {
		return nil, err
	}
	p.CSV = template.URL("data:text/csv;base64," + base64.StdEncoding.EncodeToString(csv.Bytes()))
	return p, nil
}

// answerClass is the claim that the answer's colour stands for: the best that any comparison allows.
func answerClass(a *Analysis) string {
	for _, claim := range []Claim{Supported, Limited, NotShown, Refused} {
		if slices.ContainsFunc(a.Comparisons, func(c Comparison) bool { return c.Claim == claim }) {
			return string(claim)
		}
	}
	return string(NotShown)
}

func decisionRows(a *Analysis) []decisionRow {
	var out []decisionRow
	for _, arm := range a.Arms {
		ds := arm.Decisions
		if len(ds) == 0 {
			for _, t := range sortedTypes(arm.InstanceTypes) {
				out = append(out, decisionRow{Arm: arm.Name, Model: arm.Model, Type: t + " (decision not recorded)", Trials: arm.InstanceTypes[t], Score: "-", Measured: "-"})
			}
			continue
		}
		if len(ds) > 3 { // a random arm: its types in one row
			n := 0
			for _, d := range ds {
				n += d.Trials
			}
			counts := make([]string, 0, len(ds))
			for _, t := range sortedTypes(arm.InstanceTypes) {
				counts = append(counts, fmt.Sprintf("%s (%d)", t, arm.InstanceTypes[t]))
			}
			out = append(out, decisionRow{Arm: arm.Name, Model: arm.Model, Type: strings.Join(counts, ", "), Trials: n, Score: "-", Measured: "-"})
			continue
		}
		for _, d := range ds {
			row := decisionRow{Arm: arm.Name, Model: arm.Model, Type: d.InstanceType, Trials: d.Trials, Score: "-", Measured: "-", RunnerUp: d.RunnerUp}
			if d.Measured != nil {
				row.Measured = num(*d.Measured)
				if d.MeasuredBy != a.Metric.Unit {
					row.Measured += " (" + d.MeasuredBy + ")"
				}
			}
			if d.Score != nil {
				row.Score = num(*d.Score)
			}
			row.Tied = strings.Join(d.Tied, ", ")
			if d.TieBreak != "" && len(d.Tied) > 1 {
				row.Tied += " (broken by " + d.TieBreak + ")"
			}
			out = append(out, row)
		}
	}
	return out
}
