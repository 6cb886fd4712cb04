package resultcmd

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"path/filepath"
	"slices"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/compspec/ocifit-lab/cmd/assembly"
	"github.com/compspec/ocifit-lab/cmd/cli/command"
	"github.com/compspec/ocifit-lab/cmd/ui"
	"github.com/compspec/ocifit-lab/experiments/report"
	"github.com/compspec/ocifit-lab/experiments/store"
	"github.com/compspec/ocifit-lab/templates"
)

func (a app) compareCmd() *cobra.Command {
	return &cobra.Command{
		Use:   "compare RUN REFERENCE",
		Short: "Compare two runs arm by arm, such as a rehearsal with the real study",
		Args:  cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			run, err := a.OpenRun(args[0], store.Read)
			if err != nil {
				return err
			}
			defer run.Close()
			reference, err := a.OpenRun(args[1], store.Read)
			if err != nil {
				return err
			}
			defer reference.Close()
			prices, _ := templates.Prices()
			across, err := report.Compare(cmd.Context(), run, reference, report.Options{Prices: prices})
			if err != nil {
				return err
			}
			return a.Print(across, func(w io.Writer) error { return report.WriteAcross(w, across) })
		},
	}
}

func (a app) exportCmd() *cobra.Command {
	var f runFlags
	var file, format string
	cmd := &cobra.Command{
		Use:   "export",
		Short: "Write the trials as CSV, or analysis and trials as JSON",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			write, ok := map[string]func(io.Writer, *report.Analysis) error{"csv": report.WriteCSV, "json": report.WriteJSON}[format]
			if !ok {
				return fmt.Errorf("--format is %q; use csv or json", format)
			}
			analysis, err := a.analysis(cmd.Context(), f)
			if err != nil {
				return err
			}
			if file == "" {
				return write(a.Out, analysis)
			}
			return a.writeWhole(file, func(w io.Writer) error { return write(w, analysis) })
		},
	}
	f.Add(cmd)
	cmd.Flags().StringVar(&file, "file", "", "file to write (default: stdout)")
	cmd.Flags().StringVar(&format, "format", "csv", "csv or json")
	_ = cmd.RegisterFlagCompletionFunc("format", command.Words("csv", "json"))
	return cmd
}

func (a app) importCmd() *cobra.Command {
	var run, application, baseline string
	cmd := &cobra.Command{
		Use:   "import DIR",
		Short: "Take over published trials (<arm>/<n>/hpcg.out, pod.json, pod-time.txt) as a run, and say what the checks find",
		Long: `import copies trials of the published layout into a new run folder and compares them like any other run. The source is
not changed. It exits with 4 when no comparison is valid.`,
		Example: "  ocifit-lab results import ./logs/hpcg --run published",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			dst, err := a.RunFolder(command.RunFlags{Run: run})
			if err != nil {
				return err
			}
			prices, note := templates.Prices()
			imported, summary, err := store.Import(args[0], dst, store.ImportOptions{
				Application: application, Baseline: baseline, Program: a.Version, Prices: prices, PriceNote: note, Skip: a.skippedTypes(),
			})
			if err != nil {
				return err
			}
			defer imported.Close()
			for _, note := range summary.Notes {
				a.Say("%s", note)
			}
			for _, trial := range slices.Sorted(maps.Keys(summary.Rejected)) {
				a.Say("%s does not count: %s", trial, summary.Rejected[trial])
			}
			analysis, err := report.Analyse(cmd.Context(), imported, report.Options{Prices: prices})
			if err != nil {
				return err
			}
			if err := a.Print(analysis, func(w io.Writer) error { return report.WriteText(w, analysis) }); err != nil {
				return err
			}
			a.Say("imported into %s", dst)
			if !slices.ContainsFunc(analysis.Comparisons, func(c report.Comparison) bool { return c.Comparable }) {
				return command.Fail(command.ExitCheck, errors.New("no comparison of the imported trials is valid"))
			}
			return nil
		},
	}
	cmd.Flags().StringVar(&run, "run", "imported", "name of the run folder, or its path")
	cmd.Flags().StringVar(&application, "application", "", "application whose logs they are (default: hpcg)")
	cmd.Flags().StringVar(&baseline, "baseline", "", "arm that the others are compared with (default: random)")
	return cmd
}

func (a app) mergeCmd() *cobra.Command {
	var name string
	cmd := &cobra.Command{
		Use:   "merge RUN RUN...",
		Short: "Put the runs of one study that several labs made side by side together into a new run",
		Long: `merge copies the trials of runs of one study into a new run folder; the runs are not changed. Each lab makes its own numbers
of the trials, so that their seeds differ; a number that is complete in two runs is an error.`,
		Example: `  ocifit-lab experiment all --lab east.yaml --trials 1-15      # and beside it: --lab west.yaml --trials 16-30
  ocifit-lab results merge results/east/controlled results/west/controlled --run results/both
  ocifit-lab results show --run results/both`,
		Args: cobra.MinimumNArgs(2),
		RunE: func(_ *cobra.Command, args []string) error {
			dst, err := a.RunFolder(command.RunFlags{Run: name})
			if err != nil {
				return err
			}
			shards := make([]string, len(args))
			for i, arg := range args {
				if shards[i], err = a.RunFolder(command.RunFlags{Run: arg}); err != nil {
					return err
				}
			}
			merged, err := store.Merge(dst, shards)
			if err != nil {
				return err
			}
			defer merged.Close()
			progress := merged.Progress(merged.Info().Study)
			if err := a.Print(progress, func(w io.Writer) error { return command.ProgressTable(w, progress) }); err != nil {
				return err
			}
			a.Say("merged into %s", dst)
			return nil
		},
	}
	cmd.Flags().StringVar(&name, "run", "merged", "name of the new run's folder, or its path")
	return cmd
}

// skippedTypes are the instance types that the lab places no trial on; without a lab nothing is known of them.
func (a app) skippedTypes() []string {
	spec, err := a.Spec()
	if err != nil {
		return nil
	}
	return spec.Webhook.Skip
}

func (a app) packCmd() *cobra.Command {
	var f runFlags
	var file string
	cmd := &cobra.Command{
		Use:   "pack",
		Short: "Write a run into one .tar.gz",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			dir, err := a.RunFolder(f.RunFlags)
			if err != nil {
				return err
			}
			run, err := a.OpenRun(dir, store.Write)
			if err != nil {
				return err
			}
			defer run.Close()
			if file == "" {
				file = filepath.Clean(dir) + ".tar.gz"
			}
			packed, err := run.Pack(cmd.Context(), file)
			if err != nil {
				return err
			}
			return a.Print(packed, func(w io.Writer) error {
				_, err := fmt.Fprintf(w, "wrote %s: %d files, %s, sha256 %s\n", packed.Archive, packed.Files, ui.Bytes(packed.Bytes), packed.SHA256)
				return err
			})
		},
	}
	f.Add(cmd)
	cmd.Flags().StringVar(&file, "file", "", "archive to write (default: beside the run folder)")
	return cmd
}

func (a app) pruneCmd() *cobra.Command {
	var keep int
	var dry bool
	cmd := &cobra.Command{
		Use:   "prune --keep N",
		Short: "Remove all but the newest runs; only runs whose archive is whole and unchanged",
		Args:  cobra.NoArgs,
		RunE:  func(cmd *cobra.Command, _ []string) error { return a.prune(cmd.Context(), keep, dry) },
	}
	cmd.Flags().IntVar(&keep, "keep", 0, "runs to keep (required)")
	cmd.Flags().BoolVar(&dry, "dry-run", false, "only say what would happen")
	_ = cmd.MarkFlagRequired("keep")
	return cmd
}

func (a app) prune(ctx context.Context, keep int, dry bool) error {
	spec, err := a.Spec()
	if err != nil {
		return err
	}
	folder := assembly.RunDir(spec, "")
	pruned, err := store.Prune(ctx, folder, keep, dry)
	if e := a.Print(pruned, func(w io.Writer) error {
		if len(pruned) == 0 {
			_, err := fmt.Fprintf(w, "nothing to remove: %s has %d runs or fewer\n", folder, keep)
			return err
		}
		var rows [][]string
		for _, p := range pruned {
			rows = append(rows, []string{p.Dir, strconv.FormatBool(p.Removed), p.Why})
		}
		return ui.Table(w, []string{"RUN", "REMOVED", "WHY NOT"}, rows)
	}); e != nil {
		return e
	}
	return err
}
