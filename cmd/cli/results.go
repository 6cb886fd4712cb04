package cli

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/compspec/ocifit-lab/cmd/assembly"
	"github.com/compspec/ocifit-lab/experiments/report"
	"github.com/compspec/ocifit-lab/experiments/store"
	"github.com/compspec/ocifit-lab/provision/atomicfile"
	"github.com/compspec/ocifit-lab/provision/step"
	"github.com/compspec/ocifit-lab/templates"
)

func (a *app) resultsCmd() *cobra.Command {
	cmd := &cobra.Command{Use: "results", Short: "Compare the arms of a run, and write reports"}
	cmd.AddCommand(a.resultsShowCmd(), a.resultsReportCmd(), a.resultsCompareCmd(), a.resultsExportCmd(), a.resultsImportCmd(), a.resultsMergeCmd(),
		a.resultsPackCmd(), a.resultsPruneCmd())
	return cmd
}

// runFlags choose a run folder.
type runFlags struct{ run, study, baseline string }

func (f *runFlags) add(cmd *cobra.Command) {
	cmd.Flags().StringVar(&f.run, "run", "", "name of the run folder, or its path (default: the study's name)")
	cmd.Flags().StringVar(&f.study, "study", "", "study whose run is meant (default: the lab's)")
	_ = cmd.RegisterFlagCompletionFunc("study", words(templates.Studies()...))
}

func (f *runFlags) addBaseline(cmd *cobra.Command) {
	cmd.Flags().StringVar(&f.baseline, "baseline", "", "arm that the others are compared with (default: the study's)")
}

// dir is the run folder that the flags name. A run that has a path needs no lab.
func (f *runFlags) dir(a *app) (string, error) {
	if strings.ContainsRune(f.run, filepath.Separator) {
		return f.run, nil
	}
	spec, s, err := a.chosenStudy(experimentOptions{study: f.study})
	if err != nil {
		return "", err
	}
	return runDir(spec, s, f.run), nil
}

// analysis reads and compares a run.
func (a *app) analysis(ctx context.Context, f runFlags) (*report.Analysis, string, error) {
	dir, err := f.dir(a)
	if err != nil {
		return nil, "", err
	}
	run, err := store.Open(dir, store.Read)
	if errors.Is(err, store.ErrNoRun) {
		return nil, "", step.Try(err, "run `ocifit-lab experiment all` first, or name another run with --run")
	}
	if err != nil {
		return nil, "", err
	}
	defer run.Close()
	prices, _ := assembly.Prices(run.Info().Provider)
	out, err := report.Analyse(ctx, run, report.Options{Prices: prices, Baseline: f.baseline})
	if err != nil {
		return nil, "", err
	}
	if err := run.NoteLook(out.Progress()); err != nil {
		a.say("that the comparison was read now could not be recorded: %v", err)
	}
	return out, dir, nil
}

func (a *app) resultsShowCmd() *cobra.Command {
	var f runFlags
	cmd := &cobra.Command{
		Use:     "show",
		Short:   "Show the figures per arm, the comparison with the baseline, and what it cannot claim",
		Example: "  ocifit-lab results show\n  ocifit-lab results show --study controlled -o json",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			analysis, _, err := a.analysis(cmd.Context(), f)
			if err != nil {
				return err
			}
			return a.print(analysis, func(w io.Writer) error { return report.WriteText(w, analysis) })
		},
	}
	f.add(cmd)
	f.addBaseline(cmd)
	return cmd
}

func (a *app) resultsReportCmd() *cobra.Command {
	var f runFlags
	var file, format string
	cmd := &cobra.Command{
		Use:   "report",
		Short: "Write one HTML file with tables and plots that opens from disk, or the same as markdown",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			write, ok := map[string]func(io.Writer, *report.Analysis) error{"html": report.WriteHTML, "md": report.WriteMarkdown}[format]
			if !ok {
				return fmt.Errorf("--format is %q; use html or md", format)
			}
			analysis, dir, err := a.analysis(cmd.Context(), f)
			if err != nil {
				return err
			}
			if file == "" {
				file = filepath.Join(dir, "report."+format)
			}
			return a.writeWhole(file, func(w io.Writer) error { return write(w, analysis) })
		},
	}
	f.add(cmd)
	f.addBaseline(cmd)
	cmd.Flags().StringVar(&file, "file", "", "file to write (default: report.html in the run folder)")
	cmd.Flags().StringVar(&format, "format", "html", "html or md")
	_ = cmd.RegisterFlagCompletionFunc("format", words("html", "md"))
	return cmd
}

// writeWhole makes a file appear at once and says so.
func (a *app) writeWhole(file string, write func(io.Writer) error) error {
	var data bytes.Buffer
	if err := write(&data); err != nil {
		return err
	}
	if err := atomicfile.Output(file, data.Bytes(), 0o644); err != nil {
		return err
	}
	return a.print(map[string]string{"file": file}, func(w io.Writer) error {
		_, err := fmt.Fprintf(w, "wrote %s\n", file)
		return err
	})
}
