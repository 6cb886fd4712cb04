package words_test

import (
	"testing"

	"github.com/compspec/ocifit-lab/provision/words"
)

func TestNearest(t *testing.T) {
	known := []string{"c6a.16xlarge", "c6i.16xlarge", "m6a.12xlarge", "hpc7g.16xlarge"}
	for wrong, want := range map[string]string{
		"c6a.16.xlarge": "c6a.16xlarge", "c6x.16xlarge": "c6a.16xlarge", "hpc7g.16xlarg": "hpc7g.16xlarge", "m6a": "m6a.12xlarge",
	} {
		if got := words.Nearest(wrong, known); got != want {
			t.Errorf("%s: %s, want %s", wrong, got, want)
		}
	}
	if got := words.Nearest("x", nil); got != "" {
		t.Errorf("of nothing: %q", got)
	}
	if got := words.NearestWithin("banana", known, 3); got != "" {
		t.Errorf("within 3 letters of banana: %q", got)
	}
	if got := words.NearestWithin("c6a.16.xlarge", known, 3); got != "c6a.16xlarge" {
		t.Errorf("within 3 letters: %q", got)
	}
}

func TestCount(t *testing.T) {
	for want, got := range map[string]string{
		"0 trials": words.Count(0, "trial"), "1 trial": words.Count(1, "trial"), "2 trials": words.Count(2, "trial"),
		"1 trial has": words.Count(1, "trial has", "trials have"), "3 trials have": words.Count(3, "trial has", "trials have"),
	} {
		if got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}
