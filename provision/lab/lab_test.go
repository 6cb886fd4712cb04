package lab

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func load(t *testing.T, text string) (*Spec, error) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "lab.yaml")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return Load(file, false)
}

const head = "apiVersion: ocifit-lab/v1alpha1\n"

func TestLoadRefuses(t *testing.T) {
	for _, tc := range []struct{ name, text, want string }{
		{"no version", "name: a\n", "apiVersion is missing"},
		{"another version", "apiVersion: ocifit-lab/v9\n", `apiVersion is "ocifit-lab/v9"`},
		{"unknown field", head + "sim:\n  timescale: 1\n", `:3: sim.timescale: unknown field; known here: apiServerPort`},
		{"wrong type", head + "nodeGroups:\n- {name: a, max: lots}\n", `:3: nodeGroups[0].max: should be a whole number, not "lots"`},
		{"unknown provider", head + "provider: sims\n", `provider "sims" is not known (did you mean sim?)`},
		{"misspelt type", head + "nodeGroups:\n- {name: a, instanceType: c6a.16.xlarge, desired: 1, max: 1, sticky: true}\n", `"c6a.16.xlarge" is not in the catalogue (did you mean c6a.16xlarge?)`},
		{"two groups of one name", head + "nodeGroups:\n- {name: a, instanceType: t3.2xlarge, desired: 1, max: 1, sticky: true}\n- {name: a, instanceType: inf2.xlarge, max: 1}\n", "the name is used twice"},
		{"no sticky group", head + "nodeGroups:\n- {name: a, instanceType: t3.2xlarge, max: 1}\n", "0 node groups are sticky"},
		{"max below desired", head + "nodeGroups:\n- {name: a, instanceType: t3.2xlarge, desired: 2, max: 1, sticky: true}\n", "they must rise"},
		{"negative time scale", head + "sim: {timeScale: -1}\n", "sim.timeScale is -1"},
		{"name", head + "name: My Lab\n", `name "My Lab"`},
		{"tie-break", head + "webhook: {tieBreak: luck}\n", "choose price or first"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			_, err := load(t, tc.text)
			if err == nil || !strings.Contains(err.Error(), tc.want) || !strings.Contains(err.Error(), "lab.yaml") {
				t.Errorf("error %v, want it to name the file and say %q", err, tc.want)
			}
		})
	}
}

func TestLoadKeepsDefaults(t *testing.T) {
	got, err := load(t, head+"name: other\nwebhook:\n  skip: []\nsim:\n  nodeStart: 3m\n")
	if err != nil {
		t.Fatal(err)
	}
	want := Default()
	want.Name, want.Webhook.Skip, want.Sim.NodeStart = "other", []string{}, 3*time.Minute
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestYAMLRoundTrip(t *testing.T) {
	want := Default()
	data, err := want.YAML()
	if err != nil {
		t.Fatal(err)
	}
	got, err := load(t, string(data))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestEveryCatalogueTypeHasAGroup(t *testing.T) {
	s := Default()
	if err := s.Validate(); err != nil {
		t.Error(err)
	}
	if len(s.NodeGroups) != 22 {
		t.Errorf("%d node groups for 22 types", len(s.NodeGroups))
	}
}
