package report

import (
	"fmt"
	"strings"
)

// column is one column of a table of comparisons.
type column struct {
	head string
	of   func(*Comparison) string
	// brief columns are shown where the width is short, such as in a terminal.
	brief bool
}

// comparisonColumns are what every writer shows of a comparison, and the only place where its figures become text.
var comparisonColumns = []column{
	{"Arm", func(c *Comparison) string { return c.Arm }, true},
	{"Claim", func(c *Comparison) string { return claimText(c.Claim) }, true},
	{"Ratio", func(c *Comparison) string {
		if c.RatioOfMedians == nil {
			return "-"
		}
		return ratioText(*c.RatioOfMedians)
	}, true},
	{"95%", func(c *Comparison) string { return interval(c.RatioOfMediansCI95) }, true},
	{"p (nodes, Holm)", func(c *Comparison) string {
		if c.PHolm == nil {
			return "-"
		}
		return pText(*c.PHolm)
	}, true},
	{"p (trials)", func(c *Comparison) string {
		if c.MannWhitney == nil {
			return "-"
		}
		return pText(c.MannWhitney.P)
	}, false},
	{"Cliff's delta", func(c *Comparison) string {
		if c.CliffsDelta == nil {
			return "-"
		}
		return fmt.Sprintf("%+.2f", c.CliffsDelta.Value)
	}, true},
	{"Per rank", func(c *Comparison) string { return ratioOf(c.PerRank) }, true},
	{"Per $", func(c *Comparison) string { return ratioOf(c.PerDollar) }, true},
	{"Time", func(c *Comparison) string { return ratioOf(c.TimeToSolution) }, false},
	{"Own target", func(c *Comparison) string {
		if c.Target == nil {
			return "-"
		}
		return ratioText(c.Target.Ratio)
	}, false},
	{"Nodes", func(c *Comparison) string {
		if c.Permutation == nil {
			return "-"
		}
		return fmt.Sprintf("%d:%d", c.Permutation.ClustersX, c.Permutation.ClustersY)
	}, true},
}

// comparisonTable is the head and the rows of a table of comparisons, all columns or the brief ones.
func comparisonTable(comparisons []Comparison, brief bool) (head []string, rows [][]string) {
	rows = make([][]string, len(comparisons))
	for _, col := range comparisonColumns {
		if brief && !col.brief {
			continue
		}
		head = append(head, col.head)
		for i := range comparisons {
			rows[i] = append(rows[i], col.of(&comparisons[i]))
		}
	}
	return head, rows
}

// upper gives a terminal's table its heads.
func upper(head []string) []string {
	out := make([]string, len(head))
	for i, h := range head {
		out[i] = strings.ToUpper(h)
	}
	return out
}
