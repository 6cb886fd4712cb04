package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/compspec/ocifit-lab/cmd/assembly"
	"github.com/compspec/ocifit-lab/cmd/cli/command"
	"github.com/compspec/ocifit-lab/cmd/ui"
	"github.com/compspec/ocifit-lab/experiments/breaker"
	"github.com/compspec/ocifit-lab/experiments/store"
	"github.com/compspec/ocifit-lab/experiments/study"
	"github.com/compspec/ocifit-lab/experiments/trial"
	"github.com/compspec/ocifit-lab/provision/step"
	"github.com/compspec/ocifit-lab/templates"
)

func (a *app) experimentCmd() *cobra.Command {
	cmd := &cobra.Command{Use: "experiment", Aliases: []string{"experiments"}, Short: "List and run the study's experiments"}
	cmd.AddCommand(a.experimentListCmd(), a.experimentRunCmd(), a.experimentAllCmd(), a.experimentStudiesCmd())
	return cmd
}

// experimentOptions narrow and steer a study.
type experimentOptions struct {
	command.RunFlags
	trials            string
	arms              []string
	parallel          int
	retryFailed       bool
	reuseNodes        bool
	maxCost, maxHours float64
	maxRate           float64
}

func (o *experimentOptions) addStudy(cmd *cobra.Command) {
	o.Add(cmd)
	cmd.Flags().IntVar(&o.Repeats, "repeats", 0, "trials per arm (default: the study's)")
}

func (o *experimentOptions) addRun(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringVar(&o.trials, "trials", "", "numbers of the trials to run, such as 4-9,12 (default: all)")
	f.IntVar(&o.parallel, "parallel", 1, "trials that run side by side, each on a node of its own; node groups and --max-rate may allow fewer")
	f.Float64Var(&o.maxRate, "max-rate", 0, "most that the nodes of running trials may cost together, in US dollars an hour (0: no limit)")
	f.BoolVar(&o.reuseNodes, "reuse-nodes", false, "let an arm meet a machine again, whatever the study says of freshNodes")
	f.BoolVar(&o.retryFailed, "retry-failed", false, "run only trials that failed before")
	f.Float64Var(&o.maxCost, "max-cost", 0, "stop before a trial that could take the run's bill above this many US dollars (0: the study's limit, or else the plan's worst case)")
	f.Float64Var(&o.maxHours, "max-hours", 0, "stop after this many hours (0: no limit)")
}

func (a *app) experimentListCmd() *cobra.Command {
	var o experimentOptions
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List the arms of the study and how far each one is",
		Args:  cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			spec, s, err := a.ChosenStudy(o.RunFlags)
			if err != nil {
				return err
			}
			rows, err := progressOf(o.Folder(spec, s), s)
			if err != nil {
				return err
			}
			return a.Print(rows, func(w io.Writer) error { return command.ProgressTable(w, rows) })
		},
	}
	o.addStudy(cmd)
	return cmd
}

func (a *app) experimentStudiesCmd() *cobra.Command {
	return &cobra.Command{
		Use:   "studies",
		Short: "List the studies that ship with the program",
		Args:  cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			var list []*study.Study
			for _, name := range templates.Studies() {
				s, err := assembly.ReadStudy(name)
				if err != nil {
					return err
				}
				list = append(list, s)
			}
			return command.PrintTable(a.App, list, []string{"STUDY", "ARMS", "TRIALS PER ARM", "ORDER", "DESCRIPTION"}, func(s *study.Study) []string {
				return []string{s.Name, strconv.Itoa(len(s.Arms)), strconv.Itoa(s.Repeats), string(s.Order), strings.TrimSpace(s.Description)}
			})
		},
	}
}

func (a *app) experimentRunCmd() *cobra.Command {
	var o experimentOptions
	cmd := &cobra.Command{
		Use:     "run ARM...",
		Short:   "Run the trials of some arms that are not done yet",
		Example: "  ocifit-lab experiment run random fom-model\n  ocifit-lab experiment run fom-model --trials 4-9",
		ValidArgsFunction: func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
			_, s, err := a.ChosenStudy(o.RunFlags)
			if err != nil {
				return nil, cobra.ShellCompDirectiveError
			}
			return s.ArmNames(), cobra.ShellCompDirectiveNoFileComp
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			o.arms = append(o.arms, args...)
			if len(o.arms) == 0 {
				return step.Try(errors.New("name the arms to run"), "see `ocifit-lab experiment list`, or run `ocifit-lab experiment all`")
			}
			return a.experiment(cmd.Context(), o)
		},
	}
	o.addStudy(cmd)
	o.addRun(cmd)
	cmd.Flags().StringSliceVar(&o.arms, "arms", nil, "arms to run, like the arguments")
	return cmd
}

func (a *app) experimentAllCmd() *cobra.Command {
	var o experimentOptions
	cmd := &cobra.Command{
		Use:   "all",
		Short: "Run every trial of the study that is not done yet",
		Long: `all runs every trial of the study that is not done yet, in the study's order, one by one or with --parallel side by side. Stopped
in the middle, by Ctrl-C or a crash, it goes on where it stopped when it is called again.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return a.experiment(cmd.Context(), o) },
	}
	o.addStudy(cmd)
	o.addRun(cmd)
	return cmd
}

// checkLimits refuses limits that limit nothing.
func (o *experimentOptions) checkLimits() error {
	for _, l := range []struct {
		flag string
		v    float64
	}{{"--max-cost", o.maxCost}, {"--max-hours", o.maxHours}, {"--max-rate", o.maxRate}} {
		if l.v < 0 || math.IsNaN(l.v) || math.IsInf(l.v, 0) {
			return fmt.Errorf("%s is %v; give an amount above 0, or leave it out for no limit of yours", l.flag, l.v)
		}
	}
	if longest := math.MaxInt64 / float64(time.Hour); o.maxHours > longest {
		return fmt.Errorf("--max-hours is %v; the most is %.0f", o.maxHours, longest)
	}
	return nil
}

// experiment runs what is not done of the chosen trials.
func (a *app) experiment(ctx context.Context, o experimentOptions) error {
	if o.parallel < 1 {
		return fmt.Errorf("--parallel is %d; give 1 or more", o.parallel)
	}
	if err := o.checkLimits(); err != nil {
		return err
	}
	if o.maxHours > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, time.Duration(o.maxHours*float64(time.Hour)), fmt.Errorf("--max-hours %v: %w", o.maxHours, step.ErrTimeout))
		defer cancel()
	}
	l, state, err := a.Existing(ctx)
	if err != nil {
		return err
	}
	if !state.Ready {
		return step.Try(fmt.Errorf("lab %s is not complete", l.Spec.Name), "run `ocifit-lab up` to go on with it")
	}
	release, err := l.Dir.Lock()
	if err != nil {
		return err
	}
	defer release()
	if err := o.Apply(l.Spec); err != nil {
		return err
	}
	s, err := assembly.LoadStudy(l.Spec)
	if err != nil {
		return err
	}
	if err := assembly.CheckModels(l.Spec, s); err != nil {
		return err
	}
	if o.maxCost > 0 {
		s.MaxCostUSD = o.maxCost
	}
	if s.Adaptive != nil {
		if err := a.measure(ctx, l, s, o); err != nil {
			return err
		}
	}
	return a.runStudy(ctx, l, s, o)
}

// runStudy runs what is not done of the chosen trials of a study.
func (a *app) runStudy(ctx context.Context, l *assembly.Lab, s *study.Study, o experimentOptions) error {
	trials, err := s.Select(study.Selection{Arms: o.arms, Trials: o.trials})
	if err != nil {
		return err
	}
	s.FreshNodes = s.FreshNodes && !o.reuseNodes
	runner, err := o.runner(ctx, l, s, o.Folder(l.Spec, s))
	if err != nil {
		return err
	}
	defer runner.Store.Close()
	return a.runTrials(ctx, runner, trials, o)
}

// runner runs trials within the limits that were given. Who runs one after another needs no quota.
func (o *experimentOptions) runner(ctx context.Context, l *assembly.Lab, s *study.Study, dir string) (*trial.Runner, error) {
	r, err := l.Runner(ctx, s, dir, overlayFacts(components(), l.InUse()))
	if err != nil {
		return nil, err
	}
	r.Limits.USDPerHour = o.maxRate
	if o.parallel > 1 {
		r.Limits = l.WithinQuotas(ctx, r.Limits)
	}
	return r, nil
}

// runTrials runs what is not done of the trials, and prints how far the run is then.
func (a *app) runTrials(ctx context.Context, r *trial.Runner, trials []study.Trial, o experimentOptions) error {
	pending, failed, err := a.runPending(ctx, r, trials, o)
	if err != nil && !errors.Is(err, breaker.ErrOpen) {
		return err
	}
	rows := r.Store.Progress(r.Study)
	if err := a.Print(rows, func(w io.Writer) error {
		if pending == 0 {
			fmt.Fprintln(w, "nothing to run: every chosen trial is done")
		}
		if err := command.ProgressTable(w, rows); err != nil {
			return err
		}
		if r.Budget != nil {
			fmt.Fprintln(w)
			if err := spentText(w, r.Budget.Meter.Last()); err != nil {
				return err
			}
		}
		_, err := fmt.Fprintf(w, "\nresults are in %s; next: ocifit-lab results show\n", r.Store.Dir())
		return err
	}); err != nil {
		return err
	}
	if err != nil {
		return command.Fail(command.ExitTrials, step.Try(fmt.Errorf("%d trials failed, and not all were tried: %w", failed, err),
			"mend the cause, then run the same command again; `ocifit-lab status` and `ocifit-lab doctor` look at the lab"))
	}
	if failed > 0 {
		return command.Fail(command.ExitTrials, step.Try(fmt.Errorf("%d of %d trials failed", failed, pending),
			"see reason in trial.json of the folders *.failed-* in %s; the same command runs them again", r.Store.Dir()))
	}
	return nil
}

// runPending runs what is not done of the trials. The error says what to do, but for that of an open breaker.
func (a *app) runPending(ctx context.Context, r *trial.Runner, trials []study.Trial, o experimentOptions) (pending, failed int, err error) {
	list, err := r.Store.Unfinished(trials, o.retryFailed)
	if err != nil {
		return 0, 0, err
	}
	if sim := r.Store.Info().Simulation; sim != "" && sim != a.said && len(list) > 0 {
		a.said = sim
		a.Say("simulated: %s", sim)
	}
	watch := a.watchTrials(trials, list)
	failed, err = r.RunAll(ctx, list, o.parallel, watch)
	watch.close()
	switch {
	case errors.Is(err, trial.ErrMaxCost):
		err = command.Fail(command.ExitCheck, step.Try(err, "raise --max-cost or the study's maxCost to go on; finished trials are kept in %s", r.Store.Dir()))
	case err != nil && ctx.Err() != nil:
		err = fmt.Errorf("stopped; finished trials are kept, run the same command again to go on: %w", context.Cause(ctx))
	case err != nil && !errors.Is(err, breaker.ErrOpen):
		err = step.Try(err, "run the same command again to go on; finished trials are kept in %s", r.Store.Dir())
	}
	return len(list), failed, err
}

// trialWatch shows one counter per arm.
type trialWatch struct {
	rep      ui.Reporter
	counters map[string]*ui.Counter
	order    []*ui.Counter
}

func (a *app) watchTrials(all, pending []study.Trial) *trialWatch {
	w := &trialWatch{rep: a.Reporter(), counters: map[string]*ui.Counter{}}
	total, left := map[string]int{}, map[string]int{}
	for _, t := range all {
		total[t.Arm.Name]++
	}
	for _, t := range pending {
		left[t.Arm.Name]++
	}
	for _, t := range pending {
		if arm := t.Arm.Name; w.counters[arm] == nil {
			w.counters[arm] = w.rep.Counter(arm, total[arm]-left[arm], total[arm])
			w.order = append(w.order, w.counters[arm])
		}
	}
	return w
}

// Now implements trial.Observer.
func (w *trialWatch) Now(t study.Trial, format string, args ...any) {
	w.counters[t.Arm.Name].Now("trial "+strconv.Itoa(t.N)+": "+format, args...)
}

// Ended implements trial.Observer.
func (w *trialWatch) Ended(t study.Trial, record store.Trial, err error) {
	text := fmt.Sprintf("trial %d", t.N)
	if err == nil && record.Decision != nil {
		text = fmt.Sprintf("trial %d on %s", t.N, record.Decision.InstanceType)
	}
	w.counters[t.Arm.Name].Finished(text, err)
}

func (w *trialWatch) close() {
	for _, c := range w.order {
		c.End()
	}
	w.rep.Close()
}

// progressOf counts a run's trials; without a run none is done.
func progressOf(dir string, s *study.Study) ([]store.ArmProgress, error) {
	run, err := store.Open(dir, store.Read)
	if errors.Is(err, store.ErrNoRun) {
		return store.Planned(s), nil
	}
	if err != nil {
		return nil, err
	}
	return run.Progress(s), run.Close()
}

// runStatus is how far the lab's study is.
type runStatus struct {
	Dir    string              `json:"folder"`
	Arms   []store.ArmProgress `json:"arms"`
	Done   int                 `json:"done"`
	Failed int                 `json:"failed"`
	Trials int                 `json:"trials"`
}

// runStatus is nil when the study cannot be read: status is about the cluster first.
func (a *app) runStatus(l *assembly.Lab) *runStatus {
	s, err := assembly.LoadStudy(l.Spec)
	if err != nil {
		return nil
	}
	dir := assembly.RunDir(l.Spec, s.Name)
	rows, err := progressOf(dir, s)
	if err != nil {
		return nil
	}
	out := &runStatus{Dir: dir, Arms: rows}
	for _, r := range rows {
		out.Done += r.Done
		out.Failed += r.Failed
		out.Trials += r.Trials
	}
	return out
}

func (r *runStatus) text(w io.Writer) error {
	if r == nil {
		return nil
	}
	started := slices.ContainsFunc(r.Arms, func(p store.ArmProgress) bool { return p.Done+p.Failed > 0 })
	if !started {
		_, err := fmt.Fprintf(w, "\ntrials     none of %d has run\n", r.Trials)
		return err
	}
	_, err := fmt.Fprintf(w, "\ntrials     %d of %d done, %d failed, in %s\n", r.Done, r.Trials, r.Failed, r.Dir)
	return err
}

// overlayFacts lays one set of facts over another.
func overlayFacts(a, b map[string]string) map[string]string {
	out := maps.Clone(a)
	maps.Copy(out, b)
	return out
}
