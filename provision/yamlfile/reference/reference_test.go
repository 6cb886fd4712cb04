package reference

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestMarkdown(t *testing.T) {
	defaults := map[string]any{"name": "a", "tags": map[string]string{"x": "y"}, "parts": []any{map[string]int{"size": 1}}}
	got, err := Markdown("testdata/sample", "Root", defaults)
	if err != nil {
		t.Fatal(err)
	}
	want := strings.Join([]string{
		"",
		"| field | what it takes | default | meaning |",
		"|---|---|---|---|",
		"| `name` | text | `a` | what the thing is called; a \\| b are both fine |",
		"| `wait` | duration such as `15m` |  | how long |",
		"| `colour` | `red`, `blue` |  | of its front; `red`: the colour of fire; `blue`: that of the sea |",
		"| `parts` | list of mapping |  | see `parts[]` |",
		"| `spare` | mapping of text to mapping |  | further parts, by name; see `parts[]` |",
		"| `tags` | mapping of text to text |  | your own |",
		"",
		"### `parts[]`",
		"",
		"A piece of it.",
		"",
		"| field | what it takes | default | meaning |",
		"|---|---|---|---|",
		"| `size` | whole number |  | in metres |",
		"| `loud` | true or false |  | whether it makes a noise |",
		"",
	}, "\n")
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestMarkdownRefuses(t *testing.T) {
	for _, tc := range []struct{ name, root, want string }{
		{"a field without a comment", "Bare", "Bare.Mute has no comment to say what mute means"},
		{"a type that is not there", "Nobody", "no struct Nobody"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if _, err := Markdown("testdata/sample", tc.root, nil); err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("error %v, want %q", err, tc.want)
			}
		})
	}
}

func TestCheck(t *testing.T) {
	file := filepath.Join(t.TempDir(), "README.md")
	write := func(text string) {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("head\n" + begin + "old\n" + end + "foot\n")
	if err := Check(file, "new\n", false); err == nil || !strings.Contains(err.Error(), "- old\n+ new") {
		t.Errorf("a document that differs: error %v", err)
	}
	if err := Check(file, "new\n", true); err != nil {
		t.Error(err)
	}
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if want := "head\n" + begin + "new\n" + end + "foot\n"; string(data) != want {
		t.Errorf("the document became %q, want %q", data, want)
	}
	if err := Check(file, "new\n", false); err != nil {
		t.Error(err)
	}
	write("no marks\n")
	if err := Check(file, "new\n", true); err == nil {
		t.Error("a document without marks was taken")
	}
}
