package labstate

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/compspec/ocifit-lab/provision/lab"
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
	if err := os.WriteFile(d.Path("state.json"), []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := d.Read(); err == nil || !strings.Contains(err.Error(), "damaged") {
		t.Errorf("error %v, want it to say that the state is damaged", err)
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
