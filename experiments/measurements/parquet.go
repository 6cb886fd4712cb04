package measurements

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"time"

	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/format"
)

// WriteParquet writes the table with the columns of WriteCSV, all optional: figures as doubles, ranks as a 64-bit integer, time as a
// timestamp, the rest as strings.
func (t *Table) WriteParquet(w io.Writer) error {
	group := parquet.Group{}
	figures := t.Figures()
	for _, column := range t.header() {
		group[column] = parquet.Optional(parquet.String())
		switch {
		case column == colRanks:
			group[column] = parquet.Optional(parquet.Int(64))
		case column == colTime:
			group[column] = parquet.Optional(parquet.Timestamp(parquet.Microsecond))
		case slices.Contains(figures, column):
			group[column] = parquet.Optional(parquet.Leaf(parquet.DoubleType))
		}
	}
	out := parquet.NewGenericWriter[any](w, parquet.NewSchema("measurements", group))
	for i := range t.Rows {
		if _, err := out.Write([]any{t.Rows[i].values(figures)}); err != nil {
			return err
		}
	}
	return out.Close()
}

// values are the known cells of a row in their types.
func (r *Row) values(figures []string) map[string]any {
	out := map[string]any{}
	for _, column := range []string{colApplication, colInstanceType, colImage, colNode, colSource} {
		if text := r.cell(column); text != "" {
			out[column] = text
		}
	}
	if r.Ranks != 0 {
		out[colRanks] = int64(r.Ranks)
	}
	if !r.Time.IsZero() {
		out[colTime] = r.Time.UnixMicro()
	}
	for _, name := range figures {
		if v, ok := r.Figures[name]; ok {
			out[name] = v
		}
	}
	for label, v := range r.Labels {
		out[label] = v
	}
	return out
}

// readParquet reads a table as readCSV does. Columns must be flat.
func readParquet(content []byte, how Reading) (*Table, error) {
	file, err := parquet.OpenFile(bytes.NewReader(content), int64(len(content)))
	if err != nil {
		return nil, fmt.Errorf("not a Parquet file: %w", err)
	}
	if n := file.NumRows(); n > maxRows {
		return nil, fmt.Errorf("%d rows, the limit is %d", n, maxRows)
	}
	var names []string
	stamps := map[string]format.TimeUnit{}
	for _, f := range file.Schema().Fields() {
		if !f.Leaf() || f.Repeated() {
			return nil, fmt.Errorf("column %s is not flat", f.Name())
		}
		names = append(names, f.Name())
		if lt := f.Type().LogicalType(); lt != nil {
			if stamp, ok := lt.Value.(*format.TimestampType); ok {
				stamps[f.Name()] = stamp.Unit
			}
		}
	}
	header, err := how.header(names)
	if err != nil {
		return nil, err
	}
	t := &Table{}
	in := parquet.NewGenericReader[any](bytes.NewReader(content))
	defer in.Close()
	buffer := make([]any, 256)
	for {
		n, err := in.Read(buffer)
		for _, r := range buffer[:n] {
			cells := make([]string, len(names))
			for i, name := range names {
				if cells[i], err = text(r.(map[string]any)[name], stamps[name]); err != nil {
					return nil, fmt.Errorf("row %d, column %s: %w", len(t.Rows)+1, name, err)
				}
			}
			row, err := readRow(header, cells)
			if err != nil {
				return nil, fmt.Errorf("row %d, %w", len(t.Rows)+1, err)
			}
			t.Rows = append(t.Rows, row)
		}
		if errors.Is(err, io.EOF) || err == nil && n == 0 {
			return t, how.finish(t, content)
		}
		if err != nil {
			return nil, err
		}
	}
}

// text writes a value of a Parquet file as a cell.
func text(v any, stamp format.TimeUnit) (string, error) {
	switch v := v.(type) {
	case nil:
		return "", nil
	case string:
		return v, nil
	case []byte:
		return string(v), nil
	case bool:
		return strconv.FormatBool(v), nil
	case int32:
		return strconv.FormatInt(int64(v), 10), nil
	case int64:
		switch stamp.Value.(type) {
		case *format.MilliSeconds:
			return time.UnixMilli(v).UTC().Format(time.RFC3339Nano), nil
		case *format.MicroSeconds:
			return time.UnixMicro(v).UTC().Format(time.RFC3339Nano), nil
		case *format.NanoSeconds:
			return time.Unix(0, v).UTC().Format(time.RFC3339Nano), nil
		}
		return strconv.FormatInt(v, 10), nil
	case time.Time:
		return v.UTC().Format(time.RFC3339Nano), nil
	case float32:
		return strconv.FormatFloat(float64(v), 'g', -1, 32), nil
	case float64:
		return strconv.FormatFloat(v, 'g', -1, 64), nil
	}
	return "", fmt.Errorf("values of type %T are not read", v)
}
