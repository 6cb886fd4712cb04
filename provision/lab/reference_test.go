package lab

import (
	"flag"
	"testing"

	"github.com/compspec/ocifit-lab/provision/yamlfile/reference"
)

var update = flag.Bool("update", false, "rewrite what is generated in README.md")

// TestReference keeps README.md true to the types.
func TestReference(t *testing.T) {
	text, err := reference.Markdown(".", "Spec", Default())
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
	if _, err := load(t, string(example)); err != nil {
		t.Error(err)
	}
}
