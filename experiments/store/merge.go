package store

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"time"
)

// Shard is a run that became part of a merged one.
type Shard struct {
	ID      string    `json:"id"`
	Lab     string    `json:"lab,omitempty"`
	Created time.Time `json:"created,omitzero"`
}

// Merge copies the trials of several runs of one study into a new run at dst, which appears when it is whole. The runs are shards: made by
// labs of their own, side by side, each with its own numbers of trials, so that no trial is complete in two of them. Warm-up trials stay
// where they are. What only a shard's own lab knows (bill, versions that differ) is left out of the merged run. The shards are not changed.
func Merge(dst string, shards []string) (*Run, error) {
	runs, err := openShards(shards)
	if err != nil {
		return nil, err
	}
	if _, err := os.Lstat(filepath.Join(dst, runFile)); err == nil {
		return nil, fmt.Errorf("%s already holds a run: choose another folder", dst)
	}
	building := filepath.Join(filepath.Dir(dst), "."+filepath.Base(dst)+".merge")
	if err := os.RemoveAll(building); err != nil { // of a merge that was killed
		return nil, explain(building, err)
	}
	r, err := Create(building, mergedInfo(runs))
	if err != nil {
		return nil, err
	}
	for _, shard := range runs {
		if err := r.adopt(shard); err != nil {
			return nil, errors.Join(err, r.Close(), os.RemoveAll(building))
		}
	}
	if err := r.mergeLooks(runs); err != nil {
		return nil, errors.Join(err, r.Close(), os.RemoveAll(building))
	}
	if err := r.appear(dst); err != nil {
		return nil, errors.Join(err, r.Close())
	}
	return r, nil
}

// openShards opens the runs, and refuses those that do not belong together.
func openShards(dirs []string) ([]*Run, error) {
	if len(dirs) < 2 {
		return nil, errors.New("a merge takes two runs or more")
	}
	var runs []*Run
	for _, dir := range dirs {
		r, err := Open(dir, Read)
		if err != nil {
			return nil, err
		}
		for _, other := range runs {
			if err := apart(other, r); err != nil {
				return nil, err
			}
		}
		runs = append(runs, r)
	}
	return runs, nil
}

// apart says why two runs cannot be shards of one.
func apart(a, b *Run) error {
	x, y := a.info, b.info
	switch what := difference(x.Study, y.Study); {
	case x.ID == y.ID:
		return fmt.Errorf("%s and %s are the same run (%s)", a.dir, b.dir, x.ID)
	case what != "":
		return fmt.Errorf("%s and %s are runs of studies with another %s: only runs of one study can be merged", a.dir, b.dir, what)
	case x.Simulated != y.Simulated || x.Provider != y.Provider:
		return fmt.Errorf("%s is of provider %s (simulated: %v) and %s of %s (simulated: %v): their figures do not belong together",
			a.dir, x.Provider, x.Simulated, b.dir, y.Provider, y.Simulated)
	case x.Imported != "" || y.Imported != "":
		return fmt.Errorf("%s and %s: an imported run cannot be merged; import the trials of both at once", a.dir, b.dir)
	case !sameSet(x.Skip, y.Skip):
		return fmt.Errorf("%s skips the instance types %v and %s %v: the webhook chose among others", a.dir, x.Skip, b.dir, y.Skip)
	}
	return nil
}

func sameSet(a, b []string) bool {
	return slices.Equal(slices.Compact(slices.Sorted(slices.Values(a))), slices.Compact(slices.Sorted(slices.Values(b))))
}

// mergedInfo keeps what the shards agree on.
func mergedInfo(runs []*Run) Info {
	first := runs[0].info
	whole := *first.Study
	info := Info{
		Program: first.Program, Provider: first.Provider, Simulated: first.Simulated, Simulation: first.Simulation, Created: first.Created,
		Skip: first.Skip, Study: &whole, Prices: map[string]float64{}, PriceNote: first.PriceNote, Facts: maps.Clone(first.Facts),
	}
	differing := map[string]bool{}
	for _, r := range runs {
		whole.Repeats = max(whole.Repeats, r.info.Study.Repeats)
		info.Merged = append(info.Merged, Shard{ID: r.info.ID, Lab: r.info.Lab, Created: r.info.Created})
		info.Plans = append(info.Plans, r.info.Plans...)
		for _, d := range r.info.Deviations {
			if !slices.Contains(info.Deviations, d) {
				info.Deviations = append(info.Deviations, d)
			}
		}
		if r.info.Created.Before(info.Created) {
			info.Created = r.info.Created
		}
		if r.info.Program != info.Program {
			info.Program = ""
		}
		if r.info.PriceNote != info.PriceNote {
			info.PriceNote = ""
		}
		maps.DeleteFunc(info.Facts, func(k, v string) bool { return r.info.Facts[k] != v })
		for kind, price := range r.info.Prices {
			if have, ok := info.Prices[kind]; ok && have != price {
				differing[kind] = true
			}
			info.Prices[kind] = price
		}
	}
	maps.DeleteFunc(info.Prices, func(kind string, _ float64) bool { return differing[kind] }) // each trial's record has its own
	slices.SortStableFunc(info.Plans, func(a, b PlanChange) int { return a.Time.Compare(b.Time) })
	return info
}

// adopt copies a shard's trials and failed attempts.
func (r *Run) adopt(shard *Run) error {
	list, err := shard.list()
	if err != nil {
		return err
	}
	for _, rec := range list {
		if rec.Problem != "" || rec.Warmup {
			continue
		}
		if err := os.MkdirAll(r.armDir(rec.Arm), 0o700); err != nil {
			return explain(r.dir, err)
		}
		name, attempt := filepath.Base(rec.Path), 0
		if trial, _, failed := splitFailed(name); failed {
			if attempt, err = r.nextAttempt(rec.Arm, trial); err != nil {
				return err
			}
			name = fmt.Sprintf("%s.failed-%d", trial, attempt)
		}
		to := filepath.Join(r.armDir(rec.Arm), name)
		if _, err := os.Lstat(to); err == nil {
			return fmt.Errorf("%s: trial %d of arm %s is in another of the runs too: shards have numbers of their own, as by `experiment all --trials 1-15` and `--trials 16-30`",
				shard.dir, rec.N, rec.Arm)
		}
		if err := r.copyTrial(shard, rec.Path, to, attempt); err != nil {
			return err
		}
	}
	return nil
}

// copyTrial copies a trial's folder with a record that names the merged run. attempt, unless 0, is the attempt's new number.
func (r *Run) copyTrial(shard *Run, path, to string, attempt int) error {
	from := filepath.Join(shard.dir, path)
	entries, err := os.ReadDir(from)
	if err != nil {
		return err
	}
	if err := os.Mkdir(to, 0o700); err != nil {
		return explain(r.dir, err)
	}
	for _, e := range entries {
		data, err := readRegular(filepath.Join(from, e.Name()))
		if err != nil {
			return err
		}
		if e.Name() == trialFile {
			if data, err = r.rewritten(shard, data, path, attempt); err != nil {
				return fmt.Errorf("%s: %w", filepath.Join(from, trialFile), err)
			}
		}
		if err := writeFile(filepath.Join(to, e.Name()), data); err != nil {
			return explain(r.dir, err)
		}
	}
	return nil
}

// rewritten is a record of the shard as one of the merged run. A record of yet another run stays foreign.
func (r *Run) rewritten(shard *Run, data []byte, path string, attempt int) ([]byte, error) {
	var t Trial
	if err := json.Unmarshal(data, &t); err != nil || t.SchemaVersion != SchemaVersion || t.Run != shard.info.ID {
		return data, nil // it does not count there, and does not here
	}
	t.Run, t.Source = r.info.ID, shard.info.ID+"/"+filepath.ToSlash(path)
	t.Attempt = cmp.Or(attempt, t.Attempt)
	var out bytes.Buffer
	enc := json.NewEncoder(&out)
	enc.SetIndent("", "  ")
	err := enc.Encode(t)
	return out.Bytes(), err
}

// mergeLooks keeps that shards were looked at before they were whole.
func (r *Run) mergeLooks(runs []*Run) error {
	var all []Look
	for _, shard := range runs {
		looks, err := shard.Looks()
		if err != nil {
			return err
		}
		all = append(all, looks...)
	}
	if len(all) == 0 {
		return nil
	}
	slices.SortStableFunc(all, func(a, b Look) int { return a.Time.Compare(b.Time) })
	var lines bytes.Buffer
	enc := json.NewEncoder(&lines)
	for _, l := range all {
		if err := enc.Encode(l); err != nil {
			return err
		}
	}
	return explain(r.dir, writeFile(filepath.Join(r.dir, looksFile), lines.Bytes()))
}
