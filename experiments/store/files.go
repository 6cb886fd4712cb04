package store

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"syscall"

	"github.com/compspec/ocifit-lab/provision/atomicfile"
)

// ErrDiskFull is what errors of a full disk wrap.
var ErrDiskFull = errors.New("the disk is full")

// explain says what to do about an error of the file system.
func explain(dir string, err error) error {
	if err == nil {
		return nil
	}
	switch {
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		return fmt.Errorf("%w: free some space where %s is and run the same command again, finished trials are kept: %w", ErrDiskFull, dir, err)
	case errors.Is(err, fs.ErrPermission), errors.Is(err, syscall.EROFS):
		return fmt.Errorf("cannot write to the run folder %s: make it writable or choose another one: %w", dir, err)
	}
	return err
}

// writeFile makes the file appear with all of its content or not at all.
func writeFile(file string, data []byte) error { return atomicfile.Write(file, data, 0o600) }

func writeJSON(file string, v any) error {
	data, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return err
	}
	return writeFile(file, append(data, '\n'))
}
