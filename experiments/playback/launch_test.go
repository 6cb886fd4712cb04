package playback

import (
	"errors"
	"testing"

	"github.com/compspec/ocifit-lab/experiments/application"
	"github.com/compspec/ocifit-lab/templates"
)

func TestTasksAndThreads(t *testing.T) {
	intel, arm := templates.InstanceType{VCPU: 32, Cores: 16}, templates.InstanceType{VCPU: 64, Cores: 64}
	for _, tc := range []struct {
		tasks          string
		facts          templates.InstanceType
		exclusive      bool
		ranks, threads int
	}{
		{"", intel, true, 1, 32},
		{"", arm, true, 1, 64},
		{"", intel, false, 1, 2},
		{"16", intel, true, 16, 2},
		{"4", intel, true, 4, 8},
		{"$(nproc)", arm, true, 64, 1},
		{"$(nproc)", intel, true, 32, 1},
		{"cores", intel, true, 16, 2},
		{"$(flux resource list -s all -no {ncores})", intel, true, 16, 2},
	} {
		ranks, err := tasksOf(tc.tasks, 1, tc.facts)
		if err != nil || ranks != tc.ranks {
			t.Errorf("%q: %d, %v, want %d", tc.tasks, ranks, err, tc.ranks)
		}
		if got := threadsOf(ranks, tc.exclusive, tc.facts); got != tc.threads && ranks <= tc.facts.Cores {
			t.Errorf("%q: %d threads, want %d", tc.tasks, got, tc.threads)
		}
	}
	for _, bad := range []string{"0", "-1", "many"} {
		if _, err := tasksOf(bad, 1, arm); err == nil || errors.Is(err, application.ErrUnsatisfiable) {
			t.Errorf("%q: %v", bad, err)
		}
	}
}
