package study

import (
	"flag"
	"testing"

	"github.com/compspec/ocifit-lab/provision/yamlfile/reference"
)

var update = flag.Bool("update", false, "rewrite what is generated in README.md")

// TestReference keeps README.md true to the types.
func TestReference(t *testing.T) {
	shortest := "apiVersion: " + APIVersion + "\nname: shortest\narms: [{name: random, model: random}]\n"
	defaults, err := Load([]byte(shortest), "shortest.yaml")
	if err != nil {
		t.Fatal(err)
	}
	defaults.APIVersion, defaults.Name, defaults.Arms = "", "", nil // these have none
	text, err := reference.Markdown(".", "Study", defaults)
	if err != nil {
		t.Fatal(err)
	}
	if err := reference.Check("README.md", text, *update); err != nil {
		t.Error(err)
	}
}

// TestExample reads the example of README.md as a user's file.
func TestExample(t *testing.T) {
	example, err := reference.Example("README.md")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Load(example, "README.md"); err != nil {
		t.Error(err)
	}
}
