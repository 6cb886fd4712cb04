package command

import (
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/compspec/ocifit-lab/cmd/assembly"
	"github.com/compspec/ocifit-lab/cmd/ui"
	"github.com/compspec/ocifit-lab/experiments/store"
	"github.com/compspec/ocifit-lab/experiments/study"
	"github.com/compspec/ocifit-lab/provision/lab"
	"github.com/compspec/ocifit-lab/provision/step"
	"github.com/compspec/ocifit-lab/templates"
)

// RunFlags choose a run by its study and folder.
type RunFlags struct {
	Study, Run string
	// Repeats are trials per arm, 0 for as many as the study has.
	Repeats int
}

// Add gives a command the flags.
func (f *RunFlags) Add(cmd *cobra.Command) {
	cmd.Flags().StringVar(&f.Run, "run", "", "name of the run folder, or its path (default: the study's name)")
	cmd.Flags().StringVar(&f.Study, "study", "", "shipped study or study file (default: the lab's)")
	_ = cmd.RegisterFlagCompletionFunc("study", Words(templates.Studies()...))
}

// Apply changes a lab's spec to the study that is meant.
func (f *RunFlags) Apply(spec *lab.Spec) error {
	if f.Study != "" {
		spec.Experiment.Study = f.Study
	}
	if f.Repeats < 0 {
		return fmt.Errorf("--repeats is %d; give 1 or more", f.Repeats)
	}
	if f.Repeats > 0 {
		spec.Experiment.Trials = f.Repeats
	}
	return nil
}

// ChosenStudy is the study that the flags name, or else the lab's.
func (a *App) ChosenStudy(f RunFlags) (*lab.Spec, *study.Study, error) {
	spec, err := a.Spec()
	if err != nil {
		return nil, nil, err
	}
	if err := f.Apply(spec); err != nil {
		return nil, nil, err
	}
	s, err := assembly.LoadStudy(spec)
	return spec, s, err
}

// Folder is the folder of a study's run in a lab.
func (f *RunFlags) Folder(spec *lab.Spec, s *study.Study) string {
	switch {
	case f.Run == "":
		return assembly.RunDir(spec, s.Name)
	case f.isPath():
		return f.Run
	}
	return assembly.RunDir(spec, f.Run)
}

func (f *RunFlags) isPath() bool { return strings.ContainsRune(f.Run, filepath.Separator) }

// RunFolder is the run folder that the flags name. A run that has a path needs no lab.
func (a *App) RunFolder(f RunFlags) (string, error) {
	if f.isPath() {
		return f.Run, nil
	}
	spec, s, err := a.ChosenStudy(f)
	if err != nil {
		return "", err
	}
	return f.Folder(spec, s), nil
}

// OpenRun opens a run by its name or path.
func (a *App) OpenRun(name string, mode store.Mode) (*store.Run, error) {
	dir, err := a.RunFolder(RunFlags{Run: name})
	if err != nil {
		return nil, err
	}
	return OpenFolder(dir, mode, "runs are named by their folder in the lab's results, or by a path with a / in it")
}

// OpenFolder opens a run's folder; without says what to do where there is none.
func OpenFolder(dir string, mode store.Mode, without string) (*store.Run, error) {
	run, err := store.Open(dir, mode)
	if errors.Is(err, store.ErrNoRun) {
		return nil, step.Try(err, "%s", without)
	}
	return run, err
}

// ProgressTable shows how far the arms of a run are.
func ProgressTable(w io.Writer, rows []store.ArmProgress) error {
	var text [][]string
	for _, r := range rows {
		text = append(text, []string{r.Name, r.Model, strconv.Itoa(r.Trials), strconv.Itoa(r.Done), strconv.Itoa(r.Failed)})
	}
	return ui.Table(w, []string{"ARM", "MODEL", "TRIALS", "DONE", "FAILED"}, text)
}
