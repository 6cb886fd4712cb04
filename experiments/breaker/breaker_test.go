package breaker

import (
	"errors"
	"strings"
	"testing"
)

func TestStopsAnArmForOneReasonInARow(t *testing.T) {
	const (
		forbidden = `pod: hpcg-1a2b3c4d-%: pods "hpcg-1a2b3c4d-%-0-x7k2p" is forbidden: violates PodSecurity "restricted:latest" (after 15.%s)`
		capacity  = `node: no node within 20m: the group says InsufficientInstanceCapacity`
		quota     = `pod: hpcg-1a2b3c4d-%: exceeded quota: none`
		ok        = ""
	)
	type end struct{ arm, how string }
	for name, c := range map[string]struct {
		ends []end
		open string // the arms that are stopped, with the number of the trial that did it
	}{
		"one reason":              {[]end{{"a", forbidden}, {"a", forbidden}, {"a", forbidden}}, "a3"},
		"a success between":       {[]end{{"a", forbidden}, {"a", forbidden}, {"a", ok}, {"a", forbidden}, {"a", forbidden}}, ""},
		"another reason between":  {[]end{{"a", forbidden}, {"a", forbidden}, {"a", quota}, {"a", forbidden}, {"a", forbidden}}, ""},
		"the second reason":       {[]end{{"a", forbidden}, {"a", quota}, {"a", quota}, {"a", quota}}, "a4"},
		"other arms go on":        {[]end{{"a", capacity}, {"b", ok}, {"a", capacity}, {"b", ok}, {"a", capacity}, {"b", ok}}, "a5"},
		"each arm has its own":    {[]end{{"a", capacity}, {"b", capacity}, {"c", capacity}, {"a", ok}, {"b", ok}}, ""},
		"what is known is enough": {[]end{{"a", forbidden}, {"a", forbidden}, {"a", forbidden}, {"b", forbidden}, {"c", quota}}, "a3 b4"},
	} {
		t.Run(name, func(t *testing.T) {
			b := New(3)
			var open []string
			for i, e := range c.ends {
				if e.how == ok {
					b.Succeeded(e.arm)
					continue
				}
				failure := errors.New(strings.ReplaceAll(e.how, "%", string(rune('1'+i))))
				err := b.Failed(e.arm, failure)
				if err == nil {
					continue
				}
				open = append(open, e.arm+string(rune('1'+i)))
				if !errors.Is(err, ErrOpen) || !errors.Is(err, failure) || !strings.Contains(err.Error(), "arm "+e.arm+" was stopped") {
					t.Errorf("got %v", err)
				}
			}
			if got := strings.Join(open, " "); got != c.open {
				t.Errorf("stopped %q, want %q", got, c.open)
			}
		})
	}
}

func TestZeroStopsNothing(t *testing.T) {
	var b Breaker
	for range 100 {
		if err := b.Failed("a", errors.New("x")); err != nil {
			t.Fatal(err)
		}
	}
	b.Succeeded("a")
}
