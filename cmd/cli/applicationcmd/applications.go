// Package applicationcmd is the commands about applications and their logs.
package applicationcmd

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/compspec/ocifit-lab/cmd/cli/command"
	"github.com/compspec/ocifit-lab/cmd/ui"
	"github.com/compspec/ocifit-lab/experiments/application"
	"github.com/compspec/ocifit-lab/experiments/application/described"
	"github.com/compspec/ocifit-lab/experiments/applications"
	"github.com/compspec/ocifit-lab/provision/words"
)

// app is what the commands of this package share.
type app struct{ *command.App }

// Applications is the command applications.
func Applications(shared *command.App) *cobra.Command {
	a := app{shared}
	cmd := &cobra.Command{Use: "applications", Short: "List the applications, show one, try one on logs"}
	cmd.AddCommand(a.listCmd(), a.showCmd(), a.testCmd())
	return cmd
}

type applicationRow struct {
	Name        string `json:"name"`
	Primary     string `json:"primary"`
	Unit        string `json:"unit"`
	Direction   string `json:"direction"`
	Description string `json:"description"`
}

func (a app) listCmd() *cobra.Command {
	return &cobra.Command{
		Use:   "list",
		Short: "List the applications that ship, with their figures of merit",
		Args:  cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			all, err := applications.All()
			if err != nil {
				return err
			}
			var rows []applicationRow
			for _, one := range all {
				row := applicationRow{Name: one.Name, Primary: one.PrimaryNames()[0], Description: one.Description}
				for _, fig := range one.Figures() {
					if fig.Name == row.Primary {
						row.Unit, row.Direction = fig.Unit, string(fig.Direction)
					}
				}
				rows = append(rows, row)
			}
			return command.PrintTable(a.App, rows, []string{"NAME", "PRIMARY FIGURE", "UNIT", "BETTER", "DESCRIPTION"}, func(r applicationRow) []string {
				return []string{r.Name, r.Primary, r.Unit, r.Direction, r.Description}
			})
		},
	}
}

func (a app) showCmd() *cobra.Command {
	return &cobra.Command{
		Use:   "show NAME_OR_FILE",
		Short: "Show how an application's log is read; its file is checked",
		Args:  cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			one, err := applications.Find(args[0], ".")
			if err != nil {
				return err
			}
			return a.Print(one.File, func(w io.Writer) error { return showApplication(w, one) })
		},
	}
}

func showApplication(w io.Writer, one *applications.Application) error {
	fmt.Fprintf(w, "%s: %s\n", one.Name, one.Description)
	fmt.Fprintf(w, "file: %s\n", one.Source)
	if one.URL != "" {
		fmt.Fprintf(w, "about: %s\n", one.URL)
	}
	if one.Launch.Command != "" {
		fmt.Fprintf(w, "command: %s\n", one.Launch.Command)
	}
	if one.Log.Parser != "" {
		fmt.Fprintf(w, "log: read by the program's own parser %s, for what patterns cannot say\n", one.Log.Parser)
	}
	fmt.Fprintln(w)
	var rows [][]string
	for _, fig := range one.Figures() {
		name := fig.Name
		if slices.Contains(one.PrimaryNames(), name) {
			name += " *"
		}
		how := fig.Pattern
		if fig.Pattern == "" && fig.Table != (described.Table{}) {
			how = "table, column " + fig.Table.Column
			if fig.Table.Row != "" {
				how += ", row " + fig.Table.Row
			}
		}
		rows = append(rows, []string{name, fig.Unit, string(fig.Direction), fig.Description, how})
	}
	if err := ui.Table(w, []string{"FIGURE", "UNIT", "BETTER", "MEANING", "READ FROM"}, rows); err != nil {
		return err
	}
	fmt.Fprintln(w, "* the figure of merit; of several, the first that the whole log has")
	if len(one.Log.Parameters) > 0 {
		var names []string
		for _, p := range one.Log.Parameters {
			name := p.Name
			if p.Same {
				name += " (the same where logs are compared)"
			}
			names = append(names, name)
		}
		fmt.Fprintf(w, "parameters: %s\n", strings.Join(names, ", "))
	}
	for _, line := range one.Log.Require {
		fmt.Fprintf(w, "complete with: %s\n", cmp.Or(line.Means, line.Pattern))
	}
	for _, line := range one.Log.Forbid {
		fmt.Fprintf(w, "refused with: %s (%s)\n", line.Pattern, line.Means)
	}
	return nil
}

// tested is what is told of one log.
type tested struct {
	Log        string               `json:"log"`
	Complete   bool                 `json:"complete"`
	Reason     string               `json:"reason"`
	Primary    []float64            `json:"primary"`
	Figures    map[string][]float64 `json:"figures"`
	Parameters map[string]any       `json:"parameters"`

	reading *described.Reading
}

func (a app) testCmd() *cobra.Command {
	var iterations int
	cmd := &cobra.Command{
		Use:   "test NAME_OR_FILE LOG...",
		Short: "Read logs as an application's and say what is read, or why a log does not count",
		Long: `Read logs as an application's and say what is read, line by line, or why a log does not count. Exit code 4 says that a log
does not count. In JSON, primary is the primary figure of each iteration, in the log's order, as far as the log has it; complete says whether it
counts.`,
		Example: `  ocifit-lab applications test lammps lammps.out
  ocifit-lab applications test ./hpl.yaml hpl.out -o json`,
		Args: cobra.MinimumNArgs(2),
		RunE: func(_ *cobra.Command, args []string) error {
			one, err := applications.Find(args[0], ".")
			if err != nil {
				return err
			}
			var all []tested
			refused := 0
			for _, file := range args[1:] {
				t, err := testLog(one, file, iterations)
				if err != nil {
					return err
				}
				if !t.Complete {
					refused++
				}
				all = append(all, t)
			}
			if err := a.Print(all, func(w io.Writer) error { return showTested(w, one, all) }); err != nil {
				return err
			}
			if refused > 0 {
				return command.Fail(command.ExitCheck, fmt.Errorf("%d of %d logs do not count", refused, len(all)))
			}
			return nil
		},
	}
	cmd.Flags().IntVar(&iterations, "iterations", 0, "iterations that a complete log has (default: as many as it shows)")
	return cmd
}

func testLog(one *applications.Application, file string, iterations int) (tested, error) {
	t := tested{Log: file, Primary: []float64{}, Figures: map[string][]float64{}, Parameters: map[string]any{}}
	in, err := os.Open(file)
	if err != nil {
		return t, fmt.Errorf("log: %w", err)
	}
	defer in.Close()
	t.reading, err = one.Read(in, iterations)
	var rejection *application.Rejection
	switch {
	case errors.As(err, &rejection) && rejection.Err != nil && t.reading == nil, err != nil && rejection == nil:
		return t, fmt.Errorf("%s: %w", file, err)
	case rejection != nil:
		t.Reason = rejection.Reason + ": " + rejection.Detail
	default:
		t.Complete = true
	}
	if t.reading == nil {
		return t, nil
	}
	for _, run := range t.reading.Runs {
		for name, values := range run.Figures {
			t.Figures[name] = append(t.Figures[name], values...)
		}
	}
	t.Primary = append(t.Primary, t.Figures[t.reading.Primary]...)
	for name, text := range t.reading.Parameters {
		t.Parameters[name] = number(text)
	}
	return t, nil
}

// number gives a text that is a number as one.
func number(text string) any {
	if v, err := strconv.ParseFloat(text, 64); err == nil && v-v == 0 {
		return v
	}
	return text
}

func showTested(w io.Writer, one *applications.Application, all []tested) error {
	for i, t := range all {
		if i > 0 {
			fmt.Fprintln(w)
		}
		if t.Complete {
			fmt.Fprintf(w, "%s: complete, %s\n", t.Log, words.Count(len(t.Primary), "iteration"))
		} else {
			fmt.Fprintf(w, "%s: does not count: %s\n", t.Log, t.Reason)
		}
		if t.reading == nil {
			continue
		}
		var rows [][]string
		for _, name := range slices.Sorted(maps.Keys(t.Figures)) {
			mark := ""
			if name == t.reading.Primary {
				mark = "primary"
			}
			unit, direction := figureUnit(one, name)
			rows = append(rows, []string{name, joined(t.Figures[name]), unit, direction, mark})
		}
		if err := ui.Table(w, []string{"FIGURE", "VALUES", "UNIT", "BETTER", ""}, rows); err != nil {
			return err
		}
		for _, name := range slices.Sorted(maps.Keys(t.Parameters)) {
			fmt.Fprintf(w, "%s = %v\n", name, t.Parameters[name])
		}
		for _, m := range t.reading.Matches {
			fmt.Fprintf(w, "line %d: %s: %s\n", m.Line, m.What, m.Text)
		}
	}
	return nil
}

func figureUnit(one *applications.Application, name string) (unit, direction string) {
	for _, fig := range one.Figures() {
		if fig.Name == name || fig.Table != (described.Table{}) && strings.HasPrefix(name, fig.Name+"_") {
			unit, direction = fig.Unit, string(fig.Direction)
			if fig.Name == name {
				return unit, direction
			}
		}
	}
	return unit, direction
}

func joined(values []float64) string {
	text := make([]string, len(values))
	for i, v := range values {
		text[i] = strconv.FormatFloat(v, 'g', -1, 64)
	}
	return strings.Join(text, " ")
}
