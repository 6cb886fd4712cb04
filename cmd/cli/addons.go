package cli

import (
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/compspec/ocifit-lab/addons"
	"github.com/compspec/ocifit-lab/cmd/assembly"
	"github.com/compspec/ocifit-lab/provision/step"
)

func (a *app) addonsCmd() *cobra.Command {
	cmd := &cobra.Command{
		Use: "addons", Aliases: []string{"addon"}, Short: "Install or remove one addon of a lab that is up",
		Long: `addons works on one part of what up installs, by the name that status shows: to make it anew, or to try the lab without it.
up installs whatever is missing.`,
	}
	complete := func(cmd *cobra.Command, _ []string, _ string) ([]string, cobra.ShellCompDirective) {
		l, _, err := a.Existing(cmd.Context())
		if err != nil {
			return nil, cobra.ShellCompDirectiveError
		}
		return addonNames(l), cobra.ShellCompDirectiveNoFileComp
	}
	cmd.AddCommand(
		&cobra.Command{
			Use: "install NAME", Short: "Install an addon, or mend it", Args: cobra.ExactArgs(1), ValidArgsFunction: complete,
			RunE: func(cmd *cobra.Command, args []string) error { return a.addon(cmd.Context(), args[0], true) },
		},
		&cobra.Command{
			Use: "remove NAME", Short: "Remove an addon; up installs it again", Args: cobra.ExactArgs(1), ValidArgsFunction: complete,
			RunE: func(cmd *cobra.Command, args []string) error { return a.addon(cmd.Context(), args[0], false) },
		},
	)
	return cmd
}

func addonNames(l *assembly.Lab) []string {
	var names []string
	for _, x := range l.Addons {
		names = append(names, x.Name())
	}
	return names
}

// addon runs the addon's own step, or undoes it.
func (a *app) addon(ctx context.Context, name string, install bool) error {
	l, _, err := a.Existing(ctx)
	if err != nil {
		return err
	}
	release, err := l.Dir.Lock()
	if err != nil {
		return err
	}
	defer release()
	for _, s := range addons.Steps(l.Provider.Connect, func(addons.Addon) []string { return nil }, l.Addons...) {
		if s.Name != name {
			continue
		}
		s.Needs = nil
		rep := a.Reporter()
		defer rep.Close()
		done := "removed"
		if install {
			done = "works"
			err = step.Up(ctx, []step.Step{s}, rep, nil)
		} else {
			err = step.Down(ctx, []step.Step{s}, rep, nil)
		}
		rep.Close()
		if err != nil {
			return err
		}
		return a.Print(map[string]string{"addon": name, "state": done}, func(w io.Writer) error {
			_, err := fmt.Fprintf(w, "addon %s: %s\n", name, done)
			return err
		})
	}
	return step.Try(fmt.Errorf("lab %s has no addon %q", l.Spec.Name, name), "choose one of %s", strings.Join(addonNames(l), ", "))
}
