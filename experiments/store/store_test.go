package store_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/compspec/ocifit-lab/experiments/application/hpcg/hpcgtest"
	"github.com/compspec/ocifit-lab/experiments/store"
	"github.com/compspec/ocifit-lab/experiments/store/storetest"
	"github.com/compspec/ocifit-lab/experiments/study"
	"github.com/compspec/ocifit-lab/provision/cost"
	"github.com/compspec/ocifit-lab/provision/filelock"
)

func twoArms(t testing.TB) *study.Study {
	return storetest.Study(t, 3, 2, study.Arm{Name: "random", Model: "random", Tasks: "cores"}, study.Arm{Name: "fom-model", Model: "fom", Tasks: "cores"})
}

func create(t testing.TB, dir string) *store.Run {
	t.Helper()
	r, err := store.Create(dir, store.Info{Study: twoArms(t), Prices: map[string]float64{"c7g.16xlarge": 2.32}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close() })
	return r
}

func reopen(t testing.TB, r *store.Run) *store.Run {
	t.Helper()
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	again, err := store.Open(r.Dir(), store.Write)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { again.Close() })
	return again
}

func log2(seed uint64) hpcgtest.Spec {
	return hpcgtest.Spec{Ratings: []float64{10, 11}, Ranks: 8, Seed: seed}
}

func TestCommitMakesATrialDone(t *testing.T) {
	r := create(t, t.TempDir())
	storetest.Put(t, r, "random", 2, storetest.Trial{Log: log2(1), Node: "n1", InstanceType: "c7g.16xlarge", Price: 3600, NodeStart: time.Minute})
	recs, err := r.Records(context.Background())
	if err != nil || len(recs) != 1 || !recs[0].Complete() {
		t.Fatalf("%+v, %v", recs, err)
	}
	tr := recs[0].Trial
	if d := cmp.Diff([]float64{10, 11}, tr.GFLOPS); d != "" || tr.Ranks != 8 || tr.Local != [3]int{32, 32, 32} || tr.Cores != 8 {
		t.Errorf("%+v %s", tr, d)
	}
	if tr.Seconds != (store.Seconds{NodeStart: 60, Start: 18, Run: 55, Total: 133}) || tr.CostUSD != 133 {
		t.Errorf("seconds %+v, cost %v", tr.Seconds, tr.CostUSD)
	}
	want := []store.ArmProgress{{Name: "random", Model: "random", Trials: 3, Done: 1}, {Name: "fom-model", Model: "fom", Trials: 3}}
	if d := cmp.Diff(want, r.Progress(r.Info().Study)); d != "" {
		t.Error(d)
	}
	if _, err := r.Begin("random", 2, false); !errors.Is(err, store.ErrDone) {
		t.Errorf("a second time: %v", err)
	}
}

func TestOneAttemptAtATime(t *testing.T) {
	r := create(t, t.TempDir())
	a, err := r.Begin("random", 1, false)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.Begin("random", 1, false); err == nil || !strings.Contains(err.Error(), "already running") {
		t.Errorf("got %v", err)
	}
	if _, err := r.Begin("random", 1, true); err != nil {
		t.Errorf("the warm-up of the same number: %v", err)
	}
	if err := a.Discard(); err != nil {
		t.Fatal(err)
	}
	if _, err := r.Begin("random", 1, false); err != nil {
		t.Errorf("after the first ended: %v", err)
	}
	for _, bad := range []string{"fom", "../random", ""} {
		if _, err := r.Begin(bad, 1, false); err == nil {
			t.Errorf("arm %q was accepted", bad)
		}
	}
}

func TestFailedAttemptsAreKeptAndNumbered(t *testing.T) {
	r := create(t, t.TempDir())
	for want := 1; want <= 2; want++ {
		a, err := r.Begin("random", 1, false)
		if err != nil {
			t.Fatal(err)
		}
		if a.Number() != want {
			t.Errorf("attempt %d, want %d", a.Number(), want)
		}
		rec := a.Record()
		rec.Reason = "no node"
		if err := a.Fail(rec); err != nil {
			t.Fatal(err)
		}
	}
	storetest.Put(t, r, "random", 1, storetest.Trial{Log: log2(1)})
	recs, err := r.Records(context.Background())
	if err != nil || len(recs) != 3 {
		t.Fatalf("%d records, %v", len(recs), err)
	}
	if !recs[0].Complete() || recs[0].Trial.Attempt != 3 || recs[1].ProblemName != "failed" || recs[1].Problem != "no node" {
		t.Errorf("%+v", recs)
	}
	if p := r.Progress(r.Info().Study)[0]; p.Done != 1 || p.Failed != 0 {
		t.Errorf("%+v", p)
	}
}

func TestCommitRejectsALogThatDoesNotCount(t *testing.T) {
	r := create(t, t.TempDir())
	a, err := r.Begin("random", 1, false)
	if err != nil {
		t.Fatal(err)
	}
	log := hpcgtest.Log(log2(1))
	if err := a.WriteFile("hpcg.out", log[:len(log)/2]); err != nil {
		t.Fatal(err)
	}
	var rejection *store.Rejection
	if err := a.Commit(a.Record()); !errors.As(err, &rejection) || rejection.Reason != "truncated" {
		t.Fatalf("got %v", err)
	}
	recs, _ := r.Records(context.Background())
	if len(recs) != 1 || recs[0].ProblemName != "rejected" || !strings.HasPrefix(recs[0].Problem, "truncated: ") {
		t.Errorf("%+v", recs)
	}
	if p := r.Progress(r.Info().Study)[0]; p.Done != 0 || p.Failed != 1 {
		t.Errorf("%+v", p)
	}
}

func TestWhatIsNotDone(t *testing.T) {
	edit := func(change func(tr *store.Trial)) func(t *testing.T, dir string) {
		return func(t *testing.T, dir string) {
			file := filepath.Join(dir, "trial.json")
			data, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			var tr store.Trial
			if err := json.Unmarshal(data, &tr); err != nil {
				t.Fatal(err)
			}
			change(&tr)
			data, _ = json.Marshal(tr)
			write(t, file, data)
		}
	}
	for name, tc := range map[string]struct {
		damage func(t *testing.T, dir string)
		want   string
	}{
		"no record":     {func(t *testing.T, dir string) { os.Remove(filepath.Join(dir, "trial.json")) }, "no-record"},
		"no log":        {func(t *testing.T, dir string) { os.Remove(filepath.Join(dir, "hpcg.out")) }, "no-log"},
		"empty log":     {func(t *testing.T, dir string) { write(t, filepath.Join(dir, "hpcg.out"), nil) }, "empty"},
		"broken record": {func(t *testing.T, dir string) { write(t, filepath.Join(dir, "trial.json"), []byte(`{"run": `)) }, "broken-record"},
		"another run":   {edit(func(tr *store.Trial) { tr.Run = "20250101-000000-00000000" }), "mixed-runs"},
		"another arm":   {edit(func(tr *store.Trial) { tr.Arm = "fom-model" }), "mixed-runs"},
		"another trial": {edit(func(tr *store.Trial) { tr.Trial = 3 }), "mixed-runs"},
		"failed":        {edit(func(tr *store.Trial) { tr.Verdict, tr.Reason = store.Failed, "x" }), "verdict"},
		"better figure": {edit(func(tr *store.Trial) { tr.GFLOPS[0] = 99 }), "edited"},
		"other ranks":   {edit(func(tr *store.Trial) { tr.Ranks = 64 }), "edited"},
		"new schema":    {edit(func(tr *store.Trial) { tr.SchemaVersion = 2 }), "broken-record"},
		"hidden replay": {func(t *testing.T, dir string) {
			spec := log2(1)
			spec.Replay = "no benchmark ran"
			write(t, filepath.Join(dir, "hpcg.out"), hpcgtest.Log(spec))
		}, "edited"},
	} {
		t.Run(name, func(t *testing.T) {
			r := create(t, t.TempDir())
			storetest.Put(t, r, "random", 1, storetest.Trial{Log: log2(1)})
			tc.damage(t, storetest.Dir(r, "random", "1"))
			state, err := r.State("random", 1, false)
			if err != nil || !state.Exists || state.Done || !strings.HasPrefix(state.Reason, tc.want) {
				t.Fatalf("%+v, %v; want %s", state, err, tc.want)
			}
			storetest.Put(t, r, "random", 1, storetest.Trial{Log: log2(2)})
			recs, err := r.Records(context.Background())
			if err != nil || len(recs) != 2 || !recs[0].Complete() || recs[1].Complete() {
				t.Fatalf("the damaged folder must be kept beside the new one: %+v, %v", recs, err)
			}
		})
	}
}

func write(t *testing.T, file string, data []byte) {
	t.Helper()
	if err := os.WriteFile(file, data, 0o644); err != nil {
		t.Fatal(err)
	}
}

func TestRecoveryAfterAKill(t *testing.T) {
	// The folder's name holds what a pattern of file names would take for its own.
	r := create(t, filepath.Join(t.TempDir(), "out [1] res[ *"))
	// Killed before the application wrote anything, while it wrote, and between the record and the rename.
	early, _ := r.Begin("random", 1, false)
	write(t, filepath.Join(early.Dir(), "manifest.yaml"), []byte("x"))
	middle, _ := r.Begin("random", 2, false)
	write(t, filepath.Join(middle.Dir(), "hpcg.out"), []byte("32 32 32\n"))
	storetest.Put(t, r, "random", 3, storetest.Trial{Log: log2(3)})
	if err := os.Rename(storetest.Dir(r, "random", "3"), storetest.Dir(r, "random", ".3.attempt-1")); err != nil {
		t.Fatal(err)
	}
	// And two files that were being written, one of them in what is kept.
	write(t, filepath.Join(r.Dir(), ".run.json.123.part"), []byte("{"))
	write(t, filepath.Join(middle.Dir(), ".trial.json.123.part"), []byte("{"))
	r = reopen(t, r)
	_ = filepath.WalkDir(r.Dir(), func(file string, _ os.DirEntry, _ error) error {
		if strings.HasSuffix(file, ".part") {
			t.Errorf("%s is left", file)
		}
		return nil
	})
	var names []string
	entries, _ := os.ReadDir(storetest.Dir(r, "random", ""))
	for _, e := range entries {
		names = append(names, e.Name())
	}
	if d := cmp.Diff([]string{"2.failed-1", "3"}, names); d != "" {
		t.Error(d)
	}
	recs, err := r.Records(context.Background())
	if err != nil || len(recs) != 2 || recs[0].ProblemName != "interrupted" || recs[0].Trial.Trial != 2 || !recs[1].Complete() {
		t.Errorf("%+v, %v", recs, err)
	}
	if p := r.Progress(r.Info().Study)[0]; p.Done != 1 || p.Failed != 0 {
		t.Errorf("an interruption is no failure: %+v", p)
	}
	if a, err := r.Begin("random", 2, false); err != nil || a.Number() != 2 {
		t.Errorf("next attempt: %+v, %v", a, err)
	}
}

func TestDiscardKeepsWhatHadBegun(t *testing.T) {
	r := create(t, t.TempDir())
	a, _ := r.Begin("random", 1, false)
	write(t, filepath.Join(a.Dir(), "hpcg.out"), []byte("32 32 32\n"))
	if err := a.Discard(); err != nil {
		t.Fatal(err)
	}
	recs, _ := r.Records(context.Background())
	if len(recs) != 1 || recs[0].ProblemName != "interrupted" {
		t.Errorf("%+v", recs)
	}
}

func TestSecondWriterIsRefused(t *testing.T) {
	if dir := os.Getenv("STORE_TEST_HOLD"); dir != "" {
		r, err := store.Open(dir, store.Write)
		if err != nil {
			t.Fatal(err)
		}
		os.Stdout.WriteString("held\n")
		os.Stdin.Read(make([]byte, 1))
		r.Close()
		return
	}
	r := create(t, t.TempDir())
	r.Close()
	cmd := exec.Command(os.Args[0], "-test.run=^TestSecondWriterIsRefused$")
	cmd.Env = append(os.Environ(), "STORE_TEST_HOLD="+r.Dir())
	stdin, _ := cmd.StdinPipe()
	stdout, _ := cmd.StdoutPipe()
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer cmd.Wait()
	defer stdin.Close()
	if _, err := stdout.Read(make([]byte, 5)); err != nil {
		t.Fatal(err)
	}
	_, err := store.Open(r.Dir(), store.Write)
	var locked *filelock.HeldError
	if !errors.As(err, &locked) || locked.Holder.PID != cmd.Process.Pid {
		t.Fatalf("got %v, want process %d named", err, cmd.Process.Pid)
	}
	if _, err := store.Open(r.Dir(), store.Read); err != nil {
		t.Errorf("a reader: %v", err)
	}
	cmd.Process.Kill()
	cmd.Process.Wait()
	again, err := store.Open(r.Dir(), store.Write)
	if err != nil {
		t.Fatalf("after the holder was killed: %v", err)
	}
	again.Close()
}

func TestOpenOrCreate(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "run")
	r, err := store.OpenOrCreate(dir, store.Info{Study: twoArms(t)})
	if err != nil {
		t.Fatal(err)
	}
	id := r.ID()
	r.Close()
	more := twoArms(t)
	more.Repeats, more.Description = 5, "more"
	r, err = store.OpenOrCreate(dir, store.Info{Study: more})
	if err != nil || r.ID() != id || r.Info().Study.Repeats != 5 {
		t.Fatalf("more repeats: %v", err)
	}
	r.Close()
	other := twoArms(t)
	other.Arms[1].Tasks = "4"
	if _, err := store.OpenOrCreate(dir, store.Info{Study: other}); err == nil || !strings.Contains(err.Error(), "another list of arms") {
		t.Errorf("another study: %v", err)
	}
	if _, err := store.OpenOrCreate(dir, store.Info{Study: more, Simulated: true}); err == nil || !strings.Contains(err.Error(), "simulated") {
		t.Errorf("simulated trials beside real ones: %v", err)
	}
	if _, err := store.Create(dir, store.Info{Study: more}); err == nil || !strings.Contains(err.Error(), "already holds a run") {
		t.Errorf("create twice: %v", err)
	}
	if r, err = store.OpenOrCreate(dir, store.Info{Study: more}); err != nil {
		t.Errorf("the lock was not given back: %v", err)
	} else {
		r.Close()
	}
}

func TestOpenFaults(t *testing.T) {
	if _, err := store.Open(t.TempDir(), store.Read); !errors.Is(err, store.ErrNoRun) {
		t.Errorf("no run: %v", err)
	}
	for name, data := range map[string]string{"not json": "{", "no study": `{"schemaVersion":1,"id":"x"}`, "new schema": `{"schemaVersion":9}`} {
		dir := t.TempDir()
		write(t, filepath.Join(dir, "run.json"), []byte(data))
		if _, err := store.Open(dir, store.Write); err == nil || errors.Is(err, store.ErrNoRun) {
			t.Errorf("%s: %v", name, err)
		}
	}
	s := twoArms(t)
	s.Parser = "fortran"
	if _, err := store.Create(t.TempDir(), store.Info{Study: s}); err == nil || !strings.Contains(err.Error(), "no parser is named") {
		t.Errorf("unknown parser: %v", err)
	}
}

func TestStrayFoldersAreToldNotCounted(t *testing.T) {
	r := create(t, t.TempDir())
	storetest.Put(t, r, "random", 1, storetest.Trial{Log: log2(1)})
	for _, name := range []string{"01", "old", "1 copy"} {
		if err := os.MkdirAll(storetest.Dir(r, "random", name), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Rename(storetest.Dir(r, "random", "1"), storetest.Dir(r, "random", "1.failed-1")); err != nil {
		t.Fatal(err)
	}
	recs, err := r.Records(context.Background())
	if err != nil || len(recs) != 4 || slices.ContainsFunc(recs, func(r store.Record) bool { return r.Complete() }) {
		t.Errorf("%+v, %v", recs, err)
	}
}

func TestClockJump(t *testing.T) {
	r := create(t, t.TempDir())
	a, _ := r.Begin("random", 1, false)
	if err := storetest.Fill(a, r, storetest.Trial{Log: log2(1)}); err != nil {
		t.Fatal(err)
	}
	rec := storetest.Describe(a, storetest.Trial{})
	rec.Phases.Finished = rec.Phases.Started.Add(-time.Hour)
	if err := a.Commit(rec); err == nil || !strings.Contains(err.Error(), "a clock jumped") {
		t.Errorf("got %v", err)
	}
	recs, err := r.Records(t.Context())
	if err != nil || len(recs) != 1 || recs[0].Trial.Verdict != store.Rejected || !strings.Contains(recs[0].Trial.Reason, "a clock jumped") {
		t.Errorf("kept: %+v, %v", recs, err)
	}
}

// TestDiskFull uses a small file system of its own where the system lets it make one.
func TestDiskFull(t *testing.T) {
	dir := t.TempDir()
	if err := mountSmall(dir, 192<<10); err != nil {
		t.Skipf("no small file system to be had: %v", err)
	}
	defer unmount(dir)
	r, err := store.Create(filepath.Join(dir, "run"), store.Info{Study: twoArms(t)})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	storetest.Put(t, r, "random", 1, storetest.Trial{Log: log2(1)})
	filler := filepath.Join(dir, "filler")
	os.WriteFile(filler, bytes.Repeat([]byte("x"), 1<<20), 0o644) // as much as fits
	a, err := r.Begin("random", 2, false)
	if err == nil {
		err = storetest.Fill(a, r, storetest.Trial{Log: log2(2)})
	}
	if !errors.Is(err, store.ErrDiskFull) || !errors.Is(err, syscall.ENOSPC) || !strings.Contains(err.Error(), "free some space") {
		t.Fatalf("got %v", err)
	}
	if a != nil {
		if err := a.Discard(); err != nil {
			t.Errorf("giving up on a full disk: %v", err)
		}
	}
	os.Remove(filler)
	storetest.Put(t, r, "random", 2, storetest.Trial{Log: log2(2)})
	if p := r.Progress(r.Info().Study)[0]; p.Done != 2 {
		t.Errorf("%+v", p)
	}
}

// TestSpentIsASum checks that the sum kept while a run is written is the sum that the folder gives.
func TestSpentIsASum(t *testing.T) {
	dir := t.TempDir()
	r, err := store.Create(dir, store.Info{Study: twoArms(t)})
	if err != nil {
		t.Fatal(err)
	}
	spent := func(r *store.Run) float64 {
		t.Helper()
		v, err := r.Spent(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	if got := spent(r); got != 0 {
		t.Errorf("an empty run has cost %v", got)
	}
	for n := 1; n <= 2; n++ {
		a, err := r.Begin("random", n, false)
		if err != nil {
			t.Fatal(err)
		}
		record := a.Record()
		record.CostUSD, record.Verdict, record.Reason = float64(n), store.Failed, "for the test"
		if err := a.Fail(record); err != nil {
			t.Fatal(err)
		}
		if got, want := spent(r), float64(n*(n+1)/2); got != want {
			t.Errorf("after %d attempts: %v, want %v", n, got, want)
		}
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	again, err := store.Open(dir, store.Read)
	if err != nil {
		t.Fatal(err)
	}
	if got := spent(again); got != 3 {
		t.Errorf("read from the folder: %v, want 3", got)
	}
}

// TestBillGoesByTime reads a run of two arms that took turns on a group of one node, each on a machine of its own: a machine is paid until the
// next one came in its place, in whatever order the folder names the trials.
func TestBillGoesByTime(t *testing.T) {
	lab := cost.Lab{
		Prices: cost.Prices{Node: map[string]float64{"c7g.16xlarge": 60}}, Groups: []cost.Group{{Name: "g", InstanceType: "c7g.16xlarge", Max: 1}},
		ScaleDownAfter: 10 * time.Minute,
	}
	r, err := store.Create(t.TempDir(), store.Info{Study: twoArms(t), Costs: &lab})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	for i, turn := range []struct {
		arm string
		n   int
	}{{"random", 1}, {"fom-model", 1}, {"random", 2}, {"fom-model", 2}} {
		storetest.Put(t, r, turn.arm, turn.n, storetest.Trial{
			Log: log2(uint64(i)), Node: fmt.Sprint("machine-", i), InstanceType: "c7g.16xlarge", Created: storetest.Start.Add(time.Duration(i) * 3 * time.Minute),
		})
	}
	records, err := r.Records(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	meter, err := r.Meter(context.Background(), lab)
	if err != nil {
		t.Fatal(err)
	}
	bill := r.Bill(records)
	if read := meter.Last(); math.Abs(read.Committed-bill.Committed) > 1e-9 {
		t.Errorf("$%.3f of the records, $%.3f of the folder", bill.Committed, read.Committed)
	}
	// A trial takes 73 s. The first three machines are paid for three minutes, the last one until ten minutes after its trial.
	if want := 3*3 + 73.0/60 + 10; math.Abs(bill.Committed-want) > 1e-6 {
		t.Errorf("$%.3f, want $%.3f", bill.Committed, want)
	}
}

func TestUnfinished(t *testing.T) {
	s := storetest.Study(t, 4, 2, study.Arm{Name: "random", Model: "random", Tasks: "cores"})
	r, err := store.Create(t.TempDir(), store.Info{Study: s})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	storetest.Put(t, r, "random", 1, storetest.Trial{Log: log2(1)})
	for _, n := range []int{2, 3} {
		a, err := r.Begin("random", n, false)
		if err != nil {
			t.Fatal(err)
		}
		record := a.Record()
		record.Verdict = map[int]store.Verdict{2: store.Failed, 3: store.Interrupted}[n]
		if err := a.Fail(record); err != nil {
			t.Fatal(err)
		}
	}
	for _, tc := range []struct {
		name       string
		failedOnly bool
		want       []int
	}{
		{"whatever is not done", false, []int{2, 3, 4}},
		{"only what failed; what was interrupted has not", true, []int{2}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			left, err := r.Unfinished(s.Trials(), tc.failedOnly)
			if err != nil {
				t.Fatal(err)
			}
			var got []int
			for _, tr := range left {
				got = append(got, tr.N)
			}
			if !slices.Equal(got, tc.want) {
				t.Errorf("got %v, want %v", got, tc.want)
			}
		})
	}
}
