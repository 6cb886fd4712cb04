package store_test

import (
	"archive/tar"
	"compress/gzip"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/compspec/ocifit-lab/experiments/store"
	"github.com/compspec/ocifit-lab/experiments/store/storetest"
)

func TestPackAndPrune(t *testing.T) {
	results, archives := t.TempDir(), t.TempDir()
	var dirs []string
	for i, name := range []string{"old", "older", "new"} {
		dir := filepath.Join(results, name)
		r, err := store.Create(dir, store.Info{Study: twoArms(t), Created: time.Date(2025, 7, 21-i%2, i, 0, 0, 0, time.UTC)})
		if err != nil {
			t.Fatal(err)
		}
		storetest.Put(t, r, "random", 1, storetest.Trial{Log: log2(uint64(i))})
		if name != "new" {
			first, err := r.Pack(t.Context(), filepath.Join(archives, name+".tar.gz"))
			if err != nil {
				t.Fatal(err)
			}
			again, err := r.Pack(t.Context(), filepath.Join(archives, name+".tar.gz"))
			if err != nil || first.SHA256 != again.SHA256 || first.Files != 3 {
				t.Errorf("the same files gave another archive: %+v %+v %v", first, again, err)
			}
		}
		r.Close()
		dirs = append(dirs, dir)
	}
	checkArchive(t, filepath.Join(archives, "old.tar.gz"), "logs/hpcg/random/1/trial.json")

	found, err := store.Find(results)
	if err != nil || len(found) != 3 || found[0].Dir != dirs[2] {
		t.Fatalf("%+v, %v", found, err)
	}
	plan, err := store.Prune(t.Context(), results, 1, true)
	if err != nil || len(plan) != 2 || plan[0].Removed || !strings.Contains(plan[0].Why, "would be removed") {
		t.Errorf("%+v, %v", plan, err)
	}
	// One archive is damaged, and nothing may be lost.
	if err := os.WriteFile(filepath.Join(archives, "older.tar.gz"), []byte("x"), 0o644); err != nil {
		t.Fatal(err)
	}
	done, err := store.Prune(t.Context(), results, 1, false)
	if err != nil || len(done) != 2 {
		t.Fatalf("%+v, %v", done, err)
	}
	for _, p := range done {
		_, err := os.Stat(p.Dir)
		gone := os.IsNotExist(err)
		if want := filepath.Base(p.Dir) == "old"; p.Removed != want || gone != want {
			t.Errorf("%+v gone=%v", p, gone)
		}
	}
}

func TestPruneKeepsWhatIsNotSafe(t *testing.T) {
	for name, tc := range map[string]struct {
		prepare func(t *testing.T, r *store.Run, archive string)
		want    string
	}{
		"never packed": {func(*testing.T, *store.Run, string) {}, "not packed"},
		"changed since": {func(t *testing.T, r *store.Run, archive string) {
			if _, err := r.Pack(t.Context(), archive); err != nil {
				t.Fatal(err)
			}
			storetest.Put(t, r, "random", 1, storetest.Trial{Log: log2(1)})
		}, "changed since"},
		"archive gone": {func(t *testing.T, r *store.Run, archive string) {
			if _, err := r.Pack(t.Context(), archive); err != nil {
				t.Fatal(err)
			}
			os.Remove(archive)
		}, "cannot be read"},
		"in use": {func(t *testing.T, r *store.Run, archive string) {
			if _, err := r.Pack(t.Context(), archive); err != nil {
				t.Fatal(err)
			}
		}, "in use by process"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			r := create(t, dir)
			tc.prepare(t, r, filepath.Join(t.TempDir(), "a.tar.gz"))
			if name != "in use" {
				r.Close()
			}
			got, _ := store.Prune(t.Context(), dir, 0, false)
			if len(got) != 1 || got[0].Removed || !strings.Contains(got[0].Why, tc.want) {
				t.Errorf("%+v", got)
			}
			if _, err := os.Stat(filepath.Join(dir, "run.json")); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestPruneDryRunSaysWhy(t *testing.T) {
	dir := t.TempDir()
	r := create(t, dir)
	if _, err := r.Pack(t.Context(), filepath.Join(t.TempDir(), "a.tar.gz")); err != nil {
		t.Fatal(err)
	}
	r.Close()
	got, err := store.Prune(t.Context(), dir, 0, true)
	if err != nil || len(got) != 1 || got[0].Removed || !strings.Contains(got[0].Why, "would be removed") {
		t.Errorf("%+v, %v", got, err)
	}
	if _, err := os.Stat(filepath.Join(dir, "run.json")); err != nil {
		t.Error(err)
	}
}

func checkArchive(t *testing.T, file, want string) {
	t.Helper()
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	gz, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	tr := tar.NewReader(gz)
	for {
		h, err := tr.Next()
		if err == io.EOF {
			t.Errorf("%s has no %s", file, want)
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		if strings.HasSuffix(h.Name, want) {
			return
		}
	}
}
