// Package ui shows progress and results to people and to programs: steps, series of trials, tables, JSON.
package ui

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"golang.org/x/term"

	"github.com/compspec/ocifit-lab/provision/step"
)

// Kind says how progress is shown. It is a flag value.
type Kind string

const (
	Auto      Kind = "auto"  // TTY on a terminal, Plain elsewhere
	TTY       Kind = "tty"   // a live view that redraws itself
	Plain     Kind = "plain" // one line per event
	JSONLines Kind = "json"  // one JSON object per line and event
)

// Kinds lists the values a Kind may have, for help and completion.
func Kinds() []string { return []string{string(Auto), string(TTY), string(Plain), string(JSONLines)} }

func (k *Kind) String() string { return string(*k) }

// Set takes one of Kinds.
func (k *Kind) Set(s string) error {
	for _, known := range Kinds() {
		if s == known {
			*k = Kind(s)
			return nil
		}
	}
	return fmt.Errorf("%q is not one of %s", s, strings.Join(Kinds(), ", "))
}

// Type names the kind of value in a flag's help.
func (k *Kind) Type() string { return "progress" }

// Reporter shows steps, series of trials and messages. All methods are safe for concurrent use. Close must be called
// before anything else is written to the same terminal, and as the last method.
type Reporter interface {
	step.Reporter
	// Counter begins a series of total items of which done are already there.
	Counter(name string, done, total int) *Counter
	// Say shows a message that is no part of a step; a live view goes on below it.
	Say(format string, args ...any)
	// Close takes down the live view and gives the cursor back. Calling it again does nothing.
	Close()
}

// Option changes a reporter.
type Option func(*options)

type options struct {
	verbose bool
	now     func() time.Time
	size    func() (width, height int)
	tick    time.Duration
	colour  bool
	ascii   bool
}

// Verbose makes the plain reporter print every detail at once instead of one every few seconds.
func Verbose() Option { return func(o *options) { o.verbose = true } }

// NewReporter makes a reporter of the given kind that writes to w. Colour is left out when NO_COLOR is set, and marks
// are plain ASCII when the locale says that it has no UTF-8.
func NewReporter(kind Kind, w io.Writer, opts ...Option) Reporter {
	o := options{
		now:    time.Now,
		size:   func() (int, int) { return size(w) },
		tick:   100 * time.Millisecond,
		colour: os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb",
		ascii:  asciiLocale(os.Getenv),
	}
	for _, opt := range opts {
		opt(&o)
	}
	switch {
	case kind == JSONLines:
		return newLines(w, o)
	case kind == TTY, kind != Plain && IsTerminal(w) && os.Getenv("TERM") != "dumb":
		return newLive(w, o)
	}
	return newPlain(w, o)
}

// IsTerminal tells whether w is a terminal.
func IsTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// size gives the terminal's columns and rows, or 80 and 24 where they are unknown.
func size(w io.Writer) (int, int) {
	if f, ok := w.(*os.File); ok {
		if width, height, err := term.GetSize(int(f.Fd())); err == nil && width > 0 && height > 0 {
			return width, height
		}
	}
	return 80, 24
}

// asciiLocale follows the order in which the C library looks for the character type. No setting counts as UTF-8.
func asciiLocale(getenv func(string) string) bool {
	for _, name := range []string{"LC_ALL", "LC_CTYPE", "LANG"} {
		if v := strings.ToLower(getenv(name)); v != "" {
			return !strings.Contains(v, "utf-8") && !strings.Contains(v, "utf8")
		}
	}
	return false
}

// JSON writes v indented and ended by a newline.
func JSON(w io.Writer, v any) error {
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	enc.SetEscapeHTML(false)
	return enc.Encode(v)
}

// Failure writes an error for a person: what happened and, where it is known, what to try. The innermost hint comes first: it knows most about
// the cause.
func Failure(w io.Writer, err error) {
	fmt.Fprintf(w, "error: %s\n", strings.TrimSpace(err.Error()))
	hints := strings.Split(step.HintOf(err), "\n")
	for _, hint := range slices.Backward(hints) {
		if hint != "" {
			fmt.Fprintf(w, "try: %s\n", hint)
		}
	}
}
