package yamlfile

import (
	"strings"
	"testing"
)

type spec struct {
	Name   string `yaml:"name"`
	Groups []struct {
		Max int `yaml:"max"`
	} `yaml:"groups"`
	Sim struct {
		Scale float64 `yaml:"timeScale"`
	} `yaml:"sim"`
}

func TestDecode(t *testing.T) {
	for _, tc := range []struct{ name, in, want string }{
		{"unknown field", "name: a\nsim:\n  timescale: 1\n", `lab.yaml:3: unknown field "sim.timescale"`},
		{"unknown field in a list", "groups:\n- max: 1\n- min: 2\n", `lab.yaml:3: unknown field "groups[1].min"`},
		{"wrong type", "name: a\ngroups:\n- max: many\n", `lab.yaml:3: field "groups[0].max" wants a whole number, got "many"`},
		{"section wanted", "sim: 3\n", `lab.yaml:1: field "sim" wants a section with fields, got "3"`},
		{"list wanted", "groups: 3\n", `lab.yaml:1: field "groups" wants a list, got "3"`},
		{"not YAML", "name: [\n", "lab.yaml:1: did not find expected node content"},
		{"two at once", "nmae: a\nsim: {timeScale: fast}\n", `lab.yaml:2: field "sim.timeScale" wants a number, got "fast"`},
		{"two documents", "name: a\n---\nname: b\n", "more than one YAML document"},
		{"given twice", "name: a\nname: b\n", `field "name" is given twice`},
		{"empty", "", ""},
		{"good", "name: b\ngroups: [{max: 2}]\n", ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var s spec
			err := Decode([]byte(tc.in), "lab.yaml", &s)
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
	if err := Decode([]byte("sim: {}\n"), "lab.yaml", &s); err != nil {
		t.Fatal(err)
	}
	if s.Name != "default" || s.Sim.Scale != 1 {
		t.Errorf("defaults were lost: %+v", s)
	}
}
