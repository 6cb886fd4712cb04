package reference

import (
	"fmt"
	"os"
	"strings"
)

// The marks between which a document holds what Markdown wrote.
const (
	begin = "<!-- generated from the comments in the source; rewrite it with: go test . -update -->\n"
	end   = "<!-- end of what is generated -->\n"
)

// Check compares what stands between the marks of a document with text, and with update writes text there.
func Check(file, text string, update bool) error {
	data, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	before, rest, ok := strings.Cut(string(data), begin)
	old, after, closed := strings.Cut(rest, end)
	if !ok || !closed {
		return fmt.Errorf("%s lacks the marks %q and %q", file, begin, end)
	}
	if old == text {
		return nil
	}
	if !update {
		return fmt.Errorf("%s is not what the source says%s\nrun `go test . -update` in its folder", file, difference(old, text))
	}
	return os.WriteFile(file, []byte(before+begin+text+end+after), 0o644)
}

// difference shows the first line in which two texts differ.
func difference(old, text string) string {
	was, is := strings.Split(old, "\n"), strings.Split(text, "\n")
	for i := range max(len(was), len(is)) {
		a, b := lineAt(was, i), lineAt(is, i)
		if a != b {
			return fmt.Sprintf(":\n- %s\n+ %s", a, b)
		}
	}
	return ""
}

func lineAt(lines []string, i int) string {
	if i < len(lines) {
		return lines[i]
	}
	return "(nothing)"
}

// Example is the first YAML example of a document, for a test that it can be read.
func Example(file string) ([]byte, error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	_, rest, ok := strings.Cut(string(data), "```yaml\n")
	text, _, closed := strings.Cut(rest, "```\n")
	if !ok || !closed {
		return nil, fmt.Errorf("%s has no example in YAML", file)
	}
	return []byte(text), nil
}
