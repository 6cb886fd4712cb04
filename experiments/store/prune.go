package store

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/hashicorp/go-multierror"
)

// Found is a run folder under a results folder.
type Found struct {
	Dir     string    `json:"dir"`
	ID      string    `json:"id"`
	Study   string    `json:"study"`
	Created time.Time `json:"created"`
}

// Find lists the runs directly under a results folder, or the folder itself when it is a run, the newest first. Folders that are no run
// are passed over.
func Find(results string) ([]Found, error) {
	dirs := []string{results}
	entries, err := os.ReadDir(results)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	for _, e := range entries {
		if e.IsDir() && !strings.HasPrefix(e.Name(), ".") {
			dirs = append(dirs, filepath.Join(results, e.Name()))
		}
	}
	var out []Found
	for _, dir := range dirs {
		r, err := Open(dir, Read)
		if err != nil {
			continue
		}
		out = append(out, Found{Dir: dir, ID: r.ID(), Study: r.info.Study.Name, Created: r.info.Created})
	}
	slices.SortFunc(out, func(a, b Found) int { return b.Created.Compare(a.Created) })
	return out, nil
}

// Pruned says what became of a run that was not among those to keep.
type Pruned struct {
	Found
	Removed bool   `json:"removed"`
	Why     string `json:"why,omitempty"` // why it was not removed
}

// dryRun is why a run that may be removed was not.
const dryRun = "it would be removed: its archive is whole and of the same content"

// Prune removes all but the newest runs of a results folder. A run is only removed when an archive of it is there, whole and of the same
// content, and when no program writes to it; the others are named with the reason. With dry nothing is removed, only told.
func Prune(ctx context.Context, results string, keep int, dry bool) ([]Pruned, error) {
	if keep < 0 {
		return nil, fmt.Errorf("cannot keep %d runs", keep)
	}
	runs, err := Find(results)
	if err != nil {
		return nil, err
	}
	var out []Pruned
	var faults *multierror.Error
	for _, f := range runs[min(keep, len(runs)):] {
		p := Pruned{Found: f}
		if p.Why = safelyPacked(ctx, f.Dir); p.Why == "" {
			p.Removed, err = removeRun(f.Dir, dry)
			switch {
			case err != nil:
				p.Why = err.Error()
				faults = multierror.Append(faults, err)
			case dry:
				p.Why = dryRun
			}
		}
		out = append(out, p)
	}
	return out, faults.ErrorOrNil()
}

func removeRun(dir string, dry bool) (bool, error) {
	r := &Run{dir: dir}
	if err := r.acquire(); err != nil {
		return false, err
	}
	defer r.Close()
	if dry {
		return false, nil
	}
	// The run's own file goes first: what is left of a removal that was interrupted is then no run any more.
	if err := os.Remove(filepath.Join(dir, runFile)); err != nil {
		return false, err
	}
	return true, os.RemoveAll(dir)
}
