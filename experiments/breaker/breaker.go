// Package breaker stops a study whose trials fail one after another for one reason that no other trial will change.
package breaker

import (
	"errors"
	"fmt"
	"regexp"
	"sync"
)

// ErrOpen is what the error of a breaker wraps that has had enough.
var ErrOpen = errors.New("the study was stopped")

// Breaker counts failures of one reason in a row. It is safe for concurrent use; the zero value never opens.
type Breaker struct {
	limit int

	mu     sync.Mutex
	reason string
	count  int
}

// New makes a breaker that opens at the limit-th failure in a row for one reason.
func New(limit int) *Breaker { return &Breaker{limit: limit} }

// Failed counts a failure. It returns an error that wraps ErrOpen and the failure when the study should end. Names of trials, numbers
// and times do not make two reasons of one.
func (b *Breaker) Failed(err error) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if reason := bare(err.Error()); reason != b.reason {
		b.reason, b.count = reason, 0
	}
	b.count++
	if b.limit == 0 || b.count < b.limit {
		return nil
	}
	return fmt.Errorf("%w: %d trials in a row failed for one reason, the last: %w", ErrOpen, b.count, err)
}

// Succeeded forgets the failures so far.
func (b *Breaker) Succeeded() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.reason, b.count = "", 0
}

var (
	words  = regexp.MustCompile(`[^\s"'()]*[0-9][^\s"'()]*`) // with a digit: names of releases and pods, addresses, times
	spaces = regexp.MustCompile(`\s+`)
)

func bare(text string) string { return spaces.ReplaceAllString(words.ReplaceAllString(text, "#"), " ") }
