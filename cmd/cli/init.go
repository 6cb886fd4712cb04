package cli

import (
	_ "embed"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/compspec/ocifit-lab/provision/atomicfile"
	"github.com/compspec/ocifit-lab/provision/lab"
	"github.com/compspec/ocifit-lab/provision/step"
)

//go:embed lab.yaml.tmpl
var labTemplate string

func (a *app) initCmd() *cobra.Command {
	var force bool
	cmd := &cobra.Command{
		Use:     "init",
		Short:   "Write lab.yaml with the study's defaults and what they mean",
		Example: "  ocifit-lab init\n  ocifit-lab init --lab small.yaml",
		Args:    cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			if _, err := os.Stat(a.LabFile); err == nil && !force {
				return step.Try(fmt.Errorf("%s exists already", a.LabFile), "edit it, or replace it with --force")
			} else if err != nil && !errors.Is(err, fs.ErrNotExist) {
				return err
			}
			if err := atomicfile.Output(a.LabFile, []byte(commentedLab()), 0o644); err != nil {
				return err
			}
			a.Say("wrote %s; next: ocifit-lab up", a.LabFile)
			return nil
		},
	}
	cmd.Flags().BoolVar(&force, "force", false, "replace an existing file")
	return cmd
}

// commentedLab fills the template's list of node groups from the defaults, so that there is one source for them.
func commentedLab() string {
	var groups strings.Builder
	for _, g := range lab.Default().NodeGroups {
		fmt.Fprintf(&groups, "- {name: %s, instanceType: %s, min: %d, desired: %d, max: %d", g.Name, g.InstanceType, g.Min, g.Desired, g.Max)
		if g.Sticky {
			groups.WriteString(", sticky: true")
		}
		if len(g.Zones) > 0 {
			fmt.Fprintf(&groups, ", zones: [%s]", strings.Join(g.Zones, ", "))
		}
		groups.WriteString("}\n")
	}
	return strings.Replace(labTemplate, "@nodeGroups@\n", groups.String(), 1)
}
