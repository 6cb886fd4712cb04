package features

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/compspec/ocifit-lab/webhook/compat"
)

const kernel = compat.FeaturePrefix + "kernel-version.full"

func labels(typ, arch, kern string) map[string]string {
	m := map[string]string{compat.LabelInstanceType: typ}
	if arch != "" {
		m[compat.LabelArch] = arch
	}
	if kern != "" {
		m[kernel] = kern
	}
	return m
}

func catalogue(t *testing.T, rows ...map[string]string) *Catalogue {
	t.Helper()
	var cs []Candidate
	for _, r := range rows {
		cs = append(cs, Candidate{Labels: r})
	}
	data, err := EncodeCatalogue(cs)
	if err != nil {
		t.Fatal(err)
	}
	c, err := LoadCatalogue(data, "")
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// knows is a model that knows some kernels.
type knows []string

func (k knows) OutOfDomain(l map[string]string) []string {
	v, ok := l[kernel]
	if !ok {
		return []string{kernel + " is absent"}
	}
	if !slices.Contains(k, v) {
		return []string{kernel + "=" + v + " is unknown"}
	}
	return nil
}

func TestParseCatalogue(t *testing.T) {
	rows, err := ParseCatalogue([]byte(`[{"node.kubernetes.io/instance-type":"b","kubernetes.io/arch":"arm64"},{"node.kubernetes.io/instance-type":"a"}]`))
	if err != nil {
		t.Fatal(err)
	}
	want := []Candidate{
		{InstanceType: "b", Architecture: "arm64", Labels: map[string]string{compat.LabelInstanceType: "b", compat.LabelArch: "arm64"}},
		{InstanceType: "a", Labels: map[string]string{compat.LabelInstanceType: "a"}},
	}
	if diff := cmp.Diff(want, rows); diff != "" {
		t.Error(diff)
	}
	for name, data := range map[string]string{
		"a BOM": "\ufeff" + `[{"node.kubernetes.io/instance-type":"a","kubernetes.io/arch":"arm64"}]`,
		"nodes": `{"kind":"List","items":[{"metadata":{"name":"n1","labels":{"node.kubernetes.io/instance-type":"a","kubernetes.io/arch":"arm64"}}},{"metadata":{"labels":{"node.kubernetes.io/instance-type":"a"}}},{"metadata":{"name":"control"}}]}`,
	} {
		if rows, err := ParseCatalogue([]byte(data)); err != nil || len(rows) != 1 || rows[0].Architecture != "arm64" {
			t.Errorf("%s: %+v, %v", name, rows, err)
		}
	}
	for name, c := range map[string]struct{ data, says string }{
		"no nodes":      {`{"kind":"List","items":[]}`, "none of the 0 nodes"},
		"not a list":    {`{}`, "list"},
		"not JSON":      {`[`, "list"},
		"not a string":  {`[{"node.kubernetes.io/instance-type":"a","x":1}]`, "strings"},
		"no type":       {`[{"node.kubernetes.io/instance-type":"a"},{"x":"y"}]`, "row 2 has no label"},
		"twice":         {`[{"node.kubernetes.io/instance-type":"a"},{"node.kubernetes.io/instance-type":"a"}]`, "row 2 repeats a of row 1"},
		"twice a label": {`[{"node.kubernetes.io/instance-type":"a","node.kubernetes.io/instance-type":"b"}]`, "duplicate"},
	} {
		if _, err := ParseCatalogue([]byte(c.data)); err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: error %v does not say %q", name, err, c.says)
		}
	}
}

func TestHash(t *testing.T) {
	a, b := labels("a", "amd64", "1"), labels("b", "arm64", "2")
	h := catalogue(t, a, b).Hash()
	if h != catalogue(t, a, b).Hash() || !strings.HasPrefix(h, "sha256:") {
		t.Error("the hash is not stable", h)
	}
	if h == catalogue(t, b, a).Hash() || h == catalogue(t, a).Hash() {
		t.Error("different catalogues have the same hash")
	}
}

func TestCandidatesMerge(t *testing.T) {
	x := NewIndex("")
	x.SetCatalogue(catalogue(t, labels("m", "arm64", "old"), labels("c", "amd64", "old")))
	x.Put(Node{Name: "n1", Labels: labels("m", "arm64", "new")})
	x.Put(Node{Name: "n2", Labels: labels("z", "amd64", "new")})
	x.Put(Node{Name: "n3", Labels: labels("a", "amd64", "")})
	x.Put(Node{Name: "n4", Labels: labels("cordoned", "amd64", "old"), Cordoned: true})
	cp := labels("cp", "amd64", "old")
	cp["node-role.kubernetes.io/control-plane"] = ""
	x.Put(Node{Name: "n5", Labels: cp})
	x.Put(Node{Name: "n6", Labels: map[string]string{"x": "y"}})

	got := map[string]Candidate{}
	var order []string
	for _, c := range x.Candidates(knows{"old"}, nil, nil) {
		got[c.InstanceType] = c
		order = append(order, c.InstanceType)
	}
	if diff := cmp.Diff([]string{"m", "c", "a", "z"}, order); diff != "" {
		t.Error(diff)
	}
	if m := got["m"]; m.Live || m.Labels[kernel] != "old" || !strings.Contains(m.Note, kernel+"=new is unknown") {
		t.Errorf("the cached row must win, and say why: %+v", m)
	}
	if z := got["z"]; !z.Live || z.Labels[kernel] != "new" || z.Note != "" {
		t.Errorf("a type without cached row keeps its live labels: %+v", z)
	}
	if m := x.Candidates(knows{"old", "new"}, nil, nil)[0]; !m.Live || m.Labels[kernel] != "new" {
		t.Errorf("known live labels must win: %+v", m)
	}
	if m := x.Candidates(nil, nil, nil)[0]; !m.Live {
		t.Errorf("without a model the live labels win: %+v", m)
	}

	x.Put(Node{Name: "n7", Labels: labels("m", "arm64", "old")})
	if m := x.Candidates(knows{"old"}, nil, nil)[0]; !m.Live || m.Labels[kernel] != "old" {
		t.Errorf("one usable live node is enough: %+v", m)
	}
	x.Remove("n1")
	x.Remove("n7")
	x.Remove("n7")
	if m := x.Candidates(knows{"old"}, nil, nil)[0]; m.Live || m.Note != "" {
		t.Errorf("a type whose nodes are gone is the cached one: %+v", m)
	}
}

func TestMissingArchFallsBack(t *testing.T) {
	x := NewIndex("")
	x.SetCatalogue(catalogue(t, labels("m", "arm64", "old")))
	x.Put(Node{Name: "n", Labels: labels("m", "", "old")})
	if m := x.Candidates(nil, nil, nil)[0]; m.Architecture != "arm64" || !strings.Contains(m.Note, "arch is absent") {
		t.Errorf("%+v", m)
	}
}

// Whatever the order of node events, the index equals one built from the final nodes.
func TestIndexIsOrderFree(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for range 50 {
		x, final := NewIndex(""), map[string]Node{}
		for range 200 {
			name := fmt.Sprint("n", rng.IntN(20))
			if rng.IntN(4) == 0 {
				x.Remove(name)
				delete(final, name)
				continue
			}
			n := Node{Name: name, Labels: labels(fmt.Sprint("t", rng.IntN(4)), "amd64", fmt.Sprint(rng.IntN(3))), Cordoned: rng.IntN(5) == 0}
			x.Put(n)
			if delete(final, name); !n.Cordoned {
				final[name] = n
			}
		}
		y := NewIndex("")
		for _, n := range final {
			y.Put(n)
		}
		if diff := cmp.Diff(y.Candidates(nil, nil, nil), x.Candidates(nil, nil, nil)); diff != "" {
			t.Fatal(diff)
		}
		if _, live := x.Size(); live != len(final) {
			t.Fatalf("%d nodes counted, want %d", live, len(final))
		}
	}
}

func FuzzParseCatalogue(f *testing.F) {
	f.Add([]byte(`[{"node.kubernetes.io/instance-type":"a","kubernetes.io/arch":"arm64"}]`))
	f.Add([]byte(`[null]`))
	f.Fuzz(func(t *testing.T, data []byte) {
		rows, err := ParseCatalogue(data)
		if err != nil {
			return
		}
		again, err := EncodeCatalogue(rows)
		if err != nil {
			t.Fatal(err)
		}
		back, err := ParseCatalogue(again)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(rows, back); diff != "" {
			t.Fatal(diff)
		}
	})
}
