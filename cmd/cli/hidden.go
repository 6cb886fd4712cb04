package cli

import (
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"github.com/compspec/ocifit-lab/addons/builtin"
	"github.com/compspec/ocifit-lab/addons/builtin/minicluster"
	"github.com/compspec/ocifit-lab/cmd/assembly"
	"github.com/compspec/ocifit-lab/cmd/supervisor"
	"github.com/compspec/ocifit-lab/provision/kind"
	"github.com/compspec/ocifit-lab/provision/registry"
	"github.com/compspec/ocifit-lab/provision/registry/login"
)

// registryServeCmd is what the container beside a kind cluster runs.
func (a *app) registryServeCmd() *cobra.Command {
	return &cobra.Command{
		Use: kind.RegistryCommand + " ADDRESS FOLDER", Short: "Serve an OCI registry (started by up)", Hidden: true,
		Args: cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			r, err := registry.Start(cmd.Context(), registry.Options{
				Addr: args[0], Dir: args[1], Log: a.Err, Login: login.Login{Password: os.Getenv(kind.RegistryPassword)}, Readable: true,
			})
			if err != nil {
				return err
			}
			a.say("serving on %s", r.Addr())
			<-r.Done()
			return r.Stop()
		},
	}
}

// miniclusterCmd is what the deployment of the builtin MiniCluster controller runs.
func (a *app) miniclusterCmd() *cobra.Command {
	return &cobra.Command{
		Use: builtin.Command, Short: "Run the MiniCluster controller of this cluster (installed by up)", Hidden: true,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return assembly.RunMiniClusters(cmd.Context(), minicluster.Options{
				Log:   func(format string, args ...any) { fmt.Fprintf(a.Err, format+"\n", args...) },
				Ready: func() { a.say("watching MiniClusters") },
			})
		},
	}
}

func (a *app) supervisorCmd() *cobra.Command {
	return &cobra.Command{
		Use: supervisor.Command + " SETTINGS", Short: "Run the simulated cluster (started by up)", Hidden: true,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error { return supervisor.Run(cmd.Context(), args[0]) },
	}
}
