package report

import (
	"fmt"
	"strings"

	"github.com/compspec/ocifit-lab/experiments/stats"
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
	{"Choice", func(c *Comparison) string { return orDash(c.Choice) }, true},
	{"By", func(c *Comparison) string { return c.Endpoint.Name }, true},
	{"Ratio", func(c *Comparison) string { return ratioOf(c.Primary) }, true},
	{"95%", func(c *Comparison) string { return ratioInterval(c.Primary) }, true},
	{"p (Holm)", func(c *Comparison) string {
		if c.PHolm == nil {
			return "-"
		}
		return pText(*c.PHolm)
	}, true},
	{"Machines", func(c *Comparison) string {
		if c.Primary == nil {
			return "-"
		}
		return fmt.Sprintf("%d:%d", c.Primary.NodesX, c.Primary.NodesY)
	}, true},
	{"FOM", func(c *Comparison) string { return ratioWith(c.FOM) }, false},
	{"Per rank", func(c *Comparison) string { return ratioWith(c.PerRank) }, false},
	{"Per $", func(c *Comparison) string { return ratioWith(c.PerDollar) }, false},
	{"Time", func(c *Comparison) string { return ratioWith(c.TimeToSolution) }, false},
	{"Medians", func(c *Comparison) string {
		if c.RatioOfMedians == nil {
			return "-"
		}
		return ratioText(*c.RatioOfMedians)
	}, false},
	{"Cliff's delta", func(c *Comparison) string {
		if c.CliffsDelta == nil {
			return "-"
		}
		return fmt.Sprintf("%+.2f", *c.CliffsDelta)
	}, false},
}

func orDash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

func ratioOf(c *stats.Contrast) string {
	if c == nil {
		return "-"
	}
	return ratioText(c.Ratio)
}

func ratioInterval(c *stats.Contrast) string {
	if c == nil || c.CI95 == nil {
		return "-"
	}
	return ratioText(c.CI95[0]) + " to " + ratioText(c.CI95[1])
}

// ratioWith is a ratio with its interval.
func ratioWith(c *stats.Contrast) string {
	if c == nil || c.CI95 == nil {
		return ratioOf(c)
	}
	return fmt.Sprintf("%s (%s)", ratioOf(c), ratioInterval(c))
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
