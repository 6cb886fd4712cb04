package report_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/compspec/ocifit-lab/experiments/application/hpcg/hpcgtest"
	"github.com/compspec/ocifit-lab/experiments/report"
	"github.com/compspec/ocifit-lab/experiments/store"
)

// TestImportedPublishedShape imports trials as the published ones are: one rank against all cores, one machine for all trials of the
// modelled arm, one arm after the other, and one log that was cut. The checks must find each of these.
func TestImportedPublishedShape(t *testing.T) {
	src := t.TempDir()
	put := func(arm string, n int, spec hpcgtest.Spec, node string, hour int, cut bool) {
		dir := filepath.Join(src, arm, fmt.Sprint(n))
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		log := hpcgtest.Log(spec)
		if cut {
			log = log[:len(log)*2/3]
		}
		at := fmt.Sprintf("2025-07-21T%02d:%02d:00Z", hour, n*2)
		pod := fmt.Sprintf(`{"metadata": {"creationTimestamp": %q}, "spec": {"nodeName": %q, "nodeSelector": {"node.kubernetes.io/instance-type": "x"},
			"containers": [{"name": "hpcg", "image": "r/hpcg:tag"}]}, "status": {"containerStatuses": [{"name": "hpcg", "state": {"terminated":
			{"startedAt": %q, "finishedAt": "2025-07-21T%02d:%02d:55Z"}}}]}}`, at, node, at, hour, n*2)
		for name, data := range map[string][]byte{"hpcg.out": log, "pod.json": []byte(pod)} {
			if err := os.WriteFile(filepath.Join(dir, name), data, 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
	for n := 1; n <= 6; n++ {
		put("random", n, hpcgtest.Spec{Ratings: []float64{2.4, 2.5, 2.6}, Ranks: 1, Threads: 32, Cores: 16, Jobs: true, Seed: uint64(n)}, fmt.Sprint("a", n), 1, n == 4)
		put("fom-model", n, hpcgtest.Spec{Ratings: []float64{36.1, 36.2, 36.3}, Ranks: 64, Tasks: "64", Seed: uint64(n)}, "b", 3, false)
	}
	r, sum, err := store.Import(src, filepath.Join(t.TempDir(), "run"), store.ImportOptions{})
	if err != nil || len(sum.Rejected) != 1 {
		t.Fatalf("%+v, %v", sum, err)
	}
	defer r.Close()
	a, err := report.Analyse(context.Background(), r, report.Options{})
	if err != nil {
		t.Fatal(err)
	}
	c := a.Comparisons[0]
	var found []string
	for _, check := range c.Checks {
		if check.Status == report.Refuse || check.Status == report.Limit {
			found = append(found, check.Name)
		}
	}
	slices.Sort(found)
	want := "cache-size complete equal-launch equal-threads own-remarks same-time several-nodes"
	if got := strings.Join(found, " "); got != want || c.Comparable || a.Simulated || a.Sources.Imported != 11 {
		t.Errorf("found %s, want %s; %+v", got, want, a.Sources)
	}
	if len(a.Excluded) != 1 || !strings.HasPrefix(a.Excluded[0].Detail, "truncated") {
		t.Errorf("%+v", a.Excluded)
	}
}
