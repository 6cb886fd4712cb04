package cli

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/compspec/ocifit-lab/cmd/assembly"
	"github.com/compspec/ocifit-lab/provision/eks"
	"github.com/compspec/ocifit-lab/provision/eks/eksctl/child"
)

// eksCmd holds what other programs and this one call: nothing of it is for people.
func (a *app) eksCmd() *cobra.Command {
	cmd := &cobra.Command{Use: assembly.EKSCommand, Short: "Parts of provider eks that other programs call", Hidden: true}
	cmd.AddCommand(a.eksDriverCmd(), a.eksTokenCmd())
	return cmd
}

func (a *app) eksDriverCmd() *cobra.Command {
	return &cobra.Command{
		Use: assembly.EKSDriverCommand, Short: "Drive eksctl (started by up and down)", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			// Its standard output is a protocol: nothing else may be written there.
			if code := child.Main(cmd.Context(), a.In, a.Out); code != ExitOK {
				return exit{code: code}
			}
			return nil
		},
	}
}

func (a *app) eksTokenCmd() *cobra.Command {
	var cluster, region, profile string
	cmd := &cobra.Command{
		Use: assembly.EKSTokenCommand, Short: "Print a token for a cluster's API server (called by kubectl)", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			out, err := eks.Token(cmd.Context(), cluster, region, profile)
			if err != nil {
				return err
			}
			_, err = fmt.Fprintln(a.Out, string(out))
			return err
		},
	}
	f := cmd.Flags()
	f.StringVar(&cluster, "cluster", "", "name of the cluster")
	f.StringVar(&region, "region", "", "region of the cluster")
	f.StringVar(&profile, "profile", "", "profile of the shared AWS configuration")
	_ = cmd.MarkFlagRequired("cluster")
	return cmd
}
