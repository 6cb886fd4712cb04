package trial

import (
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/compspec/ocifit-lab/experiments/store"
	"github.com/compspec/ocifit-lab/experiments/study"
	"github.com/compspec/ocifit-lab/provision/cost"
)

// ErrMaxCost says that the limit of the bill keeps the next trial from starting.
var ErrMaxCost = errors.New("the cost limit is reached")

// Budget keeps a run's bill below a limit.
type Budget struct {
	// Meter has what the run has spent so far.
	Meter *cost.Meter
	// Times bound a trial, and Types are what it may run on.
	Times cost.Times
	Types []string
	// Limit is in US dollars; 0 is none.
	Limit float64
	// Now is the clock of the trials' moments; nil is the last of them, for simulated time.
	Now func() time.Time
}

func (b *Budget) now() time.Time {
	if b.Now == nil {
		return time.Time{}
	}
	return b.Now()
}

// begin refuses an attempt that could take the bill above the limit, with what else has begun.
func (b *Budget) begin(t study.Trial) error {
	if b == nil || b.Meter == nil {
		return nil
	}
	key, now := budgetKey(t), b.now()
	total := b.Meter.Reserve(key, now, b.Types, b.Times)
	if b.Limit <= 0 || total <= b.Limit {
		return nil
	}
	b.Meter.Release(key)
	return fmt.Errorf("%w: the bill is $%.2f, and with the next trial at its worst it could be $%.2f of $%.2f", ErrMaxCost, b.Meter.Bill(now).Committed, total, b.Limit)
}

// end tells the meter what an attempt used.
func (b *Budget) end(t study.Trial, record store.Trial) {
	if b == nil || b.Meter == nil {
		return
	}
	b.Meter.Release(budgetKey(t))
	if use, ok := record.Use(); ok {
		b.Meter.Use(use)
	}
}

func budgetKey(t study.Trial) string {
	return t.Arm.Name + "/" + strconv.Itoa(t.N) + "/" + strconv.FormatBool(t.Warmup)
}
