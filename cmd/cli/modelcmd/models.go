// Package modelcmd is the commands about models, and the measurements that models are trained on.
package modelcmd

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/compspec/ocifit-lab/cmd/cli/command"
	"github.com/compspec/ocifit-lab/cmd/ui"
	"github.com/compspec/ocifit-lab/provision/step"
	"github.com/compspec/ocifit-lab/templates"
	"github.com/compspec/ocifit-lab/webhook/compat"
	"github.com/compspec/ocifit-lab/webhook/features"
	"github.com/compspec/ocifit-lab/webhook/predict"
)

// app is what the commands of this package share.
type app struct{ *command.App }

// Models is the command models.
func Models(shared *command.App) *cobra.Command {
	a := app{shared}
	cmd := &cobra.Command{Use: "models", Short: "Train models, import them, check them against measurements, score instance types with one"}
	cmd.AddCommand(a.listCmd(), a.scoreCmd(), a.importCmd(), a.trainCmd(), a.evaluateCmd())
	return cmd
}

type modelRow struct {
	Name      string           `json:"name"`
	Direction compat.Direction `json:"direction"`
	Terms     int              `json:"terms"`
	Labels    int              `json:"labels"`
	Source    string           `json:"source"`
}

func (a app) listCmd() *cobra.Command {
	return &cobra.Command{
		Use:   "list",
		Short: "List the models that the program has: the study's, and rules that need no model",
		Args:  cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			models, err := predict.BuiltIn()
			if err != nil {
				return err
			}
			var rows []modelRow
			for _, m := range models {
				rows = append(rows, modelRow{m.Name, m.Direction, len(m.Terms), len(m.Labels()), m.Source.File})
			}
			return command.PrintTable(a.App, rows, []string{"NAME", "DIRECTION", "TERMS", "LABELS", "SOURCE"}, func(r modelRow) []string {
				return []string{r.Name, string(r.Direction), strconv.Itoa(r.Terms), strconv.Itoa(r.Labels), r.Source}
			})
		},
	}
}

type scoreOptions struct {
	model, file, features, direction, tieBreak, objective string
	skip                                                  []string
	seed                                                  uint64
}

func (a app) scoreCmd() *cobra.Command {
	var o scoreOptions
	cmd := &cobra.Command{
		Use:   "score --model NAME | --file FILE [--features FILE]",
		Short: "Score instance types with a model, by the webhook's own code",
		Example: `  ocifit-lab models score --model fom
  ocifit-lab models score --model fom --features node-features.json --skip t3.2xlarge --tie-break first -o json`,
		Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error { return a.score(o) },
	}
	f := cmd.Flags()
	f.StringVar(&o.model, "model", "", "model of the program to score with, or random")
	f.StringVar(&o.file, "file", "", "model file to score with, as written by models import")
	f.StringVar(&o.features, "features", "", "node features, a JSON list with one label map per instance type, or what kubectl get nodes -o json writes; - is the standard input (default: the study's catalogue)")
	f.StringSliceVar(&o.skip, "skip", nil, "instance types that must not be chosen")
	f.StringVar(&o.tieBreak, "tie-break", predict.TieBreakPrice, "equal scores: price (lowest, then name) or first (order of the features)")
	f.StringVar(&o.direction, "direction", "", "maximize or minimize (default: the model's own)")
	f.StringVar(&o.objective, "objective", "", "what to make best, and bounds: per-dollar, or usd-per-hour<=2.5 (default: the model's own figure)")
	f.Uint64Var(&o.seed, "seed", 1, "seed of a random choice")
	cmd.MarkFlagsOneRequired("model", "file")
	cmd.MarkFlagsMutuallyExclusive("model", "file")
	_ = cmd.RegisterFlagCompletionFunc("model", func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
		return Names(), cobra.ShellCompDirectiveNoFileComp
	})
	_ = cmd.RegisterFlagCompletionFunc("tie-break", command.Words(predict.TieBreakPrice, predict.TieBreakFirst))
	_ = cmd.RegisterFlagCompletionFunc("direction", command.Words("maximize", "minimize"))
	return cmd
}

// Names are the models that the program has, random first.
func Names() []string {
	models, err := predict.BuiltIn()
	if err != nil {
		return nil
	}
	names := []string{compat.Random}
	for _, m := range models {
		names = append(names, m.Name)
	}
	return names
}

func (a app) score(o scoreOptions) error {
	data := templates.NodeFeatures(nil)
	if o.features != "" {
		var err error
		if data, err = a.ReadFile(o.features); err != nil {
			return err
		}
	}
	candidates, err := features.ParseCatalogue(data)
	if err != nil {
		return fmt.Errorf("%s: %w", o.features, err)
	}
	prices, _ := templates.Prices()
	known, err := features.ParseCatalogue(templates.NodeFeatures(nil))
	if err != nil {
		return err
	}
	objective, err := compat.ParseObjective(o.objective)
	if err != nil {
		return err
	}
	if objective.Aim == compat.AimTime {
		return fmt.Errorf("--objective %s: that is --model %s", o.objective, compat.TimeModel)
	}
	options := predict.Options{TieBreak: o.tieBreak, Prices: prices, Skip: o.skip, Catalogue: known, Objective: objective}
	if chosen, err := namedModels([]string{compat.TimeModel}, nil); err == nil {
		options.Time = chosen[0]
	}
	table, err := rank(o, candidates, options)
	if err != nil && !errors.Is(err, predict.ErrNoCandidate) {
		return err
	}
	table = table.WithFrontier()
	if e := a.Print(table, func(w io.Writer) error { return ScoreTable(w, table) }); e != nil {
		return e
	}
	if err != nil {
		return command.Fail(command.ExitCheck, err)
	}
	return nil
}

func rank(o scoreOptions, candidates []features.Candidate, options predict.Options) (*predict.Table, error) {
	if o.model == compat.Random {
		return predict.Draw(o.seed, candidates, options)
	}
	if o.file != "" {
		m, err := readModel(o.file)
		if err != nil {
			return nil, err
		}
		return predict.Rank(m, compat.Direction(o.direction), candidates, options)
	}
	models, err := predict.BuiltIn()
	if err != nil {
		return nil, err
	}
	m := predict.Named(models, o.model)
	if m == nil {
		return nil, step.Try(fmt.Errorf("there is no model %q", o.model), "choose one of %s", strings.Join(Names(), ", "))
	}
	return predict.Rank(m, compat.Direction(o.direction), candidates, options)
}

// scoreColumn is a column of the table of scores that is shown where a line has something in it.
type scoreColumn struct {
	head string
	of   func(l *predict.Line) string
}

// ScoreTable shows how instance types score.
func ScoreTable(w io.Writer, t *predict.Table) error {
	number := func(v *float64) string {
		if v == nil {
			return ""
		}
		return strconv.FormatFloat(*v, 'g', 10, 64)
	}
	columns := []scoreColumn{
		{"INSTANCE TYPE", func(l *predict.Line) string { return l.InstanceType }},
		{"ARCH", func(l *predict.Line) string { return l.Architecture }},
		{"SCORE", func(l *predict.Line) string { return cmp.Or(number(l.Score), "-") }},
		{"INTERVAL", func(l *predict.Line) string {
			if l.Low == nil {
				return ""
			}
			return fmt.Sprintf("%.4g to %.4g", *l.Low, *l.High)
		}},
		{"$/HOUR", func(l *predict.Line) string {
			if l.PriceUSD == nil {
				return "unknown"
			}
			return ui.Dollars(*l.PriceUSD)
		}},
		{"BY OBJECTIVE", func(l *predict.Line) string { return number(l.Value) }},
		{"FRONTIER", func(l *predict.Line) string {
			if l.Frontier {
				return "yes"
			}
			return ""
		}},
		{"", func(l *predict.Line) string { return markOf(t, l) }},
	}
	columns = slices.DeleteFunc(columns, func(c scoreColumn) bool {
		return c.head != "" && !slices.ContainsFunc(t.Scores, func(l predict.Line) bool { return c.of(&l) != "" })
	})
	var header []string
	for _, c := range columns {
		header = append(header, c.head)
	}
	var rows [][]string
	for i := range t.Scores {
		var row []string
		for _, c := range columns {
			row = append(row, c.of(&t.Scores[i]))
		}
		rows = append(rows, row)
	}
	left := func(instanceType, why string) {
		row := make([]string, len(columns))
		row[0], row[len(row)-1] = instanceType, why
		rows = append(rows, row)
	}
	for _, s := range t.Skipped {
		left(s, "skipped")
	}
	for _, l := range t.LeftOut {
		left(l.InstanceType, "left out: "+l.Reason)
	}
	if err := ui.Table(w, header, rows); err != nil {
		return err
	}
	text := fmt.Sprintf("\nmodel %s, %s", t.Model, t.Direction)
	if t.TieBreak != "" {
		text += "; equal scores broken by " + t.TieBreak
	}
	if t.Objective != "" {
		text += "; objective " + t.Objective
	}
	if slices.ContainsFunc(t.Scores, func(l predict.Line) bool { return l.Frontier }) {
		text += "\nfrontier: no other type scores as well for less"
	}
	_, err := fmt.Fprintln(w, text)
	return err
}

func markOf(t *predict.Table, l *predict.Line) string {
	switch {
	case l.InstanceType == t.Selected:
		return "selected"
	case slices.Contains(t.Tied, l.InstanceType):
		return "tied"
	case len(l.OutOfDomain) > 0:
		return "out of domain: " + strings.Join(l.OutOfDomain, "; ")
	}
	return ""
}
