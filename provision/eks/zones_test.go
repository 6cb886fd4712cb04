package eks

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestChooseZones(t *testing.T) {
	offers := map[string][]string{
		"everywhere": {"a", "b", "c", "d", "e"}, "onlyA": {"a"}, "onlyC": {"c"}, "onlyD": {"d"}, "cd": {"c", "d"}, "onlyE": {"e"},
	}
	group := func(kind string, zones ...string) NodeGroup {
		return NodeGroup{Name: kind, InstanceType: kind, Max: 1, Zones: zones}
	}
	for name, c := range map[string]struct {
		groups []NodeGroup
		keep   []string
		zones  []string
		each   [][]string
		fails  string
	}{
		"two zones at least":               {groups: []NodeGroup{group("everywhere")}, zones: []string{"a", "b"}, each: [][]string{nil}},
		"a type in one zone":               {groups: []NodeGroup{group("everywhere"), group("onlyC")}, zones: []string{"a", "c"}, each: [][]string{nil, {"c"}}},
		"the zone that serves most":        {groups: []NodeGroup{group("onlyC"), group("cd"), group("onlyD")}, zones: []string{"c", "d"}, each: [][]string{{"c"}, nil, {"d"}}},
		"wishes":                           {groups: []NodeGroup{group("everywhere", "b"), group("cd", "d")}, zones: []string{"b", "d"}, each: [][]string{{"b"}, {"d"}}},
		"a wish that the type cannot keep": {groups: []NodeGroup{group("onlyC", "a"), group("everywhere", "a")}, zones: []string{"a", "c"}, each: [][]string{{"c"}, {"a"}}},
		"a cluster keeps its zones":        {groups: []NodeGroup{group("everywhere"), group("cd")}, keep: []string{"a", "d"}, zones: []string{"a", "d"}, each: [][]string{nil, {"d"}}},
		"a new type for old zones":         {groups: []NodeGroup{group("onlyC")}, keep: []string{"a", "b"}, fails: "not offered in any zone of [a b]"},
		"a zone without control planes":    {groups: []NodeGroup{group("onlyE")}, fails: "not offered"},
		"no such type":                     {groups: []NodeGroup{group("bogus")}, fails: "bogus is not offered"},
	} {
		t.Run(name, func(t *testing.T) {
			zones, groups, err := chooseZones(c.groups, offers, []string{"a", "b", "c", "d"}, c.keep)
			if c.fails != "" {
				if err == nil || !strings.Contains(err.Error(), c.fails) {
					t.Fatalf("error %v, want %q", err, c.fails)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			var each [][]string
			for _, g := range groups {
				each = append(each, g.Zones)
			}
			if diff := cmp.Diff(c.zones, zones) + cmp.Diff(c.each, each); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestFewZones(t *testing.T) {
	if _, _, err := chooseZones([]NodeGroup{{Name: "x", InstanceType: "x"}}, map[string][]string{"x": {"a"}}, []string{"a"}, nil); err == nil {
		t.Error("one zone was enough")
	}
}

func TestFamilies(t *testing.T) {
	for kind, want := range map[string]string{
		"t3.2xlarge": "L-1216C47A", "i4i.8xlarge": "L-1216C47A", "im4gn.large": "L-1216C47A", "inf2.xlarge": "L-1945791B", "hpc7g.16xlarge": "L-F7808C92",
		"g4dn.xlarge": "L-DB2E81BA", "p4d.24xlarge": "L-417A185B", "d3.4xlarge": "L-1216C47A", "dl1.24xlarge": "L-6E869C2A", "f1.2xlarge": "L-74FC7D96",
		"x2gd.large": "L-7295265B", "trn1.2xlarge": "L-2C3B7624", "vt1.3xlarge": "L-DB2E81BA", "r7iz.8xlarge": "L-1216C47A", "u7i-12tb.224xlarge": "L-43DA4232", "u-6tb1.metal": "L-43DA4232",
	} {
		if got := familyOf(kind).quota; got != want {
			t.Errorf("%s counts against %s, want %s", kind, got, want)
		}
	}
	if families[len(families)-1].prefixes != nil {
		t.Error("the last family must take what no other does")
	}
}
