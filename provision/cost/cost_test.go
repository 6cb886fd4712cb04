package cost_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/compspec/ocifit-lab/provision/cost"
)

var began = time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)

// at is a moment after the beginning.
func at(d time.Duration) time.Time { return began.Add(d) }

func lab() cost.Lab {
	return cost.Lab{
		Prices: cost.Prices{
			Node:         map[string]float64{"t3.2xlarge": 0.36, "c7a.12xlarge": 3.6, "m6a.12xlarge": 1.8},
			ControlPlane: 0.1, Extended: 0.6, Credit: 0.05, CreditArm: 0.04,
		},
		Groups: []cost.Group{
			{Name: "sticky", InstanceType: "t3.2xlarge", Min: 1, Desired: 1, Max: 1, VCPU: 8},
			{Name: "c7a", InstanceType: "c7a.12xlarge", Max: 1},
			{Name: "m6a", InstanceType: "m6a.12xlarge", Max: 1},
		},
		ControlPlane: true, ScaleDownAfter: 10 * time.Minute,
	}
}

func near(t *testing.T, what string, got, want float64) {
	t.Helper()
	if math.Abs(got-want) > 1e-9 {
		t.Errorf("%s is %v, want %v", what, got, want)
	}
}

func TestMeterPaysStartRunAndIdleTail(t *testing.T) {
	m := cost.NewMeter(lab())
	m.Start(began)
	m.Use(cost.Use{Node: "a", InstanceType: "c7a.12xlarge", From: at(10 * time.Minute), Ready: at(12 * time.Minute), To: at(14 * time.Minute)})
	b := m.Bill(at(15 * time.Minute))
	near(t, "start", b.Parts[cost.StartingNodes], 2*0.06)
	near(t, "run", b.Parts[cost.BusyNodes], 2*0.06)
	near(t, "idle so far", b.Parts[cost.IdleNodes], 1*0.06)
	near(t, "control plane", b.Parts[cost.ControlPlane], 0.025)
	near(t, "standing node", b.Parts[cost.StandingNodes], 0.09)
	near(t, "so far", b.USD, 0.3+0.025+0.09)
	near(t, "committed", b.Committed, 14*0.06+0.025+0.09)

	// Used again before it goes, it is the same node: no second start, and one tail.
	m.Use(cost.Use{Node: "a", InstanceType: "c7a.12xlarge", From: at(16 * time.Minute), Ready: at(16 * time.Minute), To: at(18 * time.Minute)})
	near(t, "nodes", nodes(m.Bill(at(time.Hour))), 18*0.06)
	m.Gone("a", at(20*time.Minute))
	near(t, "nodes after an early end", nodes(m.Bill(at(time.Hour))), 10*0.06)
}

func nodes(b *cost.Bill) float64 {
	return b.Parts[cost.StartingNodes] + b.Parts[cost.BusyNodes] + b.Parts[cost.IdleNodes]
}

func TestMeterIsARunningSum(t *testing.T) {
	// Whatever the order and the times of asking, the sum is that of all uses told at once.
	r := rand.New(rand.NewPCG(7, 7))
	for range 50 {
		asked, silent := cost.NewMeter(lab()), cost.NewMeter(lab())
		now := time.Duration(0)
		for i := range 40 {
			u := cost.Use{Node: fmt.Sprint(i / (1 + r.IntN(3))), InstanceType: "c7a.12xlarge", From: at(now)}
			u.Ready = u.From.Add(time.Duration(r.IntN(120)) * time.Second)
			u.To = u.Ready.Add(time.Duration(r.IntN(600)) * time.Second)
			now += u.To.Sub(u.From) + time.Duration(r.IntN(900))*time.Second
			asked.Use(u)
			silent.Use(u)
			asked.Bill(at(now))
		}
		a, b := asked.Bill(at(now+time.Hour)), silent.Bill(at(now+time.Hour))
		if math.Abs(a.USD-b.USD) > 1e-6 || math.Abs(a.USD-a.Committed) > 1e-6 {
			t.Fatalf("asked on the way %v (committed %v), asked once %v", a.USD, a.Committed, b.USD)
		}
	}
}

func TestExtendedSupportBegins(t *testing.T) {
	l := cost.Lab{Prices: lab().Prices, ControlPlane: true, StandardUntil: at(2 * time.Hour)}
	near(t, "over the end of standard support", l.Standing(began, at(5*time.Hour)), 2*0.1+3*0.6)
	near(t, "after it", l.Standing(at(3*time.Hour), at(4*time.Hour)), 0.6)
	near(t, "rate before", l.Rate(began).Idle, 0.1)
	near(t, "rate after", l.Rate(at(2*time.Hour)).Idle, 0.6)
}

func TestSurplusCredits(t *testing.T) {
	l := lab()
	l.Groups = append(l.Groups, cost.Group{Name: "t4g", InstanceType: "t4g.2xlarge", Max: 1, VCPU: 8})
	l.Prices.Node["t4g.2xlarge"] = 0.24
	l.ScaleDownAfter = 6 * time.Minute
	m := cost.NewMeter(l)
	// Twelve minutes on all vCPUs in a life of 18: 60% of the life less than the baseline's 40% of it.
	m.Use(cost.Use{Node: "a", InstanceType: "t4g.2xlarge", From: began, Ready: began, To: at(12 * time.Minute)})
	near(t, "credits", m.Bill(at(time.Hour)).Parts[cost.Credits], (0.2-0.4*0.3)*8*0.04)
	// A node that idles long enough earns what it used.
	m.Use(cost.Use{Node: "b", InstanceType: "t4g.2xlarge", From: began, Ready: at(20 * time.Minute), To: at(21 * time.Minute)})
	near(t, "credits", m.Bill(at(time.Hour)).Parts[cost.Credits], (0.2-0.4*0.3)*8*0.04)
}

func TestUnpricedIsNamed(t *testing.T) {
	l := lab()
	delete(l.Prices.Node, "c7a.12xlarge")
	m := cost.NewMeter(l)
	m.Use(cost.Use{Node: "a", InstanceType: "c7a.12xlarge", From: began, Ready: began, To: at(time.Minute)})
	if b := m.Bill(at(time.Hour)); fmt.Sprint(b.Unpriced) != "[c7a.12xlarge]" {
		t.Errorf("unpriced: %v", b.Unpriced)
	}
	if r := l.Rate(began); fmt.Sprint(r.Unpriced) != "[c7a.12xlarge]" {
		t.Errorf("unpriced in the rate: %v", r.Unpriced)
	}
}

func TestStandingNodesAreNotPaidTwice(t *testing.T) {
	m := cost.NewMeter(lab())
	m.Start(began)
	m.Use(cost.Use{Node: "s", InstanceType: "t3.2xlarge", From: began, Ready: began, To: at(6 * time.Minute)})
	b := m.Bill(at(time.Hour))
	near(t, "nodes", nodes(b), 0)
	near(t, "standing", b.Parts[cost.StandingNodes], 0.36)
}

func TestNodesThatNothingTakesAway(t *testing.T) {
	l := lab()
	l.ScaleDownAfter = 0
	m := cost.NewMeter(l)
	m.Use(cost.Use{Node: "a", InstanceType: "c7a.12xlarge", From: began, Ready: began, To: at(time.Minute)})
	for _, minutes := range []int{10, 60} {
		b := m.Bill(at(time.Duration(minutes) * time.Minute))
		near(t, "nodes", nodes(b), float64(minutes)*0.06)
		near(t, "committed", b.Committed, b.USD)
	}
}

var times = cost.Times{Create: 20 * time.Minute, Delete: 15 * time.Minute, Start: 110 * time.Second, Warm: 18 * time.Second, Run: 57 * time.Second, LongRun: 75 * time.Second, Between: 5 * time.Second}

func TestForecast(t *testing.T) {
	l := lab()
	trials := cost.Study{May: [][]string{{"c7a.12xlarge"}, {"m6a.12xlarge", "c7a.12xlarge"}, {"c7a.12xlarge"}}, Retries: 1}
	at := func(seconds int) time.Duration { return time.Duration(seconds) * time.Second }
	// One node for two trials, and another that came in its place.
	trials.Uses = []cost.PlayedUse{
		{Node: "a", InstanceType: "c7a.12xlarge", From: 0, Ready: at(110), To: at(167)},
		{Node: "a", InstanceType: "c7a.12xlarge", From: at(172), Ready: at(190), To: at(247), Gone: at(252)},
		{Node: "b", InstanceType: "c7a.12xlarge", From: at(252), Ready: at(362), To: at(419)},
	}
	trials.Took = at(424)
	f := l.Forecast(trials, times, began)
	near(t, "nodes", nodes(f.Bill), (252+167+600)/3600.0*3.6)
	near(t, "hours", f.Hours, (20*60+15*60+424)/3600.0)
	near(t, "worst", f.WorstUSD, 6*(110+75+600)/3600.0*3.6+f.WorstHours*0.46)
	near(t, "usd", f.USD, f.Bill.Committed)
	near(t, "worst hours", f.WorstHours, (20*60+15*60+6*(110+75+5))/3600.0)
}

// A group has room for so many machines: another one's start tells that one was ended before its time.
func TestMeterSeesReplacedNodes(t *testing.T) {
	m := cost.NewMeter(lab())
	m.Use(cost.Use{Node: "a", InstanceType: "c7a.12xlarge", From: began, Ready: began, To: at(2 * time.Minute)})
	m.Use(cost.Use{Node: "b", InstanceType: "c7a.12xlarge", From: at(3 * time.Minute), Ready: at(4 * time.Minute), To: at(5 * time.Minute)})
	near(t, "nodes", nodes(m.Bill(at(time.Hour))), (3+2+10)*0.06)
}

func TestReserveCountsWhatHasBegun(t *testing.T) {
	m := cost.NewMeter(lab())
	m.Start(began)
	types := []string{"c7a.12xlarge", "m6a.12xlarge"}
	one := m.Reserve("1", began, types, times)
	each := (110+75+600)/3600.0*3.6 + (110+75+5)/3600.0*0.46
	near(t, "one", one, each)
	near(t, "two", m.Reserve("2", began, types, times), 2*each)
	m.Release("1")
	near(t, "after a release", m.Reserve("2", began, types, times), each)
}
