package store

import (
	"errors"
	"fmt"
	"path/filepath"

	"github.com/compspec/ocifit-lab/provision/filelock"
)

// acquire takes the lock, which the system gives back when the process ends, however it ends.
func (r *Run) acquire() error {
	lock, err := filelock.Acquire(filepath.Join(r.dir, lockFile), "the run folder "+r.dir)
	if errors.Is(err, filelock.ErrHeld) {
		return err
	}
	if err != nil {
		return explain(r.dir, fmt.Errorf("lock the run: %w", err))
	}
	r.lock = lock
	return nil
}
