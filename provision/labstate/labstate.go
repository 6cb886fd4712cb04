// Package labstate is the folder in which a lab remembers what it is and how far it came, so that every call finds the lab again.
package labstate

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/compspec/ocifit-lab/provision/atomicfile"
	"github.com/compspec/ocifit-lab/provision/filelock"
	"github.com/compspec/ocifit-lab/provision/lab"
	"github.com/compspec/ocifit-lab/provision/step"
)

// Dir is the state folder of one lab. Everything that `down` needs is in it.
type Dir struct{ path string }

// State is what the lab remembers between calls.
type State struct {
	Version  int    `json:"version"`
	Name     string `json:"name"`
	Provider string `json:"provider"`
	// Instance is new for every `up` from nothing; it tells two labs of one name apart.
	Instance string    `json:"instance"`
	Created  time.Time `json:"created"`
	// Steps are the steps that are done, with the time of their completion.
	Steps map[string]time.Time `json:"steps"`
	// Ready is set when all steps of `up` were done.
	Ready bool `json:"ready"`
	// Rebuilt says why the state was made anew from what else is in the folder; which steps are done is then for them to tell.
	Rebuilt string `json:"-"`
}

const stateVersion = 1

// ErrNoLab says that no lab of this name was brought up from here.
var ErrNoLab = errors.New("no lab")

// Open names the state folder of a lab below root; it is made when something is first written.
func Open(root, name string) (*Dir, error) {
	abs, err := filepath.Abs(filepath.Join(root, name))
	if err != nil {
		return nil, err
	}
	return &Dir{path: abs}, nil
}

// Path joins names to the state folder.
func (d *Dir) Path(names ...string) string {
	return filepath.Join(append([]string{d.path}, names...)...)
}

// Kubeconfig is the lab's own kubeconfig file.
func (d *Dir) Kubeconfig() string { return d.Path("kubeconfig") }

// Read returns the state, or ErrNoLab. A state file that is damaged, lost or of another version is replaced by what the rest of the
// folder tells: `up` then finds out which steps are done, and `down` removes what there is.
func (d *Dir) Read() (*State, error) {
	data, err := os.ReadFile(d.Path("state.json"))
	if errors.Is(err, fs.ErrNotExist) {
		if !d.inhabited() {
			return nil, fmt.Errorf("%w is up in %s", ErrNoLab, d.path)
		}
		return d.rebuild(d.Path("state.json") + " is missing")
	}
	if err != nil {
		return nil, err
	}
	var s State
	if err := json.Unmarshal(data, &s); err != nil {
		return d.rebuild(fmt.Sprintf("%s is damaged: %v", d.Path("state.json"), err))
	}
	if s.Version != stateVersion {
		return d.rebuild(fmt.Sprintf("%s has version %d, this program knows %d", d.Path("state.json"), s.Version, stateVersion))
	}
	return &s, nil
}

// providerFolders are those in the state folder from which a lab can be told. That of eks is not among them: its checks write there too
// when nothing is made.
var providerFolders = []string{"sim", "kind"}

func (d *Dir) inhabited() bool {
	for _, name := range append([]string{"lab.yaml"}, providerFolders...) {
		if _, err := os.Stat(d.Path(name)); err == nil {
			return true
		}
	}
	return false
}

func (d *Dir) rebuild(why string) (*State, error) {
	spec, err := d.Spec()
	if err != nil {
		return nil, step.Try(fmt.Errorf("%s, and %w", why, err), "remove a cluster on eks with `ocifit-lab down --name %s --region REGION`", filepath.Base(d.path))
	}
	return &State{Version: stateVersion, Name: spec.Name, Provider: spec.Provider, Steps: map[string]time.Time{}, Rebuilt: why}, nil
}

// Spec returns the spec that the lab was brought up with; where its file is lost or damaged, the default one for the provider that
// the folder shows, which is enough to take the lab down.
func (d *Dir) Spec() (*lab.Spec, error) {
	spec, err := lab.LoadSaved(d.Path("lab.yaml"))
	if err == nil {
		return spec, nil
	}
	for _, provider := range []string{"sim", "kind"} {
		if _, statErr := os.Stat(d.Path(provider)); statErr == nil {
			spec := lab.Default()
			spec.Name, spec.Provider = filepath.Base(d.path), provider
			return spec, nil
		}
	}
	return nil, err
}

// Write saves the state, and the spec when it is given.
func (d *Dir) Write(s *State, spec *lab.Spec) error {
	if err := os.MkdirAll(d.path, 0o700); err != nil {
		return err
	}
	if spec != nil {
		data, err := spec.YAML()
		if err != nil {
			return err
		}
		if err := atomicfile.Write(d.Path("lab.yaml"), data, 0o600); err != nil {
			return err
		}
	}
	s.Version = stateVersion
	data, err := json.MarshalIndent(s, "", "  ")
	if err != nil {
		return err
	}
	return atomicfile.Write(d.Path("state.json"), append(data, '\n'), 0o600)
}

// Remove deletes the state folder.
func (d *Dir) Remove() error {
	if err := os.RemoveAll(d.path); err != nil {
		return err
	}
	// The folder above is ours too, but only when no other lab is in it.
	if err := os.Remove(filepath.Dir(d.path)); err != nil && !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, syscall.ENOTEMPTY) {
		return err
	}
	return nil
}

// RemoveUnused deletes the state folder of a lab of which nothing was brought up.
func (d *Dir) RemoveUnused() error {
	if _, err := os.Stat(d.Path("state.json")); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if d.inhabited() {
		return nil
	}
	return d.Remove()
}

// Lock keeps other programs that change the lab or run trials on it away until release is called or the process ends.
func (d *Dir) Lock() (release func(), err error) {
	if err := os.MkdirAll(d.path, 0o700); err != nil {
		return nil, err
	}
	lock, err := filelock.Acquire(d.Path("lock"), fmt.Sprintf("lab %q", filepath.Base(d.path)))
	if err != nil {
		return nil, err
	}
	return func() { _ = lock.Release() }, nil
}

// Holder tells who has the lock.
func (d *Dir) Holder() (filelock.Holder, bool) { return filelock.HolderOf(d.Path("lock")) }
