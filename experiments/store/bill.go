package store

import (
	"context"
	"path/filepath"
	"slices"

	"github.com/compspec/ocifit-lab/provision/cost"
)

// Use is what an attempt used of a node; ok is false when it had none.
func (t *Trial) Use() (u cost.Use, ok bool) {
	p := t.Phases
	if t.Node.Name == "" || p.Created.IsZero() || p.Finished.IsZero() {
		return u, false
	}
	return cost.Use{Node: t.Node.Name, InstanceType: t.Node.InstanceType, From: p.Created, Ready: p.Started, To: p.Finished}, true
}

// Meter is a meter with everything that the run's attempts used so far, complete or not. The folder is read once.
func (r *Run) Meter(ctx context.Context, lab cost.Lab) (*cost.Meter, error) {
	list, err := r.list()
	if err != nil {
		return nil, err
	}
	var uses []cost.Use
	for i := range list {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		t, err := readTrial(filepath.Join(r.dir, list[i].Path))
		if err != nil || t.Run != r.info.ID {
			continue
		}
		if u, ok := t.Use(); ok {
			uses = append(uses, u)
		}
	}
	return metered(lab, uses), nil
}

// metered tells a meter of the uses in the order of time, for the start of a node tells it of the end of the one in whose place it came.
func metered(lab cost.Lab, uses []cost.Use) *cost.Meter {
	slices.SortStableFunc(uses, func(a, b cost.Use) int { return a.From.Compare(b.From) })
	m := cost.NewMeter(lab)
	for _, u := range uses {
		m.Use(u)
	}
	return m
}

// Bill is what the run, of which these are all records, has cost until its last trial ended, idle tails included in what is committed; nil
// when the run does not say what prices it depends on.
func (r *Run) Bill(records []Record) *cost.Bill {
	if r.info.Costs == nil {
		return nil
	}
	var uses []cost.Use
	for i := range records {
		if u, ok := records[i].Trial.Use(); ok && records[i].Trial.Run == r.info.ID {
			uses = append(uses, u)
		}
	}
	return metered(*r.info.Costs, uses).Last()
}
