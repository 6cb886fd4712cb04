package store

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// setAside moves a trial folder that does not count to the next free failed name and notes why.
func (r *Run) setAside(dir, reason string) error {
	arm, trial := filepath.Base(filepath.Dir(dir)), filepath.Base(dir)
	number, err := r.nextAttempt(arm, trial)
	if err != nil {
		return err
	}
	return r.keepAs(dir, fmt.Sprintf("%s.failed-%d", dir, number), number, Rejected, reason)
}

// keepAs records a verdict in a folder and renames it. A record that contradicts the verdict is kept beside the new one.
func (r *Run) keepAs(dir, to string, number int, verdict Verdict, reason string) error {
	file := filepath.Join(dir, trialFile)
	var t Trial
	if data, err := os.ReadFile(file); err == nil {
		if json.Unmarshal(data, &t) != nil {
			t = Trial{}
		}
		if err := os.Rename(file, file+".before"); err != nil {
			return err
		}
	}
	if t.Arm == "" {
		t = Trial{SchemaVersion: SchemaVersion, Run: r.info.ID, Arm: filepath.Base(filepath.Dir(dir)), Attempt: number, Simulated: r.info.Simulated}
		t.Trial, t.Warmup, _ = parseKey(strings.TrimPrefix(strings.SplitN(filepath.Base(dir), ".attempt-", 2)[0], "."))
	}
	t.Verdict, t.Reason, t.Attempt = verdict, reason, number
	if err := writeJSON(file, t); err != nil {
		return err
	}
	return os.Rename(dir, to)
}

// parseKey reads the name of a trial's folder.
func parseKey(name string) (n int, warmup, ok bool) {
	digits, warmup := strings.CutPrefix(name, "warmup-")
	n, err := strconv.Atoi(digits)
	return n, warmup, err == nil && n > 0 && strconv.Itoa(n) == digits
}
