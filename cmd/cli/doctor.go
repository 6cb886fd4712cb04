package cli

import (
	"context"
	"fmt"
	"io"
	"runtime"
	"time"

	"github.com/spf13/cobra"

	"github.com/compspec/ocifit-lab/cmd/assembly"
	"github.com/compspec/ocifit-lab/cmd/cli/command"
	"github.com/compspec/ocifit-lab/provision/atomicfile"
	"github.com/compspec/ocifit-lab/provision/labstate"
	"github.com/compspec/ocifit-lab/provision/step"
)

// bundleTimeout bounds the gathering of logs: it has to come to an end when things are broken.
const bundleTimeout = 2 * time.Minute

func (a *app) doctorCmd() *cobra.Command {
	return &cobra.Command{
		Use:   "doctor",
		Short: "Say what is wrong with the lab, and the command that mends it",
		Long:  "doctor looks at the lab's state, lock, disk, cluster, nodes and add-ons. It exits with 4 when something is wrong.",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx, cancel := context.WithTimeout(cmd.Context(), bundleTimeout)
			defer cancel()
			l, state, err := a.Existing(ctx)
			if err != nil {
				return err
			}
			found := l.Diagnose(ctx, state)
			if found == nil {
				found = []assembly.Finding{}
			}
			if err := a.Print(found, func(w io.Writer) error { return findings(w, l.Spec.Name, found) }); err != nil {
				return err
			}
			if len(found) > 0 {
				return command.Fail(command.ExitCheck, nil)
			}
			return nil
		},
	}
}

func findings(w io.Writer, name string, found []assembly.Finding) error {
	if len(found) == 0 {
		_, err := fmt.Fprintf(w, "nothing is wrong with lab %s\n", name)
		return err
	}
	for _, f := range found {
		if _, err := fmt.Fprintf(w, "%s\n  %s\n", f.What, f.Mend); err != nil {
			return err
		}
	}
	return nil
}

func (a *app) logsCmd() *cobra.Command {
	var file string
	cmd := &cobra.Command{
		Use:   "logs",
		Short: "Gather what a maintainer needs to see of the lab into one file",
		Long: `logs writes a .tar.gz with versions, state, lab.yaml, what doctor finds, events, pods and the ends of all logs. Passwords, tokens
and keys are left out or masked; look into it all the same before you send it. One is made by itself when up fails.`,
		Example: "  ocifit-lab logs --bundle lab-logs.tar.gz",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx, cancel := context.WithTimeout(cmd.Context(), bundleTimeout)
			defer cancel()
			l, state, err := a.Existing(ctx)
			if err != nil {
				return err
			}
			if err := atomicfile.Create(file, 0o600, func(w io.Writer) error { return l.LogBundle(ctx, state, programVersions(), w) }); err != nil {
				return err
			}
			return a.Print(map[string]string{"file": file}, func(w io.Writer) error {
				_, err := fmt.Fprintf(w, "wrote %s\n", file)
				return err
			})
		},
	}
	cmd.Flags().StringVar(&file, "bundle", "ocifit-lab-logs.tar.gz", "file to write")
	return cmd
}

func programVersions() map[string]any {
	return map[string]any{"ocifit-lab": version, "go": runtime.Version(), "system": runtime.GOOS + "/" + runtime.GOARCH, "parts": components()}
}

// withBundle adds to the failure of a step where everything that is known of it is.
func withBundle(ctx context.Context, l *assembly.Lab, state *labstate.State, err error) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), bundleTimeout)
	defer cancel()
	file, e := l.SaveLogBundle(ctx, state, programVersions())
	if e != nil {
		return err // the failure itself says more
	}
	return step.Try(err, "what is known of it is in %s; `ocifit-lab doctor` says what is wrong", file)
}
