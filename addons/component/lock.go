package component

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"

	"github.com/compspec/ocifit-lab/provision/atomicfile"
	"github.com/compspec/ocifit-lab/provision/chart"
)

// Lock is a file that remembers the digests of what was first installed under a version that has no pinned one.
type Lock struct {
	File string

	mu sync.Mutex
}

func key(ref chart.Ref) string { return ref.Location + " " + ref.Version }

func (l *Lock) read() (map[string]string, error) {
	known := map[string]string{}
	data, err := os.ReadFile(l.File)
	if errors.Is(err, fs.ErrNotExist) {
		return known, nil
	}
	if err == nil {
		err = json.Unmarshal(data, &known)
	}
	if err != nil {
		return nil, fmt.Errorf("digests of what was installed first: %w", err)
	}
	return known, nil
}

func (l *Lock) get(ref chart.Ref) (string, error) {
	if l == nil {
		return "", nil
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	known, err := l.read()
	return known[key(ref)], err
}

func (l *Lock) put(ref chart.Ref, digest string) error {
	if l == nil {
		return nil
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	known, err := l.read()
	if err != nil || known[key(ref)] == digest {
		return err
	}
	known[key(ref)] = digest
	data, err := json.MarshalIndent(known, "", "  ")
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(l.File), 0o700); err != nil {
		return err
	}
	return atomicfile.Write(l.File, append(data, '\n'), 0o600)
}
