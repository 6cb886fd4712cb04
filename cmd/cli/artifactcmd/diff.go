package artifactcmd

import (
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/compspec/ocifit-lab/cmd/cli/command"
	"github.com/compspec/ocifit-lab/cmd/ui"
	"github.com/compspec/ocifit-lab/provision/words"
	"github.com/compspec/ocifit-lab/webhook/artifact"
)

func (a app) diffCmd() *cobra.Command {
	var plainHTTP bool
	cmd := &cobra.Command{
		Use:   "diff REFERENCE REFERENCE",
		Short: "Compare two artifacts value by value; exits with 4 when they differ",
		Example: `  ocifit-lab artifact diff ghcr.io/you/compatibility:v1 ghcr.io/you/compatibility:v2
  ocifit-lab artifact diff oci:./layout:v1 ghcr.io/you/compatibility:v1`,
		Args: cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			var both [2]*artifact.Content
			for i, ref := range args {
				target, err := a.target(cmd.Context(), []string{ref}, plainHTTP)
				if err != nil {
					return err
				}
				if both[i], err = artifact.Pull(cmd.Context(), target.Ref, command.RegistryOptions(target)); err != nil {
					return err
				}
			}
			list, err := artifact.Diff(both[0], both[1])
			if err != nil {
				return err
			}
			if list == nil {
				list = []artifact.Difference{}
			}
			result := map[string]any{"old": both[0].Digest, "new": both[1].Digest, "differences": list}
			if err := a.Print(result, func(w io.Writer) error { return diffTable(w, list) }); err != nil {
				return err
			}
			if len(list) > 0 {
				return command.Fail(command.ExitCheck, errors.New(words.Count(len(list), "difference")))
			}
			return nil
		},
	}
	cmd.Flags().BoolVar(&plainHTTP, "plain-http", false, "speak to the registries without TLS")
	return cmd
}

func diffTable(w io.Writer, list []artifact.Difference) error {
	if len(list) == 0 {
		_, err := fmt.Fprintln(w, "no difference")
		return err
	}
	rows := make([][]string, 0, len(list))
	for _, d := range list {
		rows = append(rows, []string{d.Path, shorten(d.Old), shorten(d.New)})
	}
	return ui.Table(w, []string{"VALUE", "OLD", "NEW"}, rows)
}

// shorten keeps a table's cells readable; the JSON form has them whole.
func shorten(text string) string {
	const most = 60
	text = strings.Join(strings.Fields(text), " ")
	switch {
	case text == "":
		return "-"
	case len(text) > most:
		return text[:most] + "..."
	}
	return text
}
