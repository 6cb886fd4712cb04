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

// Read returns the state, or ErrNoLab.
func (d *Dir) Read() (*State, error) {
	data, err := os.ReadFile(d.Path("state.json"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%w is up in %s", ErrNoLab, d.path)
	}
	if err != nil {
		return nil, err
	}
	var s State
	if err := json.Unmarshal(data, &s); err != nil {
		return nil, fmt.Errorf("%s is damaged: %w", d.Path("state.json"), err)
	}
	if s.Version != stateVersion {
		return nil, fmt.Errorf("%s has version %d, this program knows %d: use the program that made it", d.Path("state.json"), s.Version, stateVersion)
	}
	return &s, nil
}

// Spec returns the spec that the lab was brought up with.
func (d *Dir) Spec() (*lab.Spec, error) { return lab.LoadSaved(d.Path("lab.yaml")) }

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
