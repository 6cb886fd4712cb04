package store

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"time"

	"github.com/compspec/ocifit-lab/experiments/applications"
	"github.com/compspec/ocifit-lab/experiments/study"
	"github.com/compspec/ocifit-lab/provision/atomicfile"
	"github.com/compspec/ocifit-lab/webhook/compat"
)

// ImportOptions adjust an import.
type ImportOptions struct {
	Application string // whose logs they are; hpcg by default
	Baseline    string // the arm to compare with; the one named random by default
	Program     string
	Prices      map[string]float64
	PriceNote   string
	Skip        []string // instance types that no trial was meant to be placed on
}

// ImportSummary says what an import found.
type ImportSummary struct {
	Arms     []ArmProgress
	Rejected map[string]string // trial, such as random/12, and why it does not count
	Notes    []string          // what was named, numbered or left out otherwise than the folders say
}

// Import copies trials of the published layout, <arm>/<n>/ with the log, pod.json and pod-time.txt, into a new run at dst. Trials of
// another run bring their record and their plan; of others the pod tells what it can, and what nothing says stays empty. The source is
// not changed. The run appears at dst when it is whole: an import that was stopped goes on when it is called again.
func Import(src, dst string, opt ImportOptions) (*Run, *ImportSummary, error) {
	if opt.Application == "" {
		opt.Application = study.DefaultApplication
	}
	found, sources, err := findTrials(src, opt.Application)
	if err != nil {
		return nil, nil, err
	}
	parser, err := applications.ParserFor(opt.Application)
	if err != nil {
		return nil, nil, err
	}
	info, err := found.describe(src, sources, parser, opt)
	if err != nil {
		return nil, nil, err
	}
	if _, err := os.Lstat(filepath.Join(dst, runFile)); err == nil {
		return nil, nil, fmt.Errorf("%s already holds a run: choose another folder", dst)
	}
	r, err := openImport(filepath.Join(filepath.Dir(dst), "."+filepath.Base(dst)+".import"), info)
	if err != nil {
		return nil, nil, err
	}
	sum := &ImportSummary{Rejected: map[string]string{}, Notes: found.notes}
	for _, from := range sources {
		err := r.importTrial(found, from, opt.Prices)
		var rejection *Rejection
		if errors.As(err, &rejection) {
			sum.Rejected[from.arm+"/"+strconv.Itoa(from.n)] = rejection.Reason + ": " + rejection.Detail
		} else if err != nil {
			return nil, nil, errors.Join(fmt.Errorf("import %s: %w", from.dir, err), r.Close())
		}
	}
	if err := r.appear(dst); err != nil {
		return nil, nil, errors.Join(err, r.Close())
	}
	sum.Arms = r.Progress(r.info.Study)
	return r, sum, nil
}

// openImport goes on with an import that was stopped, or begins it.
func openImport(dir string, info Info) (*Run, error) {
	r, err := Open(dir, Write)
	if errors.Is(err, ErrNoRun) { // never there, or killed before it described itself
		if err := os.RemoveAll(dir); err != nil {
			return nil, explain(dir, err)
		}
		return Create(dir, info)
	}
	if err != nil {
		return nil, err
	}
	if r.info.Imported != info.Imported || difference(r.info.Study, info.Study) != "" || r.info.Study.Repeats != info.Study.Repeats {
		return nil, errors.Join(fmt.Errorf("%s holds an unfinished import of other trials (%s): remove it, or import those first", dir, r.info.Imported), r.Close())
	}
	return r, nil
}

// appear gives the imported run its place. The lock goes with the folder.
func (r *Run) appear(dst string) error {
	if err := os.Remove(dst); err != nil && !errors.Is(err, os.ErrNotExist) { // an empty folder may be there
		return explain(dst, err)
	}
	if err := os.Rename(r.dir, dst); err != nil {
		return explain(dst, err)
	}
	r.dir = dst
	atomicfile.SyncDir(filepath.Dir(dst))
	return nil
}

// describe tells what run the trials were: the one whose folder they lie in, or as much as they say themselves.
func (f *finder) describe(src string, sources []source, parser Parser, opt ImportOptions) (Info, error) {
	info := Info{
		Imported: src, Program: opt.Program, Provider: "imported", Prices: opt.Prices, PriceNote: opt.PriceNote, Skip: opt.Skip, PlanUnknown: true,
	}
	s := &study.Study{
		APIVersion: study.APIVersion, Name: "imported", Description: "Trials that were run elsewhere and imported.", Application: opt.Application,
		Iterations: 1, Order: study.Sequential, Seed: 1, Endpoint: study.EndpointOwn, FirstIteration: study.ReportFirst,
		Deadlines: study.Deadlines{Scheduled: study.Duration(1e9), Ready: study.Duration(1e9), Run: study.Duration(1e9), Removed: study.Duration(1e9)},
	}
	for _, from := range sources {
		s.Repeats = max(s.Repeats, from.n)
		i := slices.IndexFunc(s.Arms, func(a study.Arm) bool { return a.Name == from.arm })
		if i < 0 {
			i = len(s.Arms)
			s.Arms = append(s.Arms, study.Arm{Name: from.arm, Model: from.arm})
		}
		at := time.Time{}
		if pod, err := readPod(from.dir); err == nil {
			at = pod.Metadata.CreationTimestamp.UTC()
			if model := pod.Metadata.Annotations[compat.AnnotationModel]; model != "" {
				s.Arms[i].Model = model
			}
		}
		if t, err := readTrial(from.dir); err == nil {
			s.Arms[i].Model, s.Arms[i].Tasks, at = t.Model, t.Tasks, t.Phases.Created
			info.Simulated = info.Simulated || t.Simulated
		}
		if !at.IsZero() && (info.Created.IsZero() || at.Before(info.Created)) {
			info.Created = at
		}
		if o, err := parseFile(parser, filepath.Join(from.dir, f.log), 0); err == nil {
			s.Iterations = max(s.Iterations, len(o.Figures))
		}
	}
	if planned := f.plan(s); planned != nil {
		info.PlanUnknown, info.Created, info.Lab = false, planned.Created, planned.Lab
		info.Simulated, info.Simulation, info.Facts, info.Deviations = planned.Simulated, planned.Simulation, planned.Facts, planned.Deviations
		info.Skip, info.Plans, info.Prices, info.PriceNote = planned.Skip, planned.Plans, planned.Prices, planned.PriceNote
		s = planned.Study
	} else {
		// The arm that draws at random comes first, as in the procedure.
		slices.SortStableFunc(s.Arms, func(a, b study.Arm) int { return rankOf(a) - rankOf(b) })
	}
	if opt.Baseline != "" {
		s.Baseline = opt.Baseline
	}
	info.Study = s
	return info, s.Validate()
}

// plan reads the description of the run whose logs folder is imported; nil when there is none or it is of other arms.
func (f *finder) plan(s *study.Study) *Info {
	data, err := os.ReadFile(filepath.Join(f.root, "..", "..", runFile))
	if err != nil {
		return nil
	}
	var info Info
	if json.Unmarshal(data, &info) != nil || info.SchemaVersion != SchemaVersion || info.Study == nil || info.Study.Application != s.Application {
		f.note("the %s beside these trials cannot be read and is not used", runFile)
		return nil
	}
	for _, arm := range s.Arms {
		if planned, ok := info.Study.Arm(arm.Name); !ok || planned.Model != arm.Model {
			f.note("the %s beside these trials has no arm %s of model %s and is not used", runFile, arm.Name, arm.Model)
			return nil
		}
	}
	return &info
}

func rankOf(a study.Arm) int {
	if a.Model == study.RandomModel {
		return 0
	}
	return 1
}

func (r *Run) importTrial(f *finder, from source, prices map[string]float64) error {
	state, err := r.State(from.arm, from.n, false)
	if err != nil {
		return err
	}
	if state.Done { // by an import that was stopped
		return nil
	}
	if failed := r.failedTrials(from.arm)[key(from.n, false)]; failed {
		if _, err := parseFile(r.parser, filepath.Join(from.dir, r.LogName()), r.info.Study.Iterations); err != nil {
			return err // told again, kept once
		}
	}
	a, err := r.Begin(from.arm, from.n, false)
	if err != nil {
		return err
	}
	for _, name := range []string{r.LogName(), podFile, podTimeFile} {
		file := filepath.Join(from.dir, name)
		data, err := readRegular(file)
		if errors.Is(err, os.ErrNotExist) {
			continue
		}
		if err == nil {
			err = a.WriteFile(name, data)
		}
		if err != nil {
			return errors.Join(err, a.Discard())
		}
	}
	return a.Commit(r.importedRecord(f, a.Record(), from, prices))
}

// importedRecord is the trial's own record where it has one, else what the pod tells.
func (r *Run) importedRecord(f *finder, t Trial, from source, prices map[string]float64) Trial {
	if own, err := readTrial(from.dir); err == nil && own.Verdict == Complete {
		t = *own
	} else if pod, err := readPod(from.dir); err == nil {
		pod.describe(&t, r.info.Study.Application)
		t.PriceUSDPerHour = prices[t.Node.InstanceType]
	}
	if rel, err := filepath.Rel(f.root, from.dir); err == nil {
		t.Source = filepath.ToSlash(rel)
	}
	return t
}

// readRegular reads a file that is one: a link, a pipe or a device in a folder of trials would bring in what is not part of it.
func readRegular(file string) ([]byte, error) {
	if err := regular(file); err != nil {
		return nil, err
	}
	return os.ReadFile(file)
}

func regular(file string) error {
	info, err := os.Lstat(file)
	if err == nil && !info.Mode().IsRegular() {
		return fmt.Errorf("%s is no regular file (%s) and is not followed: put a copy of what it stands for in its place", file, info.Mode().Type())
	}
	return err
}

const (
	podFile     = "pod.json"
	podTimeFile = "pod-time.txt"
)

// readPod reads what an import needs of a stored pod.
func readPod(dir string) (*pod, error) {
	data, err := readRegular(filepath.Join(dir, podFile))
	if err != nil {
		return nil, err
	}
	var p pod
	return &p, json.Unmarshal(data, &p)
}
