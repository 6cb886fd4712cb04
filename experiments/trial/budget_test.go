package trial

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/compspec/ocifit-lab/experiments/store"
	"github.com/compspec/ocifit-lab/experiments/study"
	"github.com/compspec/ocifit-lab/provision/cost"
)

// The limit is one of the bill: idle tails, standing nodes and what has begun count, and no attempt begins that could pass it.
func TestBudgetHoldsTheBillBelowTheLimit(t *testing.T) {
	began := time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)
	lab := cost.Lab{
		Prices: cost.Prices{Node: map[string]float64{"small": 0.36, "large": 3.6}, ControlPlane: 0.1}, ControlPlane: true, ScaleDownAfter: 10 * time.Minute,
		Groups: []cost.Group{{Name: "s", InstanceType: "small", Min: 1, Desired: 1, Max: 1}, {Name: "l", InstanceType: "large", Max: 1}},
	}
	b := &Budget{Meter: cost.NewMeter(lab), Types: []string{"large"}, Limit: 5, Times: cost.Times{Start: 2 * time.Minute, LongRun: time.Minute}}
	now, n := began, 0
	for ; ; n++ {
		trial := study.Trial{Arm: study.Arm{Name: "a"}, N: n}
		if err := b.begin(trial); err != nil {
			if !errors.Is(err, ErrMaxCost) {
				t.Fatal(err)
			}
			break
		}
		record := store.Trial{Node: store.Node{Name: fmt.Sprint(n), InstanceType: "large"}}
		record.Phases = store.Phases{Created: now, Started: now.Add(2 * time.Minute), Finished: now.Add(3 * time.Minute)}
		b.end(trial, record)
		now = now.Add(20 * time.Minute) // the node goes before the next trial
	}
	bill := b.Meter.Last()
	// Thirteen minutes of the large node for each trial, and the control plane with the standing node between: by the trial alone it
	// would be three.
	if bill.Committed > b.Limit || bill.Committed < b.Limit-2 {
		t.Errorf("after %d trials the bill is %v, the limit %v", n, bill.Committed, b.Limit)
	}
	if naive := int(b.Limit / (3.6 * 3 / 60)); n >= naive {
		t.Errorf("%d trials; counting nothing but the trials it would be %d", n, naive)
	}
	var none *Budget
	if err := none.begin(study.Trial{}); err != nil {
		t.Error(err)
	}
}
