// Package breaker stops an arm whose trials fail one after another for one reason that no other trial will change.
package breaker

import (
	"errors"
	"fmt"
	"regexp"
	"sync"
)

// ErrOpen is what the error of an arm wraps that was stopped.
var ErrOpen = errors.New("stopped")

// Breaker counts failures of one reason in a row, for each arm. It is safe for concurrent use; the zero value stops nothing.
type Breaker struct {
	limit int

	mu   sync.Mutex
	arms map[string]*row
	// known are the reasons that have stopped an arm: another arm need not find out again.
	known map[string]bool
}

// row is how often an arm has failed in a row for one reason.
type row struct {
	reason string
	count  int
}

// New makes a breaker that stops an arm at its limit-th failure in a row for one reason, or at the first one for a reason that has
// stopped another arm.
func New(limit int) *Breaker {
	return &Breaker{limit: limit, arms: map[string]*row{}, known: map[string]bool{}}
}

// Failed counts a failure. It returns an error that wraps ErrOpen and the failure when the arm should go no further. Names of trials,
// numbers and times do not make two reasons of one.
func (b *Breaker) Failed(arm string, err error) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.limit == 0 {
		return nil
	}
	reason := bare(err.Error())
	r := b.arms[arm]
	if r == nil || r.reason != reason {
		r = &row{reason: reason}
		b.arms[arm] = r
	}
	r.count++
	switch {
	case r.count >= b.limit:
		b.known[reason] = true
		return fmt.Errorf("arm %s was %w: %d of its trials in a row failed for one reason, the last: %w", arm, ErrOpen, r.count, err)
	case b.known[reason]:
		return fmt.Errorf("arm %s was %w: it fails as an arm before it did: %w", arm, ErrOpen, err)
	}
	return nil
}

// Succeeded forgets the failures of an arm so far.
func (b *Breaker) Succeeded(arm string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.arms, arm)
}

var (
	words  = regexp.MustCompile(`[^\s"'()]*[0-9][^\s"'()]*`) // with a digit: names of releases and pods, addresses, times
	spaces = regexp.MustCompile(`\s+`)
)

func bare(text string) string { return spaces.ReplaceAllString(words.ReplaceAllString(text, "#"), " ") }
