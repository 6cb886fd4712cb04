package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"

	"github.com/compspec/ocifit-lab/cmd/assembly"
	"github.com/compspec/ocifit-lab/cmd/cli/command"
	"github.com/compspec/ocifit-lab/experiments/adaptive"
	"github.com/compspec/ocifit-lab/experiments/measurements"
	"github.com/compspec/ocifit-lab/experiments/store"
	"github.com/compspec/ocifit-lab/experiments/study"
	"github.com/compspec/ocifit-lab/experiments/trial"
	"github.com/compspec/ocifit-lab/provision/atomicfile"
	"github.com/compspec/ocifit-lab/provision/step"
)

// searched is what search.json keeps of a search.
type searched struct {
	Figure string `json:"figure"`
	// Steps in their order; the last one says why the search ended.
	Steps   []adaptive.Step   `json:"steps"`
	Pick    string            `json:"pick"`
	Beliefs []adaptive.Belief `json:"beliefs"`
	// Replayed says that figures are not measured in this lab.
	Replayed bool `json:"replayed"`
}

// measure runs the search of an adaptive study, one instance type after another, and publishes what it learnt. Called again, it finds what is
// measured and comes to the same choices.
func (a *app) measure(ctx context.Context, l *assembly.Lab, s *study.Study, o experimentOptions) error {
	if len(o.arms) > 0 || o.trials != "" {
		return step.Try(fmt.Errorf("study %s measures before its arms run, and runs as a whole", s.Name), "use `ocifit-lab experiment all`")
	}
	search, figure, err := l.Search(s)
	if err != nil {
		return fmt.Errorf("study %s: %w", s.Name, err)
	}
	measuring := s.Measuring(search.Types())
	dir := o.Folder(l.Spec, s) + "-measure"
	runner, err := o.runner(ctx, l, measuring, dir)
	if err != nil {
		return err
	}
	defer runner.Store.Close()
	record := searched{Figure: figure}
	for {
		next, err := search.Next()
		if err != nil {
			return err
		}
		record.Steps = append(record.Steps, next)
		if next.Type == "" {
			a.Say("measured enough: %s", next.Why)
			break
		}
		a.Say("%s: %s", next.Type, next.Why)
		figures, replayed, err := a.measureType(ctx, runner, measuring, next.Type, figure, o)
		if err != nil {
			return err
		}
		record.Replayed = record.Replayed || replayed
		if len(figures) == 0 {
			a.Say("%s cannot be measured and is left out; see the folders *.failed-* in %s", next.Type, dir)
			search.Drop(next.Type)
			continue
		}
		if err := search.Measured(next.Type, figures); err != nil {
			return err
		}
	}
	if record.Pick = search.Pick(); record.Pick == "" {
		return command.Fail(command.ExitTrials, errors.New("nothing could be measured; there is nothing to learn"))
	}
	if record.Beliefs, err = search.Beliefs(); err != nil {
		return err
	}
	if err := a.keep(ctx, l, s, search, &record, dir); err != nil {
		return err
	}
	return limitRest(s, runner)
}

// measureType runs the trials of one type that are not done, and returns its figures.
func (a *app) measureType(ctx context.Context, r *trial.Runner, s *study.Study, instanceType, figure string, o experimentOptions) (figures []float64, replayed bool, err error) {
	trials, err := s.Select(study.Selection{Arms: []string{study.ArmOf(instanceType)}})
	if err != nil {
		return nil, false, err
	}
	if _, _, err := a.runPending(ctx, r, trials, o); err != nil {
		return nil, false, err
	}
	records, err := r.Store.Records(ctx)
	if err != nil {
		return nil, false, err
	}
	var own []store.Record
	for _, rec := range records {
		if rec.Arm == study.ArmOf(instanceType) {
			own = append(own, rec)
			replayed = replayed || rec.Trial.Simulated
		}
	}
	for _, row := range measurements.OfRun(r.Store.Info(), own) {
		v, ok := row.Figures[figure]
		if !ok {
			return nil, false, fmt.Errorf("the logs do not show %s; they show %v", figure, (&measurements.Table{Rows: []measurements.Row{row}}).Figures())
		}
		figures = append(figures, v)
	}
	return figures, replayed, nil
}

// keep writes what was learnt beside what was measured, and publishes it.
func (a *app) keep(ctx context.Context, l *assembly.Lab, s *study.Study, search *adaptive.Search, record *searched, dir string) error {
	m, err := search.Model(s.Adaptive.Model)
	if err != nil {
		return err
	}
	data, err := json.MarshalIndent(record, "", "  ")
	if err != nil {
		return err
	}
	if err := atomicfile.Output(filepath.Join(dir, "search.json"), append(data, '\n'), 0o644); err != nil {
		return err
	}
	if err := l.Learn(ctx, s, m, assembly.LearntFile(dir)); err != nil {
		return err
	}
	a.Say("model %s knows %d types, the best is %s; it is in %s", m.Name, len(m.Combinations), record.Pick, assembly.LearntFile(dir))
	return nil
}

// limitRest leaves to the arms what the measurements did not take of the study's limit.
func limitRest(s *study.Study, r *trial.Runner) error {
	if s.MaxCostUSD <= 0 || r.Budget == nil {
		return nil
	}
	spent := r.Budget.Meter.Last().Committed
	if s.MaxCostUSD -= spent; s.MaxCostUSD <= 0 {
		return command.Fail(command.ExitCheck, step.Try(fmt.Errorf("the measurements took $%.2f, and nothing of the limit is left", spent), "raise --max-cost or the study's maxCost to go on"))
	}
	return nil
}
