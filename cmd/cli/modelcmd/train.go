package modelcmd

import (
	"context"
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/compspec/ocifit-lab/cmd/cli/command"
	"github.com/compspec/ocifit-lab/cmd/ui"
	"github.com/compspec/ocifit-lab/experiments/measurements"
	"github.com/compspec/ocifit-lab/experiments/training"
	"github.com/compspec/ocifit-lab/provision/atomicfile"
	"github.com/compspec/ocifit-lab/provision/step"
	"github.com/compspec/ocifit-lab/templates"
	"github.com/compspec/ocifit-lab/webhook/compat"
	"github.com/compspec/ocifit-lab/webhook/features"
	"github.com/compspec/ocifit-lab/webhook/predict"
)

// The features that a training takes when it is not told others.
var (
	trainNumbers = templates.HardwareFacts()
	trainLabels  = []string{compat.LabelArch, compat.FeaturePrefix + "cpu-model.vendor_id"}
)

// trainFlags say what is learnt from which measurements.
type trainFlags struct {
	table, features, direction string
	where                      []string
	perDollar                  bool
	training.Options
}

func (o *trainFlags) add(cmd *cobra.Command) {
	tableFlag(cmd, &o.table)
	f := cmd.Flags()
	f.StringVar(&o.Target, "target", "", "figure to predict (required)")
	f.StringVar(&o.direction, "direction", "", "maximize or minimize (required)")
	f.BoolVar(&o.perDollar, "per-dollar", false, "predict the figure per dollar of an hour on demand; one to minimize is multiplied by the price")
	f.StringArrayVar(&o.where, "where", nil, "COLUMN=VALUE that measurements must have; may be repeated")
	f.StringVar(&o.features, "features", "", "node features of the instance types (default: the study's catalogue)")
	f.StringSliceVar(&o.Numbers, "numbers", trainNumbers, "node labels to use as numbers")
	f.StringSliceVar(&o.Labels, "labels", trainLabels, "node labels to use as words")
	_ = cmd.MarkFlagRequired("target")
	_ = cmd.MarkFlagRequired("direction")
	_ = cmd.RegisterFlagCompletionFunc("direction", command.Words("maximize", "minimize"))
}

// samples reads what the flags name.
func (a app) samples(o *trainFlags) ([]training.Sample, error) {
	t, err := measurements.ReadFile(o.table, measurements.Reading{})
	if err != nil {
		return nil, err
	}
	values, err := pairs("where", o.where)
	if err != nil {
		return nil, err
	}
	if t, err = t.Where(values); err != nil {
		return nil, err
	}
	data := templates.NodeFeatures(nil)
	if o.features != "" {
		if data, err = a.ReadFile(o.features); err != nil {
			return nil, err
		}
	}
	rows, err := features.ParseCatalogue(data)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", o.features, err)
	}
	list, unknown, err := training.Samples(t, o.Target, rows)
	if err != nil {
		return nil, err
	}
	if len(unknown) > 0 {
		a.Say("left out, for nothing is known of their nodes: %s (see --features)", strings.Join(unknown, ", "))
	}
	if n := slices.IndexFunc(t.Rows, func(r measurements.Row) bool { return strings.HasPrefix(r.Source, measurements.Replayed) }); n >= 0 {
		a.Say("some of the measurements are replayed, not measured, such as %q: what is learnt from them is a rehearsal", t.Rows[n].Source)
	}
	o.Direction = compat.Direction(o.direction)
	if o.perDollar {
		o.Target += " per dollar"
		err = training.PerDollar(list, templates.FactPrice, o.Direction)
	}
	return list, err
}

func (a app) trainCmd() *cobra.Command {
	var o trainFlags
	var out, kind string
	cmd := &cobra.Command{
		Use:   "train --target FIGURE --direction maximize|minimize",
		Short: "Train a model on measurements, and check it on instance types that it did not see",
		Long: `train fits a linear model of the figure's logarithm with lasso, elastic net or ridge, whichever predicts instance types best that were
left out. The file carries what it was fitted on: ranges, combinations of labels, how well it predicts types that it did not see, and an
interval. With --kind measured the model knows the mean of each measured type, and no other type.`,
		Example: `  ocifit-lab models train --target gflops --direction maximize --out speed.json
  ocifit-lab models score --file speed.json`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			list, err := a.samples(&o)
			if err != nil {
				return err
			}
			m, e, err := a.train(cmd.Context(), list, o, kind)
			if err != nil {
				return err
			}
			encoded, err := predict.EncodeModel(m)
			if err != nil {
				return err
			}
			if out == "" {
				_, err = a.Out.Write(encoded)
				return err
			}
			if err := atomicfile.Output(out, encoded, 0o644); err != nil {
				return err
			}
			if e == nil {
				return a.Print(map[string]any{"name": m.Name, "file": out}, func(w io.Writer) error {
					_, err := fmt.Fprintf(w, "model %s knows %d instance types, written to %s\n", m.Name, len(m.KnownValues[compat.LabelInstanceType]), out)
					return err
				})
			}
			return a.Print(e, func(w io.Writer) error { return trained(w, m, e, out) })
		},
	}
	o.add(cmd)
	f := cmd.Flags()
	f.StringVar(&o.Name, "name", "", "name of the model (default: the target's)")
	f.Float64Var(&o.Level, "level", 0.9, "share of measurements that the interval around a prediction is made for")
	f.StringVar(&kind, "kind", "fit", "fit, or measured: the mean of each measured type")
	f.StringVar(&out, "out", "", "file to write (default: stdout)")
	_ = cmd.RegisterFlagCompletionFunc("kind", command.Words("fit", "measured"))
	return cmd
}

func (a app) train(ctx context.Context, list []training.Sample, o trainFlags, kind string) (*predict.Model, *training.Evaluation, error) {
	if o.Name == "" {
		o.Name = strings.ReplaceAll(o.Target, " ", "_")
	}
	switch {
	case !(o.Level > 0 && o.Level < 1):
		return nil, nil, fmt.Errorf("--level is %g; it lies between 0 and 1", o.Level)
	case kind == "measured":
		m, err := training.Measured(list, o.Name, o.Direction)
		return m, nil, err
	case kind != "fit":
		return nil, nil, fmt.Errorf("--kind is %q; use fit or measured", kind)
	}
	return training.Train(ctx, list, o.Options)
}

// trained tells what a training came to.
func trained(w io.Writer, m *predict.Model, e *training.Evaluation, file string) error {
	var rows [][]string
	for _, p := range e.Predictions {
		rows = append(rows, []string{p.InstanceType, digits(p.Measured), digits(p.Predicted), fmt.Sprintf("%+.0f%%", 100*(p.Predicted/p.Measured-1)), strconv.Itoa(p.Rows), p.Outside})
	}
	if err := ui.Table(w, []string{"INSTANCE TYPE", "MEASURED", "PREDICTED", "OFF", "ROWS", "OUTSIDE OF WHAT THE OTHERS SHOW"}, rows); err != nil {
		return err
	}
	s := e.Models[0]
	fmt.Fprintf(w, "\nEach type is predicted by a model of the others. Rank correlation %s, regret of the pick %s, mean error %s.\n", optional(s.RankCorrelation, 1, ""), optional(s.Regret, 100, "%"), optional(s.MeanError, 100, "%"))
	if i := m.Interval; i == nil {
		fmt.Fprintf(w, "There are too few types for an interval at this level.\n")
	} else if m.Exponential {
		fmt.Fprintf(w, "Interval at %g: %.2f to %.2f times the prediction.\n", i.Level, i.Low, i.High)
	} else {
		fmt.Fprintf(w, "Interval at %g: the prediction %+.4g to %+.4g.\n", i.Level, i.Low, i.High)
	}
	_, err := fmt.Fprintf(w, "Model %s of %d types and %d measurements, %d terms (penalty %.3g, lasso's share %g), written to %s\n", m.Name, e.Types, e.Rows, len(m.Terms), e.Penalty.Lambda, e.Penalty.Mix, file)
	return err
}

func digits(v float64) string { return strconv.FormatFloat(v, 'g', 5, 64) }

func optional(v *float64, times float64, unit string) string {
	switch {
	case v == nil || math.IsNaN(*v):
		return "-"
	case times == 1:
		return fmt.Sprintf("%.2f%s", *v, unit)
	}
	return fmt.Sprintf("%.1f%s", *v*times, unit)
}

func (a app) evaluateCmd() *cobra.Command {
	var o trainFlags
	var models, files []string
	cmd := &cobra.Command{
		Use:   "evaluate --target FIGURE --direction maximize|minimize [--model NAME]... [--file FILE]...",
		Short: "Hold models against measurements, beside models of the same kind that did not see the type",
		Long: `evaluate trains a model as train does, each instance type predicted by a model of the others, and puts beside it: the models that you
name, as they are (they may have seen the types); models of their labels, fitted again by least squares of least norm without the type that they
predict; and what needs no model.`,
		Example: `  ocifit-lab models evaluate --target gflops --direction maximize --model fom`,
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			chosen, err := namedModels(models, files)
			if err != nil {
				return err
			}
			list, err := a.samples(&o)
			if err != nil {
				return err
			}
			o.Name = "trained without the type"
			o.Level = 0.9
			_, e, err := training.Train(cmd.Context(), list, o.Options)
			if err != nil {
				return err
			}
			rules := []training.Rule{
				{Name: "most cores", Label: templates.FactCores, Direction: compat.Maximize},
				{Name: "cheapest", Label: templates.FactPrice, Direction: compat.Minimize},
			}
			if err := e.Compare(cmd.Context(), list, chosen, rules); err != nil {
				return err
			}
			return a.Print(e, func(w io.Writer) error { return evaluated(w, e) })
		},
	}
	o.add(cmd)
	cmd.Flags().StringArrayVar(&models, "model", nil, "model that the program has, to compare with; may be repeated")
	cmd.Flags().StringArrayVar(&files, "file", nil, "model file to compare with; may be repeated")
	return cmd
}

// namedModels are the published models and files of those names.
func namedModels(names, files []string) ([]*predict.Model, error) {
	all, err := predict.BuiltIn()
	if err != nil {
		return nil, err
	}
	var out []*predict.Model
	for _, name := range names {
		m := predict.Named(all, name)
		if m == nil {
			return nil, step.Try(fmt.Errorf("there is no model %q", name), "choose among %s", strings.Join(Names()[1:], ", "))
		}
		out = append(out, m)
	}
	for _, file := range files {
		m, err := readModel(file)
		if err != nil {
			return nil, err
		}
		out = append(out, m)
	}
	return out, nil
}

func evaluated(w io.Writer, e *training.Evaluation) error {
	var rows [][]string
	for _, s := range e.Models {
		saw := "no"
		if s.SawTypes {
			saw = "yes"
		}
		out := ""
		if s.OutOfDomain > 0 {
			out = strconv.Itoa(s.OutOfDomain)
		}
		rows = append(rows, []string{s.Name, saw, optional(s.RankCorrelation, 1, ""), optional(s.Regret, 100, "%"), optional(s.RegretUnseen, 100, "%"), optional(s.MeanError, 100, "%"), out, s.Picked})
	}
	if err := ui.Table(w, []string{"MODEL", "SAW THE TYPE", "RANK CORR", "REGRET", "ONE UNSEEN", "MEAN ERROR", "OUTSIDE", "PICKS"}, rows); err != nil {
		return err
	}
	_, err := fmt.Fprintf(w, `
%s, %s, %d measurements on %d instance types. REGRET: how much worse the picked type is than the best one, when every type is
predicted as the second column says; ONE UNSEEN: its mean when one type is unknown and the others are known. OUTSIDE: types that the model
cannot judge; they are not picked. Several types that are predicted alike count by their mean, and none is named.
`, e.Target, e.Direction, e.Rows, e.Types)
	return err
}
