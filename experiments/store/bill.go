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
	// In the order of time, for the start of a node tells the meter of the end of the one in whose place it came.
	slices.SortStableFunc(uses, func(a, b cost.Use) int { return a.From.Compare(b.From) })
	m := cost.NewMeter(lab)
	for _, u := range uses {
		m.Use(u)
	}
	return m, nil
}

// Bill is what the run has cost until its last trial ended, idle tails included in what is committed; nil when the run does not say what
// prices it depends on.
func (r *Run) Bill(ctx context.Context) (*cost.Bill, error) {
	if r.info.Costs == nil {
		return nil, nil
	}
	m, err := r.Meter(ctx, *r.info.Costs)
	if err != nil {
		return nil, err
	}
	return m.Last(), nil
}
