// Package cli is the command line: it reads flags and files, calls the packages that do the work, and prints.
package cli

import (
	"context"
	"errors"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/compspec/ocifit-lab/cmd/cli/applicationcmd"
	"github.com/compspec/ocifit-lab/cmd/cli/artifactcmd"
	"github.com/compspec/ocifit-lab/cmd/cli/command"
	"github.com/compspec/ocifit-lab/cmd/cli/modelcmd"
	"github.com/compspec/ocifit-lab/cmd/cli/resultcmd"
	"github.com/compspec/ocifit-lab/cmd/cli/webhookcmd"
	"github.com/compspec/ocifit-lab/cmd/ui"
	"github.com/compspec/ocifit-lab/provision/step"
)

// app is what all commands share, and what those that make and run labs keep.
type app struct {
	*command.App

	// said is what was told to be simulated, which is told once.
	said string
	// interactive says whether somebody can be asked; for tests.
	interactive func() bool
}

// Run executes the command line and returns the exit code.
func Run(ctx context.Context, streams command.Streams, args []string) int {
	return newApp(streams).run(ctx, args)
}

func newApp(streams command.Streams) *app {
	return &app{App: command.New(streams, version)}
}

func (a *app) run(ctx context.Context, args []string) int {
	root := a.root()
	root.SetArgs(args)
	err := root.ExecuteContext(ctx)
	if err == nil {
		return command.ExitOK
	}
	var e command.Exit
	if errors.As(err, &e) && e.Err == nil {
		return e.Code // what there is to say was said
	}
	ui.Failure(a.Err, err)
	switch {
	case errors.As(err, &e):
		return e.Code
	case errors.Is(err, step.ErrTimeout):
		return command.ExitTimeout
	}
	return command.ExitError
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
	a.AddFlags(root)
	root.AddCommand(
		a.initCmd(), a.planCmd(), a.upCmd(), a.downCmd(), a.statusCmd(), a.doctorCmd(), a.logsCmd(),
		a.experimentCmd(), resultcmd.Results(a.App), modelcmd.Measurements(a.App), modelcmd.Models(a.App), applicationcmd.Applications(a.App),
		artifactcmd.Artifact(a.App), webhookcmd.Webhook(a.App), a.versionCmd(), a.supervisorCmd(),
		a.addonsCmd(), a.registryServeCmd(), a.miniclusterCmd(), a.bundleCmd(), a.eksCmd(), a.benchCmd(), a.manCmd(), a.bareControlPlaneCmd(),
	)
	return root
}
