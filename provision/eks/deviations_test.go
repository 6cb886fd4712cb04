package eks

import (
	"strings"
	"testing"
)

// What differs from the study's cluster file is told, not hidden.
func TestDeviations(t *testing.T) {
	p := New(Options{Name: "study", Region: "us-east-1", NodeGroups: []NodeGroup{{Name: "a", InstanceType: "r6i.8xlarge"}, {Name: "b", InstanceType: "c7a.12xlarge", VolumeGiB: 100}}})
	text := strings.Join(p.Deviations(), "\n")
	for _, want := range []string{"kernel 6.12", "6.1.134", "gp3 of 80 or 100 GiB", "r6i.8xlarge starts with Amazon Linux 2023"} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
	if other := New(Options{NodeGroups: []NodeGroup{{Name: "b", InstanceType: "c7a.12xlarge"}}}); strings.Contains(strings.Join(other.Deviations(), "\n"), "r6i") {
		t.Error("a type that is not there deviates")
	}
}
