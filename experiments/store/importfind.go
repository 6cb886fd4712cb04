package store

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// source is a trial folder of the published layout, with the arm and the number that it gets.
type source struct {
	arm string
	n   int
	dir string
}

// finder collects trial folders, and what there is to tell about the rest.
type finder struct {
	root, log string
	notes     []string
	taken     map[string]string // arm by its folder's name
}

func (f *finder) note(format string, args ...any) {
	f.notes = append(f.notes, fmt.Sprintf(format, args...))
}

func findTrials(src, application string) (*finder, []source, error) {
	if _, err := os.Stat(filepath.Join(src, runFile)); err == nil {
		return nil, nil, fmt.Errorf("%s is a run already: show it, there is nothing to import", src)
	}
	f := &finder{root: src, log: application + ".out", taken: map[string]string{}}
	if deeper := filepath.Join(src, logsDir, application); isDir(deeper) {
		f.root = deeper
	}
	entries, err := os.ReadDir(f.root)
	if err != nil {
		return nil, nil, err
	}
	var out []source
	for _, e := range entries {
		if ok, err := f.folder(e, e.Name()); err != nil {
			return nil, nil, err
		} else if !ok {
			continue
		}
		trials, err := f.arm(e.Name())
		if err != nil {
			return nil, nil, err
		}
		out = append(out, trials...)
	}
	if len(out) == 0 {
		return nil, nil, fmt.Errorf("%s has no trials: looked for <arm>/<number>/%s in it and in %s/%s/", src, f.log, logsDir, application)
	}
	slices.SortFunc(out, func(a, b source) int {
		if a.arm != b.arm {
			return strings.Compare(a.arm, b.arm)
		}
		return a.n - b.n
	})
	return f, out, nil
}

// folder tells whether an entry is a real folder; a symbolic link could lead anywhere.
func (f *finder) folder(e fs.DirEntry, name string) (bool, error) {
	if e.Type()&fs.ModeSymlink != 0 {
		return false, fmt.Errorf("%s is a symbolic link and is not followed: put a copy of what it stands for in its place", filepath.Join(f.root, name))
	}
	return e.IsDir() && !strings.HasPrefix(e.Name(), "."), nil
}

// arm lists the trials of one folder. Numbers are kept where they count trials; otherwise the trials are numbered in their order.
func (f *finder) arm(folder string) ([]source, error) {
	entries, err := os.ReadDir(filepath.Join(f.root, folder))
	if err != nil {
		return nil, err
	}
	var names []string
	for _, e := range entries {
		name := folder + "/" + e.Name()
		if ok, err := f.folder(e, name); err != nil {
			return nil, err
		} else if !ok {
			continue
		}
		if _, _, failed := splitFailed(e.Name()); failed || strings.HasPrefix(e.Name(), "warmup-") {
			f.note("%s is a failed attempt or a warm-up and is left out", name)
			continue
		}
		switch err := f.files(filepath.Join(f.root, folder, e.Name())); {
		case errors.Is(err, fs.ErrNotExist):
			f.note("%s has no %s and is left out", name, f.log)
		case err != nil:
			return nil, err
		default:
			names = append(names, e.Name())
		}
	}
	if len(names) == 0 {
		return nil, nil
	}
	slices.SortFunc(names, byNumber)
	arm := f.armName(folder)
	out := make([]source, len(names))
	for i, name := range names {
		out[i] = source{arm: arm, n: i + 1, dir: filepath.Join(f.root, folder, name)}
	}
	if numbers, ok := trialNumbers(names); ok {
		for i := range out {
			out[i].n = numbers[i]
		}
	} else {
		f.note("the folders %s to %s of %s are no trial numbers: they are taken as trials 1 to %d in this order", names[0], names[len(names)-1], folder, len(names))
	}
	return out, nil
}

// files makes sure that a trial has a log, and that nothing of it leads elsewhere.
func (f *finder) files(dir string) error {
	for _, name := range []string{podFile, podTimeFile, trialFile} {
		if err := regular(filepath.Join(dir, name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return regular(filepath.Join(dir, f.log))
}

// byNumber orders folder names as people count, others by their letters.
func byNumber(a, b string) int {
	x, errX := strconv.ParseUint(a, 10, 64)
	y, errY := strconv.ParseUint(b, 10, 64)
	if errX == nil && errY == nil && x != y {
		if x < y {
			return -1
		}
		return 1
	}
	return strings.Compare(a, b)
}

// trialNumbers reads folder names as the numbers of trials. Names with leading zeros are; numbers far beyond the count, such as job
// ids, are not, for they would leave as many trials missing.
func trialNumbers(names []string) (numbers []int, ok bool) {
	for i, name := range names {
		n, err := strconv.Atoi(name)
		if err != nil || n < 1 || n > 2*len(names)+10 || i > 0 && n == numbers[i-1] {
			return nil, false
		}
		numbers = append(numbers, n)
	}
	return numbers, true
}

var notInName = regexp.MustCompile(`[^a-z0-9]+`)

const longestArm = 53

// armName makes a name of a study's arm from a folder's, another one for each folder.
func (f *finder) armName(folder string) string {
	base := strings.Trim(notInName.ReplaceAllString(strings.ToLower(folder), "-"), "-")
	if base == "" {
		base = "arm"
	}
	base = strings.Trim(base[:min(len(base), longestArm-4)], "-")
	name := base
	for i := 2; f.taken[name] != ""; i++ {
		name = fmt.Sprintf("%s-%d", base, i)
	}
	f.taken[name] = folder
	if name != folder {
		f.note("folder %s is arm %s", folder, name)
	}
	return name
}

func isDir(dir string) bool {
	info, err := os.Stat(dir)
	return err == nil && info.IsDir()
}
