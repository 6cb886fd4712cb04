package labstate

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/compspec/ocifit-lab/provision/lab"
	"github.com/compspec/ocifit-lab/provision/step"
)

func TestState(t *testing.T) {
	root := t.TempDir()
	d, err := Open(filepath.Join(root, "labs"), "a")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := d.Read(); !errors.Is(err, ErrNoLab) {
		t.Errorf("error %v, want ErrNoLab", err)
	}
	want := &State{Name: "a", Provider: "sim", Instance: "x", Steps: map[string]time.Time{"one": time.Now().UTC().Round(0)}}
	if err := d.Write(want, lab.Default()); err != nil {
		t.Fatal(err)
	}
	got, err := d.Read()
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if _, err := d.Spec(); err != nil {
		t.Error(err)
	}
	if err := d.Remove(); err != nil {
		t.Fatal(err)
	}
	if left, _ := os.ReadDir(root); len(left) != 0 {
		t.Errorf("left behind: %v", left)
	}
}

func TestLockKeepsASecondOneAway(t *testing.T) {
	d, err := Open(t.TempDir(), "a")
	if err != nil {
		t.Fatal(err)
	}
	release, err := d.Lock()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := d.Lock(); err == nil || !strings.Contains(err.Error(), `lab "a" is in use by process`) {
		t.Errorf("error %v, want one that names this process", err)
	}
	release()
	again, err := d.Lock()
	if err != nil {
		t.Fatal(err)
	}
	again()
}

// Whatever happened to the state's file, `down` still finds the lab and `up` mends it.
func TestStateIsRebuilt(t *testing.T) {
	kindSpec := lab.Default()
	kindSpec.Name, kindSpec.Provider = "a", "kind"
	for name, c := range map[string]struct {
		state    string // of state.json; "-": none
		spec     *lab.Spec
		folder   string // of a provider
		provider string // found; "": none
		why      string
	}{
		"truncated":                    {`{"version": 1, "na`, kindSpec, "", "kind", "is damaged"},
		"empty":                        {"", kindSpec, "", "kind", "is damaged"},
		"newer":                        {`{"version": 2, "phases": []}`, kindSpec, "", "kind", "has version 2, this program knows 1"},
		"gone":                         {"-", kindSpec, "", "kind", "is missing"},
		"gone with the spec":           {"-", nil, "sim", "sim", "is missing"},
		"truncated and the spec gone":  {"{", nil, "kind", "kind", "is damaged"},
		"a cluster nobody can name":    {"{", nil, "eks", "", ""},
		"nothing but its damaged file": {"{", nil, "", "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			d, err := Open(t.TempDir(), "a")
			if err != nil {
				t.Fatal(err)
			}
			if err := os.MkdirAll(d.Path(c.folder), 0o700); err != nil {
				t.Fatal(err)
			}
			if c.spec != nil {
				if err := d.Write(&State{Name: "a"}, c.spec); err != nil {
					t.Fatal(err)
				}
			}
			err = os.Remove(d.Path("state.json"))
			if c.state != "-" {
				err = os.WriteFile(d.Path("state.json"), []byte(c.state), 0o600)
			} else if c.spec == nil {
				err = nil
			}
			if err != nil {
				t.Fatal(err)
			}
			got, err := d.Read()
			if c.provider == "" {
				if err == nil || !strings.Contains(step.HintOf(err), "down --name a") {
					t.Errorf("got %+v, %v; hint %q", got, err, step.HintOf(err))
				}
				return
			}
			if err != nil || got.Name != "a" || got.Provider != c.provider || got.Ready || got.Steps == nil || !strings.Contains(got.Rebuilt, c.why) {
				t.Fatalf("got %+v, %v", got, err)
			}
			if spec, err := d.Spec(); err != nil || spec.Provider != c.provider || spec.Name != "a" {
				t.Errorf("the spec: %+v, %v", spec, err)
			}
			// What `up` and `down` write is a good state again.
			if err := d.Write(got, nil); err != nil {
				t.Fatal(err)
			}
			if again, err := d.Read(); err != nil || again.Rebuilt != "" {
				t.Errorf("%+v, %v", again, err)
			}
		})
	}
}

// What a plan or a refused up on eks wrote is no lab.
func TestChecksAreNoLab(t *testing.T) {
	d, err := Open(t.TempDir(), "a")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(d.Path("eks", "logs"), 0o700); err != nil {
		t.Fatal(err)
	}
	if _, err := d.Read(); !errors.Is(err, ErrNoLab) {
		t.Errorf("error %v, want ErrNoLab", err)
	}
	if err := d.RemoveUnused(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(d.Path()); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the folder is left: %v", err)
	}
}
