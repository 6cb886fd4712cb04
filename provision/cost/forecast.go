package cost

import (
	"fmt"
	"math/rand/v2"
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

// Trial is one trial of a study as far as it costs money.
type Trial struct {
	Arm   string   `json:"arm"`   // no two trials of an arm run at the same time
	Types []string `json:"types"` // on which it is expected to run; one when that is decided
	May   []string `json:"may"`   // on which it could run all the same, for the worst case; empty is Types
	Fresh bool     `json:"fresh"` // a node on which its arm ran before is ended and another started
}

// Study is a set of trials in their order.
type Study struct {
	Trials   []Trial
	Parallel int // trials that run side by side
	Retries  int // further attempts of a trial that fails
}

// Forecast is what a study will cost.
type Forecast struct {
	Hours      float64 `json:"hours"` // from the control plane's beginning to its end
	USD        float64 `json:"usd"`   // when all goes as it ordinarily does
	Bill       *Bill   `json:"bill"`  // the parts of USD
	WorstHours float64 `json:"worstHours"`
	WorstUSD   float64 `json:"worstUSD"`
	Rule       string  `json:"rule"` // of the worst case
}

// Forecast plays the study through: every trial takes the node of its type that is there, or starts one and leaves it idle after. A trial
// whose type is not decided draws one, from a fixed seed. The worst case starts a node of the dearest type for every attempt, all retries
// are used, every run is as long as the longest, and nothing runs side by side.
func (l *Lab) Forecast(s Study, t Times, begin time.Time) *Forecast {
	m := NewMeter(*l)
	m.Start(begin)
	end := l.play(m, s, t, begin.Add(t.Create)).Add(t.Delete)
	f := &Forecast{Hours: end.Sub(begin).Hours(), Bill: m.Bill(end)}
	f.USD = f.Bill.USD
	attempts := 1 + s.Retries
	worst := t.Create + t.Delete
	for _, trial := range s.Trials {
		worst += time.Duration(attempts) * t.attempt()
		may := trial.May
		if len(may) == 0 {
			may = trial.Types
		}
		f.WorstUSD += float64(attempts) * l.attempt(may, t)
	}
	f.WorstHours = worst.Hours()
	f.Rule = fmt.Sprintf("each of %d attempts starts a node of the dearest type and none is used twice: %s for the start, %s for the run and %s idle after it; "+
		"control plane and standing nodes all the time", attempts*len(s.Trials), t.Start, max(t.Run, t.LongRun), l.ScaleDownAfter)
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

// machine is a node of the played study.
type machine struct {
	name string
	free time.Time       // when its trial ends
	gone time.Time       // when the autoscaler takes it; zero: never
	arms map[string]bool // that ran on it
}

// play tells the meter every use of a node and returns when the last trial ends.
func (l *Lab) play(m *Meter, s Study, t Times, at time.Time) time.Time {
	draw := rand.New(rand.NewPCG(1, 1))
	workers := make([]time.Time, max(1, s.Parallel))
	for i := range workers {
		workers[i] = at
	}
	arms := map[string]time.Time{}
	machines := map[string][]*machine{}
	count, end := 0, at
	for _, trial := range s.Trials {
		if len(trial.Types) == 0 {
			continue
		}
		w := 0
		for i := range workers {
			if workers[i].Before(workers[w]) {
				w = i
			}
		}
		kind := trial.Types[0]
		if len(trial.Types) > 1 {
			kind = trial.Types[draw.IntN(len(trial.Types))]
		}
		begin := later(workers[w], arms[trial.Arm])
		node := l.take(m, machines, kind, trial, &begin)
		delay := t.Warm
		if node == nil {
			count++
			node = &machine{name: fmt.Sprintf("%s-%d", kind, count), arms: map[string]bool{}}
			machines[kind] = append(machines[kind], node)
			delay = t.Start
		}
		stop := begin.Add(delay + t.Run)
		m.Use(Use{Node: node.name, InstanceType: kind, From: begin, Ready: begin.Add(delay), To: stop})
		node.free, node.gone = stop, time.Time{}
		if l.ScaleDownAfter > 0 {
			node.gone = stop.Add(l.ScaleDownAfter)
		}
		node.arms[trial.Arm] = true
		workers[w] = stop.Add(t.Between)
		arms[trial.Arm] = workers[w]
		end = later(end, workers[w])
	}
	return end
}

// take finds a node of the type that is there at the moment, or waits for one when the group is at its largest. Nil starts one.
func (l *Lab) take(m *Meter, machines map[string][]*machine, kind string, trial Trial, begin *time.Time) *machine {
	there := 0
	var first *machine
	for _, n := range machines[kind] {
		if !n.gone.IsZero() && !n.gone.After(*begin) {
			continue
		}
		there++
		if first == nil || n.free.Before(first.free) {
			first = n
		}
	}
	if first == nil || (first.free.After(*begin) && there < l.group(kind).Max) {
		return nil
	}
	*begin = later(*begin, first.free)
	if !first.gone.IsZero() && !first.gone.After(*begin) {
		return nil
	}
	if trial.Fresh && first.arms[trial.Arm] {
		first.gone = *begin
		m.Gone(first.name, *begin)
		return nil
	}
	return first
}
