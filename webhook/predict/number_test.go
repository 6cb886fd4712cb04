package predict

import (
	"math"
	"strings"
	"testing"

	"github.com/compspec/ocifit-lab/webhook/features"
)

const withNumbers = `{"format":"ocifit-lab.model/v1","name":"m","direction":"maximize","exponential":true,
 "labels":{"v":{"label":"x/vendor","known":["a","b"]}},"combinations":[{"v":"a"},{"v":"b"}],
 "numbers":{"c":{"label":"x/cores","log":true,"min":2,"max":64},"g":{"label":"x/gpus","min":0,"max":4}},
 "interval":{"level":0.9,"low":0.5,"high":2},"intercept":1,
 "terms":[{"when":{},"times":["c"],"add":0.5},{"when":{"v":"b"},"times":["g","g"],"add":0.25},{"when":{"v":"b"},"add":-1}]}`

func TestModelWithNumbers(t *testing.T) {
	m, err := DecodeModel([]byte(withNumbers))
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		vendor, cores, gpus string
		want                float64 // logarithm of the score
		says                string
	}{
		{"a", "16", "4", 1 + 0.5*math.Log(16), ""},
		{"b", "16", "4", 1 + 0.5*math.Log(16) + 0.25*16 - 1, ""},
		{"b", "2", "0", 1 + 0.5*math.Log(2) - 1, ""},
		{"a", "65", "0", 0, "x/cores=65 is outside of what model m was fitted on, 2 to 64"},
		{"a", "1", "0", 0, "outside"},
		{"a", "many", "0", 0, "x/cores=many is not a number"},
		{"a", "NaN", "0", 0, "not a number"},
		{"a", "Inf", "0", 0, "outside"},
		{"a", "", "0", 0, "x/cores is absent"},
		{"c", "16", "0", 0, "x/vendor=c is not a value"},
	} {
		labels := map[string]string{"x/vendor": c.vendor, "x/cores": c.cores, "x/gpus": c.gpus}
		if c.cores == "" {
			delete(labels, "x/cores")
		}
		got, out := m.Score(labels)
		if c.says != "" {
			if !math.IsNaN(got) || !strings.Contains(strings.Join(out, "; "), c.says) {
				t.Errorf("%v: %v, %q does not say %q", labels, got, out, c.says)
			}
			continue
		}
		if len(out) > 0 || math.Abs(math.Log(got)-c.want) > 1e-12 {
			t.Errorf("%v: %v (%q), want exp %v", labels, got, out, c.want)
		}
	}
	if got := strings.Join(m.Labels(), " "); got != "x/cores x/gpus x/vendor" {
		t.Errorf("labels %s: nodes are told apart by what a model reads", got)
	}
	// Two types that differ in a number alone have two scores.
	rows := []features.Candidate{
		{InstanceType: "small", Architecture: "amd64", Labels: map[string]string{"x/vendor": "a", "x/cores": "4", "x/gpus": "0"}},
		{InstanceType: "large", Architecture: "amd64", Labels: map[string]string{"x/vendor": "a", "x/cores": "64", "x/gpus": "0"}},
	}
	table, err := Rank(m, "", rows, Options{})
	if err != nil || table.Selected != "large" || *table.Scores[0].Score == *table.Scores[1].Score {
		t.Fatalf("%+v, %v", table, err)
	}
	if l := table.Scores[1]; *l.Low != *l.Score/2 || *l.High != *l.Score*2 {
		t.Errorf("%v to %v around %v", *l.Low, *l.High, *l.Score)
	}
	data, err := EncodeModel(m)
	if err != nil {
		t.Fatal(err)
	}
	back, err := DecodeModel(data)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range rows {
		a, _ := m.Score(c.Labels)
		if b, _ := back.Score(c.Labels); a != b || *back.Interval != *m.Interval {
			t.Errorf("%s: %v became %v", c.InstanceType, a, b)
		}
	}
}

func TestDecodeModelWithNumbers(t *testing.T) {
	edit := func(from, to string) string { return strings.Replace(withNumbers, from, to, 1) }
	for name, c := range map[string]struct{ data, says string }{
		"no label":     {edit(`"x/cores"`, `""`), "no label"},
		"two aliases":  {edit(`"x/gpus"`, `"x/cores"`), "x/cores stands twice"},
		"word as well": {edit(`"x/gpus"`, `"x/vendor"`), "x/vendor stands twice"},
		"no range":     {edit(`"max":64`, `"max":1`), "no range"},
		"logarithm":    {edit(`"min":2`, `"min":0`), "logarithm"},
		"times":        {edit(`["c"]`, `["d"]`), `"d", which is not in numbers`},
		"too many":     {edit(`["c"]`, `["c","c","c","c","c","c","c","c","c"]`), "the limit is 8"},
		"interval":     {edit(`"low":0.5`, `"low":3`), "interval"},
		"level":        {edit(`0.9`, `1`), "interval"},
		"negative":     {edit(`"low":0.5`, `"low":-0.5`), "interval"},
	} {
		if _, err := DecodeModel([]byte(c.data)); err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: error %v does not say %q", name, err, c.says)
		}
	}
}
