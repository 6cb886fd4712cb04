// Package resultcmd is the commands about the results of runs.
package resultcmd

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"github.com/compspec/ocifit-lab/cmd/assembly"
	"github.com/compspec/ocifit-lab/cmd/cli/command"
	"github.com/compspec/ocifit-lab/experiments/report"
	"github.com/compspec/ocifit-lab/experiments/store"
	"github.com/compspec/ocifit-lab/provision/atomicfile"
	"github.com/compspec/ocifit-lab/provision/wait"
)

// app is what the commands of this package share.
type app struct{ *command.App }

// Results is the command results.
func Results(shared *command.App) *cobra.Command {
	a := app{shared}
	cmd := &cobra.Command{Use: "results", Short: "Compare the arms of a run, and write reports"}
	cmd.AddCommand(a.showCmd(), a.reportCmd(), a.compareCmd(), a.exportCmd(), a.importCmd(), a.mergeCmd(),
		a.packCmd(), a.pruneCmd())
	return cmd
}

// runFlags choose a run and what its arms are compared with.
type runFlags struct {
	command.RunFlags
	baseline string
}

func (f *runFlags) addBaseline(cmd *cobra.Command) {
	cmd.Flags().StringVar(&f.baseline, "baseline", "", "arm that the others are compared with (default: the study's)")
}

const firstRun = "run `ocifit-lab experiment all` first, or name another run with --run"

// analysis reads and compares a run, and records that somebody looked.
func (a app) analysis(ctx context.Context, f runFlags) (*report.Analysis, error) {
	dir, err := a.RunFolder(f.RunFlags)
	if err != nil {
		return nil, err
	}
	run, err := command.OpenFolder(dir, store.Read, firstRun)
	if err != nil {
		return nil, err
	}
	defer run.Close()
	out, err := analyse(ctx, run, f.baseline)
	if err != nil {
		return nil, err
	}
	if err := run.NoteLook(out.Progress()); err != nil {
		a.Say("that the comparison was read now could not be recorded: %v", err)
	}
	return out, nil
}

func analyse(ctx context.Context, run *store.Run, baseline string) (*report.Analysis, error) {
	prices, _ := assembly.Prices(run.Info().Provider)
	return report.Analyse(ctx, run, report.Options{Prices: prices, Baseline: baseline})
}

func (a app) showCmd() *cobra.Command {
	var f runFlags
	cmd := &cobra.Command{
		Use:     "show",
		Short:   "Show the figures per arm, the comparison with the baseline, and what it cannot claim",
		Example: "  ocifit-lab results show\n  ocifit-lab results show --study controlled -o json",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			analysis, err := a.analysis(cmd.Context(), f)
			if err != nil {
				return err
			}
			return a.Print(analysis, func(w io.Writer) error { return report.WriteText(w, analysis) })
		},
	}
	f.Add(cmd)
	f.addBaseline(cmd)
	return cmd
}

func (a app) reportCmd() *cobra.Command {
	var f runFlags
	var file, format string
	var watch time.Duration
	cmd := &cobra.Command{
		Use:   "report",
		Short: "Write one HTML file with tables and plots that opens from disk, or the same as markdown",
		Long: `report writes the comparison of a run. With --watch it writes, until the run is whole, a page that a browser reads again by itself:
progress, what ran where, what does not count, and the bill. That page compares nothing, so to watch it is not to look at the results.`,
		Example: "  ocifit-lab results report\n  ocifit-lab results report --watch=10s --file study.html",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			write, ok := map[string]func(io.Writer, *report.Analysis) error{"html": report.WriteHTML, "md": report.WriteMarkdown}[format]
			if !ok {
				return fmt.Errorf("--format is %q; use html or md", format)
			}
			dir, err := a.RunFolder(f.RunFlags)
			if err != nil {
				return err
			}
			if file == "" {
				file = filepath.Join(dir, "report."+format)
			}
			if cmd.Flags().Changed("watch") {
				if format != "html" {
					return errors.New("--watch writes a page: use it with --format html")
				}
				if err := a.watchReport(cmd.Context(), dir, f.baseline, file, watch); err != nil {
					return err
				}
			}
			analysis, err := a.analysis(cmd.Context(), f)
			if err != nil {
				return err
			}
			return a.writeWhole(file, func(w io.Writer) error { return write(w, analysis) })
		},
	}
	f.Add(cmd)
	f.addBaseline(cmd)
	cmd.Flags().StringVar(&file, "file", "", "file to write (default: report.html in the run folder)")
	cmd.Flags().StringVar(&format, "format", "html", "html or md")
	cmd.Flags().DurationVar(&watch, "watch", 0, "until the run is whole write a page of its progress, this often; --watch alone is every 5s")
	cmd.Flags().Lookup("watch").NoOptDefVal = "5s"
	_ = cmd.RegisterFlagCompletionFunc("format", command.Words("html", "md"))
	return cmd
}

// watchReport writes the page of a run's progress to a file again and again, until the run is whole.
func (a app) watchReport(ctx context.Context, dir, baseline, file string, every time.Duration) error {
	if every < time.Second {
		return fmt.Errorf("--watch is %s; a page is written once a second at most", every)
	}
	for told := false; ; told = true {
		whole, err := writeProgress(ctx, dir, baseline, file, every)
		if whole || err != nil {
			return err
		}
		if !told {
			a.Say("%s shows the run's progress every %s, until it is whole; Ctrl-C ends the watch, not the run", file, every)
		}
		if err := wait.Pause(ctx, every); err != nil {
			return err
		}
	}
}

// writeProgress writes the page once, unless the run is whole.
func writeProgress(ctx context.Context, dir, baseline, file string, every time.Duration) (whole bool, err error) {
	run, err := command.OpenFolder(dir, store.Read, firstRun)
	if err != nil {
		return false, err
	}
	defer run.Close()
	analysis, err := analyse(ctx, run, baseline)
	if err != nil {
		return false, err
	}
	if complete, planned := analysis.Progress(); complete == planned {
		return true, nil
	}
	var data bytes.Buffer
	if err := report.WriteLive(&data, analysis, every); err != nil {
		return false, err
	}
	return false, atomicfile.Output(file, data.Bytes(), 0o644)
}

// writeWhole makes a file appear at once and says so.
func (a app) writeWhole(file string, write func(io.Writer) error) error {
	var data bytes.Buffer
	if err := write(&data); err != nil {
		return err
	}
	if err := atomicfile.Output(file, data.Bytes(), 0o644); err != nil {
		return err
	}
	return a.Print(map[string]string{"file": file}, func(w io.Writer) error {
		_, err := fmt.Fprintf(w, "wrote %s\n", file)
		return err
	})
}
