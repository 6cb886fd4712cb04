package assembly

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/compspec/ocifit-lab/addons/compatibility"
	"github.com/compspec/ocifit-lab/provision/lab"
	"github.com/compspec/ocifit-lab/templates"
	"github.com/compspec/ocifit-lab/webhook/features"
	"github.com/compspec/ocifit-lab/webhook/predict"
)

// The rules read what the catalogue writes, and each chooses a type of it.
func TestRulesReadTheCatalogue(t *testing.T) {
	models, err := predict.BuiltIn()
	if err != nil {
		t.Fatal(err)
	}
	rows, err := features.ParseCatalogue(templates.NodeFeatures(nil))
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range models {
		for _, n := range m.Numbers {
			if !slices.Contains(templates.Facts(), n.Label) {
				t.Errorf("%s reads %s, which the catalogue does not have", m.Name, n.Label)
			}
		}
		if table, err := predict.Rank(m, "", rows, predict.Options{}); err != nil || table.Selected == "" {
			t.Errorf("%s chooses nothing: %v", m.Name, err)
		}
	}
}

func TestOwnModels(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) string {
		file := filepath.Join(dir, name)
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		return file
	}
	const model = `{"format":"ocifit-lab.model/v1","name":"NAME","direction":"maximize","labels":{},"intercept":1,"terms":[]}`
	own := write("own.json", strings.Replace(model, "NAME", "own", 1))
	spec := lab.Default()
	spec.Artifact.Models = []string{own}
	models, err := artifactModels(spec)
	if err != nil || models[len(models)-1].Name != "own" {
		t.Fatal(models, err)
	}
	bundle, err := compatibility.Build(spec.Artifact.Images, spec.Artifact.Models)
	if err != nil || len(bundle.Models) != 1 || !strings.Contains(string(bundle.Data), `"own"`) {
		t.Errorf("%d models, %v", len(bundle.Models), err)
	}
	for says, files := range map[string][]string{
		"own.json is called own too":               {own, write("again.json", strings.Replace(model, "NAME", "own", 1))},
		"a model of the program is called fom too": {write("fom.json", strings.Replace(model, "NAME", "fom", 1))},
		"no such file":                             {filepath.Join(dir, "none.json")},
		"broken.json: model file":                  {write("broken.json", "{")},
	} {
		spec.Artifact.Models = files
		if _, err := artifactModels(spec); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("error %v does not say %q", err, says)
		}
	}
}
