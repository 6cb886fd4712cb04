package schedule_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/compspec/ocifit-lab/experiments/schedule"
)

var times = schedule.Times{Start: 110 * time.Second, Warm: 18 * time.Second, Run: 75 * time.Second, Between: 5 * time.Second, Idle: 10 * time.Minute}

// blocks is a randomised block design: five models that come to three types, and a random arm.
func blocks(n int) []schedule.Trial {
	r := rand.New(rand.NewPCG(1, 2))
	on := map[string]string{"a": "c7a", "b": "c7a", "c": "hpc7g", "d": "hpc7g", "e": "m6a"}
	var out []schedule.Trial
	for b := range n {
		var block []schedule.Trial
		for arm, kind := range on {
			block = append(block, schedule.Trial{Arm: arm, Block: b, Type: kind})
		}
		block = append(block, schedule.Trial{Arm: "random", Block: b, Type: fmt.Sprintf("t%d", r.IntN(20))})
		r.Shuffle(len(block), func(i, j int) { block[i], block[j] = block[j], block[i] })
		out = append(out, block...)
	}
	return out
}

func limits(parallel, nodes int) schedule.Limits {
	l := schedule.Limits{Parallel: parallel, Machines: map[string]schedule.Machine{}}
	for _, k := range []string{"c7a", "hpc7g", "m6a"} {
		l.Machines[k] = schedule.Machine{Nodes: nodes, VCPU: 48, Family: "standard", USDPerHour: 2}
	}
	for i := range 20 {
		l.Machines[fmt.Sprintf("t%d", i)] = schedule.Machine{Nodes: nodes, VCPU: 32, Family: "standard", USDPerHour: 1}
	}
	return l
}

// The study with nodes of its own for each trial stays near what no order could beat, and a node costs no more side by side.
func TestMakespanIsNearTheBound(t *testing.T) {
	trials := blocks(30)
	serial, alone := schedule.Play(limits(1, 1), trials, times, schedule.FreshToArm)
	for _, nodes := range []int{1, 4, 16} {
		for _, n := range []int{4, 8, 16} {
			for _, fresh := range []schedule.Nodes{schedule.Reused, schedule.FreshToArm, schedule.FreshToTrial} {
				l := limits(n, nodes)
				uses, took := schedule.Play(l, trials, times, fresh)
				bound := schedule.LowerBound(l, trials, times, fresh)
				if took < bound {
					t.Errorf("%d side by side on %d nodes a type, rule %d: %v is below the bound %v", n, nodes, fresh, took, bound)
				}
				if took > alone {
					t.Errorf("%d side by side: %v, one by one %v", n, took, alone)
				}
				if ratio := took.Seconds() / bound.Seconds(); fresh == schedule.FreshToTrial && ratio > 1.25 {
					t.Errorf("%d side by side on %d nodes a type: %v is %.2f times the bound %v", n, nodes, took, ratio, bound)
				}
				if fresh == schedule.FreshToTrial && paid(uses).Hours() > 1.05*paid(serial).Hours() {
					t.Errorf("%d side by side on %d nodes a type: node hours %v, one by one %v", n, nodes, paid(uses), paid(serial))
				}
			}
		}
	}
}

// paid is the time for which nodes are paid, from their launch to their end.
func paid(uses []schedule.Use) time.Duration {
	from, to := map[string]time.Duration{}, map[string]time.Duration{}
	for _, u := range uses {
		if _, ok := from[u.Node]; !ok {
			from[u.Node] = u.From
		}
		to[u.Node] = u.To + times.Idle
		if u.Gone > 0 {
			to[u.Node] = u.Gone
		}
	}
	sum := time.Duration(0)
	for n := range from {
		sum += to[n] - from[n]
	}
	return sum
}

// Whatever the limits, no two trials share a node, no limit is passed, every trial runs once, and blocks stay together.
func TestPlayKeepsTheRules(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	for range 60 {
		trials := blocks(1 + r.IntN(12))
		l := limits(1+r.IntN(20), 1+r.IntN(5))
		if r.IntN(2) == 0 {
			l.USDPerHour = 2 + 10*r.Float64()
		}
		if r.IntN(2) == 0 {
			l.VCPUs = map[string]int{"standard": 48 + r.IntN(300)}
		}
		rule := schedule.Nodes(r.IntN(3))
		uses, took := schedule.Play(l, trials, times, rule)
		if len(uses) != len(trials) {
			t.Fatalf("%d uses of %d trials", len(uses), len(trials))
		}
		if bound := schedule.LowerBound(l, trials, times, rule); took < bound {
			t.Errorf("%v is below the bound %v: %+v", took, bound, l)
		}
		check(t, l, trials, uses, rule)
	}
}

func check(t *testing.T, l schedule.Limits, trials []schedule.Trial, uses []schedule.Use, rule schedule.Nodes) {
	t.Helper()
	started := map[int]bool{}
	served := map[string]bool{}
	for i, u := range uses {
		started[u.Trial] = true
		nodes, vcpus, usd, running := 0, 0, 0.0, 0
		for _, o := range uses[:i+1] {
			if o.To+times.Between <= u.From {
				continue
			}
			running++
			m := l.Machine(o.Type)
			vcpus += m.VCPU
			usd += m.USDPerHour
			if o.Type == u.Type {
				nodes++
			}
			if o.Trial != u.Trial && o.Node == u.Node {
				t.Fatalf("trials %d and %d share %s", o.Trial, u.Trial, u.Node)
			}
		}
		if quota, ok := l.VCPUs["standard"]; running > l.Parallel || nodes > l.Machine(u.Type).Nodes || l.USDPerHour > 0 && usd > l.USDPerHour+1e-6 || ok && vcpus > quota {
			t.Fatalf("limits %+v are passed: %d running, %d of %s, %d vCPUs, $%v", l, running, nodes, u.Type, vcpus, usd)
		}
		if key := trials[u.Trial].Arm + " " + u.Node; rule != schedule.Reused && served[key] {
			t.Fatalf("arm and node met twice: %s", key)
		} else {
			served[key] = true
		}
		// Every trial of a block that lies far enough behind has started.
		for k, o := range trials {
			if ahead := 2 + l.Parallel/6; o.Block < trials[u.Trial].Block-ahead && !started[k] {
				t.Fatalf("trial %d of block %d starts before trial %d of block %d", u.Trial, trials[u.Trial].Block, k, o.Block)
			}
		}
	}
}

func TestQueueAsksForTypes(t *testing.T) {
	q := schedule.New(limits(2, 1), []schedule.Trial{{Arm: "a"}, {Arm: "b"}, {Arm: "c"}}, false)
	if _, ok := q.Next(); ok {
		t.Error("a trial without a type starts")
	}
	for _, kind := range []string{"c7a", "c7a", "m6a"} {
		i, ok := q.Untyped()
		if !ok {
			t.Fatal("no trial lacks its type")
		}
		q.Type(i, kind)
	}
	first, _ := q.Next()
	second, _ := q.Next()
	if first != 0 || second != 2 {
		t.Errorf("%d and %d start, want 0 and 2: trial 1 waits for the node of trial 0", first, second)
	}
	q.End(first)
	if third, ok := q.Next(); !ok || third != 1 || q.Waiting() != 0 {
		t.Errorf("%d, %v starts at last", third, ok)
	}
}

func TestLostNodesAreNotWaitedFor(t *testing.T) {
	q := schedule.New(limits(4, 2), []schedule.Trial{{Type: "c7a"}, {Type: "c7a"}, {Type: "c7a"}}, true)
	a, _ := q.Next()
	b, _ := q.Next()
	q.Lose("c7a")
	q.End(a)
	if i, ok := q.Next(); ok {
		t.Errorf("trial %d starts on a node that cannot be had", i)
	}
	q.Lose("c7a") // the last one stays
	q.End(b)
	if _, ok := q.Next(); !ok {
		t.Error("nothing starts although no trial runs")
	}
}

func TestImpossible(t *testing.T) {
	l := limits(4, 2)
	l.USDPerHour, l.VCPUs = 1.5, map[string]int{"standard": 40}
	err := l.Check([]string{"c7a", "t1", "c7a"})
	if err == nil || !strings.Contains(err.Error(), "one c7a costs $2.00 an hour") || !strings.Contains(err.Error(), "one c7a has 48 vCPUs") || strings.Contains(err.Error(), "t1") {
		t.Errorf("%v", err)
	}
	if err := limits(4, 2).Check([]string{"c7a"}); err != nil {
		t.Error(err)
	}
}
