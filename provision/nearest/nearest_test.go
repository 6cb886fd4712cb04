package nearest_test

import (
	"testing"

	"github.com/compspec/ocifit-lab/provision/nearest"
)

func TestOf(t *testing.T) {
	known := []string{"c6a.16xlarge", "c6i.16xlarge", "m6a.12xlarge", "hpc7g.16xlarge"}
	for wrong, want := range map[string]string{
		"c6a.16.xlarge": "c6a.16xlarge", "c6x.16xlarge": "c6a.16xlarge", "hpc7g.16xlarg": "hpc7g.16xlarge", "m6a": "m6a.12xlarge",
	} {
		if got := nearest.Of(wrong, known); got != want {
			t.Errorf("%s: %s, want %s", wrong, got, want)
		}
	}
	if got := nearest.Of("x", nil); got != "" {
		t.Errorf("of nothing: %q", got)
	}
	if got := nearest.Within("banana", known, 3); got != "" {
		t.Errorf("within 3 letters of banana: %q", got)
	}
	if got := nearest.Within("c6a.16.xlarge", known, 3); got != "c6a.16xlarge" {
		t.Errorf("within 3 letters: %q", got)
	}
}
