package breaker

import (
	"errors"
	"strings"
	"testing"
)

func TestOpensOnlyForOneReasonInARow(t *testing.T) {
	const (
		forbidden = `pod: hpcg-1a2b3c4d-%: pods "hpcg-1a2b3c4d-%-0-x7k2p" is forbidden: violates PodSecurity "restricted:latest" (after 15.%s)`
		quota     = `pod: hpcg-1a2b3c4d-%: exceeded quota: none`
		ok        = ""
	)
	for name, c := range map[string]struct {
		ends []string // how the trials end
		open int      // after this many; 0: never
	}{
		"one reason":             {[]string{forbidden, forbidden, forbidden}, 3},
		"a success between":      {[]string{forbidden, forbidden, ok, forbidden, forbidden}, 0},
		"another reason between": {[]string{forbidden, forbidden, quota, forbidden, forbidden}, 0},
		"the second reason":      {[]string{forbidden, quota, quota, quota}, 4},
	} {
		t.Run(name, func(t *testing.T) {
			b, open := New(3), 0
			for i, text := range c.ends {
				if text == ok {
					b.Succeeded()
					continue
				}
				failure := errors.New(strings.ReplaceAll(text, "%", string(rune('1'+i))))
				err := b.Failed(failure)
				if err != nil && open == 0 {
					open = i + 1
				}
				if err != nil && (!errors.Is(err, ErrOpen) || !errors.Is(err, failure)) {
					t.Errorf("got %v", err)
				}
			}
			if open != c.open {
				t.Errorf("opened after %d, want %d", open, c.open)
			}
		})
	}
}

func TestZeroNeverOpens(t *testing.T) {
	var b Breaker
	for range 100 {
		if err := b.Failed(errors.New("x")); err != nil {
			t.Fatal(err)
		}
	}
}
