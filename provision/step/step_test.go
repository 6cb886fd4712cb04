package step

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestValidate(t *testing.T) {
	noRun, noTimeout := ok("a"), ok("a")
	noRun.Run, noTimeout.Timeout = nil, 0
	for name, tc := range map[string]struct {
		steps []Step
		want  string
	}{
		"fine":         {[]Step{ok("a"), ok("b-2", "a")}, ""},
		"none":         {nil, ""},
		"no name":      {[]Step{ok("a"), ok("")}, "step number 2 has no name"},
		"not kebab":    {[]Step{ok("Node Groups")}, `step name "Node Groups" is not kebab-case`},
		"twice":        {[]Step{ok("a"), ok("a")}, `two steps are named "a"`},
		"unknown need": {[]Step{ok("a", "x")}, `step "a" needs "x", which is not among the steps`},
		"itself":       {[]Step{ok("a", "a")}, "steps need each other in a circle: a needs a"},
		"circle":       {[]Step{ok("z", "a"), ok("a", "b"), ok("b", "c"), ok("c", "a")}, "steps need each other in a circle: a needs b needs c needs a"},
		"no run":       {[]Step{noRun}, `step "a" has nothing to run`},
		"no timeout":   {[]Step{noTimeout}, `step "a" has no timeout`},
		"several":      {[]Step{noRun, ok("b", "x")}, "2 errors:\n  - step \"a\" has nothing to run\n  - step \"b\" needs \"x\", which is not among the steps"},
	} {
		t.Run(name, func(t *testing.T) {
			got := ""
			if err := Validate(tc.steps); err != nil {
				got = err.Error()
			}
			if got != tc.want {
				t.Errorf("got  %q\nwant %q", got, tc.want)
			}
			err := Up(t.Context(), tc.steps, nil, nil)
			if (err != nil) != (tc.want != "") {
				t.Errorf("Up: %v", err)
			}
		})
	}
}

func TestDescribe(t *testing.T) {
	steps := []Step{ok("control-plane"), ok("webhook", "registry", "nodes"), ok("nodes", "control-plane"), ok("registry"), ok("features", "control-plane")}
	want := []string{
		"1a. control-plane: do control-plane",
		"1b. registry: do registry",
		"2a. nodes: do nodes",
		"2b. features: do features",
		"3. webhook: do webhook",
	}
	if d := cmp.Diff(want, Describe(steps)); d != "" {
		t.Error(d)
	}
	if d := cmp.Diff([]string{"a: do a"}, Describe([]Step{ok("a", "a")})); d != "" {
		t.Error(d)
	}
	if got := letters(25) + letters(26) + letters(52); got != "zaaba" {
		t.Errorf("letters: %s", got)
	}
}

func TestHint(t *testing.T) {
	base := errors.New("expired token")
	err := fmt.Errorf("connect: %w", Try(base, "run %s login", "aws"))
	if err.Error() != "connect: expired token" || !errors.Is(err, base) {
		t.Errorf("error = %v", err)
	}
	if Try(nil, "x") != nil || HintOf(nil) != "" || HintOf(base) != "" {
		t.Error("no error, no hint")
	}
	both := errors.Join(err, Try(&Hint{Err: base, Try: "inner"}, "outer"), Try(base, "run aws login"))
	if got := HintOf(both); got != "run aws login\nouter\ninner" {
		t.Errorf("hints = %q", got)
	}
	var h Hint
	if !errors.As(err, &h) || h.Try != "run aws login" {
		t.Errorf("as: %+v", h)
	}
}

func TestTimeout(t *testing.T) {
	cause := errors.New("why")
	err := Timeout("wait for pod", 1500*time.Millisecond, "Pending", cause)
	if !errors.Is(err, ErrTimeout) || !errors.Is(err, cause) || strings.Contains(err.Error(), "why") {
		t.Errorf("error = %v", err)
	}
	if got := err.Error(); got != "wait for pod: timed out after 1.5s; last seen: Pending" {
		t.Errorf("text = %s", got)
	}
	if got := Timeout("x", 0, "", nil); got.Error() != "x: timed out" || !errors.Is(got, ErrTimeout) {
		t.Errorf("short: %v", got)
	}
}
