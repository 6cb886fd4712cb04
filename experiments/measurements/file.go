package measurements

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/compspec/ocifit-lab/provision/atomicfile"
)

// maxFileBytes bounds a file that is read.
const maxFileBytes = 1 << 30

// ReadFile reads a table by the ending of its name: .parquet, or CSV.
func ReadFile(name string, how Reading) (*Table, error) {
	info, err := os.Stat(name)
	if err != nil {
		return nil, err
	}
	if info.Size() > maxFileBytes {
		return nil, fmt.Errorf("%s has %d bytes, the limit is %d", name, info.Size(), maxFileBytes)
	}
	data, err := os.ReadFile(name)
	if err != nil {
		return nil, err
	}
	var t *Table
	if isParquet(name) {
		t, err = readParquet(data, how)
	} else {
		t, err = readCSV(bytes.NewReader(data), how)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return t, nil
}

// Open reads a table of this program; one that is not there is empty.
func Open(name string) (*Table, error) {
	t, err := ReadFile(name, Reading{})
	if errors.Is(err, fs.ErrNotExist) {
		return &Table{}, nil
	}
	return t, err
}

// WriteFile writes the table by the ending of its name: .parquet, or CSV. The file appears whole.
func (t *Table) WriteFile(name string) error {
	var b bytes.Buffer
	var err error
	if isParquet(name) {
		err = t.WriteParquet(&b)
	} else {
		err = t.WriteCSV(&b)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	return atomicfile.Output(name, b.Bytes(), 0o644)
}

func isParquet(name string) bool { return strings.EqualFold(filepath.Ext(name), ".parquet") }
