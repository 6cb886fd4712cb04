package cli

import (
	"fmt"
	"io"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"

	"github.com/compspec/ocifit-lab/cmd/ui"
)

// version is set by the build.
var version = "dev"

// pinned are the modules whose versions decide how a lab behaves.
var pinned = []string{
	"k8s.io/kubernetes", "go.etcd.io/etcd/server/v3", "sigs.k8s.io/kwok", "helm.sh/helm/v3", "oras.land/oras-go/v2",
	"github.com/distribution/distribution/v3", "github.com/weaveworks/eksctl", "sigs.k8s.io/kind",
}

func (a *app) versionCmd() *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Print the version of ocifit-lab and of the parts inside it",
		Args:  cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			info := struct {
				Version    string            `json:"version"`
				Go         string            `json:"go"`
				Platform   string            `json:"platform"`
				Components map[string]string `json:"components"`
			}{version, runtime.Version(), runtime.GOOS + "/" + runtime.GOARCH, components()}
			return a.Print(info, func(w io.Writer) error {
				fmt.Fprintf(w, "ocifit-lab %s (%s, %s)\n", info.Version, info.Go, info.Platform)
				var rows [][]string
				for _, m := range pinned {
					if v := info.Components[m]; v != "" {
						rows = append(rows, []string{m, v})
					}
				}
				ui.Table(w, []string{"COMPONENT", "VERSION"}, rows)
				return nil
			})
		},
	}
}

func components() map[string]string {
	out := map[string]string{}
	build, ok := debug.ReadBuildInfo()
	if !ok {
		return out
	}
	for _, m := range build.Deps {
		for _, p := range pinned {
			if m.Path == p {
				out[p] = m.Version
			}
		}
	}
	return out
}
