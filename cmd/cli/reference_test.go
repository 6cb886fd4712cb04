package cli

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spf13/cobra"

	"github.com/compspec/ocifit-lab/cmd/cli/command"
	"github.com/compspec/ocifit-lab/provision/yamlfile/reference"
)

// visible are the commands that --help shows, each before those below it.
func visible(cmd *cobra.Command) []*cobra.Command {
	out := []*cobra.Command{cmd}
	for _, c := range cmd.Commands() {
		if c.IsAvailableCommand() && c.Name() != "help" {
			out = append(out, visible(c)...)
		}
	}
	return out
}

func sentence(text string) string {
	if strings.HasSuffix(text, "?") {
		return text
	}
	return text + "."
}

func commandReference(root *cobra.Command) string {
	var b strings.Builder
	root.InitDefaultCompletionCmd()
	for _, c := range visible(root) {
		fmt.Fprintf(&b, "## %s\n\n%s\n\n", c.CommandPath(), sentence(c.Short))
		if c.Long != "" {
			fmt.Fprintf(&b, "%s\n\n", strings.TrimSpace(c.Long))
		}
		if c.Runnable() {
			fmt.Fprintf(&b, "```\n%s\n```\n\n", c.UseLine())
		}
		if c.HasExample() {
			fmt.Fprintf(&b, "```bash\n%s\n```\n\n", strings.TrimRight(c.Example, "\n"))
		}
		if flags := c.NonInheritedFlags().FlagUsages(); flags != "" {
			fmt.Fprintf(&b, "```\n%s```\n\n", flags)
		}
	}
	return strings.TrimSpace(b.String()) + "\n"
}

// TestReference keeps README.md true to the commands.
func TestReference(t *testing.T) {
	if err := reference.Check("README.md", commandReference(newApp(command.Streams{}).root()), *update); err != nil {
		t.Error(err)
	}
}

func TestManualPages(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "man1")
	var out bytes.Buffer
	if code := Run(t.Context(), command.Streams{In: strings.NewReader(""), Out: &out, Err: &out}, []string{"man", dir}); code != command.ExitOK {
		t.Fatalf("exit code %d: %s", code, out.String())
	}
	for _, c := range visible(newApp(command.Streams{}).root()) {
		page, err := os.ReadFile(filepath.Join(dir, strings.ReplaceAll(c.CommandPath(), " ", "-")+".1"))
		if err != nil {
			t.Error(err)
			continue
		}
		if !bytes.Contains(page, []byte(".SH SYNOPSIS")) || bytes.Contains(page, []byte("Auto generated")) {
			t.Errorf("the page of %s is no manual page, or changes with the day", c.CommandPath())
		}
	}
}
