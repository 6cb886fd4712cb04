package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/compspec/ocifit-lab/cmd/assembly"
	"github.com/compspec/ocifit-lab/cmd/cli/command"
	"github.com/compspec/ocifit-lab/cmd/ui"
	"github.com/compspec/ocifit-lab/provision"
	"github.com/compspec/ocifit-lab/provision/labstate"
	"github.com/compspec/ocifit-lab/provision/step"
)

func (a *app) downCmd() *cobra.Command {
	var o downOptions
	cmd := &cobra.Command{
		Use:   "down",
		Short: "Remove the cluster and prove that nothing is left; results stay",
		Long: `down removes everything that up made, also after an up that failed half-way. It needs the state folder only. At the
end it looks for what is left and exits with 4 if there is anything. Results stay. Without the state folder, --name and
--region are enough for a lab on eks, and --name with --local for one on kind. A lab on sim ends with its state folder.`,
		Example: "  ocifit-lab down\n  ocifit-lab down --name ocifit --region us-east-1\n  ocifit-lab down --name ocifit --local",
		Args:    cobra.NoArgs,
		RunE:    func(cmd *cobra.Command, _ []string) error { return a.down(cmd.Context(), o) },
	}
	f := cmd.Flags()
	f.DurationVar(&o.timeout, "timeout", time.Hour, "deadline for all steps together")
	f.StringVar(&o.name, "name", "", "name of the lab, for when its state folder is gone: with --region for one on eks, with --local for one on kind")
	f.BoolVar(&o.local, "local", false, "kind: with --name")
	f.StringVar(&o.region, "region", "", "eks: region of the cluster, with --name")
	f.StringVar(&o.profile, "profile", "", "eks: profile of the shared AWS configuration")
	f.BoolVar(&o.verify, "verify-empty", true, "look for what is left")
	cmd.MarkFlagsMutuallyExclusive("region", "local")
	return cmd
}

type downOptions struct {
	timeout               time.Duration
	name, region, profile string
	verify, local         bool
}

// named is the lab that the flags name; ok is false when they name none.
func (o *downOptions) named() (n assembly.Name, ok bool, err error) {
	switch {
	case o.name == "" && (o.region != "" || o.local):
		return n, false, errors.New("--region and --local go with --name, the name of a lab whose state folder is gone")
	case o.name == "":
		return n, false, nil
	case o.region != "":
		return assembly.Name{Provider: "eks", Name: o.name, Region: o.region}, true, nil
	case o.local:
		return assembly.Name{Provider: "kind", Name: o.name}, true, nil
	}
	return n, false, fmt.Errorf("where is lab %s? Add --region for one on eks, or --local for one on kind", o.name)
}

type downSummary struct {
	Name      string   `json:"name"`
	Removed   bool     `json:"removed"`
	Verified  bool     `json:"verified"` // somebody looked for leftovers
	Leftovers []string `json:"leftovers"`
	Results   string   `json:"results,omitempty"`
	Seconds   float64  `json:"seconds"`
}

func (a *app) down(ctx context.Context, o downOptions) error {
	l, state, err := a.toRemove(ctx, o)
	if errors.Is(err, labstate.ErrNoLab) {
		spec, err := a.Spec()
		if err != nil {
			return err
		}
		return a.Print(downSummary{Name: spec.Name, Leftovers: []string{}}, func(w io.Writer) error {
			_, err := fmt.Fprintf(w, "lab %s is not up; nothing to remove\n", spec.Name)
			return err
		})
	}
	if err != nil {
		return err
	}
	release, err := l.Dir.Lock()
	if err != nil {
		return err
	}
	defer release()
	began := time.Now()
	ctx, cancel := context.WithTimeout(ctx, o.timeout)
	defer cancel()
	if err := a.undo(ctx, l, state, o.verify); err != nil {
		err = step.Try(err, "run `ocifit-lab down` again; the state stays in %s", l.Dir.Path())
		if errors.Is(err, provision.ErrLeftovers) {
			return command.Fail(command.ExitCheck, err)
		}
		return err
	}
	var left []string
	if o.verify {
		if left, err = l.Provider.Leftovers(ctx); err != nil {
			return fmt.Errorf("could not look for what is left: %w", err)
		}
	}
	summary := downSummary{Name: l.Spec.Name, Removed: true, Verified: o.verify, Leftovers: left, Results: l.Spec.Experiment.Results, Seconds: time.Since(began).Seconds()}
	if len(left) > 0 {
		if err := a.Print(summary, summary.text); err != nil {
			return err
		}
		return command.Fail(command.ExitCheck, step.Try(fmt.Errorf("%d things are left", len(left)), "remove them by hand, then run `ocifit-lab down` again"))
	}
	if err := l.Dir.Remove(); err != nil {
		return err
	}
	summary.Leftovers = []string{}
	return a.Print(summary, summary.text)
}

// toRemove is the lab that was brought up, or the cluster that the flags name.
func (a *app) toRemove(ctx context.Context, o downOptions) (*assembly.Lab, *labstate.State, error) {
	spec, err := a.Spec()
	if err != nil {
		return nil, nil, err
	}
	options := a.Assembly()
	options.Profile = o.profile
	if n, ok, err := o.named(); err != nil || ok {
		if err != nil {
			return nil, nil, err
		}
		return assembly.Named(spec, a.StateDir, n, options)
	}
	return assembly.Existing(ctx, spec, a.StateDir, options)
}

// undo takes the cluster away. What was installed in it goes with it.
func (a *app) undo(ctx context.Context, l *assembly.Lab, state *labstate.State, verify bool) error {
	rep := a.Reporter()
	defer rep.Close()
	state.Ready = false
	if err := l.Dir.Write(state, nil); err != nil {
		return err
	}
	unmerged := l.Unmerge()
	err := step.Down(ctx, l.DownSteps(verify), rep, func(name string) error {
		delete(state.Steps, name)
		return l.Dir.Write(state, nil)
	})
	return errors.Join(err, unmerged)
}

func (s downSummary) text(w io.Writer) error {
	if len(s.Leftovers) > 0 {
		_, err := fmt.Fprintf(w, "lab %s is down, but this is left:\n  %s\n", s.Name, strings.Join(s.Leftovers, "\n  "))
		return err
	}
	proof := "nothing is left of it"
	if !s.Verified {
		proof = "nobody looked for what is left (--verify-empty=false)"
	}
	_, err := fmt.Fprintf(w, "lab %s is down after %s; %s. Results stay in %s\n",
		s.Name, ui.Duration(time.Duration(s.Seconds*float64(time.Second))), proof, s.Results)
	return err
}
