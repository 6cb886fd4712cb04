package measurements

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
)

// maxRows bounds a table; a study has some hundreds.
const maxRows = 1_000_000

// Reading says how a table of another program is read.
type Reading struct {
	// Rename gives columns of the file the names that they have here.
	Rename map[string]string
	// Drop names columns of the file that are left out.
	Drop []string
	// Application of rows that do not name theirs.
	Application string
}

// readCSV reads a table with a header. Errors name line and column. Rows without a source get one from the content of the file and
// their place in it, so that adding a file twice adds nothing.
func readCSV(in io.Reader, how Reading) (*Table, error) {
	data, err := io.ReadAll(in)
	if err != nil {
		return nil, err
	}
	r := csv.NewReader(bufio.NewReader(bytes.NewReader(bytes.TrimPrefix(data, []byte("\xef\xbb\xbf")))))
	r.ReuseRecord = true
	first, err := r.Read()
	if errors.Is(err, io.EOF) {
		return nil, errors.New("the table is empty: its first line must name the columns")
	}
	if err != nil {
		return nil, err
	}
	header, err := how.header(first)
	if err != nil {
		return nil, fmt.Errorf("line 1: %w", err)
	}
	t := &Table{}
	for {
		cells, err := r.Read()
		if errors.Is(err, io.EOF) {
			return t, how.finish(t, data)
		}
		if err != nil {
			return nil, err
		}
		line, _ := r.FieldPos(0)
		if len(t.Rows) == maxRows {
			return nil, fmt.Errorf("line %d: more than %d rows", line, maxRows)
		}
		row, err := readRow(header, cells)
		if err != nil {
			return nil, fmt.Errorf("line %d, %w", line, err)
		}
		t.Rows = append(t.Rows, row)
	}
}

func readRow(header, cells []string) (row Row, err error) {
	for i, column := range header {
		if column == "" {
			continue
		}
		if err := row.set(column, cells[i]); err != nil {
			return row, fmt.Errorf("column %s: %w", column, err)
		}
	}
	if row.InstanceType == "" {
		return row, fmt.Errorf("column %s: a measurement needs its instance type", colInstanceType)
	}
	return row, nil
}

// header translates the names of the columns; "" stands for one that is left out.
func (how Reading) header(names []string) ([]string, error) {
	out := make([]string, len(names))
	seen := map[string]string{}
	for i, name := range names {
		name = strings.TrimSpace(name)
		if slices.Contains(how.Drop, name) {
			seen[name] = name
			continue
		}
		column := name
		if to, ok := how.Rename[name]; ok {
			column = to
		}
		if column == "" {
			return nil, fmt.Errorf("column %d has no name", i+1)
		}
		if before, twice := seen[column]; twice {
			return nil, fmt.Errorf("the columns %s and %s are both %s", before, name, column)
		}
		seen[column] = name
		out[i] = column
	}
	for from := range how.Rename {
		if !slices.ContainsFunc(names, func(n string) bool { return strings.TrimSpace(n) == from }) {
			return nil, fmt.Errorf("there is no column %s; the table has %s", from, strings.Join(names, ", "))
		}
	}
	if !slices.Contains(out, colInstanceType) {
		return nil, fmt.Errorf("there is no column %s; name the one that has it; the table has %s", colInstanceType, strings.Join(names, ", "))
	}
	return out, nil
}

// finish fills in what a file of another program does not say.
func (how Reading) finish(t *Table, content []byte) error {
	sum := sha256.Sum256(content)
	seen := map[string]int{}
	for i := range t.Rows {
		r := &t.Rows[i]
		if r.Application == "" {
			r.Application = how.Application
		}
		if r.Source == "" {
			r.Source = fmt.Sprintf("table %x row %d", sum[:6], i+1)
		}
		if before, twice := seen[r.Source]; twice {
			return fmt.Errorf("rows %d and %d have the same source %q", before, i+1, r.Source)
		}
		seen[r.Source] = i + 1
	}
	return nil
}

// WriteCSV writes the table; ReadCSV reads it back.
func (t *Table) WriteCSV(w io.Writer) error {
	out := csv.NewWriter(w)
	header := t.header()
	if err := out.Write(header); err != nil {
		return err
	}
	cells := make([]string, len(header))
	for i := range t.Rows {
		for k, column := range header {
			cells[k] = t.Rows[i].cell(column)
		}
		if err := out.Write(cells); err != nil {
			return err
		}
	}
	out.Flush()
	return out.Error()
}
