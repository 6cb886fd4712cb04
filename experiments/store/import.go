package store

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

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
}

// ImportSummary says what an import found.
type ImportSummary struct {
	Arms     []ArmProgress
	Rejected map[string]string // trial, such as random/12, and why it does not count
}

// source is a trial folder of the published layout.
type source struct {
	arm string
	n   int
	dir string
}

// Import copies trials of the published layout, <arm>/<n>/ with the log, pod.json and pod-time.txt, into a new run at dst. What a record
// would say is taken from the pod as far as it says it; what nothing says stays empty. The source is not changed.
func Import(src, dst string, opt ImportOptions) (*Run, *ImportSummary, error) {
	if opt.Application == "" {
		opt.Application = study.DefaultApplication
	}
	sources, err := findTrials(src, opt.Application)
	if err != nil {
		return nil, nil, err
	}
	parser, err := ParserFor(opt.Application)
	if err != nil {
		return nil, nil, err
	}
	s, err := importedStudy(sources, parser, opt)
	if err != nil {
		return nil, nil, err
	}
	if _, err := os.Lstat(filepath.Join(dst, runFile)); err == nil {
		return nil, nil, fmt.Errorf("%s already holds a run: choose another folder", dst)
	}
	// The run appears at dst when it is whole: an import that was killed is begun again from its start.
	unfinished := filepath.Join(filepath.Dir(dst), "."+filepath.Base(dst)+".import")
	if err := os.RemoveAll(unfinished); err != nil {
		return nil, nil, explain(dst, err)
	}
	r, err := Create(unfinished, Info{
		Study: s, Imported: src, Program: opt.Program, Provider: "imported", Prices: opt.Prices, PriceNote: opt.PriceNote,
	})
	if err != nil {
		return nil, nil, err
	}
	sum, err := r.importAll(sources, opt.Prices)
	if err = errors.Join(err, r.Close()); err != nil {
		return nil, nil, errors.Join(err, os.RemoveAll(unfinished))
	}
	if err := os.Rename(unfinished, dst); err != nil {
		return nil, nil, errors.Join(explain(dst, err), os.RemoveAll(unfinished))
	}
	atomicfile.SyncDir(filepath.Dir(dst))
	r, err = Open(dst, Write)
	return r, sum, err
}

func (r *Run) importAll(sources []source, prices map[string]float64) (*ImportSummary, error) {
	sum := &ImportSummary{Rejected: map[string]string{}}
	for _, from := range sources {
		err := r.importTrial(from, prices)
		var rejection *Rejection
		if errors.As(err, &rejection) {
			sum.Rejected[from.arm+"/"+strconv.Itoa(from.n)] = rejection.Reason + ": " + rejection.Detail
		} else if err != nil {
			return nil, fmt.Errorf("import %s: %w", from.dir, err)
		}
	}
	sum.Arms = r.Progress(r.info.Study)
	return sum, nil
}

var notInName = regexp.MustCompile(`[^a-z0-9]+`)

func findTrials(src, application string) ([]source, error) {
	if _, err := os.Stat(filepath.Join(src, runFile)); err == nil {
		return nil, fmt.Errorf("%s is a run already: show it, there is nothing to import", src)
	}
	root := src
	if deeper := filepath.Join(src, logsDir, application); isDir(deeper) {
		root = deeper
	}
	found, err := fs.Glob(os.DirFS(root), "*/*/"+application+".out")
	if err != nil {
		return nil, err
	}
	var out []source
	for _, log := range found {
		dir := filepath.Join(root, filepath.FromSlash(path.Dir(log)))
		n, warmup, ok := parseKey(filepath.Base(dir))
		if !ok || warmup {
			continue
		}
		if err := regular(filepath.Join(dir, application+".out")); err != nil {
			return nil, err
		}
		arm := strings.Trim(notInName.ReplaceAllString(strings.ToLower(filepath.Base(filepath.Dir(dir))), "-"), "-")
		out = append(out, source{arm: arm, n: n, dir: dir})
	}
	if len(out) == 0 {
		return nil, fmt.Errorf("%s has no trials: looked for <arm>/<number>/%s.out in it and in %s/%s/", src, application, logsDir, application)
	}
	slices.SortFunc(out, func(a, b source) int {
		if a.arm != b.arm {
			return strings.Compare(a.arm, b.arm)
		}
		return a.n - b.n
	})
	return out, nil
}

func isDir(dir string) bool {
	info, err := os.Stat(dir)
	return err == nil && info.IsDir()
}

// importedStudy describes the trials as the study that they were, as far as they tell: arms, the number of trials and iterations.
func importedStudy(sources []source, parser Parser, opt ImportOptions) (*study.Study, error) {
	s := &study.Study{
		APIVersion: study.APIVersion, Name: "imported", Description: "Trials that were run elsewhere and imported.", Application: opt.Application,
		Iterations: 1, Order: study.Sequential, Seed: 1, Baseline: opt.Baseline,
		Deadlines: study.Deadlines{Scheduled: study.Duration(1e9), Ready: study.Duration(1e9), Run: study.Duration(1e9), Removed: study.Duration(1e9)},
	}
	for _, from := range sources {
		s.Repeats = max(s.Repeats, from.n)
		if _, ok := s.Arm(from.arm); !ok {
			s.Arms = append(s.Arms, study.Arm{Name: from.arm, Model: from.arm})
		}
		if pod, err := readPod(from.dir); err == nil && pod.Metadata.Annotations[compat.AnnotationModel] != "" {
			i := slices.IndexFunc(s.Arms, func(a study.Arm) bool { return a.Name == from.arm })
			s.Arms[i].Model = pod.Metadata.Annotations[compat.AnnotationModel]
		}
		if o, err := ParseFile(parser, filepath.Join(from.dir, opt.Application+".out"), 0); err == nil {
			s.Iterations = max(s.Iterations, len(o.Figures))
		}
	}
	// The arm that draws at random comes first, as in the procedure.
	slices.SortStableFunc(s.Arms, func(a, b study.Arm) int {
		return rankOf(a) - rankOf(b)
	})
	return s, s.Validate()
}

func rankOf(a study.Arm) int {
	if a.Model == study.RandomModel {
		return 0
	}
	return 1
}

func (r *Run) importTrial(from source, prices map[string]float64) error {
	a, err := r.Begin(from.arm, from.n, false)
	if err != nil {
		return err
	}
	for _, name := range []string{r.LogName(), podFile, podTimeFile} {
		data, err := readRegular(filepath.Join(from.dir, name))
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
	t := a.Record()
	if pod, err := readPod(from.dir); err == nil {
		pod.describe(&t, r.info.Study.Application)
	}
	t.PriceUSDPerHour = prices[t.Node.InstanceType]
	return a.Commit(t)
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
