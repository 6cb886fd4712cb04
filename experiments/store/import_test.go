package store_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/compspec/ocifit-lab/experiments/application/hpcg/hpcgtest"
	"github.com/compspec/ocifit-lab/experiments/store"
	"github.com/compspec/ocifit-lab/experiments/store/storetest"
	"github.com/compspec/ocifit-lab/experiments/study"
)

// published writes trials as the published data has them: no record, a pod that may still be running.
func published(t *testing.T, root, arm string, n int, spec hpcgtest.Spec, model, node, instanceType string, running bool) {
	t.Helper()
	dir := filepath.Join(root, arm, fmt.Sprint(n))
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(dir, "hpcg.out"), hpcgtest.Log(spec))
	write(t, filepath.Join(dir, "pod-time.txt"), []byte("NAME  READY\n"))
	state := `"terminated": {"startedAt": "2025-07-21T00:51:00Z", "finishedAt": "2025-07-21T00:51:53Z"}`
	if running {
		state = `"running": {"startedAt": "2025-07-21T00:51:00Z"}`
	}
	write(t, filepath.Join(dir, "pod.json"), fmt.Appendf(nil, `{"kind": "Pod",
 "metadata": {"name": "hpcg-0-x", "creationTimestamp": "2025-07-21T00:49:00Z", "annotations": {"oci.image.compatibilities.selection/model": %q}},
 "spec": {"nodeName": %q, "nodeSelector": {"node.kubernetes.io/instance-type": %q}, "containers": [{"name": "hpcg", "image": "registry.example/hpcg:znver3-Ofast"}]},
 "status": {"conditions": [{"type": "PodScheduled", "lastTransitionTime": "2025-07-21T00:50:22Z"}, {"type": "Ready", "lastTransitionTime": "2025-07-21T00:51:53Z"}],
  "containerStatuses": [{"name": "hpcg", "imageID": "sha256:2", "state": {%s}}]}}`, model, node, instanceType, state))
}

func TestImport(t *testing.T) {
	src := filepath.Join(t.TempDir(), "data")
	one := hpcgtest.Spec{Ranks: 1, Threads: 32, Cores: 16, Jobs: true}
	all := hpcgtest.Spec{Ranks: 64, Tasks: "64"}
	published(t, src, "random", 1, one, "random", "ip-1", "r6i.8xlarge", true)
	published(t, src, "random", 2, one, "random", "ip-2", "t3.2xlarge", false)
	published(t, src, "FOM_model", 1, all, "fom", "ip-3", "hpc7g.16xlarge", false)
	published(t, src, "FOM_model", 2, all, "fom", "ip-3", "hpc7g.16xlarge", false)
	log := filepath.Join(src, "FOM_model", "2", "hpcg.out")
	data, _ := os.ReadFile(log)
	write(t, log, data[:len(data)/3])

	r, sum, err := store.Import(src, filepath.Join(t.TempDir(), "run"), store.ImportOptions{Prices: map[string]float64{"r6i.8xlarge": 3600}})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	want := []store.ArmProgress{{Name: "random", Model: "random", Trials: 2, Done: 2}, {Name: "fom-model", Model: "fom", Trials: 2, Done: 1, Failed: 1}}
	if d := cmp.Diff(want, sum.Arms); d != "" {
		t.Error(d)
	}
	if !strings.HasPrefix(sum.Rejected["fom-model/2"], "truncated: ") || len(sum.Rejected) != 1 {
		t.Errorf("%v", sum.Rejected)
	}
	recs, err := r.Records(context.Background())
	if err != nil || len(recs) != 4 {
		t.Fatalf("%d records, %v", len(recs), err)
	}
	tr := recs[0].Trial
	if tr.Node.Name != "ip-1" || tr.Node.InstanceType != "r6i.8xlarge" || tr.Image != "registry.example/hpcg:znver3-Ofast" || tr.Simulated {
		t.Errorf("%+v", tr)
	}
	if tr.Seconds.Run != 53 || tr.Seconds.Total != 173 || tr.CostUSD != 173 {
		t.Errorf("a pod that was stored while it ran: %+v, cost %v", tr.Seconds, tr.CostUSD)
	}
	if after, _ := os.ReadFile(log); len(after) != len(data)/3 {
		t.Error("the source was changed")
	}
}

func TestImportFaults(t *testing.T) {
	empty := t.TempDir()
	if _, _, err := store.Import(empty, filepath.Join(t.TempDir(), "run"), store.ImportOptions{}); err == nil || !strings.Contains(err.Error(), "has no trials") {
		t.Errorf("nothing there: %v", err)
	}
	r := create(t, t.TempDir())
	if _, _, err := store.Import(r.Dir(), filepath.Join(t.TempDir(), "run"), store.ImportOptions{}); err == nil || !strings.Contains(err.Error(), "is a run already") {
		t.Errorf("a run: %v", err)
	}
	src := t.TempDir()
	published(t, src, "random", 1, hpcgtest.Spec{}, "random", "n", "t", false)
	if _, _, err := store.Import(src, r.Dir(), store.ImportOptions{}); err == nil {
		t.Error("an import into a run that exists")
	}
	published(t, src, "fom", 1, hpcgtest.Spec{}, "fom", "n", "t", false)
	write(t, filepath.Join(src, "fom", "1", "pod.json"), []byte("{broken"))
	again, sum, err := store.Import(src, filepath.Join(t.TempDir(), "run"), store.ImportOptions{})
	if err != nil || sum.Arms[1].Done != 1 {
		t.Fatalf("a broken pod.json only costs what it would have told: %+v, %v", sum, err)
	}
	again.Close()
}

// TestImportNames: folders are named and numbered so that nothing is lost and nothing is invented, and each change is told.
func TestImportNames(t *testing.T) {
	spec := func(seed int) hpcgtest.Spec { return hpcgtest.Spec{Ranks: 64, Tasks: "64", Seed: uint64(seed)} }
	for _, tc := range []struct {
		name    string
		folders []string
		want    []store.ArmProgress
		notes   []string
	}{
		{"leading zeros", []string{"fom/001", "fom/002"}, []store.ArmProgress{{Name: "fom", Model: "fom", Trials: 2, Done: 2}}, nil},
		{"arms that normalise alike", []string{"Fom A/1", "fom_a/1"}, []store.ArmProgress{
			{Name: "fom-a", Model: "fom-a", Trials: 1, Done: 1}, {Name: "fom-a-2", Model: "fom-a-2", Trials: 1, Done: 1},
		}, []string{"folder Fom A is arm fom-a", "folder fom_a is arm fom-a-2"}},
		{"job ids", []string{"fom/48213", "fom/48215"}, []store.ArmProgress{{Name: "fom", Model: "fom", Trials: 2, Done: 2}}, []string{"are no trial numbers"}},
		{"other letters", []string{"模型/1"}, []store.ArmProgress{{Name: "arm", Model: "arm", Trials: 1, Done: 1}}, []string{"folder 模型 is arm arm"}},
		{"a gap stays a gap", []string{"fom/1", "fom/3"}, []store.ArmProgress{{Name: "fom", Model: "fom", Trials: 3, Done: 2}}, nil},
	} {
		t.Run(tc.name, func(t *testing.T) {
			src := t.TempDir()
			for i, folder := range tc.folders {
				if err := os.MkdirAll(filepath.Join(src, folder), 0o755); err != nil {
					t.Fatal(err)
				}
				write(t, filepath.Join(src, folder, "hpcg.out"), hpcgtest.Log(spec(i)))
			}
			r, sum, err := store.Import(src, filepath.Join(t.TempDir(), "run"), store.ImportOptions{})
			if err != nil {
				t.Fatal(err)
			}
			defer r.Close()
			if d := cmp.Diff(tc.want, sum.Arms); d != "" {
				t.Error(d)
			}
			if len(sum.Notes) != len(tc.notes) {
				t.Fatalf("told %q", sum.Notes)
			}
			for i, want := range tc.notes {
				if !strings.Contains(sum.Notes[i], want) {
					t.Errorf("told %q, want %q", sum.Notes[i], want)
				}
			}
			if !r.Info().PlanUnknown || !r.Info().Created.IsZero() {
				t.Errorf("a plan or a date is invented: %+v", r.Info())
			}
		})
	}
}

func TestImportGoesOn(t *testing.T) {
	src, parent := t.TempDir(), t.TempDir()
	dst, unfinished := filepath.Join(parent, "run"), filepath.Join(parent, ".run.import")
	published(t, src, "fom", 1, hpcgtest.Spec{Ranks: 64, Tasks: "64"}, "fom", "n", "t", false)
	// What an import that was killed left: the run, with its first trial done.
	r, _, err := store.Import(src, dst, store.ImportOptions{})
	if err != nil {
		t.Fatal(err)
	}
	r.Close()
	if err := os.Rename(dst, unfinished); err != nil {
		t.Fatal(err)
	}
	before, err := os.Stat(filepath.Join(unfinished, "logs", "hpcg", "fom", "1"))
	if err != nil {
		t.Fatal(err)
	}
	r, sum, err := store.Import(src, dst, store.ImportOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	after, err := os.Stat(filepath.Join(dst, "logs", "hpcg", "fom", "1"))
	if err != nil || !os.SameFile(before, after) {
		t.Errorf("the trial that was imported before was imported again: %v", err)
	}
	if sum.Arms[0].Done != 1 || len(sum.Notes) != 0 {
		t.Errorf("%+v", sum)
	}
	if _, err := os.Stat(unfinished); !os.IsNotExist(err) {
		t.Errorf("the folder of the import is left: %v", err)
	}
}

// TestImportHonoursTheRecord: trials of another run keep their record, their order, their seed and their date.
func TestImportHonoursTheRecord(t *testing.T) {
	from := create(t, t.TempDir())
	storetest.Put(t, from, "fom-model", 1, storetest.Trial{
		Log: log2(3), Node: "n1", InstanceType: "c7g.16xlarge", Price: 2, NodeStart: time.Minute,
		Replay: `{"simulated":true,"source":"estimated","rule":"by cores"}`,
	})
	from.Close()
	r, sum, err := store.Import(filepath.Join(from.Dir(), "logs", "hpcg"), filepath.Join(t.TempDir(), "run"), store.ImportOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	recs, err := r.Records(context.Background())
	if err != nil || len(recs) != 1 || !recs[0].Complete() {
		t.Fatalf("%+v %+v %v", recs, sum, err)
	}
	tr, info := recs[0].Trial, r.Info()
	if !strings.Contains(string(tr.Replay), "estimated") || tr.Seconds.NodeStart != 60 || tr.Tasks != "cores" || tr.Source != "fom-model/1" || !tr.Simulated {
		t.Errorf("%+v", tr)
	}
	if info.PlanUnknown || info.Study.Order != study.Shuffle || !info.Created.Equal(from.Info().Created) {
		t.Errorf("%+v", info)
	}
}

// A link or a pipe among the trials would bring in what is not part of them.
func TestImportFollowsNothing(t *testing.T) {
	secret := filepath.Join(t.TempDir(), "secret")
	write(t, secret, []byte("root:x:0"))
	for name, put := range map[string]func(file string) error{
		"link to a file": func(file string) error { return os.Symlink(secret, file) },
		"pipe":           func(file string) error { return syscall.Mkfifo(file, 0o600) },
	} {
		for _, file := range []string{"hpcg.out", "pod.json", "pod-time.txt"} {
			src, dst := t.TempDir(), filepath.Join(t.TempDir(), "run")
			dir := filepath.Join(src, "random", "1")
			if err := os.MkdirAll(dir, 0o700); err != nil {
				t.Fatal(err)
			}
			if file != "hpcg.out" {
				write(t, filepath.Join(dir, "hpcg.out"), []byte("32 32 32\n"))
			}
			if err := put(filepath.Join(dir, file)); err != nil {
				t.Fatal(err)
			}
			if _, _, err := store.Import(src, dst, store.ImportOptions{}); err == nil || !strings.Contains(err.Error(), file+" is no regular file") {
				t.Errorf("%s as %s: %v", name, file, err)
			}
			if left, _ := os.ReadDir(filepath.Dir(dst)); len(left) != 0 {
				t.Errorf("%s as %s: left %v", name, file, left)
			}
		}
	}
}

func TestImportBeginsAgainAfterAKill(t *testing.T) {
	src, parent := t.TempDir(), t.TempDir()
	if err := os.MkdirAll(filepath.Join(src, "random", "1"), 0o700); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(src, "random", "1", "hpcg.out"), []byte("32 32 32\n"))
	if err := os.MkdirAll(filepath.Join(parent, ".run.import", "logs"), 0o700); err != nil { // what the killed one had made
		t.Fatal(err)
	}
	r, _, err := store.Import(src, filepath.Join(parent, "run"), store.ImportOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if left, _ := os.ReadDir(parent); len(left) != 1 || left[0].Name() != "run" {
		t.Errorf("left %v", left)
	}
}
