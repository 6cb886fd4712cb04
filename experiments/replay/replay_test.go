package replay

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestNoteRoundTrip(t *testing.T) {
	start := time.Date(2025, 7, 21, 1, 2, 3, 500_000_000, time.UTC)
	want := Note{
		Simulated: true, Source: Estimated, Rule: "by a rule", Seed: 1<<64 - 1,
		NodeStartSeconds: 92, ImagePullSeconds: 16.5, RunSeconds: 55,
		Clock: Clock{Created: start, Started: start.Add(time.Minute)},
	}
	given := want
	given.Simulated = false
	text, err := Encode(given)
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(text, "nodeReady") || strings.Contains(text, "0001-01-01") {
		t.Errorf("an unknown moment must be left out: %s", text)
	}
	got, ok, err := Of(map[string]string{Annotation: text})
	if err != nil || !ok {
		t.Fatalf("Of() = %v, %v", ok, err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

func TestOfAbsentAndBroken(t *testing.T) {
	if _, ok, err := Of(nil); ok || err != nil {
		t.Errorf("no annotation: %v, %v", ok, err)
	}
	if _, ok, err := Of(map[string]string{Annotation: "{"}); !ok || err == nil || !strings.Contains(err.Error(), Annotation) {
		t.Errorf("broken annotation: %v, %v", ok, err)
	}
}
