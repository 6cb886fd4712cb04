package study

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
)

// Trial is one planned trial. N counts from 1 within the arm, warm-ups apart from measured trials.
type Trial struct {
	Arm    Arm
	N      int
	Warmup bool
}

// Trials returns every trial in the order in which they are to run. The order depends on the study alone, so that a run that was
// interrupted goes on with the same order.
func (s *Study) Trials() []Trial {
	var out []Trial
	if s.Order == Sequential {
		for _, arm := range s.Arms {
			for n := 1; n <= s.Warmup; n++ {
				out = append(out, Trial{Arm: arm, N: n, Warmup: true})
			}
			for n := 1; n <= s.Repeats; n++ {
				out = append(out, Trial{Arm: arm, N: n})
			}
		}
		return out
	}
	src := rand.NewPCG(s.Seed, 0x6f636966)
	block := func(n int, warmup bool) {
		from := len(out)
		for _, arm := range s.Arms {
			out = append(out, Trial{Arm: arm, N: n, Warmup: warmup})
		}
		if s.Order == Shuffle {
			shuffle(src, out[from:])
		}
	}
	for n := 1; n <= s.Warmup; n++ {
		block(n, true)
	}
	for n := 1; n <= s.Repeats; n++ {
		block(n, false)
	}
	return out
}

// shuffle is written out, because the order must stay the same whatever the standard library does in a later release.
func shuffle(src *rand.PCG, t []Trial) {
	for i := len(t) - 1; i > 0; i-- {
		j := int(src.Uint64() % uint64(i+1))
		t[i], t[j] = t[j], t[i]
	}
}

// Selection narrows a study to some arms and trial numbers; the zero value is everything.
type Selection struct {
	Arms   []string // names; empty is all
	Trials string   // such as "4-9,12"; empty is all, and only then are warm-ups included
}

// Select returns the trials of the selection in the study's order. It fails on an arm or a number that the study does not have.
func (s *Study) Select(sel Selection) ([]Trial, error) {
	for _, name := range sel.Arms {
		if _, ok := s.Arm(name); !ok {
			return nil, fmt.Errorf("study %s has no arm %q: it has %s", s.Name, name, strings.Join(s.ArmNames(), ", "))
		}
	}
	numbers, err := parseRanges(sel.Trials, s.Repeats)
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(s.Trials(), func(t Trial) bool {
		if len(sel.Arms) > 0 && !slices.Contains(sel.Arms, t.Arm.Name) {
			return true
		}
		return numbers != nil && (t.Warmup || !numbers[t.N])
	}), nil
}

func parseRanges(text string, limit int) (map[int]bool, error) {
	if strings.TrimSpace(text) == "" {
		return nil, nil
	}
	numbers := map[int]bool{}
	for _, part := range strings.Split(text, ",") {
		from, to, isRange := strings.Cut(strings.TrimSpace(part), "-")
		if !isRange {
			to = from
		}
		lo, err1 := strconv.Atoi(strings.TrimSpace(from))
		hi, err2 := strconv.Atoi(strings.TrimSpace(to))
		if err1 != nil || err2 != nil || lo < 1 || hi < lo {
			return nil, fmt.Errorf("%q names no trials: write numbers and ranges such as 4-9,12", text)
		}
		if hi > limit {
			return nil, fmt.Errorf("trial %d does not exist: the study has trials 1 to %d", hi, limit)
		}
		for n := lo; n <= hi; n++ {
			numbers[n] = true
		}
	}
	return numbers, nil
}
