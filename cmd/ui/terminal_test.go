package ui

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// terminal interprets what a screen writes, as far as screens go, and fails the test on anything else.
type terminal struct {
	t             *testing.T
	columns, rows int
	cells         [][]rune // the visible lines
	scrolled      []string // lines that left at the top
	row, col      int
	wrap, cursor  bool
	frame         bool
	writes        int
}

func newTerminal(t *testing.T, columns, rows int) *terminal {
	term := &terminal{t: t, columns: columns, rows: rows, wrap: true, cursor: true}
	for range rows {
		term.cells = append(term.cells, term.blank())
	}
	return term
}

func (t *terminal) blank() []rune { return []rune(strings.Repeat(" ", t.columns)) }

var sequence = regexp.MustCompile(`^\x1b\[(\??)([0-9;]*)([A-Za-z])`)

func (t *terminal) Write(p []byte) (int, error) {
	t.writes++
	for text := string(p); text != ""; {
		if m := sequence.FindStringSubmatch(text); m != nil {
			t.control(m[1]+m[3], m[2])
			text = text[len(m[0]):]
			continue
		}
		r := []rune(text)[0]
		text = strings.TrimPrefix(text, string(r))
		t.put(r)
	}
	return len(p), nil
}

func (t *terminal) control(name, arg string) {
	n, _ := strconv.Atoi(arg)
	switch name {
	case "A":
		t.row = max(0, t.row-n)
	case "K":
		copy(t.cells[t.row][min(t.col, t.columns):], t.blank())
	case "J":
		copy(t.cells[t.row][min(t.col, t.columns):], t.blank())
		for i := t.row + 1; i < t.rows; i++ {
			t.cells[i] = t.blank()
		}
	case "m":
	case "?h", "?l":
		on := name == "?h"
		switch n {
		case 7:
			t.wrap = on
		case 25:
			t.cursor = on
		case 2026:
			t.frame = on
		default:
			t.t.Errorf("unknown mode %d", n)
		}
	default:
		t.t.Errorf("unknown sequence %q %q", name, arg)
	}
}

func (t *terminal) put(r rune) {
	switch r {
	case '\r':
		t.col = 0
		return
	case '\n':
		t.col = 0
		t.down()
		return
	}
	if r < ' ' {
		t.t.Errorf("control character %q", r)
	}
	if t.col == t.columns {
		if !t.wrap {
			t.t.Errorf("line overflows: %q", string(t.cells[t.row]))
			return
		}
		t.col = 0
		t.down()
	}
	t.cells[t.row][t.col] = r
	t.col++
}

func (t *terminal) down() {
	if t.row++; t.row == t.rows {
		t.row--
		t.scrolled = append(t.scrolled, strings.TrimRight(string(t.cells[0]), " "))
		t.cells = append(t.cells[1:], t.blank())
	}
}

// text is all that was ever on the terminal.
func (t *terminal) text() string {
	lines := append([]string(nil), t.scrolled...)
	for _, c := range t.cells {
		lines = append(lines, strings.TrimRight(string(c), " "))
	}
	return strings.TrimRight(strings.Join(lines, "\n"), "\n") + "\n"
}

func (t *terminal) String() string {
	return fmt.Sprintf("%scursor at %d,%d shown=%v wrap=%v frame=%v\n", t.text(), t.row, t.col, t.cursor, t.wrap, t.frame)
}
