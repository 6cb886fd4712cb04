// Package command is what the commands of the program share: streams, forms of output, exit codes, and the lab, study and run that flags name.
package command

import (
	"context"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/compspec/ocifit-lab/cmd/assembly"
	"github.com/compspec/ocifit-lab/cmd/ui"
	"github.com/compspec/ocifit-lab/provision/eks"
	"github.com/compspec/ocifit-lab/provision/lab"
	"github.com/compspec/ocifit-lab/provision/labstate"
)

// Exit codes of the program.
const (
	ExitOK      = 0
	ExitError   = 1
	ExitTimeout = 2 // a deadline passed
	ExitTrials  = 3 // some trials failed
	ExitCheck   = 4 // a check failed
)

// Exit is an error with an exit code of its own. Without an error inside, what there is to say was said.
type Exit struct {
	Code int
	Err  error
}

// Fail gives an error an exit code.
func Fail(code int, err error) error { return Exit{Code: code, Err: err} }

func (e Exit) Error() string {
	if e.Err == nil {
		return fmt.Sprintf("exit code %d", e.Code)
	}
	return e.Err.Error()
}
func (e Exit) Unwrap() error { return e.Err }

// Streams are where the program reads and writes: data goes to Out, talk to Err.
type Streams struct {
	In       io.Reader
	Out, Err io.Writer
}

// App is what all commands share. Its flags are set when a command runs, not before.
type App struct {
	Streams
	// Version is the program's.
	Version  string
	LabFile  string
	StateDir string
	Verbose  bool
	Quiet    bool

	// Recreate is the consent to delete stacks that failed, and make them again.
	Recreate bool
	// EKS changes how provider eks is made; for tests.
	EKS func(*eks.Options)

	labGiven func() bool
	output   output
	progress ui.Kind
}

// New is an app with the defaults of its flags.
func New(streams Streams, version string) *App {
	return &App{Streams: streams, Version: version, output: "text", progress: ui.Auto}
}

// AddFlags gives the root command the flags of all commands.
func (a *App) AddFlags(root *cobra.Command) {
	f := root.PersistentFlags()
	f.StringVar(&a.LabFile, "lab", "lab.yaml", "the lab's spec; without the file the study's defaults are used")
	f.StringVar(&a.StateDir, "state", ".ocifit-lab", "folder for the state of labs")
	f.VarP(&a.output, "output", "o", "form of printed data: text or json")
	f.Var(&a.progress, "progress", "form of progress on stderr: auto, tty, plain or json")
	f.BoolVarP(&a.Verbose, "verbose", "v", false, "say more")
	f.BoolVarP(&a.Quiet, "quiet", "q", false, "say nothing but results and errors")
	a.labGiven = func() bool { return f.Changed("lab") }
	_ = root.RegisterFlagCompletionFunc("output", Words("text", "json"))
	_ = root.RegisterFlagCompletionFunc("progress", Words(ui.Kinds()...))
}

// Words completes a flag or argument from a fixed list.
func Words(list ...string) cobra.CompletionFunc {
	return func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
		return list, cobra.ShellCompDirectiveNoFileComp
	}
}

// output is the form of printed data.
type output string

func (o *output) String() string { return string(*o) }
func (o *output) Type() string   { return "text|json" }
func (o *output) Set(s string) error {
	if s != "text" && s != "json" {
		return fmt.Errorf("%q is not known; use text or json", s)
	}
	*o = output(s)
	return nil
}

// Print writes data as the user asked: as JSON, or by text.
func (a *App) Print(data any, text func(w io.Writer) error) error {
	if a.output == "json" {
		return ui.JSON(a.Out, data)
	}
	return text(a.Out)
}

// PrintTable is Print for a list of which every item is a row.
func PrintTable[T any](a *App, items []T, header []string, row func(T) []string) error {
	return a.Print(items, func(w io.Writer) error {
		var rows [][]string
		for _, item := range items {
			rows = append(rows, row(item))
		}
		return ui.Table(w, header, rows)
	})
}

// Say writes talk to stderr, unless it was asked to be quiet.
func (a *App) Say(format string, args ...any) {
	if !a.Quiet {
		fmt.Fprintf(a.Err, format+"\n", args...)
	}
}

// Reporter shows progress on stderr; with --quiet nowhere. The caller closes it.
func (a *App) Reporter() ui.Reporter {
	if a.Quiet {
		return ui.NewReporter(ui.Plain, io.Discard)
	}
	var options []ui.Option
	if a.Verbose {
		options = append(options, ui.Verbose())
	}
	return ui.NewReporter(a.progress, a.Err, options...)
}

// ReadFile reads a file, or the standard input for "-".
func (a *App) ReadFile(file string) ([]byte, error) {
	if file == "-" {
		return io.ReadAll(a.In)
	}
	return os.ReadFile(file)
}

// Spec reads the lab's spec. Only a file that was asked for must exist.
func (a *App) Spec() (*lab.Spec, error) { return lab.Load(a.LabFile, !a.labGiven()) }

// Assembly is how this call puts labs together.
func (a *App) Assembly() assembly.Options {
	return assembly.Options{
		Version: a.Version, EKS: a.EKS,
		Consent: func(context.Context, string) (bool, error) { return a.Recreate, nil },
	}
}

// Assemble puts the lab of a spec together.
func (a *App) Assemble(ctx context.Context, spec *lab.Spec) (*assembly.Lab, error) {
	dir, err := labstate.Open(a.StateDir, spec.Name)
	if err != nil {
		return nil, err
	}
	return assembly.Assemble(ctx, spec, dir, a.Assembly())
}

// Existing is the lab that was brought up. What was changed in lab.yaml since then is said, as it is not in use.
func (a *App) Existing(ctx context.Context) (*assembly.Lab, *labstate.State, error) {
	spec, err := a.Spec()
	if err != nil {
		return nil, nil, err
	}
	l, state, err := assembly.Existing(ctx, spec, a.StateDir, a.Assembly())
	if err == nil && len(l.Edited) > 0 {
		a.Say("%s was changed since `ocifit-lab up` in %s; the lab goes on as it was made. `ocifit-lab up` applies what it can, `ocifit-lab down` and `up` the rest",
			a.LabFile, strings.Join(l.Edited, ", "))
	}
	return l, state, err
}
