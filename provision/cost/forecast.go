package cost

import (
	"fmt"
	"time"
)

// Times are the lengths of what happens in a study.
type Times struct {
	Create time.Duration `json:"create"` // from the control plane's beginning to the first trial
	Delete time.Duration `json:"delete"` // from the last trial to the cluster's end
	Start  time.Duration `json:"start"`  // from a pod's creation to its container on a node that is started for it
	Warm   time.Duration `json:"warm"`   // the same on a node that is there
	Run    time.Duration `json:"run"`    // a container, ordinarily
	// LongRun is a container at its longest; attempts that fail are no longer.
	LongRun time.Duration `json:"longRun"`
	Between time.Duration `json:"between"` // from a trial's end to the next one's pod
}

// attempt is how long one attempt takes at its worst.
func (t Times) attempt() time.Duration { return t.Start + max(t.Run, t.LongRun) + t.Between }

// Study is a set of trials, and how it was played through.
type Study struct {
	// May are, for each trial, the types on which it could run, for the worst case.
	May     [][]string
	Retries int // further attempts of a trial that fails
	// Uses are what the trials use of nodes when all goes well. Times are since the first trial could begin; Gone is when a node was ended for
	// another one, and 0 when it was not.
	Uses []PlayedUse
	Took time.Duration // until the last trial is over
}

// PlayedUse is a trial's use of a node in a study that was played through.
type PlayedUse struct {
	Node, InstanceType    string
	From, Ready, To, Gone time.Duration
}

// Forecast is what a study will cost.
type Forecast struct {
	Hours      float64 `json:"hours"` // from the control plane's beginning to its end
	USD        float64 `json:"usd"`   // when all goes as it ordinarily does, until the last idle node is gone
	Bill       *Bill   `json:"bill"`  // its parts
	WorstHours float64 `json:"worstHours"`
	WorstUSD   float64 `json:"worstUSD"`
	Rule       string  `json:"rule"` // of the worst case
}

// Forecast prices a study that was played through. The worst case starts a node of the dearest type for every attempt, all retries are used,
// every run is as long as the longest, and nothing runs side by side.
func (l *Lab) Forecast(s Study, t Times, begin time.Time) *Forecast {
	m := NewMeter(*l)
	m.Start(begin)
	first := begin.Add(t.Create)
	for _, u := range s.Uses {
		m.Use(Use{Node: u.Node, InstanceType: u.InstanceType, From: first.Add(u.From), Ready: first.Add(u.Ready), To: first.Add(u.To)})
	}
	for _, u := range s.Uses {
		if u.Gone > 0 {
			m.Gone(u.Node, first.Add(u.Gone))
		}
	}
	end := first.Add(s.Took + t.Delete)
	f := &Forecast{Hours: end.Sub(begin).Hours(), Bill: m.Bill(end)}
	f.USD = f.Bill.Committed
	attempts := 1 + s.Retries
	worst := t.Create + t.Delete
	for _, may := range s.May {
		worst += time.Duration(attempts) * t.attempt()
		f.WorstUSD += float64(attempts) * l.attempt(may, t)
	}
	f.WorstHours = worst.Hours()
	f.Rule = fmt.Sprintf("each of %d attempts starts a node of the dearest type and none is used twice: %s for the start, %s for the run and %s idle after it; "+
		"control plane and standing nodes all the time", attempts*len(s.May), t.Start, max(t.Run, t.LongRun), l.ScaleDownAfter)
	if l.ScaleDownAfter == 0 {
		f.WorstUSD += l.everything(worst)
		f.Rule = "every node group runs at its largest all the time, as no node is ever taken away; all retries are used"
	}
	f.WorstUSD += l.Standing(begin, begin.Add(worst))
	return f
}

// attempt is the price of a node that is started for one attempt on the dearest of the types.
func (l *Lab) attempt(types []string, t Times) float64 {
	dearest := 0.0
	for _, name := range types {
		n := &lifetime{group: l.group(name), starting: t.Start, busy: max(t.Run, t.LongRun)}
		n.end = n.from.Add(n.starting + n.busy + l.ScaleDownAfter)
		dearest = max(dearest, l.bill(n, n.end).USD)
	}
	return dearest
}

// everything is the price of all nodes beyond those that groups keep, for so long.
func (l *Lab) everything(d time.Duration) float64 {
	sum := 0.0
	for _, g := range l.Groups {
		n := &lifetime{group: g}
		sum += float64(g.Max-g.Min) * l.bill(n, n.from.Add(d)).USD
	}
	return sum
}
