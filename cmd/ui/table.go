package ui

import (
	"bytes"
	"io"
	"strconv"
	"strings"
)

// Table writes rows under a header in aligned columns. A column whose cells are all numbers, amounts, shares or empty
// is aligned to the right. Short rows are filled up with empty cells.
func Table(w io.Writer, header []string, rows [][]string) error {
	cells := make([][]string, 0, len(rows)+1)
	columns := len(header)
	for _, row := range rows {
		columns = max(columns, len(row))
	}
	for _, row := range append([][]string{header}, rows...) {
		line := make([]string, columns)
		for i, c := range row {
			line[i] = clean(c)
		}
		cells = append(cells, line)
	}
	widths, right := make([]int, columns), make([]bool, columns)
	for i := range columns {
		filled := false
		right[i] = true
		for n, line := range cells {
			widths[i] = max(widths[i], width(line[i]))
			if n > 0 {
				filled = filled || line[i] != ""
				right[i] = right[i] && numeric(line[i])
			}
		}
		right[i] = right[i] && filled
	}
	var out bytes.Buffer
	for _, line := range cells {
		var b strings.Builder
		for i, c := range line {
			if i > 0 {
				b.WriteString("  ")
			}
			if right[i] {
				b.WriteString(padLeft(c, widths[i]))
			} else {
				b.WriteString(padRight(c, widths[i]))
			}
		}
		out.WriteString(strings.TrimRight(b.String(), " ") + "\n")
	}
	_, err := w.Write(out.Bytes())
	return err
}

// numeric tells whether a cell reads as a number, with a dollar or percent sign and thousands commas allowed. Dashes
// stand for "none" in columns of numbers.
func numeric(s string) bool {
	s = strings.TrimSuffix(strings.Replace(strings.ReplaceAll(s, ",", ""), "$", "", 1), "%")
	if s == "" || s == "-" {
		return true
	}
	_, err := strconv.ParseFloat(s, 64)
	return err == nil
}
