package cli

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/compspec/ocifit-lab/cmd/assembly"
	"github.com/compspec/ocifit-lab/cmd/cli/command"
	"github.com/compspec/ocifit-lab/provision/eks"
	"github.com/compspec/ocifit-lab/provision/eks/eksctl/child"
)

// eksCmd holds what only provider eks has; all but policy is called by other programs and this one.
func (a *app) eksCmd() *cobra.Command {
	cmd := &cobra.Command{Use: assembly.EKSCommand, Short: "Permissions that a lab on eks needs"}
	cmd.AddCommand(a.eksPolicyCmd(), a.eksDriverCmd(), a.eksTokenCmd())
	return cmd
}

func (a *app) eksPolicyCmd() *cobra.Command {
	var account, partition string
	cmd := &cobra.Command{
		Use:   "policy",
		Short: "Print the IAM policy documents that allow what the lab does in an account, for an administrator",
		Long: `policy prints IAM policy documents that allow what the lab does in an AWS account, narrowed to the lab's own things by their names, and by
their tags where AWS allows that. They are several because IAM limits the length of each: make a policy of each and attach them all to the
role or user that runs ocifit-lab.`,
		Example: "  ocifit-lab eks policy --account 123456789012\n  ocifit-lab eks policy -o json",
		Args:    cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			spec, err := a.Spec()
			if err != nil {
				return err
			}
			docs, err := eks.Policies(eks.PolicyOptions{
				Name: spec.Name, Region: spec.Region, Account: account, Partition: partition,
				Registry: spec.Artifact.Repository == "" || spec.EKS.WebhookImage == "",
			})
			if err != nil {
				return err
			}
			a.Say("%d documents; make a policy of each and attach them all", len(docs))
			return a.Print(docs, func(w io.Writer) error {
				for _, doc := range docs {
					var text bytes.Buffer
					if err := json.Indent(&text, doc, "", "  "); err != nil {
						return err
					}
					if _, err := fmt.Fprintln(w, text.String()); err != nil {
						return err
					}
				}
				return nil
			})
		},
	}
	cmd.Flags().StringVar(&account, "account", "", "number of the account (default: any)")
	cmd.Flags().StringVar(&partition, "partition", "aws", "part of AWS: aws, aws-us-gov or aws-cn")
	return cmd
}

func (a *app) eksDriverCmd() *cobra.Command {
	return &cobra.Command{
		Use: assembly.EKSDriverCommand, Short: "Drive eksctl (started by up and down)", Hidden: true, Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			// Its standard output is a protocol: nothing else may be written there.
			if code := child.Main(cmd.Context(), a.In, a.Out); code != command.ExitOK {
				return command.Fail(code, nil)
			}
			return nil
		},
	}
}

func (a *app) eksTokenCmd() *cobra.Command {
	var cluster, region, profile string
	cmd := &cobra.Command{
		Use: assembly.EKSTokenCommand, Short: "Print a token for a cluster's API server (called by kubectl)", Hidden: true, Args: cobra.NoArgs,
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
