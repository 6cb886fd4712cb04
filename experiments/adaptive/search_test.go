package adaptive

import (
	"math"
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"

	"github.com/compspec/ocifit-lab/templates"
	"github.com/compspec/ocifit-lab/webhook/compat"
	"github.com/compspec/ocifit-lab/webhook/predict"
)

// study are the types of the study whose HPCG figures are known, with what a trial of 150 s costs on them.
func study(t testing.TB) (types []Type, truth map[string]float64) {
	t.Helper()
	models, err := predict.BuiltIn()
	if err != nil {
		t.Fatal(err)
	}
	truth = map[string]float64{}
	for _, m := range models {
		if m.Name != "best-measured-hpcg" {
			continue
		}
		for _, it := range templates.InstanceTypes() {
			score, out := m.Score(it.Labels)
			if len(out) > 0 {
				continue
			}
			truth[it.Name] = score
			var numbers []float64
			for _, f := range []string{templates.FactCores, templates.FactVCPUs, templates.FactMemory, templates.FactClock, templates.FactBandwidth} {
				v, err := strconv.ParseFloat(it.Facts[f], 64)
				if err != nil {
					t.Fatal(err)
				}
				numbers = append(numbers, math.Log(v))
			}
			arm := 0.0
			if it.Architecture == "arm64" {
				arm = 1
			}
			types = append(types, Type{Name: it.Name, Numbers: append(numbers, arm), USD: it.PriceUSD * 150 / 3600})
		}
	}
	return types, truth
}

func best(truth map[string]float64) float64 {
	most := 0.0
	for _, v := range truth {
		most = max(most, v)
	}
	return most
}

// found is the dollars that were spent when the pick came within 5% of the best, and those at the end with the regret there.
func found(next func() string, measure func(string), pick func() string, types []Type, truth map[string]float64) (until, end, regret float64) {
	usd := map[string]float64{}
	for _, t := range types {
		usd[t.Name] = t.USD
	}
	until = math.Inf(1)
	for name := next(); name != ""; name = next() {
		measure(name)
		end += usd[name]
		regret = 1 - truth[pick()]/best(truth)
		if regret < 0.05 {
			until = min(until, end)
		}
	}
	return until, end, regret
}

// TestSearchAgainstOrdersByChance holds the search against measuring in an order by chance and against measuring all types, over 200 seeds of the
// measurements' noise, on what the study measured of HPCG.
func TestSearchAgainstOrdersByChance(t *testing.T) {
	types, truth := study(t)
	const seeds, noise = 200, 0.05
	var sums struct{ search, chance, all, spent, regret float64 }
	for seed := range uint64(seeds) {
		r := rand.New(rand.NewPCG(seed, 1))
		s, err := New(types, Rule{Direction: compat.Maximize, First: 3, Improvement: 0.05})
		if err != nil {
			t.Fatal(err)
		}
		next := func() string {
			step, err := s.Next()
			if err != nil {
				t.Fatal(err)
			}
			return step.Type
		}
		measure := func(name string) {
			if err := s.Measured(name, []float64{truth[name] * math.Exp(noise*r.NormFloat64())}); err != nil {
				t.Fatal(err)
			}
		}
		until, end, regret := found(next, measure, s.Pick, types, truth)
		if math.IsInf(until, 1) {
			until = 2 * end // it ended without the goal, and whoever went on would pay more
		}
		sums.search += until / seeds
		sums.spent += end / seeds
		sums.regret += regret / seeds

		order := r.Perm(len(types))
		seen := map[string]float64{}
		next = func() string {
			if len(order) == 0 {
				return ""
			}
			name := types[order[0]].Name
			order = order[1:]
			return name
		}
		pick := func() string {
			pick, most := "", 0.0
			for name, v := range seen {
				if v > most {
					pick, most = name, v
				}
			}
			return pick
		}
		until, end, _ = found(next, func(name string) { seen[name] = truth[name] * math.Exp(noise*r.NormFloat64()) }, pick, types, truth)
		sums.chance += min(until, 2*end) / seeds
		sums.all += end / seeds
	}
	t.Logf("dollars until the pick is within 5%% of the best, mean of %d seeds: search %.3f, order by chance %.3f, all types %.3f; the search ends after %.3f with a regret of %.1f%%",
		seeds, sums.search, sums.chance, sums.all, sums.spent, 100*sums.regret)
	if sums.search > 0.6*sums.chance || sums.spent > 0.6*sums.all || sums.regret > 0.03 {
		t.Errorf("the search is worth too little: %+v", sums)
	}
}

func TestSearchEndsByItsRule(t *testing.T) {
	types, truth := study(t)
	for name, c := range map[string]struct {
		rule Rule
		says string
		most int
	}{
		"most":        {Rule{Direction: compat.Maximize, First: 3, Improvement: 1e-9, Most: 5}, "5 types are measured", 5},
		"money":       {Rule{Direction: compat.Maximize, First: 3, Improvement: 1e-9, MaxUSD: 0.2}, "no further measurement fits into $0.20", len(types)},
		"improvement": {Rule{Direction: compat.Maximize, First: 3, Improvement: 0.05}, "no type is expected to be better", len(types) - 1},
		"all":         {Rule{Direction: compat.Maximize, First: len(types), Improvement: 0.05}, "every type is measured", len(types)},
		"minimize":    {Rule{Direction: compat.Minimize, First: 3, Improvement: 0.05}, "no type is expected to be better", len(types) - 1},
	} {
		s, err := New(types, c.rule)
		if err != nil {
			t.Fatal(err)
		}
		var last Step
		for {
			if last, err = s.Next(); err != nil {
				t.Fatal(err)
			}
			if last.Type == "" {
				break
			}
			if err := s.Measured(last.Type, []float64{truth[last.Type], truth[last.Type] * 1.01}); err != nil {
				t.Fatal(err)
			}
		}
		if !strings.Contains(last.Why, c.says) || len(s.order) > c.most {
			t.Errorf("%s: ends after %d types: %q does not say %q", name, len(s.order), last.Why, c.says)
		}
		if c.rule.MaxUSD > 0 && s.Spent() > c.rule.MaxUSD {
			t.Errorf("%s: $%.3f were spent", name, s.Spent())
		}
		beliefs, err := s.Beliefs()
		if err != nil || len(beliefs) != len(types) {
			t.Fatal(beliefs, err)
		}
		for _, b := range beliefs {
			if b.Measured && math.Abs(b.Figure/(truth[b.Type]*math.Sqrt(1.01))-1) > 1e-9 || !(b.Low <= b.Figure && b.Figure <= b.High) {
				t.Errorf("%s: %+v, measured %v", name, b, truth[b.Type])
			}
		}
		m, err := s.Model("learnt")
		if err != nil {
			t.Fatal(err)
		}
		if score, out := m.Score(map[string]string{compat.LabelInstanceType: s.Pick()}); len(out) > 0 || math.Abs(score/(truth[s.Pick()]*math.Sqrt(1.01))-1) > 1e-9 {
			t.Errorf("%s: the model scores the pick %v (%q)", name, score, out)
		}
	}
}

func TestSearchRefuses(t *testing.T) {
	types, _ := study(t)
	good := Rule{Direction: compat.Maximize, First: 3, Improvement: 0.05}
	free := append([]Type(nil), types...)
	free[0].USD = 0
	for name, c := range map[string]struct {
		types  []Type
		change func(*Rule)
	}{
		"one type": {types[:1], func(*Rule) {}}, "direction": {types, func(r *Rule) { r.Direction = "up" }}, "first": {types, func(r *Rule) { r.First = 1 }},
		"improvement": {types, func(r *Rule) { r.Improvement = 0 }}, "NaN": {types, func(r *Rule) { r.Improvement = math.NaN() }}, "price": {free, func(*Rule) {}},
	} {
		rule := good
		c.change(&rule)
		if _, err := New(c.types, rule); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	s, err := New(types, good)
	if err != nil {
		t.Fatal(err)
	}
	for name, figures := range map[string][]float64{"none": {}, "zero": {0}, "negative": {-1}, "NaN": {math.NaN()}, "infinite": {math.Inf(1)}} {
		if err := s.Measured(types[0].Name, figures); err == nil {
			t.Errorf("%s is taken", name)
		}
	}
	if err := s.Measured("unknown", []float64{1}); err == nil {
		t.Error("a type that is no candidate is taken")
	}
}

// Two points make the posterior a formula that can be worked out by hand.
func TestProcess(t *testing.T) {
	p := &process{x: [][]float64{{0}, {1}}, length: 1, noise: 0.01}
	if _, ok := p.condition([]float64{1, 3}); !ok {
		t.Fatal("not conditioned")
	}
	r := math.Sqrt(5)
	k := (1 + r + r*r/3) * math.Exp(-r)
	// K = [1.01 k; k 1.01], y - mean = (-1, 1): alpha = (-1, 1) / (1.01 - k).
	a := 1 / (1.01 - k)
	mean, dev := p.at([]float64{1})
	if want := 2 + a*(1-k); math.Abs(mean-want) > 1e-12 {
		t.Errorf("mean %v, want %v", mean, want)
	}
	scale := (2 * a) / 2
	det := 1.01*1.01 - k*k
	if want := math.Sqrt(scale * (1 - (k*k*1.01-2*k*k+1.01)/det)); math.Abs(dev-want) > 1e-12 {
		t.Errorf("deviation %v, want %v", dev, want)
	}
	if m, d := p.at([]float64{100}); math.Abs(m-2) > 1e-9 || math.Abs(d-math.Sqrt(scale)) > 1e-9 {
		t.Errorf("far away: %v, %v", m, d)
	}
}
