package yamlfile

import (
	"strings"
	"testing"
	"time"
)

type spec struct {
	Name   string `yaml:"name"`
	Groups []struct {
		Max int `yaml:"max"`
	} `yaml:"groups"`
	Sim struct {
		Scale float64       `yaml:"timeScale"`
		After time.Duration `yaml:"after,omitempty"`
		Fast  bool          `yaml:"fast"`
	} `yaml:"sim"`
}

func TestDecode(t *testing.T) {
	for _, tc := range []struct{ name, in, want string }{
		{"unknown field", "name: a\nsim:\n  timescale: 1\n", `lab.yaml:3: sim.timescale: unknown field; known here: after, fast, timeScale`},
		{"unknown field in a list", "groups:\n- max: 1\n- min: 2\n", `lab.yaml:3: groups[1].min: unknown field`},
		{"wrong type", "name: a\ngroups:\n- max: many\n", `lab.yaml:3: groups[0].max: should be a whole number, not "many"`},
		{"cut number", "groups: [{max: 1.5}]\n", `lab.yaml:1: groups[0].max: should be a whole number, not "1.5"`},
		{"section wanted", "sim: 3\n", `lab.yaml:1: sim: should be a mapping, not "3"`},
		{"list wanted", "groups: 3\n", `lab.yaml:1: groups: should be a list, not "3"`},
		{"switch wanted", "sim: {fast: 1}\n", `lab.yaml:1: sim.fast: should be true or false, not "1"`},
		{"duration wanted", "sim: {after: soon}\n", `lab.yaml:1: sim.after: should be a duration such as 15m, not "soon"`},
		{"bare number is no duration", "sim: {after: 10}\n", `lab.yaml:1: sim.after: should be a duration such as 15m, not "10"`},
		{"not YAML", "name: [\n", "lab.yaml: not YAML: line 1: did not find expected node content"},
		{"two at once", "nmae: a\nsim: {timeScale: fast}\n", `lab.yaml:2: sim.timeScale: should be a number, not "fast"`},
		{"two documents", "name: a\n---\nname: b\n", "more than one YAML document"},
		{"given twice", "name: a\nname: b\n", `lab.yaml:2: name: given twice`},
		{"empty", "", ""},
		{"good", "name: b\ngroups: [{max: 2}]\nsim: {after: 10m}\n", ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var s spec
			_, err := Decode([]byte(tc.in), "lab.yaml", &s)
			switch {
			case tc.want == "" && err != nil:
				t.Errorf("error %v", err)
			case tc.want != "" && (err == nil || !strings.Contains(err.Error(), tc.want)):
				t.Errorf("error %v, want it to say %q", err, tc.want)
			}
		})
	}
}

func TestDecodeKeepsDefaults(t *testing.T) {
	s := spec{Name: "default"}
	s.Sim.Scale = 1
	lines, err := Decode([]byte("name: a\nsim:\n  fast: true\n"), "lab.yaml", &s)
	if err != nil {
		t.Fatal(err)
	}
	if lines["sim.fast"] != 3 {
		t.Errorf("lines %v", lines)
	}
	if s.Name != "a" || s.Sim.Scale != 1 {
		t.Errorf("defaults were lost: %+v", s)
	}
}

func TestLineIsThatOfTheNearestFieldAbove(t *testing.T) {
	lines := map[string]int{"a": 1, "a.b": 2, "list[0]": 5}
	for field, want := range map[string]int{"a.b": 2, "a.b.c.d": 2, "a.x": 1, "list[0].name": 5, "list[1].name": 0, "z": 0} {
		if got := Line(lines, field); got != want {
			t.Errorf("%s: line %d, want %d", field, got, want)
		}
	}
}
