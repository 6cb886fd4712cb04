package store_test

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/compspec/ocifit-lab/experiments/store"
	"github.com/compspec/ocifit-lab/experiments/store/storetest"
)

// shard makes a run of the study with trials 1 of both arms, or as told.
func shard(t *testing.T, info store.Info, trials ...int) *store.Run {
	t.Helper()
	if info.Study == nil {
		info.Study = twoArms(t)
	}
	r, err := store.Create(filepath.Join(t.TempDir(), "run"), info)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close() })
	for _, n := range trials {
		for i, arm := range []string{"random", "fom-model"} {
			storetest.Put(t, r, arm, n, storetest.Trial{Log: log2(uint64(100*n + i)), Node: "node-" + r.ID(), InstanceType: "c7g.16xlarge", Price: 3600})
		}
	}
	return r
}

func TestMerge(t *testing.T) {
	early := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	a := shard(t, store.Info{Lab: "east", Created: early.Add(time.Hour), Prices: map[string]float64{"x": 1, "y": 2}, Facts: map[string]string{"same": "1", "other": "1"}}, 1, 3)
	b := shard(t, store.Info{Lab: "west", Created: early, Prices: map[string]float64{"x": 1, "y": 3, "z": 4}, Facts: map[string]string{"same": "1", "other": "2"}}, 2)
	for _, r := range []*store.Run{a, b} { // an attempt at the same trial in both
		attempt, err := r.Begin("random", 9, false)
		if err != nil {
			t.Fatal(err)
		}
		rec := attempt.Record()
		rec.Reason = "no node"
		if err := attempt.Fail(rec); err != nil {
			t.Fatal(err)
		}
	}
	if err := a.NoteLook(2, 6); err != nil {
		t.Fatal(err)
	}
	dst := filepath.Join(t.TempDir(), "merged")
	m, err := store.Merge(dst, []string{a.Dir(), b.Dir()})
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	recs, err := m.Records(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	complete, failed := 0, 0
	for _, r := range recs {
		if r.Complete() {
			complete++
			if owner := map[int]string{1: a.ID(), 2: b.ID(), 3: a.ID()}[r.N]; !strings.HasPrefix(r.Trial.Source, owner+"/logs/hpcg/"+r.Arm) || r.Trial.Node.Name != "node-"+owner {
				t.Errorf("trial %s/%d: source %q, node %q", r.Arm, r.N, r.Trial.Source, r.Trial.Node.Name)
			}
		} else {
			failed++
			if r.Problem != "no node" || r.Trial.Attempt != failed {
				t.Errorf("%s: %q, attempt %d", r.Path, r.Problem, r.Trial.Attempt)
			}
		}
	}
	if complete != 6 || failed != 2 {
		t.Errorf("%d complete and %d failed of %d", complete, failed, len(recs))
	}
	info := m.Info()
	if len(info.Merged) != 2 || info.Merged[0].Lab != "east" || info.Lab != "" || !info.Created.Equal(early) {
		t.Errorf("%+v, lab %q, created %v", info.Merged, info.Lab, info.Created)
	}
	if len(info.Prices) != 2 || info.Prices["z"] != 4 || len(info.Facts) != 1 || info.Facts["same"] != "1" {
		t.Errorf("prices %v, facts %v: what differs is not known of the whole", info.Prices, info.Facts)
	}
	if looks, err := m.Looks(); err != nil || len(looks) != 1 {
		t.Errorf("looks %v, %v", looks, err)
	}
	if left, _ := filepath.Glob(filepath.Join(filepath.Dir(dst), ".*")); len(left) > 0 {
		t.Errorf("left: %v", left)
	}
}

func TestMergeRefuses(t *testing.T) {
	a := shard(t, store.Info{Lab: "east"}, 1)
	other := twoArms(t)
	other.Seed = 99
	foreign := shard(t, store.Info{}, 2)
	link := filepath.Join(storetest.Dir(foreign, "random", "2"), "pod.json")
	if err := os.Symlink("/etc/hostname", link); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name string
		with []string
		want string
	}{
		{"one run", nil, "two runs or more"},
		{"itself", []string{a.Dir()}, "the same run"},
		{"the same trials", []string{shard(t, store.Info{}, 1).Dir()}, "trial 1 of arm random is in another of the runs too"},
		{"another seed", []string{shard(t, store.Info{Study: other}, 2).Dir()}, "another seed"},
		{"another provider", []string{shard(t, store.Info{Provider: "eks"}, 2).Dir()}, "of eks"},
		{"a rehearsal", []string{shard(t, store.Info{Simulated: true}, 2).Dir()}, "simulated: true"},
		{"other skipped types", []string{shard(t, store.Info{Skip: []string{"x"}}, 2).Dir()}, "skips the instance types"},
		{"imported trials", []string{shard(t, store.Info{Imported: "there"}, 2).Dir()}, "imported run"},
		{"no run", []string{t.TempDir()}, "no run"},
		{"a link", []string{foreign.Dir()}, "no regular file"},
	} {
		t.Run(c.name, func(t *testing.T) {
			dst := filepath.Join(t.TempDir(), "merged")
			r, err := store.Merge(dst, append([]string{a.Dir()}, c.with...))
			if err == nil {
				r.Close()
				t.Fatal("merged")
			}
			if !strings.Contains(err.Error(), c.want) {
				t.Errorf("%v", err)
			}
			if left, _ := os.ReadDir(filepath.Dir(dst)); len(left) > 0 {
				t.Errorf("left: %v", left)
			}
		})
	}
}

// TestMergeTakesOnlyItsOwn keeps a folder that was put into a shard from elsewhere from counting in the merged run.
func TestMergeTakesOnlyItsOwn(t *testing.T) {
	a, b, elsewhere := shard(t, store.Info{}, 1), shard(t, store.Info{}, 2), shard(t, store.Info{}, 3)
	if err := os.CopyFS(storetest.Dir(b, "random", "3"), os.DirFS(storetest.Dir(elsewhere, "random", "3"))); err != nil {
		t.Fatal(err)
	}
	m, err := store.Merge(filepath.Join(t.TempDir(), "merged"), []string{a.Dir(), b.Dir()})
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	if state, err := m.State("random", 3, false); err != nil || state.Done || !strings.Contains(state.Reason, "mixed-runs") {
		t.Errorf("%+v, %v", state, err)
	}
	if got := m.Progress(m.Info().Study)[0]; got.Done != 2 {
		t.Errorf("%+v", got)
	}
}
