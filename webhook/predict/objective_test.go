package predict

import (
	"strings"
	"testing"

	"github.com/compspec/ocifit-lab/webhook/compat"
	"github.com/compspec/ocifit-lab/webhook/features"
)

// knows scores types by their names.
func knows(t *testing.T, name string, direction compat.Direction, scores map[string]float64) *Model {
	t.Helper()
	m := Model{Name: name, Direction: direction, KnownValues: map[string][]string{"x/type": nil}}
	for kind, score := range scores {
		m.KnownValues["x/type"] = append(m.KnownValues["x/type"], kind)
		m.Combinations = append(m.Combinations, map[string]string{"x/type": kind})
		m.Terms = append(m.Terms, Term{Coefficient: score, When: []Condition{{"x/type", kind}}})
	}
	out, err := NewModel(m)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func TestRankByObjective(t *testing.T) {
	speed := knows(t, "fom", compat.Maximize, map[string]float64{"big": 40, "wide": 30, "small": 9, "free": 50, "broken": -1})
	slow := knows(t, "mpi", compat.Minimize, map[string]float64{"big": 4, "wide": 3, "small": 9})
	duration := knows(t, compat.TimeModel, compat.Minimize, map[string]float64{"big": 600, "wide": 900, "small": 30})
	prices := map[string]float64{"big": 4, "wide": 2, "small": 0.5, "broken": 0.1}
	var rows []features.Candidate
	for _, kind := range []string{"big", "wide", "small", "free", "broken"} {
		rows = append(rows, features.Candidate{InstanceType: kind, Architecture: "amd64", Labels: map[string]string{"x/type": kind}})
	}
	for _, c := range []struct {
		model           *Model
		objective, want string
		left            map[string]string // a reason by type
	}{
		{speed, "", "free", nil},
		{speed, "per-dollar", "small", map[string]string{"free": "price is not known", "broken": "not worth anything"}},
		{speed, "usd-per-hour<=3", "wide", map[string]string{"free": "price is not known", "big": "an hour costs $4"}},
		{speed, "per-dollar,minutes<=20,usd-per-hour<=4", "small", map[string]string{"broken": "model duration cannot tell"}},
		{speed, "minutes<=12,usd-per-hour<=4", "big", map[string]string{"wide": "model duration predicts 15.0"}},
		{slow, "per-dollar", "small", map[string]string{"free": "not a value"}}, // 9 x 0.5 against 3 x 2 and 4 x 4
		{slow, "", "wide", nil},
	} {
		o, err := compat.ParseObjective(c.objective)
		if err != nil {
			t.Fatal(err)
		}
		table, err := Rank(c.model, "", rows, Options{Prices: prices, Objective: o, Time: duration})
		if err != nil {
			t.Fatalf("%s of %s: %v", c.objective, c.model.Name, err)
		}
		if table.Selected != c.want || table.Objective != o.String() {
			t.Errorf("%q of %s chooses %s, want %s", c.objective, c.model.Name, table.Selected, c.want)
		}
		why := map[string]string{}
		for _, l := range table.LeftOut {
			why[l.InstanceType] = l.Reason
		}
		for _, l := range table.Scores {
			why[l.InstanceType] += strings.Join(l.OutOfDomain, "; ")
		}
		for kind, says := range c.left {
			if !strings.Contains(why[kind], says) {
				t.Errorf("%q of %s: %s is %q, want %q", c.objective, c.model.Name, kind, why[kind], says)
			}
		}
	}
	o, _ := compat.ParseObjective("per-dollar")
	table, err := Rank(speed, "", rows, Options{Prices: prices, Objective: o})
	if err != nil {
		t.Fatal(err)
	}
	if r := table.RunnerUp; r == nil || r.InstanceType != "wide" || r.Score != 30 { // 15 per dollar, big has 10
		t.Errorf("the runner-up is %+v", r)
	}
	if _, err := Rank(speed, "", rows, Options{Prices: prices, Objective: compat.Objective{MaxMinutes: 5}}); err == nil || !strings.Contains(err.Error(), "there is no model duration") {
		t.Errorf("a bound that nothing can tell: %v", err)
	}
	bounded := Options{Prices: prices, Objective: compat.Objective{MaxUSDPerHour: 1}}
	for seed := range uint64(20) {
		if table, err := Draw(seed, rows, bounded); err != nil || table.Selected == "big" || table.Selected == "free" {
			t.Fatalf("a draw below a dollar is %s, %v", table.Selected, err)
		}
	}
}

func TestFrontier(t *testing.T) {
	m := knows(t, "fom", compat.Maximize, map[string]float64{"big": 40, "wide": 30, "small": 9, "poor": 8, "same": 40, "unknown": 100})
	prices := map[string]float64{"big": 4, "wide": 2, "small": 0.5, "poor": 0.5, "same": 5}
	var rows []features.Candidate
	for _, kind := range []string{"big", "wide", "small", "poor", "same", "unknown"} {
		rows = append(rows, features.Candidate{InstanceType: kind, Labels: map[string]string{"x/type": kind}})
	}
	table, err := Rank(m, "", rows, Options{Prices: prices})
	if err != nil {
		t.Fatal(err)
	}
	var on []string
	for _, l := range table.WithFrontier().Scores {
		if l.Frontier {
			on = append(on, l.InstanceType)
		}
	}
	if got := strings.Join(on, " "); got != "big wide small" {
		t.Errorf("on the frontier: %s", got)
	}
	for _, l := range table.Scores {
		if l.Frontier {
			t.Error("a table that is shared was changed")
		}
	}
}
