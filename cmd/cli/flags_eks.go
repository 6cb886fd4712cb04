package cli

import (
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/compspec/ocifit-lab/provision/lab"
)

// eksFlags change on the command line what lab.yaml says of eks.
type eksFlags struct {
	clusterConfig, profile, webhookImage string
	skipUnavailable                      bool
}

func (f *eksFlags) add(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringVar(&f.clusterConfig, "cluster-config", "", "eks: an eksctl file of your own, used as it is")
	flags.StringVar(&f.profile, "profile", "", "eks: profile of the shared AWS configuration (default: the lab's, or AWS's own choice)")
	flags.StringVar(&f.webhookImage, "webhook-image", "", "eks: image of ocifit-lab that the cluster pulls (default: made from this program, in the account's registry)")
	flags.BoolVar(&f.skipUnavailable, "skip-unavailable", false, "eks: leave out instance types of which the account's quota allows no node")
	_ = cmd.MarkFlagFilename("cluster-config", "yaml", "yml")
}

func (f *eksFlags) apply(s *lab.Spec) error {
	if f.clusterConfig != "" {
		s.EKS.ClusterConfig = f.clusterConfig
	}
	if s.EKS.ClusterConfig != "" {
		// The state folder remembers it, and the next call may come from elsewhere.
		path, err := filepath.Abs(s.EKS.ClusterConfig)
		if err != nil {
			return err
		}
		s.EKS.ClusterConfig = path
	}
	if f.profile != "" {
		s.EKS.Profile = f.profile
	}
	if f.webhookImage != "" {
		s.EKS.WebhookImage = f.webhookImage
	}
	return nil
}

// eksUpFlags steer an up that spends.
type eksUpFlags struct {
	yes, recreate, merge bool
}

func (f *eksUpFlags) add(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.BoolVarP(&f.yes, "yes", "y", false, "eks: spend without asking")
	flags.BoolVar(&f.recreate, "recreate-failed", false, "eks: delete stacks that failed in an earlier up, and make them again")
	flags.BoolVar(&f.merge, "merge", false, "eks: put the cluster into your own kubeconfig as well")
}
