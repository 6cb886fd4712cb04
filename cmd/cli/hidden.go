package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/compspec/ocifit-lab/addons/builtin"
	"github.com/compspec/ocifit-lab/addons/builtin/minicluster"
	"github.com/compspec/ocifit-lab/cmd/assembly"
	"github.com/compspec/ocifit-lab/cmd/bench"
	"github.com/compspec/ocifit-lab/cmd/supervisor"
	"github.com/compspec/ocifit-lab/provision/kind"
	"github.com/compspec/ocifit-lab/provision/registry"
	"github.com/compspec/ocifit-lab/provision/registry/login"
	"github.com/compspec/ocifit-lab/provision/sim/controlplane"
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
			a.Say("serving on %s", r.Addr())
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
				Ready: func() { a.Say("watching MiniClusters") },
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

// bareControlPlaneCmd is the reference of bench: etcd and kube-apiserver alone, until standard input ends.
func (a *app) bareControlPlaneCmd() *cobra.Command {
	return &cobra.Command{
		Use: bench.ControlPlaneCommand + " FOLDER", Short: "Run etcd and kube-apiserver alone (started by bench)", Hidden: true,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			plane, err := controlplane.Start(cmd.Context(), controlplane.Options{Dir: args[0], Log: io.Discard, Bare: true})
			if err != nil {
				return err
			}
			fmt.Fprintln(a.Out, "ready")
			_, err = io.Copy(io.Discard, a.In)
			ctx, cancel := context.WithTimeout(context.WithoutCancel(cmd.Context()), 10*time.Second)
			defer cancel()
			return errors.Join(err, plane.Stop(ctx))
		},
	}
}
