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
--region are enough for a lab on eks.`,
		Example: "  ocifit-lab down\n  ocifit-lab down --name ocifit --region us-east-1",
		Args:    cobra.NoArgs,
		RunE:    func(cmd *cobra.Command, _ []string) error { return a.down(cmd.Context(), o) },
	}
	f := cmd.Flags()
	f.DurationVar(&o.timeout, "timeout", time.Hour, "deadline for all steps together")
	f.StringVar(&o.name, "name", "", "eks: name of the cluster, for when the state folder is gone")
	f.StringVar(&o.region, "region", "", "eks: region of the cluster, with --name")
	f.StringVar(&o.profile, "profile", "", "eks: profile of the shared AWS configuration")
	f.BoolVar(&o.verify, "verify-empty", true, "look for what is left")
	cmd.MarkFlagsRequiredTogether("name", "region")
	return cmd
}

type downOptions struct {
	timeout               time.Duration
	name, region, profile string
	verify                bool
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
		spec, err := a.spec()
		if err != nil {
			return err
		}
		return a.print(downSummary{Name: spec.Name, Leftovers: []string{}}, func(w io.Writer) error {
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
			return exit{ExitCheck, err}
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
		if err := a.print(summary, summary.text); err != nil {
			return err
		}
		return exit{ExitCheck, step.Try(fmt.Errorf("%d things are left", len(left)), "remove them by hand, then run `ocifit-lab down` again")}
	}
	if err := l.Dir.Remove(); err != nil {
		return err
	}
	summary.Leftovers = []string{}
	return a.print(summary, summary.text)
}

// toRemove is the lab that was brought up, or the cluster that the flags name.
func (a *app) toRemove(ctx context.Context, o downOptions) (*assembly.Lab, *labstate.State, error) {
	spec, err := a.spec()
	if err != nil {
		return nil, nil, err
	}
	options := a.assembly()
	options.Profile = o.profile
	if o.name != "" {
		return assembly.Named(spec, a.stateDir, assembly.Name{Provider: "eks", Name: o.name, Region: o.region}, options)
	}
	return assembly.Existing(ctx, spec, a.stateDir, options)
}

// undo takes the cluster away. What was installed in it goes with it.
func (a *app) undo(ctx context.Context, l *assembly.Lab, state *labstate.State, verify bool) error {
	rep := a.reporter()
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
