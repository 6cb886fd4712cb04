package cli

import (
	"fmt"
	"io"
	"os"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/compspec/ocifit-lab/cmd/bench"
	"github.com/compspec/ocifit-lab/cmd/ui"
)

func (a *app) benchCmd() *cobra.Command {
	o := bench.Options{Version: version, Versions: components(), Say: a.Say}
	cmd := &cobra.Command{
		Use:   "bench",
		Short: "Measure a lab on sim beside what this machine does without ocifit-lab",
		Long: `bench makes a lab of provider sim in a temporary folder, measures it, and removes it. Each row that has a reference was measured beside
it in the same run: etcd and kube-apiserver alone, a webhook that does nothing, Helm with an empty chart and, where kubectl and helm
are in PATH, the study's own loop. Ratios can be compared between machines, seconds cannot; nothing fails because it is slow.`,
		Example: "  ocifit-lab bench\n  ocifit-lab bench --repeats 5 -o json > bench.json",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if o.Repeats < 1 || o.Admissions < 1 {
				return fmt.Errorf("--repeats is %d and --admissions is %d; give 1 or more of each", o.Repeats, o.Admissions)
			}
			var err error
			if o.Program, err = os.Executable(); err != nil {
				return err
			}
			r, err := bench.Run(cmd.Context(), o)
			if err != nil {
				return err
			}
			return a.Print(r, func(w io.Writer) error { return benchTable(w, r) })
		},
	}
	cmd.Flags().IntVar(&o.Repeats, "repeats", 30, "trials of each of the study's six arms")
	cmd.Flags().IntVar(&o.Admissions, "admissions", 300, "pods that each webhook is asked about")
	return cmd
}

func benchTable(w io.Writer, r *bench.Report) error {
	fmt.Fprintf(w, "ocifit-lab %s, %s, %d cores, %s", r.Version, r.Date.Format("2006-01-02"), r.Machine.Cores, r.Machine.Platform)
	if r.Machine.CPU != "" {
		fmt.Fprintf(w, ", %s", r.Machine.CPU)
	}
	if l := r.Machine.Load; l != nil {
		fmt.Fprintf(w, ", load before %.1f", *l)
	}
	fmt.Fprint(w, "\n\n")
	var rows [][]string
	for _, row := range r.Rows {
		if row.Skipped != "" {
			rows = append(rows, []string{row.Name, "", "", "", "", row.Against + " (not measured: " + row.Skipped + ")"})
			continue
		}
		cells := []string{row.Name, figure(row.Value), row.Unit, "", "", row.Against}
		if row.Against != "" {
			cells[3], cells[4] = figure(row.Reference), strconv.FormatFloat(row.Ratio, 'f', 2, 64)
		}
		rows = append(rows, cells)
	}
	return ui.Table(w, []string{"", "VALUE", "UNIT", "REFERENCE", "RATIO", "AGAINST"}, rows)
}

// figure shows three digits.
func figure(v float64) string {
	switch {
	case v >= 100:
		return strconv.FormatFloat(v, 'f', 0, 64)
	case v >= 10:
		return strconv.FormatFloat(v, 'f', 1, 64)
	case v >= 1:
		return strconv.FormatFloat(v, 'f', 2, 64)
	}
	return strconv.FormatFloat(v, 'f', 3, 64)
}
