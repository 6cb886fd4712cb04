package cli

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/spf13/cobra"

	"github.com/compspec/ocifit-lab/provision/atomicfile"
	"github.com/compspec/ocifit-lab/provision/eks"
	"github.com/compspec/ocifit-lab/provision/eks/clusterconfig"
	"github.com/compspec/ocifit-lab/provision/eks/eksctl/child"
	"github.com/compspec/ocifit-lab/provision/lab"
	"github.com/compspec/ocifit-lab/provision/labstate"
	"github.com/compspec/ocifit-lab/templates"
)

// eksCmd holds what other programs and this one call: nothing of it is for people.
func (a *app) eksCmd() *cobra.Command {
	cmd := &cobra.Command{Use: "eks", Short: "Parts of provider eks that other programs call", Hidden: true}
	cmd.AddCommand(a.eksDriverCmd(), a.eksTokenCmd())
	return cmd
}

func (a *app) eksDriverCmd() *cobra.Command {
	return &cobra.Command{
		Use: "driver", Short: "Drive eksctl (started by up and down)", Args: cobra.NoArgs,
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
		Use: "token", Short: "Print a token for a cluster's API server (called by kubectl)", Args: cobra.NoArgs,
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

// savedClusterFile is the copy of a user's eksctl file that the state folder keeps, so that `down` needs nothing else.
const savedClusterFile = "eks/given.yaml"

// eksSpec returns the spec with what a user's own eksctl file says in the place of what lab.yaml says.
func eksSpec(spec *lab.Spec, dir *labstate.Dir) (*lab.Spec, error) {
	if spec.EKS.ClusterConfig == "" {
		return spec, nil
	}
	out := *spec
	data, err := os.ReadFile(spec.EKS.ClusterConfig)
	if errors.Is(err, fs.ErrNotExist) {
		out.EKS.ClusterConfig = dir.Path(savedClusterFile)
		if saved, e := os.ReadFile(out.EKS.ClusterConfig); e == nil {
			data, err = saved, nil
		}
	}
	if err != nil {
		return nil, err
	}
	facts, err := clusterconfig.Read(data)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", spec.EKS.ClusterConfig, err)
	}
	out.Region, out.NodeGroups = facts.Region, nil
	if facts.KubernetesVersion != "" {
		out.KubernetesVersion = facts.KubernetesVersion
	}
	for _, g := range facts.NodeGroups {
		out.NodeGroups = append(out.NodeGroups, lab.NodeGroup{
			Name: g.Name, InstanceType: g.InstanceType, Min: g.Min, Desired: g.Desired, Max: g.Max, Sticky: g.Sticky, Zones: g.Zones,
		})
	}
	return &out, nil
}

// saveClusterFile keeps a user's eksctl file beside the state.
func saveClusterFile(spec *lab.Spec, dir *labstate.Dir) error {
	saved := dir.Path(savedClusterFile)
	if spec.EKS.ClusterConfig == "" || spec.EKS.ClusterConfig == saved {
		return nil
	}
	data, err := os.ReadFile(spec.EKS.ClusterConfig)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(saved), 0o700); err != nil {
		return err
	}
	return atomicfile.Write(saved, data, 0o600)
}

func (a *app) newEKS(spec *lab.Spec, dir *labstate.Dir) (*eks.Provider, error) {
	o, err := a.eksOptions(dir)
	if err != nil {
		return nil, err
	}
	o.Name, o.Region, o.KubernetesVersion, o.Tags = spec.Name, spec.Region, spec.KubernetesVersion, spec.EKS.Tags
	o.Profile, o.ClusterConfig, o.Skip = spec.EKS.Profile, spec.EKS.ClusterConfig, spec.Webhook.Skip
	o.Registry = spec.Artifact.Repository == "" || spec.EKS.WebhookImage == ""
	o.Prices, o.PricesNote = templates.Prices()
	types := map[string]templates.InstanceType{}
	for _, t := range templates.InstanceTypes() {
		types[t.Name] = t
		// The webhook is told the features of types that a group can start, and of no others.
		if spec.HasGroup(t.Name) {
			o.Catalogue = append(o.Catalogue, t.Name)
		}
	}
	for _, g := range spec.NodeGroups {
		t := types[g.InstanceType]
		o.NodeGroups = append(o.NodeGroups, eks.NodeGroup{
			Name: g.Name, InstanceType: g.InstanceType, Architecture: t.Architecture, VCPU: t.VCPU, MemoryMiB: t.MemoryMiB,
			Min: g.Min, Desired: g.Desired, Max: g.Max, Sticky: g.Sticky, Zones: slices.Clone(g.Zones),
		})
	}
	return eks.New(o), nil
}

// eksOptions are those that every use of the provider has in common.
func (a *app) eksOptions(dir *labstate.Dir) (eks.Options, error) {
	executable, err := os.Executable()
	if err != nil {
		return eks.Options{}, fmt.Errorf("find this program's own file: %w", err)
	}
	o := eks.Options{
		Dir: dir.Path("eks"), Kubeconfig: dir.Kubeconfig(),
		Command: []string{executable, "eks", "driver"}, TokenCommand: []string{executable, "eks", "token"},
		Consent: func(context.Context, string) (bool, error) { return a.recreate, nil },
	}
	if a.surround != nil {
		a.surround(&o)
	}
	return o, nil
}
