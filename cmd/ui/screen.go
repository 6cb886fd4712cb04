package ui

import (
	"fmt"
	"io"
	"strings"

	"github.com/mattn/go-runewidth"
)

// Control sequences of the terminals in use: ECMA-48 and the private modes that all of them know or ignore.
const (
	hideCursor  = "\x1b[?25l"
	showCursor  = "\x1b[?25h"
	noWrap      = "\x1b[?7l"
	wrap        = "\x1b[?7h"
	beginFrame  = "\x1b[?2026h"
	endFrame    = "\x1b[?2026l"
	clearToEOL  = "\x1b[K"
	clearBelow  = "\x1b[J"
	cursorUp    = "\x1b[%dA"
	styleReset  = "\x1b[0m"
	styleGreen  = "\x1b[32m"
	styleRed    = "\x1b[31m"
	styleYellow = "\x1b[33m"
	styleCyan   = "\x1b[36m"
	styleFaint  = "\x1b[2m"
)

// part is text in one style.
type part struct{ style, text string }

// row is one line of the screen, not yet cut to its width. A whole row is folded by the terminal instead of being cut.
type row struct {
	parts []part
	whole bool
}

// screen keeps some live rows at the end of a terminal and scrolls finished rows away above them.
type screen struct {
	w      io.Writer
	size   func() (width, height int)
	colour bool
	ascii  bool
	drawn  []int // widths of the live rows on the screen
	hidden bool  // the cursor
}

// draw puts finished rows on the screen for good and the live rows below them. Everything goes out in one write, and
// what stays the same is overwritten rather than cleared first, so nothing flickers.
func (s *screen) draw(finished, live []row) {
	columns, height := s.size()
	var b strings.Builder
	b.WriteString(beginFrame)
	if !s.hidden && len(live) > 0 {
		b.WriteString(hideCursor)
	}
	b.WriteString(noWrap + "\r")
	if up := s.occupied(columns); up > 0 {
		fmt.Fprintf(&b, cursorUp, up)
	}
	for _, r := range finished {
		if r.whole {
			b.WriteString(clearBelow + wrap)
			s.put(&b, r, 1<<20)
			b.WriteString(noWrap)
			continue
		}
		s.put(&b, r, columns)
	}
	live = s.fit(live, height)
	s.drawn = s.drawn[:0]
	for _, r := range live {
		s.drawn = append(s.drawn, s.put(&b, r, columns))
	}
	b.WriteString(clearBelow + wrap)
	if s.hidden && len(live) == 0 {
		b.WriteString(showCursor)
	}
	s.hidden = len(live) > 0
	b.WriteString(endFrame)
	_, _ = io.WriteString(s.w, b.String())
}

// occupied counts the terminal's lines that the live rows take up. After the window got narrower a terminal folds them.
func (s *screen) occupied(columns int) int {
	n := 0
	for _, w := range s.drawn {
		n += max(1, (w+columns-1)/columns)
	}
	return n
}

// fit leaves out live rows that the terminal has no lines for: the cursor could not come back to them.
func (s *screen) fit(live []row, height int) []row {
	room := max(1, height-1)
	if len(live) <= room {
		return live
	}
	cut := append([]row(nil), live[:room-1]...)
	return append(cut, row{parts: []part{{styleFaint, fmt.Sprintf("  and %d more", len(live)-room+1)}}})
}

// put appends r, cut to one column less than there are, so that no terminal folds it, and gives its width.
func (s *screen) put(b *strings.Builder, r row, columns int) int {
	dots := "…"
	if s.ascii {
		dots = "..."
	}
	room, used := max(1, columns-1), 0
	for _, p := range r.parts {
		text := p.text
		if width(text) > room-used {
			text = runewidth.Truncate(text, room-used, dots)
		}
		if width(text) > room-used { // not even the dots have room
			text = ""
		}
		used += width(text)
		if text != "" && p.style != "" && s.colour {
			text = p.style + text + styleReset
		}
		b.WriteString(text)
	}
	if !r.whole {
		b.WriteString(clearToEOL)
	}
	b.WriteString("\n")
	return used
}
