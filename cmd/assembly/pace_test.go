package assembly

import (
	"testing"
	"time"

	"github.com/compspec/ocifit-lab/experiments/schedule"
	"github.com/compspec/ocifit-lab/provision"
	"github.com/compspec/ocifit-lab/provision/cost"
	"github.com/compspec/ocifit-lab/provision/lab"
	"github.com/compspec/ocifit-lab/templates"
)

// The controlled study with 16 trials side by side stays near what no order could beat, and costs no more than one after another.
func TestControlledSideBySide(t *testing.T) {
	l := assembled(t, "sim", "experiment: {study: controlled}\n")
	s, err := LoadStudy(l.Spec)
	if err != nil {
		t.Fatal(err)
	}
	for _, most := range []int{1, 16} {
		for i := range l.Spec.NodeGroups {
			if !l.Spec.NodeGroups[i].Sticky {
				l.Spec.NodeGroups[i].Max = most
			}
		}
		list, err := l.Paces(t.Context(), s)
		if err != nil {
			t.Fatal(err)
		}
		alone, sixteen := list[0], list[len(list)-1]
		t.Logf("at most %d nodes a type: %+v", most, list)
		if alone.Parallel != 1 || sixteen.Parallel != 16 {
			t.Fatalf("paces %+v", list)
		}
		if sixteen.Hours > 1.25*sixteen.LeastHours {
			t.Errorf("at most %d nodes a type: %.2f h, the bound is %.2f h", most, sixteen.Hours, sixteen.LeastHours)
		}
		if sixteen.USD > 1.05*alone.USD {
			t.Errorf("at most %d nodes a type: $%.2f side by side, $%.2f one after another", most, sixteen.USD, alone.USD)
		}
		for _, p := range list {
			if p.Hours < p.LeastHours || p.Hours > alone.Hours {
				t.Errorf("%+v, alone %+v", p, alone)
			}
		}
	}
	if sixteen, err := l.Paces(t.Context(), s); err != nil || sixteen[3].Hours > 1 {
		t.Errorf("the study does not fit into an hour: %+v, %v", sixteen, err)
	}
}

// A lab in which nothing may be chosen is planned all the same, so that the preflight can say why.
func TestNothingToChoose(t *testing.T) {
	l := assembled(t, "sim", "")
	l.Spec.Webhook.Skip = l.Spec.InstanceTypes()
	s, err := LoadStudy(l.Spec)
	if err != nil {
		t.Fatal(err)
	}
	f, err := l.Forecast(t.Context(), s, 1)
	if err != nil {
		t.Fatal(err)
	}
	if len(f.Bill.Unpriced) > 0 || f.Bill.Parts[cost.BusyNodes] > 0 {
		t.Errorf("%+v", f.Bill)
	}
}

// No forecast of a study is above its worst case, however many trials run side by side and however long nodes idle.
func TestWorstCaseIsNeverPassed(t *testing.T) {
	for _, name := range templates.Studies() {
		l := assembled(t, "sim", "experiment: {study: "+name+"}\n")
		s, err := LoadStudy(l.Spec)
		if err != nil {
			t.Fatal(err)
		}
		p, err := l.player(t.Context(), s)
		if err != nil {
			t.Fatal(err)
		}
		for _, idle := range []time.Duration{0, time.Minute, 10 * time.Minute, time.Hour} {
			p.costs.ScaleDownAfter = idle
			for _, parallel := range []int{1, 3, 16} {
				f, least := p.play(parallel)
				if f.USD > f.WorstUSD || f.Hours > f.WorstHours || f.Hours < least.Hours() {
					t.Errorf("%s, %d side by side, idle %s: $%.2f in %.2f h, the worst case is $%.2f in %.2f h, the bound %s", name, parallel, idle, f.USD, f.Hours, f.WorstUSD, f.WorstHours, least)
				}
			}
		}
	}
}

// Every arm of every shipped study has its type before anything runs, but for models that are none of ours.
func TestTypesAreDecided(t *testing.T) {
	l := assembled(t, "sim", "")
	s, err := LoadStudy(l.Spec)
	if err != nil {
		t.Fatal(err)
	}
	trials, err := l.decided(s, nil)
	if err != nil || len(trials) != 180 {
		t.Fatalf("%d trials, %v", len(trials), err)
	}
	types := map[string]bool{}
	for _, x := range trials {
		if !l.Spec.HasGroup(x.Type) || x.Type == lab.Default().NodeGroups[0].InstanceType {
			t.Errorf("%+v comes to a type that it cannot", x)
		}
		types[x.Type] = true
	}
	if len(types) < 10 {
		t.Errorf("all arms come to %v", types)
	}
	s.Arms[1].Model = "mine"
	own, err := l.decided(s, nil)
	if err != nil {
		t.Fatal(err)
	}
	drawn := map[string]bool{}
	for _, x := range own {
		if x.Arm == s.Arms[1].Name {
			drawn[x.Type] = true
		}
	}
	if len(drawn) < 5 {
		t.Errorf("a model of one's own was decided for: %v", drawn)
	}
}

// Two families share nothing, and two types of one share its quota: 16 vCPUs let one trial of either run at a time.
func TestQuotasBoundWhatRunsSideBySide(t *testing.T) {
	machine := schedule.Machine{Nodes: 4, VCPU: 16}
	limits := schedule.Limits{Parallel: 8, Machines: map[string]schedule.Machine{"a": machine, "b": machine, "c": machine}}
	trials := []schedule.Trial{{Type: "a"}, {Type: "b"}, {Type: "a"}, {Type: "c"}}
	times := schedule.Times{Run: time.Minute}
	if _, took := schedule.Play(limits, trials, times, schedule.FreshToTrial); took != time.Minute {
		t.Errorf("without quotas it took %s", took)
	}
	limits = applyQuotas(limits, provision.Quotas{Family: map[string]string{"a": "one", "b": "one", "c": "two"}, VCPUs: map[string]int{"one": 16, "two": 16}})
	if _, took := schedule.Play(limits, trials, times, schedule.FreshToTrial); took != 3*time.Minute {
		t.Errorf("with quotas it took %s", took)
	}
}
