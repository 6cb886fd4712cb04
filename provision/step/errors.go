package step

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/hashicorp/go-multierror"
)

var (
	// ErrTimeout marks errors of steps and waits whose deadline passed; their text says what was last seen.
	ErrTimeout = errors.New("timed out")
	// ErrInterrupted marks steps that stopped because the caller's context was cancelled, as by Ctrl-C.
	ErrInterrupted = errors.New("interrupted")
)

// Hint decorates an error with what its reader can do about it. The text of the error stays as it is.
type Hint struct {
	Err error
	Try string
}

func (h Hint) Error() string { return h.Err.Error() }

// Unwrap gives the decorated error.
func (h Hint) Unwrap() error { return h.Err }

// Try decorates err with what to try. A nil err stays nil.
func Try(err error, format string, args ...any) error {
	if err == nil {
		return nil
	}
	return Hint{Err: err, Try: fmt.Sprintf(format, args...)}
}

// HintOf returns what to try about err: every distinct hint found in it and in the errors it holds, outermost first,
// one per line; empty when there is none.
func HintOf(err error) string {
	var hints []string
	seen := map[string]bool{}
	var walk func(error)
	walk = func(err error) {
		if h, ok := asHint(err); ok && h.Try != "" && !seen[h.Try] {
			seen[h.Try] = true
			hints = append(hints, h.Try)
		}
		switch e := err.(type) {
		case interface{ WrappedErrors() []error }:
			for _, inner := range e.WrappedErrors() {
				walk(inner)
			}
		case interface{ Unwrap() []error }:
			for _, inner := range e.Unwrap() {
				walk(inner)
			}
		case interface{ Unwrap() error }:
			if inner := e.Unwrap(); inner != nil {
				walk(inner)
			}
		}
	}
	if err != nil {
		walk(err)
	}
	return strings.Join(hints, "\n")
}

func asHint(err error) (Hint, bool) {
	switch h := err.(type) {
	case Hint:
		return h, true
	case *Hint:
		return *h, h != nil
	}
	return Hint{}, false
}

// Panic is the error of a step that panicked.
type Panic struct {
	Value any
	Stack []byte
}

func (p *Panic) Error() string { return fmt.Sprintf("panicked: %v", p.Value) }

// Unwrap gives the panic's value when that is an error.
func (p *Panic) Unwrap() error {
	err, _ := p.Value.(error)
	return err
}

// Timeout makes an error that matches ErrTimeout for a wait that gave up after limit. doing says what was waited for,
// last what was seen last, cause (may be nil) is wrapped. A limit of zero is left out of the text.
func Timeout(doing string, limit time.Duration, last string, cause error) error {
	var b strings.Builder
	b.WriteString(doing)
	b.WriteString(": timed out")
	if limit > 0 {
		round := time.Millisecond
		if limit >= time.Second {
			round = 100 * time.Millisecond
		}
		fmt.Fprintf(&b, " after %s", limit.Round(round))
	}
	if last != "" {
		b.WriteString("; last seen: " + last)
	}
	return &ended{text: b.String(), mark: ErrTimeout, cause: cause}
}

// ended is an error with its own text that also matches a mark and what led to it.
type ended struct {
	text        string
	mark, cause error
}

func (e *ended) Error() string { return e.text }

func (e *ended) Unwrap() []error {
	if e.cause == nil {
		return []error{e.mark}
	}
	return []error{e.mark, e.cause}
}

// Listed gives the errors of independent operations a plain layout: one reads as itself, several as a list. Without any it is nil.
func Listed(all *multierror.Error) error {
	if all == nil {
		return nil
	}
	all.ErrorFormat = listErrors
	return all.ErrorOrNil()
}

func listErrors(errs []error) string {
	if len(errs) == 1 {
		return errs[0].Error()
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%d errors:", len(errs))
	for _, err := range errs {
		b.WriteString("\n  - " + strings.ReplaceAll(err.Error(), "\n", "\n    "))
	}
	return b.String()
}
