package compat

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// byLabel is a specification in the list shape; byFeature says nearly the same in NFD's.
const byLabel = `{"version":"v1alpha1","compatibilities":[
 {"tag":"r/i:new","weight":-1,"rules":[{"matchFeatures":[{"matchExpressions":[
   {"op":"In","key":"feature.node.kubernetes.io/system-os_release.ID","value":["amzn","rhel"]},
   {"op":"Gte","key":"feature.node.kubernetes.io/kernel-version.full","value":"6.1"}]}]}]},
 {"tag":"r/i:old","weight":-5,"description":"any","rules":[{"matchFeatures":[{"matchExpressions":[{"op":"Exists","key":"kubernetes.io/arch"}]}]}]}]}`

const byFeature = `
version: v1alpha1
compatibilities:
- description: what the image needs
  rules:
  - name: kernel and cpu
    matchFeatures:
    - feature: kernel.version
      matchExpressions:
        major: {op: Ge, value: ["6"]}
    - feature: cpu.model
      matchExpressions:
        vendor_id: {op: In, value: [Intel, AMD]}
        family: {op: GtLt, value: ["5", "30"]}
  - name: a card
    matchAny:
    - matchFeatures:
      - feature: pci.device
        matchExpressions:
          vendor: {op: In, value: ["10de", "1002"]}
          class: {op: In, value: ["0300"]}
    - matchFeatures:
      - feature: cpu.cpuid
        matchExpressions:
          AVX512F: {op: Exists}
`

func nfd(pairs ...string) map[string]string {
	m := map[string]string{LabelArch: "amd64"}
	for i := 0; i < len(pairs); i += 2 {
		m[FeaturePrefix+pairs[i]] = pairs[i+1]
	}
	return m
}

func TestFeaturesByLabel(t *testing.T) {
	f, err := DecodeFeatures([]byte(byLabel))
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		labels map[string]string
		want   string
	}{
		"fits both, higher weight": {nfd("system-os_release.ID", "amzn", "kernel-version.full", "6.1.134-152.225.amzn2023.x86_64"), "r/i:new"},
		"older kernel":             {nfd("system-os_release.ID", "amzn", "kernel-version.full", "5.10.236"), "r/i:old"},
		"label absent":             {nfd("system-os_release.ID", "amzn"), "r/i:old"},
		"nothing":                  {map[string]string{}, ""},
	} {
		best, ok := f.Best(c.labels)
		if ok != (c.want != "") || ok && best.Tag != c.want {
			t.Errorf("%s: %+v", name, best)
		}
	}
	want := []string{"feature.node.kubernetes.io/kernel-version.full", "feature.node.kubernetes.io/system-os_release.ID", "kubernetes.io/arch"}
	if diff := cmp.Diff(want, f.Labels()); diff != "" {
		t.Error(diff)
	}
}

func TestFeaturesByNFD(t *testing.T) {
	f, err := DecodeFeatures([]byte(byFeature))
	if err != nil {
		t.Fatal(err)
	}
	good := []string{"kernel-version.major", "6", "cpu-model.vendor_id", "AMD", "cpu-model.family", "25"}
	for name, c := range map[string]struct {
		labels map[string]string
		want   bool
	}{
		"flag":         {nfd(append(good, "cpu-cpuid.AVX512F", "true")...), true},
		"card":         {nfd(append(good, "pci-0300_1002.present", "true")...), true},
		"neither":      {nfd(good...), false},
		"other vendor": {nfd(append(good, "cpu-cpuid.AVX512F", "true", "cpu-model.vendor_id", "ARM")...), false},
		"at the bound": {nfd(append(good, "cpu-cpuid.AVX512F", "true", "cpu-model.family", "30")...), false},
		"old kernel":   {nfd(append(good, "cpu-cpuid.AVX512F", "true", "kernel-version.major", "5")...), false},
	} {
		if _, ok := f.Best(c.labels); ok != c.want {
			t.Errorf("%s: %v; %+v", name, ok, f.Entries[0].Check(c.labels))
		}
	}
	lines := f.Entries[0].Check(nfd(good...))
	if len(lines) != 5 || lines[3].Group != 1 || lines[3].Label != FeaturePrefix+"pci-0300_10de.present or "+FeaturePrefix+"pci-0300_1002.present" || lines[3].OK || !lines[0].OK || lines[0].Have != "6" {
		t.Errorf("%+v", lines)
	}
}

func TestOperators(t *testing.T) {
	for _, c := range []struct {
		op     Op
		values []string
		have   string // "-" is absent
		list   bool   // in the list shape
		nfd    bool   // in NFD's
	}{
		{OpIn, []string{"a", "b"}, "b", true, true},
		{OpIn, []string{"a"}, "b", false, false},
		{OpIn, []string{"a"}, "-", false, false},
		{OpNotIn, []string{"a"}, "b", true, true},
		{OpNotIn, []string{"a"}, "a", false, false},
		{OpNotIn, []string{"a"}, "-", true, false},
		{OpInRegexp, []string{"^x", "z$"}, "abz", true, true},
		{OpInRegexp, []string{"^x"}, "ax", false, false},
		{OpExists, nil, "", true, true},
		{OpExists, nil, "-", false, false},
		{OpDoesNotExist, nil, "-", true, true},
		{OpDoesNotExist, nil, "x", false, false},
		{OpGt, []string{"9"}, "10", true, true},
		{OpGt, []string{"10"}, "10", false, false},
		{OpGt, []string{"-3"}, "-2", true, true},
		{OpGt, []string{"1"}, "word", false, false},
		{OpLt, []string{"6.2"}, "6.1.134-152.amzn2023", true, true},
		{OpLt, []string{"99999999999999999999"}, "99999999999999999998", true, true},
		{"Ge", []string{"6.1"}, "6.1", true, true},
		{"Gte", []string{"6.1"}, "6.10", true, true},
		{"Gte", []string{"6.10"}, "6.9", false, false},
		{"Le", []string{"6.1"}, "6.1.0", false, false},
		{"Lte", []string{"v2"}, "1.9", true, true},
		{OpGtLt, []string{"1", "3"}, "2", true, true},
		{OpGtLt, []string{"1", "3"}, "3", false, false},
		{OpGeLe, []string{"1", "3"}, "3", true, true},
		{OpIsTrue, nil, "true", true, true},
		{OpIsTrue, nil, "yes", false, false},
		{OpIsFalse, nil, "false", true, true},
		{OpIsFalse, nil, "-", false, false},
	} {
		x, err := newExpression("k", c.op, c.values)
		if err != nil {
			t.Fatal(err)
		}
		labels := map[string]string{}
		if c.have != "-" {
			labels["k"] = c.have
		}
		if got := x.Holds(labels); got != c.nfd {
			t.Errorf("%s on %q: %v", &x, c.have, got)
		}
		x.absentIsNotIn = true
		if got := x.Holds(labels); got != c.list {
			t.Errorf("%s on %q in a list: %v", &x, c.have, got)
		}
	}
}

func TestVersionsAreOrdered(t *testing.T) {
	ordered := []string{"-20", "-3", "0", "1", "1.0", "2", "4.18.0-553.el8", "5.10.236-228.935.amzn2.x86_64", "6.1.9", "6.1.134-152.225.amzn2023.aarch64", "6.1.134-152.225.amzn2023.x86_64", "6.10"}
	for i, a := range ordered {
		for j, b := range ordered {
			got := compareVersions(a, b)
			if (got < 0) != (i < j) || (got > 0) != (i > j) {
				t.Errorf("compare %s and %s: %d", a, b, got)
			}
		}
	}
}

func TestDecodeFeaturesRefuses(t *testing.T) {
	edit := func(text, from, to string) string {
		if !strings.Contains(text, from) {
			panic(from)
		}
		return strings.Replace(text, from, to, 1)
	}
	many := make([]string, maxExpressions+1)
	for i := range many {
		many[i] = `{"op":"Exists","key":"k"}`
	}
	for name, c := range map[string]struct{ data, says string }{
		"empty":          {"", "version"},
		"not JSON":       {"{", "neither JSON nor YAML"},
		"model artifact": {valid, "matchModel"},
		"version":        {edit(byLabel, "v1alpha1", "v2"), `"v2"`},
		"unknown field":  {edit(byLabel, `"weight"`, `"wait"`), "wait"},
		"repeated field": {edit(byLabel, `"weight":-1`, `"weight":-1,"weight":2`), "weight"},
		"operator":       {edit(byLabel, `"Gte"`, `"Near"`), "Near"},
		"no key":         {edit(byLabel, `"key":"kubernetes.io/arch"`, `"key":""`), "no key"},
		"values":         {edit(byLabel, `"op":"Exists"`, `"op":"Exists","value":["x"]`), "takes 0"},
		"no values":      {edit(byLabel, `["amzn","rhel"]`, `[]`), "takes 1 to"},
		"pattern":        {edit(edit(byLabel, `"op":"In"`, `"op":"InRegexp"`), `amzn`, `(`), "pattern"},
		"not a number":   {edit(byLabel, `"6.1"`, `"new"`), "neither"},
		"value a number": {edit(byLabel, `"6.1"`, `6`), "value"},
		"no rules":       {`{"version":"v1alpha1","compatibilities":[{"tag":"a","rules":[]}]}`, "no rules"},
		"empty rule":     {`{"version":"v1alpha1","compatibilities":[{"tag":"a","rules":[{}]}]}`, "neither"},
		"empty list":     {`{"version":"v1alpha1","compatibilities":[{"tag":"a","rules":[{"matchFeatures":[]}]}]}`, "neither"},
		"spaces":         {edit(byLabel, "r/i:new", "r/i new"), "spaces"},
		"list, feature":  {edit(byLabel, `{"matchExpressions"`, `{"feature":"cpu.model","matchExpressions"`), "a map"},
		"feature":        {edit(byFeature, "kernel.version", "kernel.loadedmodule"), "in no node label"},
		"matchName":      {edit(byFeature, "    - feature: kernel.version\n      matchExpressions:\n        major: {", "    - feature: kernel.version\n      matchName: {"), "matchName"},
		"device":         {edit(byFeature, "class: {op: In, value: [\"0300\"]}", "device: {op: Exists}"), "class and vendor"},
		"key in a map":   {edit(byFeature, "major: {op: Ge,", "major: {key: x, op: Ge,"), "key of its own"},
		"twice in YAML":  {byFeature + "version: v1alpha1\n", "version"},
		"too many":       {edit(byLabel, `{"op":"Exists","key":"kubernetes.io/arch"}`, strings.Join(many, ",")), "expressions"},
		"too deep":       {strings.Repeat("[", 100) + strings.Repeat("]", 100), "nested"},
		"too large":      {strings.Repeat(" ", MaxArtifactBytes+1), "limit"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := DecodeFeatures([]byte(c.data))
			if err == nil || !strings.Contains(err.Error(), c.says) {
				t.Errorf("error %v does not say %q", err, c.says)
			}
		})
	}
}

// The same weight: the first in the file, whatever it is.
func TestBestIsTheFirstOfEqualWeight(t *testing.T) {
	entry := func(tag string, weight int) string {
		return fmt.Sprintf(`{"tag":%q,"weight":%d,"rules":[{"matchFeatures":[{"matchExpressions":[{"op":"DoesNotExist","key":"x"}]}]}]}`, tag, weight)
	}
	for _, c := range []struct {
		weights []int
		want    string
	}{{[]int{0, 0}, "t0"}, {[]int{-7, -7, -9}, "t0"}, {[]int{1, 3, 3, 2}, "t1"}, {[]int{-1, 0}, "t1"}} {
		var list []string
		for i, w := range c.weights {
			list = append(list, entry(fmt.Sprint("t", i), w))
		}
		f, err := DecodeFeatures([]byte(`{"version":"v1alpha1","compatibilities":[` + strings.Join(list, ",") + `]}`))
		if err != nil {
			t.Fatal(err)
		}
		if best, _ := f.Best(nil); best.Tag != c.want {
			t.Errorf("weights %v: %s", c.weights, best.Tag)
		}
	}
}

func FuzzDecodeFeatures(f *testing.F) {
	f.Add([]byte(byLabel))
	f.Add([]byte(byFeature))
	f.Add([]byte("version: v1alpha1\ncompatibilities: &a\n- rules: *a\n"))
	f.Add([]byte(`{"version":"v1alpha1","compatibilities":[{"rules":[{"matchAny":[{"matchFeatures":[{"feature":"usb.device","matchExpressions":{"class":{"op":"In","value":"1"}}}]}]}]}]}`))
	labels := nfd("kernel-version.full", "6.1", "system-os_release.ID", "amzn")
	f.Fuzz(func(t *testing.T, data []byte) {
		spec, err := DecodeFeatures(data)
		if err != nil {
			return
		}
		best, ok := spec.Best(labels)
		for i := range spec.Entries {
			e := &spec.Entries[i]
			lines := e.Check(labels)
			if len(lines) == 0 {
				t.Fatal("an entry without expressions was accepted")
			}
			if !slices.ContainsFunc(lines, func(l CheckLine) bool { return !l.OK }) && !e.Holds(labels) {
				t.Fatal("every line holds, but not the entry")
			}
			if e.Holds(labels) && (!ok || best.Weight < e.Weight) {
				t.Fatal("not the best entry")
			}
		}
	})
}
