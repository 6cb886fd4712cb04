package predict

import (
	"slices"
	"strings"
	"testing"
)

const small = `{"format":"ocifit-lab.model/v1","name":"m","direction":"minimize","labels":{"a":{"label":"x/a","known":["1","2"]}},
 "intercept":1.5,"terms":[{"when":{"a":"2"},"add":2},{"when":{},"add":0.25}]}`

func TestDecodeModel(t *testing.T) {
	m, err := DecodeModel([]byte(small))
	if err != nil {
		t.Fatal(err)
	}
	if got, out := m.Score(map[string]string{"x/a": "2"}); got != 3.75 || len(out) > 0 {
		t.Error(got, out)
	}
	edit := func(from, to string) string { return strings.Replace(small, from, to, 1) }
	for name, c := range map[string]struct{ data, says string }{
		"not JSON":        {"x", "model file"},
		"other format":    {edit("/v1", "/v2"), "format"},
		"unknown field":   {edit(`"intercept"`, `"code":"x","intercept"`), "code"},
		"no name":         {edit(`"m"`, `""`), "name"},
		"reserved name":   {edit(`"m"`, `"random"`), "random"},
		"direction":       {edit(`"minimize"`, `"random"`), "direction"},
		"unknown alias":   {edit(`{"a":"2"}`, `{"b":"2"}`), `"b"`},
		"unknown value":   {edit(`{"a":"2"}`, `{"a":"3"}`), "x/a=3"},
		"no label":        {edit(`"x/a"`, `""`), "no label"},
		"no known values": {edit(`["1","2"]`, `[]`), "0 known values"},
		"too large":       {edit(`1.5`, `1e200`), "within"},
		"infinite":        {edit(`1.5`, `1e999`), "model file"},
		"two aliases":     {edit(`"a":{`, `"b":{"label":"x/a","known":["1"]},"a":{`), "two aliases"},
	} {
		if _, err := DecodeModel([]byte(c.data)); err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: error %v does not say %q", name, err, c.says)
		}
	}
}

func TestModelRoundTrip(t *testing.T) {
	s := loadStudy(t)
	for name, m := range models(t) {
		data, err := EncodeModel(m)
		if err != nil {
			t.Fatal(err)
		}
		back, err := DecodeModel(data)
		if err != nil {
			t.Fatal(err)
		}
		if back.Source != m.Source || !slices.Equal(back.Labels(), m.Labels()) {
			t.Errorf("%s came back as %+v", name, back.Source)
		}
		for _, c := range s.types {
			a, _ := m.Score(c.Labels)
			if b, _ := back.Score(c.Labels); a != b {
				t.Errorf("%s on %s: %v became %v", name, c.InstanceType, a, b)
			}
		}
	}
}

func FuzzDecodeModel(f *testing.F) {
	f.Add([]byte(small))
	f.Add([]byte(`{"format":"ocifit-lab.model/v1","name":"m","direction":"maximize","labels":{},"intercept":-1e140,"terms":[{"when":null,"add":1e140}]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		m, err := DecodeModel(data)
		if err != nil {
			return
		}
		labels := map[string]string{}
		for l, known := range m.KnownValues {
			labels[l] = known[0]
		}
		if _, out := m.Score(labels); len(out) > 0 {
			t.Fatalf("known values are out of domain: %q", out)
		}
		if _, err := EncodeModel(m); err != nil {
			t.Fatal(err)
		}
	})
}
