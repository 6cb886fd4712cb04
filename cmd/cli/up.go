package cli

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync/atomic"
	"time"

	"github.com/spf13/cobra"

	"github.com/compspec/ocifit-lab/cmd/assembly"
	"github.com/compspec/ocifit-lab/cmd/cli/command"
	"github.com/compspec/ocifit-lab/cmd/ui"
	"github.com/compspec/ocifit-lab/provision/lab"
	"github.com/compspec/ocifit-lab/provision/labstate"
	"github.com/compspec/ocifit-lab/provision/step"
)

func (a *app) upCmd() *cobra.Command {
	var o upOptions
	cmd := &cobra.Command{
		Use:   "up",
		Short: "Create the cluster and prepare everything the study needs",
		Long: `up creates the cluster and installs what the study needs. It can be called again at any time: what is done stays,
what is missing is made, so an interrupted up goes on where it stopped.`,
		Example: "  ocifit-lab up\n  ocifit-lab up --local\n  ocifit-lab up --provider eks",
		Args:    cobra.NoArgs,
		RunE:    func(cmd *cobra.Command, _ []string) error { return a.up(cmd.Context(), o) },
	}
	o.provider.add(cmd)
	o.eks.add(cmd)
	cmd.Flags().BoolVar(&o.plan, "plan", false, "print the steps and change nothing")
	cmd.Flags().DurationVar(&o.timeout, "timeout", time.Hour, "deadline for all steps together")
	return cmd
}

type upOptions struct {
	provider providerFlags
	eks      eksUpFlags
	plan     bool
	timeout  time.Duration
}

// providerFlags choose the provider on the command line.
type providerFlags struct {
	name  string
	local bool
	kind  kindFlags
	eks   eksFlags

	components componentFlags
}

func (f *providerFlags) add(cmd *cobra.Command) {
	cmd.Flags().StringVar(&f.name, "provider", "", "eks, kind or sim (default: the lab's)")
	cmd.Flags().BoolVar(&f.local, "local", false, "short for --provider kind")
	cmd.MarkFlagsMutuallyExclusive("provider", "local")
	f.kind.add(cmd)
	f.eks.add(cmd)
	f.components.add(cmd)
	_ = cmd.RegisterFlagCompletionFunc("provider", command.Words(lab.Providers...))
}

// apply puts the chosen provider into the spec.
func (f *providerFlags) apply(s *lab.Spec) error {
	switch {
	case f.local:
		s.Provider = "kind"
	case f.name != "":
		s.Provider = f.name
	}
	f.kind.apply(s)
	if err := f.components.apply(s); err != nil {
		return err
	}
	if err := f.eks.apply(s); err != nil {
		return err
	}
	return s.Validate()
}

func (a *app) up(ctx context.Context, o upOptions) error {
	given, err := a.Spec()
	if err != nil {
		return err
	}
	spec, err := a.Spec()
	if err != nil {
		return err
	}
	if err := o.provider.apply(spec); err != nil {
		return err
	}
	if err := checkStudy(spec); err != nil {
		return err
	}
	l, err := a.Assemble(ctx, spec)
	if err != nil {
		return err
	}
	if o.provider.eks.skipUnavailable {
		if l, err = a.withoutUnavailable(ctx, spec, l); err != nil {
			return err
		}
	}
	if o.plan {
		return a.printPlan(ctx, l, false)
	}
	release, err := l.Dir.Lock()
	if err != nil {
		return err
	}
	defer release()
	state, err := openState(l.Dir, spec)
	if err != nil {
		return err
	}
	if err := a.agree(ctx, l, o.eks); err != nil {
		return errors.Join(err, l.Dir.RemoveUnused())
	}
	if err := l.SaveClusterFile(); err != nil {
		return err
	}
	if err := l.SaveGiven(given); err != nil {
		return err
	}
	// Before anything exists, so that `down` finds it whatever happens next.
	if err := l.Dir.Write(state, spec); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, o.timeout)
	defer cancel()
	return a.runUp(ctx, l, state, o.eks.merge)
}

// checkStudy refuses a study that no experiment could run, before anything is made for it.
func checkStudy(spec *lab.Spec) error {
	s, err := assembly.LoadStudy(spec)
	if err != nil {
		return err
	}
	return assembly.CheckModels(spec, s)
}

func (a *app) runUp(ctx context.Context, l *assembly.Lab, state *labstate.State, merge bool) error {
	began := time.Now()
	rep := a.Reporter()
	defer rep.Close()
	watch := &changes{Reporter: rep}
	err := step.Up(ctx, l.Steps(), watch, func(name string) error {
		state.Steps[name] = time.Now().UTC()
		return l.Dir.Write(state, nil)
	})
	rep.Close()
	if err != nil {
		err = withBundle(ctx, l, state, l.WithLogs(ctx, err))
		return step.Try(err, "run `ocifit-lab up` again to go on, or `ocifit-lab down` to remove what exists; logs are in %s", l.Dir.Path())
	}
	state.Ready = true
	if err := l.Dir.Write(state, nil); err != nil {
		return err
	}
	if err := a.merge(ctx, l, merge); err != nil {
		return err
	}
	summary, err := a.upSummary(ctx, l, watch.any(), time.Since(began))
	if err != nil {
		return err
	}
	return a.Print(summary, summary.text)
}

// openState returns the lab's state, a new one when there is none. A lab that is up cannot become another one.
func openState(dir *labstate.Dir, spec *lab.Spec) (*labstate.State, error) {
	state, err := dir.Read()
	if errors.Is(err, labstate.ErrNoLab) {
		return &labstate.State{
			Name: spec.Name, Provider: spec.Provider, Instance: rand.Text(),
			Created: time.Now().UTC(), Steps: map[string]time.Time{},
		}, nil
	}
	if err != nil {
		return nil, err
	}
	old, err := dir.Spec()
	if err != nil {
		return nil, err
	}
	differ, err := assembly.ClusterDifferences(old, spec)
	if err != nil {
		return nil, err
	}
	if len(differ) > 0 {
		return nil, step.Try(fmt.Errorf("lab %q is up with other settings: it differs in %s", spec.Name, strings.Join(differ, ", ")),
			"run `ocifit-lab down` first, or give this lab another name")
	}
	return state, nil
}

type upSummary struct {
	Name       string  `json:"name"`
	Provider   string  `json:"provider"`
	Changed    bool    `json:"changed"`
	Seconds    float64 `json:"seconds"`
	Kubeconfig string  `json:"kubeconfig"`
	Endpoint   string  `json:"endpoint"`
	Simulated  string  `json:"simulated,omitempty"`
}

func (a *app) upSummary(ctx context.Context, l *assembly.Lab, changed bool, took time.Duration) (*upSummary, error) {
	status, err := l.Provider.Status(ctx)
	if err != nil {
		return nil, err
	}
	return &upSummary{
		Name: l.Spec.Name, Provider: l.Spec.Provider, Changed: changed, Seconds: took.Seconds(),
		Kubeconfig: l.Dir.Kubeconfig(), Endpoint: status.Endpoint, Simulated: status.Simulated,
	}, nil
}

func (s *upSummary) text(w io.Writer) error {
	if s.Changed {
		fmt.Fprintf(w, "lab %s is up on %s after %s\n", s.Name, s.Provider, ui.Duration(time.Duration(s.Seconds*float64(time.Second))))
	} else {
		fmt.Fprintf(w, "lab %s is up on %s already; nothing to do\n", s.Name, s.Provider)
	}
	if s.Simulated != "" {
		fmt.Fprintf(w, "simulated: %s\n", s.Simulated)
	}
	_, err := fmt.Fprintf(w, "kubectl:   export KUBECONFIG=%s\nnext:      ocifit-lab experiment all\n", s.Kubeconfig)
	return err
}

// merge puts the cluster into the user's own kubeconfig.
func (a *app) merge(ctx context.Context, l *assembly.Lab, wanted bool) error {
	if !wanted {
		return nil
	}
	name, file, err := l.Merge(ctx)
	if err != nil {
		return err
	}
	a.Say("context %s was added to %s", name, file)
	return nil
}

// changes is a reporter that notices whether any step had to run.
type changes struct {
	step.Reporter
	ran atomic.Bool
}

func (c *changes) End(name string, r step.Result) {
	if !r.Skipped {
		c.ran.Store(true)
	}
	c.Reporter.End(name, r)
}

func (c *changes) any() bool { return c.ran.Load() }
