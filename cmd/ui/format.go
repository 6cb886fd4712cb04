package ui

import (
	"fmt"
	"math"
	"regexp"
	"strings"
	"time"
	"unicode"

	"github.com/mattn/go-runewidth"
)

// Duration writes d in at most two units: 0.3s, 12s, 4m05s, 2h03m, 3d04h.
func Duration(d time.Duration) string {
	if d < 0 {
		return "-" + Duration(-d)
	}
	s := int64(math.Round(d.Seconds()))
	switch {
	case d < 9950*time.Millisecond:
		return fmt.Sprintf("%.1fs", d.Seconds())
	case s < 60:
		return fmt.Sprintf("%ds", s)
	case s < 3600:
		return fmt.Sprintf("%dm%02ds", s/60, s%60)
	case s < 86400:
		return fmt.Sprintf("%dh%02dm", s/3600, s%3600/60)
	}
	return fmt.Sprintf("%dd%02dh", s/86400, s%86400/3600)
}

// coarse is Duration in whole seconds, for clocks that are redrawn.
func coarse(d time.Duration) string {
	if d < 10*time.Second {
		return fmt.Sprintf("%ds", int(d.Seconds()))
	}
	return Duration(d.Truncate(time.Second))
}

// Bytes writes n in binary units with three figures: 512 B, 1.50 KiB, 23.4 MiB.
func Bytes(n int64) string {
	if n < 0 {
		return "-" + Bytes(-n)
	}
	if n < 1024 {
		return fmt.Sprintf("%d B", n)
	}
	v, unit := float64(n), 0
	for v >= 1023.5 && unit < 6 {
		v /= 1024
		unit++
	}
	return fmt.Sprintf("%.*f %ciB", max(0, 2-int(math.Log10(v)+1e-9)), v, "BKMGTPE"[unit])
}

// Dollars writes an amount of US dollars: two decimals, four below one dollar where they say more, thousands parted.
// What is not a number is "unknown".
func Dollars(usd float64) string {
	switch {
	case math.IsNaN(usd) || math.IsInf(usd, 0):
		return "unknown"
	case usd < 0:
		return "-" + Dollars(-usd)
	case usd > 0 && usd < 0.00005:
		return "<$0.0001"
	case usd < 0.99995:
		s := fmt.Sprintf("$%.4f", usd)
		return strings.TrimSuffix(strings.TrimSuffix(s, "0"), "0")
	}
	s := fmt.Sprintf("%.2f", usd)
	for i := len(s) - 6; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return "$" + s
}

// escape matches the sequences that colour text and move the cursor.
var escape = regexp.MustCompile(`\x1b(\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(\x07|\x1b\\)|[@-Z\\^_])`)

// clean makes text fit for one line of a terminal: line ends, tabs and control characters become spaces, escape
// sequences go.
func clean(text string) string { return strings.TrimSpace(cleanLine(text)) }

// cleanLine is clean for text whose indentation matters.
func cleanLine(text string) string {
	return strings.TrimRight(strings.Map(func(r rune) rune {
		switch {
		case r == unicode.ReplacementChar:
			return '?'
		case unicode.IsControl(r), r == '\u2028', r == '\u2029':
			return ' '
		}
		return r
	}, strings.ReplaceAll(escape.ReplaceAllString(text, ""), "\t", "    ")), " ")
}

func width(s string) int { return runewidth.StringWidth(s) }

func padRight(s string, w int) string { return s + strings.Repeat(" ", max(0, w-width(s))) }

func padLeft(s string, w int) string { return strings.Repeat(" ", max(0, w-width(s))) + s }
