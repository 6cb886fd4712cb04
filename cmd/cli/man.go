package cli

import (
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"
	"github.com/spf13/cobra/doc"
)

func (a *app) manCmd() *cobra.Command {
	return &cobra.Command{
		Use:     "man DIR",
		Short:   "Write the manual pages of all commands into a folder",
		Example: "  ocifit-lab man /usr/local/share/man/man1",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			dir := args[0]
			if err := os.MkdirAll(dir, 0o755); err != nil {
				return err
			}
			root := cmd.Root()
			root.DisableAutoGenTag = true // the date would make every build's pages differ
			header := &doc.GenManHeader{Section: "1", Source: "ocifit-lab " + version, Manual: "ocifit-lab"}
			if err := doc.GenManTree(root, header, dir); err != nil {
				return err
			}
			return a.Print(map[string]string{"folder": dir}, func(w io.Writer) error {
				_, err := fmt.Fprintf(w, "wrote the manual pages into %s; read them with: man -l %s/ocifit-lab.1\n", dir, dir)
				return err
			})
		},
	}
}
