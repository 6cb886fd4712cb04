// Package atomicfile writes files that a reader sees whole or not at all, also after a crash or a power cut.
package atomicfile

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// tempSuffix ends the names of files that are being written, so that those a killed program left are known.
const tempSuffix = ".part"

// Write puts data at path as Create does.
func Write(path string, data []byte, perm os.FileMode) error {
	return Create(path, perm, func(w io.Writer) error {
		_, err := w.Write(data)
		return err
	})
}

// Create puts what fill writes at path: into a temporary file of the same folder, to the disk, and then by a rename in the place of what
// is there, of which a link is replaced and not followed. When it returns nil the file outlives a power cut. perm holds whatever the
// umask. The folder must exist.
func Create(path string, perm os.FileMode, fill func(w io.Writer) error) (err error) {
	tmp, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*"+tempSuffix)
	if err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	defer func() {
		if err != nil {
			err = fmt.Errorf("write %s: %w", path, err)
			_ = os.Remove(tmp.Name())
		}
	}()
	err = fill(tmp)
	if err == nil {
		err = tmp.Chmod(perm)
	}
	if err == nil {
		err = tmp.Sync()
	}
	if closeErr := tmp.Close(); err == nil {
		err = closeErr
	}
	if err == nil {
		err = os.Rename(tmp.Name(), path)
	}
	if err == nil {
		SyncDir(filepath.Dir(path))
	}
	return err
}

// Output puts data where a user said. What is there and is no regular file (a pipe, a device) is written into and left in its place; a
// link is followed; everything else is as in Write.
func Output(path string, data []byte, perm os.FileMode) error {
	info, err := os.Stat(path)
	switch {
	case err == nil && info.IsDir():
		return fmt.Errorf("write %s: it is a folder", path)
	case err == nil && !info.Mode().IsRegular():
		return writeInto(path, data)
	case err == nil:
		perm = info.Mode().Perm() // its owner chose it
	case !errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("write %s: %w", path, err)
	}
	target, err := followed(path)
	if err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	return Write(target, data, perm)
}

// followed is the file that a path stands for, also when it is a link to one that is not there yet.
func followed(path string) (string, error) {
	for range 40 {
		info, err := os.Lstat(path)
		if errors.Is(err, fs.ErrNotExist) || err == nil && info.Mode()&fs.ModeSymlink == 0 {
			return path, nil
		}
		if err != nil {
			return "", err
		}
		to, err := os.Readlink(path)
		if err != nil {
			return "", err
		}
		if !filepath.IsAbs(to) {
			to = filepath.Join(filepath.Dir(path), to)
		}
		path = to
	}
	return "", errors.New("too many links")
}

func writeInto(path string, data []byte) error {
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	_, err = f.Write(data)
	if err := errors.Join(err, f.Close()); err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	return nil
}

// SyncDir makes renames inside a folder outlive a power cut; a file system that cannot do it is left alone.
func SyncDir(dir string) {
	if d, err := os.Open(dir); err == nil {
		_ = d.Sync()
		_ = d.Close()
	}
}

// IsTemp tells whether a name is one of a file that is being written, or was when a program was killed.
func IsTemp(name string) bool {
	return strings.HasPrefix(filepath.Base(name), ".") && strings.HasSuffix(name, tempSuffix)
}

// WriteJSON writes v as indented JSON, like Write.
func WriteJSON(path string, v any, perm os.FileMode) error {
	data, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return fmt.Errorf("encode %s: %w", path, err)
	}
	return Write(path, append(data, '\n'), perm)
}

// ReadJSON decodes the file at path into v. The error wraps fs.ErrNotExist when there is no such file.
func ReadJSON(path string, v any) error {
	data, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(data, v); err != nil {
		return fmt.Errorf("decode %s: %w", path, err)
	}
	return nil
}
