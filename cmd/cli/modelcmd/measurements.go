package modelcmd

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/compspec/ocifit-lab/cmd/cli/command"
	"github.com/compspec/ocifit-lab/cmd/ui"
	"github.com/compspec/ocifit-lab/experiments/measurements"
	"github.com/compspec/ocifit-lab/experiments/store"
	"github.com/compspec/ocifit-lab/provision/step"
)

// Measurements is the command measurements.
func Measurements(shared *command.App) *cobra.Command {
	a := app{shared}
	cmd := &cobra.Command{
		Use:   "measurements",
		Short: "Gather what was measured on which instance type, to train models with",
		Long: `A table of measurements is a CSV or Parquet file with the columns application, instance_type, image, ranks, node, time and source;
a column with a slash in its name is a node label, any other one a figure.`,
	}
	cmd.AddCommand(a.addCmd(), a.showCmd(), a.exportCmd())
	return cmd
}

func tableFlag(cmd *cobra.Command, table *string) {
	cmd.Flags().StringVar(table, "table", "measurements.csv", "table of measurements, .csv or .parquet")
}

func (a app) addCmd() *cobra.Command {
	var table, application string
	var runs, columns, drop []string
	cmd := &cobra.Command{
		Use:   "add [FILE...] [--run RUN]",
		Short: "Add the complete trials of runs, or tables of other programs",
		Long: `add puts a row for every complete trial of a run into the table, with the means of its figures over the iterations that count, and
the rows of CSV or Parquet files. What is there already is not added again.`,
		Example: `  ocifit-lab measurements add --run controlled
  ocifit-lab measurements add matrix.csv --application hpcg --column image_tag=image --column gflops_mean=gflops --drop n`,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args)+len(runs) == 0 {
				return step.Try(errors.New("there is nothing to add"), "name a CSV or Parquet file, or a run with --run")
			}
			renames, err := pairs("column", columns)
			if err != nil {
				return err
			}
			t, err := measurements.Open(table)
			if err != nil {
				return err
			}
			read, added := 0, 0
			for _, name := range runs {
				rows, err := a.measuredIn(cmd, name)
				if err != nil {
					return err
				}
				read, added = read+len(rows), added+t.Add(rows)
			}
			for _, file := range args {
				other, err := measurements.ReadFile(file, measurements.Reading{Rename: renames, Drop: drop, Application: application})
				if err != nil {
					return step.Try(err, "--column FROM=TO gives a column its name here, --drop NAME leaves it out")
				}
				read, added = read+len(other.Rows), added+t.Add(other.Rows)
			}
			if err := t.WriteFile(table); err != nil {
				return err
			}
			result := map[string]any{"table": table, "added": added, "known": read - added, "rows": len(t.Rows)}
			return a.Print(result, func(w io.Writer) error {
				_, err := fmt.Fprintf(w, "%d measurements added to %s, %d were there already; it has %d\n", added, table, read-added, len(t.Rows))
				return err
			})
		},
	}
	tableFlag(cmd, &table)
	f := cmd.Flags()
	f.StringArrayVar(&runs, "run", nil, "run to add, by name or path; may be repeated")
	f.StringArrayVar(&columns, "column", nil, "FROM=TO: a column of the file and its name in the table; may be repeated")
	f.StringSliceVar(&drop, "drop", nil, "columns of the file to leave out")
	f.StringVar(&application, "application", "", "application of rows that do not name theirs")
	return cmd
}

// measuredIn are the measurements of a run.
func (a app) measuredIn(cmd *cobra.Command, name string) ([]measurements.Row, error) {
	run, err := a.OpenRun(name, store.Read)
	if err != nil {
		return nil, err
	}
	defer run.Close()
	records, err := run.Records(cmd.Context())
	if err != nil {
		return nil, err
	}
	return measurements.OfRun(run.Info(), records), nil
}

// pairs reads FROM=TO.
func pairs(flag string, list []string) (map[string]string, error) {
	out := map[string]string{}
	for _, text := range list {
		from, to, ok := strings.Cut(text, "=")
		if !ok || from == "" || to == "" {
			return nil, fmt.Errorf("--%s %q is not NAME=VALUE", flag, text)
		}
		out[from] = to
	}
	return out, nil
}

func (a app) showCmd() *cobra.Command {
	var table string
	var figures []string
	cmd := &cobra.Command{
		Use:   "show",
		Short: "Show what is measured, by application and instance type",
		Args:  cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			t, err := measurements.ReadFile(table, measurements.Reading{})
			if err != nil {
				return err
			}
			list := t.Summarize()
			return a.Print(list, func(w io.Writer) error { return measuredTable(w, t, list, figures) })
		},
	}
	tableFlag(cmd, &table)
	cmd.Flags().StringSliceVar(&figures, "figure", nil, "figures to show (default: the first four)")
	return cmd
}

func measuredTable(w io.Writer, t *measurements.Table, list []measurements.Summary, figures []string) error {
	all := t.Figures()
	for _, name := range figures {
		if !slices.Contains(all, name) {
			return fmt.Errorf("there is no figure %s: the table has %s", name, strings.Join(all, ", "))
		}
	}
	if len(figures) == 0 {
		figures = all[:min(4, len(all))]
	}
	rows := make([][]string, 0, len(list))
	for _, s := range list {
		row := []string{s.Application, s.InstanceType, strconv.Itoa(s.Rows), strconv.Itoa(s.Nodes)}
		for _, name := range figures {
			text := "-"
			if m, ok := s.Means[name]; ok {
				text = strconv.FormatFloat(m, 'g', 5, 64)
			}
			row = append(row, text)
		}
		rows = append(rows, row)
	}
	if err := ui.Table(w, append([]string{"APPLICATION", "INSTANCE TYPE", "ROWS", "NODES"}, figures...), rows); err != nil {
		return err
	}
	_, err := fmt.Fprintf(w, "\n%d measurements; means of %d of the figures %s\n", len(t.Rows), len(figures), strings.Join(all, ", "))
	return err
}

func (a app) exportCmd() *cobra.Command {
	var table, out, format string
	var where []string
	cmd := &cobra.Command{
		Use:   "export [--out FILE]",
		Short: "Write the table, or the rows with given values, as CSV or Parquet",
		Args:  cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			t, err := measurements.ReadFile(table, measurements.Reading{})
			if err != nil {
				return err
			}
			values, err := pairs("where", where)
			if err != nil {
				return err
			}
			if t, err = t.Where(values); err != nil {
				return err
			}
			write, ok := map[string]func(io.Writer) error{"csv": t.WriteCSV, "parquet": t.WriteParquet}[format]
			switch {
			case !ok:
				return fmt.Errorf("--format is %q; use csv or parquet", format)
			case out != "":
				return t.WriteFile(out)
			}
			return write(a.Out)
		},
	}
	tableFlag(cmd, &table)
	f := cmd.Flags()
	f.StringVar(&out, "out", "", "file to write, .csv or .parquet (default: stdout)")
	f.StringVar(&format, "format", "csv", "csv or parquet, of what goes to stdout")
	_ = cmd.RegisterFlagCompletionFunc("format", command.Words("csv", "parquet"))
	f.StringArrayVar(&where, "where", nil, "COLUMN=VALUE that rows must have; may be repeated")
	return cmd
}
