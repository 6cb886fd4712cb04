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
		{"tag", head + "artifact: {tag: v1+build}\n", `artifact.tag "v1+build" is no tag`},
		{"empty tag", head + "artifact: {tag: \"\"}\n", `artifact.tag "" is no tag`},
		{"repository with capitals", head + "artifact: {repository: ghcr.io/You/compat}\n", "must be lowercase"},
		{"repository with a tag", head + "artifact: {repository: ghcr.io/you/compat:v1}\n", "leave out the tag"},
		{"repository without a registry", head + "artifact: {repository: compat}\n", "not a repository"},
		{"image", head + "artifact: {images: {amd64: \"ghcr.io/You/app:1\"}}\n", "artifact.images.amd64"},
		{"node image", head + "kind: {nodeImage: \"kindest/node v1\"}\n", "kind.nodeImage"},
		{"namespace of the control plane", head + "experiment: {namespace: kube-system}\n", "experiment.namespace kube-system is not for trials"},
		{"namespace of the lab", head + "experiment: {namespace: ocifit-system}\n", "is not for trials"},
		{"long namespace", head + "experiment: {namespace: " + strings.Repeat("n", 64) + "}\n", "at most 63"},
		{"results at home", head + "experiment: {results: \"~/res\"}\n", "~ is a shell's word"},
		{"no results", head + "experiment: {results: \"\"}\n", "experiment.results is empty"},
		{"skip with a space", head + "webhook: {skip: [\"t3.2xlarge \"]}\n", `"t3.2xlarge " is not in the catalogue (did you mean t3.2xlarge?)`},
		{"skip misspelt", head + "webhook: {skip: [hpc7g.16large]}\n", "did you mean hpc7g.16xlarge?"},
		{"region", head + "region: us-east-1a\n", `region "us-east-1a" is no AWS region`},
		{"kubernetes version", head + "kubernetesVersion: v1.34.1\n", "write a minor version in quotes"},
		{"time scale that is no number", head + "sim: {timeScale: .nan}\n", "sim.timeScale is NaN"},
		{"endless time scale", head + "sim: {timeScale: .inf}\n", "sim.timeScale is +Inf"},
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

// A program that refuses more than the one before must still find the lab, to take it down.
func TestLoadSavedForgives(t *testing.T) {
	file := filepath.Join(t.TempDir(), "lab.yaml")
	if err := os.WriteFile(file, []byte(head+"name: old\nwebhook: {skip: [hpc7g.16large]}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if s, err := LoadSaved(file); err != nil || s.Name != "old" {
		t.Errorf("%+v, %v", s, err)
	}
}
