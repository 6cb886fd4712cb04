package store

import (
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"strconv"

	"github.com/hashicorp/go-multierror"

	"github.com/compspec/ocifit-lab/provision/atomicfile"
)

var attemptName = regexp.MustCompile(`^\.((?:warmup-)?[0-9]+)\.attempt-([0-9]+)$`)

// recover clears up what a killed program left: an attempt that was already recorded as complete is put into its place, one that had
// begun to write its log is kept as interrupted, and one that had not is removed.
func (r *Run) recover() error {
	if err := r.removeTemp(); err != nil {
		return err
	}
	// Below the folder, whose own name may hold what a pattern would take for its own.
	left, err := fs.Glob(os.DirFS(r.dir), path.Join(logsDir, r.info.Study.Application, "*", ".*.attempt-*"))
	if err != nil {
		return err
	}
	var faults *multierror.Error
	for _, name := range left {
		dir := filepath.Join(r.dir, filepath.FromSlash(name))
		m := attemptName.FindStringSubmatch(filepath.Base(dir))
		if m == nil {
			continue
		}
		number, _ := strconv.Atoi(m[2])
		if err := r.recoverAttempt(dir, m[1], number); err != nil {
			faults = multierror.Append(faults, err)
		}
	}
	return faults.ErrorOrNil()
}

// removeTemp removes files that were being written; the run's lock says that nobody writes them any more.
func (r *Run) removeTemp() error {
	return filepath.WalkDir(r.dir, func(file string, e fs.DirEntry, err error) error {
		if err != nil || !e.Type().IsRegular() || !atomicfile.IsTemp(file) {
			return err
		}
		return os.Remove(file)
	})
}

func (r *Run) recoverAttempt(dir, trial string, number int) error {
	final := filepath.Join(filepath.Dir(dir), trial)
	log, err := os.Stat(filepath.Join(dir, r.LogName()))
	if err != nil || log.Size() == 0 {
		return os.RemoveAll(dir)
	}
	if _, err := os.Lstat(final); errors.Is(err, os.ErrNotExist) && r.wasComplete(dir) {
		return os.Rename(dir, final)
	}
	return r.keepAs(dir, final+".failed-"+strconv.Itoa(number), number, Interrupted, "the program ended while the trial ran")
}

// wasComplete tells whether the program was killed between the record and the rename that makes it count.
func (r *Run) wasComplete(dir string) bool {
	data, err := os.ReadFile(filepath.Join(dir, trialFile))
	if err != nil {
		return false
	}
	var t Trial
	if json.Unmarshal(data, &t) != nil || t.Run != r.info.ID || t.Verdict != Complete {
		return false
	}
	_, err = parseFile(r.parser, filepath.Join(dir, r.LogName()), r.info.Study.Iterations)
	return err == nil
}
