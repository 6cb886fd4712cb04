package assembly

import (
	"testing"

	"github.com/compspec/ocifit-lab/provision/lab"
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
		list, err := l.Paces(s)
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
	if sixteen, err := l.Paces(s); err != nil || sixteen[3].Hours > 1 {
		t.Errorf("the study does not fit into an hour: %+v, %v", sixteen, err)
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
	if _, err := l.Paces(s); err == nil {
		t.Error("a model of one's own is decided")
	}
}
