package compat

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const valid = `{"version":"v1alpha1","compatibilities":[
 {"tag":"random","description":"any type","rules":[{"matchModel":{"model":{"platforms":{"arm64":"r/i:arm","amd64":"r/i:amd"},"direction":"random","name":"random"}}}]},
 {"tag":"fom","weight":2,"rules":[{"matchModel":{"model":{"type":"lasso","platforms":{"amd64":"r/i:amd"},"direction":"maximize","name":"fom","filename":"f.joblib"}}}]}]}`

func TestDecodeModels(t *testing.T) {
	m, err := DecodeModels([]byte(valid))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"random", "fom"}, m.Tags()); diff != "" {
		t.Error(diff)
	}
	fom, ok := m.Find("fom")
	want := &Model{Type: "lasso", Platforms: map[string]string{"amd64": "r/i:amd"}, Direction: Maximize, Name: "fom", Filename: "f.joblib"}
	if diff := cmp.Diff(want, fom); !ok || diff != "" {
		t.Error(diff)
	}
	if _, ok := m.Find("nope"); ok {
		t.Error("found a tag that is not there")
	}
	data, err := EncodeModels(m)
	if err != nil {
		t.Fatal(err)
	}
	again, err := DecodeModels(data)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(m, again); diff != "" {
		t.Error(diff)
	}
}

func TestDecodeModelsRefuses(t *testing.T) {
	edit := func(from, to string) string { return strings.Replace(valid, from, to, 1) }
	for name, c := range map[string]struct{ data, says string }{
		"not JSON":        {"hello", "JSON"},
		"empty":           {"", "JSON"},
		"trailing":        {valid + "{}", "JSON"},
		"unknown field":   {edit(`"weight":2`, `"wait":2`), "wait"},
		"wrong case":      {edit(`"weight":2`, `"Weight":2`), "Weight"},
		"repeated field":  {edit(`"weight":2`, `"weight":2,"weight":3`), "weight"},
		"feature spec":    {edit(`"matchModel"`, `"matchFeatures"`), "matchFeatures"},
		"other version":   {edit(`v1alpha1`, `v9`), "v9"},
		"no entries":      {`{"version":"v1alpha1","compatibilities":[]}`, "at least one"},
		"same tag twice":  {edit(`"tag":"fom"`, `"tag":"random"`), "repeats the tag"},
		"no tag":          {edit(`"tag":"fom"`, `"tag":""`), "tag is empty"},
		"no rule":         {`{"version":"v1alpha1","compatibilities":[{"tag":"a","rules":[]}]}`, "0 rules"},
		"no name":         {edit(`"name":"fom"`, `"name":""`), "model.name"},
		"wrong direction": {edit(`"maximize"`, `"up"`), `"up"`},
		"no platforms":    {edit(`{"amd64":"r/i:amd"}`, `{}`), "model.platforms"},
		"empty image":     {edit(`{"amd64":"r/i:amd"}`, `{"amd64":""}`), "amd64"},
		"wrong type":      {edit(`"weight":2`, `"weight":"2"`), "weight"},
		"too large":       {strings.Repeat(" ", MaxArtifactBytes+1), "limit"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := DecodeModels([]byte(c.data))
			if err == nil || !strings.Contains(err.Error(), c.says) {
				t.Errorf("error %v does not say %q", err, c.says)
			}
		})
	}
}

func FuzzDecodeModels(f *testing.F) {
	f.Add([]byte(valid))
	f.Add([]byte(`{"version":"v1alpha1","compatibilities":[{}]}`))
	f.Add([]byte(strings.Repeat(`[`, 2000)))
	f.Fuzz(func(t *testing.T, data []byte) {
		m, err := DecodeModels(data)
		if err != nil {
			return
		}
		again, err := EncodeModels(m)
		if err != nil {
			t.Fatal(err)
		}
		back, err := DecodeModels(again)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(m, back); diff != "" {
			t.Fatal(diff)
		}
	})
}

func TestDecisionAnnotation(t *testing.T) {
	score, seed := 31.227516417709687, uint64(1<<63)
	d := Decision{
		Model: "fom", Direction: Maximize, InstanceType: "hpc7g.16xlarge", Architecture: "arm64", Image: "r/i:arm",
		Score: &score, Seed: &seed, RunnerUp: &RunnerUp{"c7a.12xlarge", 27.069801573959687}, TieBreak: "price",
		Candidates: 100,
	}
	for i := range 100 {
		d.Tied = append(d.Tied, fmt.Sprint("t", i))
	}
	text, err := d.Annotation()
	if err != nil {
		t.Fatal(err)
	}
	back, err := ParseDecision(text)
	if err != nil {
		t.Fatal(err)
	}
	want := d
	want.Tied, want.Omitted = d.Tied[:64], map[string]int{"tied": 36}
	if diff := cmp.Diff(&want, back); diff != "" {
		t.Error(diff)
	}
	if _, err := ParseDecision("{"); err == nil {
		t.Error("a broken annotation was accepted")
	}
}

func TestFluxViewImage(t *testing.T) {
	if got := FluxViewImage("arm64"); got != "ghcr.io/converged-computing/flux-view-rocky:arm-9" {
		t.Error(got)
	}
	if got := FluxViewImage("amd64"); got != "ghcr.io/converged-computing/flux-view-rocky:tag-9" {
		t.Error(got)
	}
}
