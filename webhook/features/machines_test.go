package features

import (
	"fmt"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/compspec/ocifit-lab/webhook/compat"
)

func with(m map[string]string, pairs ...string) map[string]string {
	out := map[string]string{}
	for k, v := range m {
		out[k] = v
	}
	for i := 0; i < len(pairs); i += 2 {
		out[pairs[i]] = pairs[i+1]
	}
	return out
}

// Machines are merged type by type: what one node has hides neither the other types nor, where it is not discovered
// yet, its own row in the catalogue.
func TestMachines(t *testing.T) {
	x := NewIndex("")
	x.SetCatalogue(catalogue(t, labels("m", "arm64", "old"), labels("c", "amd64", "old")))
	needs := []string{kernel, "flavor"}
	what := func(key, value string) []string {
		var out []string
		excludes := func(c Candidate) string {
			if have, ok := c.Labels[key]; key != "" && (!ok || have != value) {
				return "has " + have
			}
			return ""
		}
		for _, c := range x.Machines(needs, excludes, []string{key}) {
			if excludes(c) == "" {
				out = append(out, fmt.Sprint(c.InstanceType, " ", c.Labels[kernel], " ", c.Labels["flavor"], " ", c.Live))
			}
		}
		slices.Sort(out)
		return out
	}
	check := func(name string, got []string, want ...string) {
		t.Helper()
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
	check("no nodes: the catalogue", what("", ""), "c old  false", "m old  false")
	check("no nodes, one type", what(compat.LabelInstanceType, "c"), "c old  false")
	for i := range 6 {
		flavor := "vanilla"
		if i == 5 {
			flavor = "mint"
		}
		x.Put(Node{Name: fmt.Sprint("n", i), Labels: with(labels("c", "amd64", "new"), "flavor", flavor, "kubernetes.io/hostname", fmt.Sprint("n", i))})
	}
	check("live nodes and the other type's row", what("", ""), "c new mint true", "c new vanilla true", "m old  false")
	check("by flavour", what("flavor", "mint"), "c new mint true")
	check("by host", what("kubernetes.io/hostname", "n5"), "c new mint true")
	check("no such host", what("kubernetes.io/hostname", "n9"))
	check("a type that only the catalogue has", what(compat.LabelInstanceType, "m"), "m old  false")
	x.Remove("n5")
	check("the odd one left", what(compat.LabelInstanceType, "c"), "c new vanilla true")
	x.Put(Node{Name: "n6", Labels: map[string]string{compat.LabelInstanceType: "m", compat.LabelArch: "arm64", "kubernetes.io/hostname": "n6", "disk": "ssd"}})
	check("a node without discovered labels: those of its type's row", what(compat.LabelInstanceType, "m"), "m old  true")
	check("its own labels stay: the host", what("kubernetes.io/hostname", "n6"), "m old  true")
	check("its own labels stay: any other", what("disk", "ssd"), "m old  true")
	x.Put(Node{Name: "n7", Labels: map[string]string{compat.LabelInstanceType: "z", compat.LabelArch: "arm64"}})
	check("a type that nothing is known of", what(compat.LabelInstanceType, "z"), "z   true")
}

// The generation tells when to ask again: on what changes a row, and not on every event.
func TestGeneration(t *testing.T) {
	x := NewIndex("")
	changed := func(f func()) bool {
		before := x.Generation()
		f()
		return x.Generation() != before
	}
	put := func(name, typ, kern, host string) func() {
		return func() {
			x.Put(Node{Name: name, Labels: with(labels(typ, "amd64", kern), "kubernetes.io/hostname", host)})
		}
	}
	for _, c := range []struct {
		what string
		do   func()
		want bool
	}{
		{"a catalogue", func() { x.SetCatalogue(catalogue(t, labels("c", "amd64", "old"))) }, true},
		{"the first node", put("n1", "c", "1", "a"), true},
		{"the same again", put("n1", "c", "1", "a"), false},
		{"a second of its kind", put("n2", "c", "1", "b"), false},
		{"another address", put("n2", "c", "1", "c"), false},
		{"another kernel", put("n2", "c", "2", "c"), true},
		{"the balance between kinds", put("n3", "c", "2", "d"), true},
		{"an unknown node goes", func() { x.Remove("n9") }, false},
		{"one of two kinds goes", func() { x.Remove("n1") }, true},
		{"one of a kind goes", func() { x.Remove("n2") }, false},
		{"the last goes", func() { x.Remove("n3") }, true},
	} {
		if got := changed(c.do); got != c.want {
			t.Errorf("%s: changed is %v", c.what, got)
		}
	}
}

func BenchmarkMerge(b *testing.B) {
	for _, c := range []struct{ types, nodes int }{{25, 25}, {1000, 10_000}} {
		b.Run(fmt.Sprintf("types=%d/nodes=%d", c.types, c.nodes), func(b *testing.B) {
			x := NewIndex("")
			for i := range c.nodes {
				x.Put(Node{Name: fmt.Sprint("n", i), Labels: labels(fmt.Sprint("t", i%c.types), "amd64", "1")})
			}
			b.ReportAllocs()
			for b.Loop() {
				x.Candidates(knows{"1"}, nil, nil)
			}
		})
	}
}

func BenchmarkNodeEvent(b *testing.B) {
	x := NewIndex("")
	l := labels("t", "amd64", "1")
	for i := range 60 {
		l[compat.FeaturePrefix+fmt.Sprint("cpu-cpuid.", i)] = "true"
	}
	for i := range 10_000 {
		x.Put(Node{Name: fmt.Sprint("n", i), Labels: l})
	}
	b.ReportAllocs()
	for b.Loop() {
		x.Put(Node{Name: "n7", Labels: l})
	}
}
