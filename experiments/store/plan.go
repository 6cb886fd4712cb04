package store

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/compspec/ocifit-lab/experiments/study"
)

// looksFile, beside run.json, has a line for each time that the comparison was read before the run was whole. It is not in run.json,
// for another program may be writing the run meanwhile.
const looksFile = "looks.jsonl"

// PlanChange says how a run's plan was changed after it began.
type PlanChange struct {
	Time     time.Time `json:"time"`
	Setting  string    `json:"setting"` // such as repeats
	From     string    `json:"from"`
	To       string    `json:"to"`
	Complete int       `json:"complete"` // trials of all arms that were complete then
	Looks    int       `json:"looks"`    // how often the comparison had been read by then
}

// planChanges are what another study of the same run would change of what is analysed.
func (r *Run) planChanges(s *study.Study) []PlanChange {
	var out []PlanChange
	for _, d := range []struct {
		setting  string
		from, to any
	}{
		{"repeats", r.info.Study.Repeats, s.Repeats},
		{"endpoint", r.info.Study.Endpoint, s.Endpoint},
		{"firstIteration", r.info.Study.FirstIteration, s.FirstIteration},
		{"looks", r.info.Study.Looks, s.Looks},
	} {
		if from, to := fmt.Sprint(d.from), fmt.Sprint(d.to); from != to {
			out = append(out, PlanChange{Time: time.Now().UTC(), Setting: d.setting, From: from, To: to})
		}
	}
	if len(out) == 0 {
		return nil
	}
	complete := 0
	for _, p := range r.Progress(r.info.Study) {
		complete += p.Done
	}
	looks, _ := r.Looks() // a file that cannot be read is told where the looks are shown
	for i := range out {
		out[i].Complete, out[i].Looks = complete, len(looks)
	}
	return out
}

// Look is one reading of the comparison before the run was whole.
type Look struct {
	Time     time.Time `json:"time"`
	Complete int       `json:"complete"` // trials of all arms
	Planned  int       `json:"planned"`
}

// NoteLook records that the comparison was read. Reading a whole run, or the same state again, is no further look.
func (r *Run) NoteLook(complete, planned int) error {
	if complete == 0 || complete >= planned || r.info.Imported != "" {
		return nil
	}
	looks, err := r.Looks()
	if err != nil {
		return err
	}
	if n := len(looks); n > 0 && looks[n-1].Complete == complete && looks[n-1].Planned == planned {
		return nil
	}
	line, err := json.Marshal(Look{Time: time.Now().UTC(), Complete: complete, Planned: planned})
	if err != nil {
		return err
	}
	f, err := os.OpenFile(filepath.Join(r.dir, looksFile), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		return explain(r.dir, err)
	}
	_, err = f.Write(append(line, '\n')) // one write, so that two readers do not mix their lines
	return explain(r.dir, errors.Join(err, f.Close()))
}

// Looks are the readings before the run was whole, in their order.
func (r *Run) Looks() ([]Look, error) {
	data, err := os.ReadFile(filepath.Join(r.dir, looksFile))
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var out []Look
	for lines := bufio.NewScanner(bytes.NewReader(data)); lines.Scan(); {
		var l Look
		if err := json.Unmarshal(lines.Bytes(), &l); err != nil {
			return nil, fmt.Errorf("%s, line %d: %w", filepath.Join(r.dir, looksFile), len(out)+1, err)
		}
		out = append(out, l)
	}
	return out, nil
}
