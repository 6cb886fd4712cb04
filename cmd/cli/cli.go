// Package cli is the command line: it reads flags and files, calls the packages that do the work, and prints.
package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/compspec/ocifit-lab/cmd/assembly"
	"github.com/compspec/ocifit-lab/cmd/ui"
	"github.com/compspec/ocifit-lab/provision/eks"
	"github.com/compspec/ocifit-lab/provision/lab"
	"github.com/compspec/ocifit-lab/provision/labstate"
	"github.com/compspec/ocifit-lab/provision/step"
)

// Exit codes of the program.
const (
	ExitOK      = 0
	ExitError   = 1
	ExitTimeout = 2 // a deadline passed
	ExitTrials  = 3 // some trials failed
	ExitCheck   = 4 // a check failed
)

// Streams are where the program reads and writes: data goes to Out, talk to Err.
type Streams struct {
	In       io.Reader
	Out, Err io.Writer
}

// exit is an error with an exit code of its own.
type exit struct {
	code int
	err  error
}

func (e exit) Error() string {
	if e.err == nil {
		return fmt.Sprintf("exit code %d", e.code)
	}
	return e.err.Error()
}
func (e exit) Unwrap() error { return e.err }

// app is what all commands share.
type app struct {
	// said is what was told to be simulated, which is told once.
	said string

	Streams
	labFile  string
	labGiven func() bool
	stateDir string
	output   output
	progress ui.Kind
	verbose  bool
	quiet    bool

	// recreate is the consent to delete stacks that failed, and make them again.
	recreate bool
	// surround changes how provider eks is made, and interactive says whether somebody can be asked; both for tests.
	surround    func(*eks.Options)
	interactive func() bool
}

// Run executes the command line and returns the exit code.
func Run(ctx context.Context, streams Streams, args []string) int {
	return newApp(streams).run(ctx, args)
}

func newApp(streams Streams) *app {
	return &app{Streams: streams, output: "text", progress: ui.Auto}
}

func (a *app) run(ctx context.Context, args []string) int {
	root := a.root()
	root.SetArgs(args)
	err := root.ExecuteContext(ctx)
	if err == nil {
		return ExitOK
	}
	var e exit
	if errors.As(err, &e) && e.err == nil {
		return e.code // what there is to say was said
	}
	ui.Failure(a.Err, err)
	switch {
	case errors.As(err, &e):
		return e.code
	case errors.Is(err, step.ErrTimeout):
		return ExitTimeout
	}
	return ExitError
}

func (a *app) root() *cobra.Command {
	// Linked Kubernetes components register flags of their own here, and cobra would show them as ours.
	pflag.CommandLine = pflag.NewFlagSet("ocifit-lab", pflag.ContinueOnError)
	root := &cobra.Command{
		Use:   "ocifit-lab",
		Short: "Run the OCIFit study: does a model that picks the instance type and the image beat a random pick?",
		Long: `ocifit-lab carries the whole OCIFit study. It makes a Kubernetes cluster, prepares it, runs HPCG under a
random choice and under five models, compares them, and takes everything down again.

Providers: eks (AWS, the real study), kind (containers on this machine), sim (a rehearsal inside this program:
a real control plane with simulated nodes, whose benchmark figures are replayed, not measured).`,
		Example: `  ocifit-lab up
  ocifit-lab experiment all
  ocifit-lab down`,
		SilenceUsage:  true,
		SilenceErrors: true,
	}
	root.SetIn(a.In)
	root.SetOut(a.Out)
	root.SetErr(a.Err)
	f := root.PersistentFlags()
	f.StringVar(&a.labFile, "lab", "lab.yaml", "the lab's spec; without the file the study's defaults are used")
	f.StringVar(&a.stateDir, "state", ".ocifit-lab", "folder for the state of labs")
	f.VarP(&a.output, "output", "o", "form of printed data: text or json")
	f.Var(&a.progress, "progress", "form of progress on stderr: auto, tty, plain or json")
	f.BoolVarP(&a.verbose, "verbose", "v", false, "say more")
	f.BoolVarP(&a.quiet, "quiet", "q", false, "say nothing but results and errors")
	a.labGiven = func() bool { return f.Changed("lab") }
	_ = root.RegisterFlagCompletionFunc("output", words("text", "json"))
	_ = root.RegisterFlagCompletionFunc("progress", words(ui.Kinds()...))
	root.AddCommand(
		a.initCmd(), a.planCmd(), a.upCmd(), a.downCmd(), a.statusCmd(), a.doctorCmd(), a.logsCmd(),
		a.experimentCmd(), a.resultsCmd(), a.measurementsCmd(), a.modelsCmd(), a.applicationsCmd(), a.artifactCmd(), a.webhookCmd(), a.versionCmd(), a.supervisorCmd(),
		a.addonsCmd(), a.registryServeCmd(), a.miniclusterCmd(), a.bundleCmd(), a.eksCmd(), a.benchCmd(), a.manCmd(), a.bareControlPlaneCmd(),
	)
	return root
}

// words completes a flag or argument from a fixed list.
func words(list ...string) func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
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

// print writes data as the user asked: as JSON, or by text.
func (a *app) print(data any, text func(w io.Writer) error) error {
	if a.output == "json" {
		return ui.JSON(a.Out, data)
	}
	return text(a.Out)
}

// say writes talk to stderr, unless it was asked to be quiet.
func (a *app) say(format string, args ...any) {
	if !a.quiet {
		fmt.Fprintf(a.Err, format+"\n", args...)
	}
}

// reporter shows progress on stderr; with --quiet nowhere. The caller closes it.
func (a *app) reporter() ui.Reporter {
	if a.quiet {
		return ui.NewReporter(ui.Plain, io.Discard)
	}
	var options []ui.Option
	if a.verbose {
		options = append(options, ui.Verbose())
	}
	return ui.NewReporter(a.progress, a.Err, options...)
}

// spec reads the lab's spec. Only a file that was asked for must exist.
func (a *app) spec() (*lab.Spec, error) { return lab.Load(a.labFile, !a.labGiven()) }

// assembly is how this call puts labs together.
func (a *app) assembly() assembly.Options {
	return assembly.Options{
		Version: version, EKS: a.surround,
		Consent: func(context.Context, string) (bool, error) { return a.recreate, nil },
	}
}

// assemble puts the lab of a spec together.
func (a *app) assemble(ctx context.Context, spec *lab.Spec) (*assembly.Lab, error) {
	dir, err := labstate.Open(a.stateDir, spec.Name)
	if err != nil {
		return nil, err
	}
	return assembly.Assemble(ctx, spec, dir, a.assembly())
}

// existing is the lab that was brought up. What was changed in lab.yaml since then is said, as it is not in use.
func (a *app) existing(ctx context.Context) (*assembly.Lab, *labstate.State, error) {
	spec, err := a.spec()
	if err != nil {
		return nil, nil, err
	}
	l, state, err := assembly.Existing(ctx, spec, a.stateDir, a.assembly())
	if err == nil && len(l.Edited) > 0 {
		a.say("%s was changed since `ocifit-lab up` in %s; the lab goes on as it was made. `ocifit-lab up` applies what it can, `ocifit-lab down` and `up` the rest",
			a.labFile, strings.Join(l.Edited, ", "))
	}
	return l, state, err
}
