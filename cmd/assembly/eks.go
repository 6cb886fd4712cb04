package assembly

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/compspec/ocifit-lab/provision"
	"github.com/compspec/ocifit-lab/provision/atomicfile"
	"github.com/compspec/ocifit-lab/provision/eks"
	"github.com/compspec/ocifit-lab/provision/eks/clusterconfig"
	"github.com/compspec/ocifit-lab/provision/lab"
	"github.com/compspec/ocifit-lab/provision/labstate"
	"github.com/compspec/ocifit-lab/templates"
)

// The hidden command that provider eks calls this program with.
const (
	EKSCommand       = "eks"
	EKSDriverCommand = "driver"
	EKSTokenCommand  = "token"
)

func newEKS(given *lab.Spec, dir *labstate.Dir, options Options) (made, error) {
	spec, err := withClusterFile(given, dir)
	if err != nil {
		return made{}, err
	}
	o, err := eksOptions(dir, options)
	if err != nil {
		return made{}, err
	}
	if options.Profile != "" {
		spec.EKS.Profile = options.Profile
	}
	o.Name, o.Region, o.KubernetesVersion, o.Tags = spec.Name, spec.Region, spec.KubernetesVersion, spec.EKS.Tags
	o.Profile, o.ClusterConfig, o.Skip = spec.EKS.Profile, spec.EKS.ClusterConfig, spec.Webhook.Skip
	o.Registry = spec.Artifact.Repository == "" || spec.EKS.WebhookImage == ""
	o.Prices, o.PricesNote = templates.Prices()
	o.ScaleDownAfter = scaleDownAfter
	for _, t := range templates.InstanceTypes() {
		// The webhook is told the features of types that a group can start, and of no others.
		if spec.HasGroup(t.Name) {
			o.Catalogue = append(o.Catalogue, t.Name)
		}
	}
	for _, g := range spec.Groups() {
		o.NodeGroups = append(o.NodeGroups, eks.NodeGroup{
			Name: g.Name, InstanceType: g.InstanceType, Architecture: g.Type.Architecture, VCPU: g.Type.VCPU, MemoryMiB: g.Type.MemoryMiB,
			Min: g.Min, Desired: g.Desired, Max: g.Max, Sticky: g.Sticky, Zones: slices.Clone(g.Zones),
		})
	}
	return made{spec, eks.New(o)}, nil
}

func namedEKS(n Name, dir *labstate.Dir, options Options) (provision.Provider, error) {
	o, err := eksOptions(dir, options)
	if err != nil {
		return nil, err
	}
	o.Name, o.Region, o.Profile = n.Name, n.Region, options.Profile
	return eks.New(o), nil
}

// eksOptions are those that every use of the provider has in common.
func eksOptions(dir *labstate.Dir, options Options) (eks.Options, error) {
	executable, err := thisProgram()
	if err != nil {
		return eks.Options{}, err
	}
	o := eks.Options{
		Dir: dir.Path("eks"), Kubeconfig: dir.Kubeconfig(), Consent: options.Consent,
		Command: []string{executable, EKSCommand, EKSDriverCommand}, TokenCommand: []string{executable, EKSCommand, EKSTokenCommand},
	}
	if options.EKS != nil {
		options.EKS(&o)
	}
	return o, nil
}

// savedClusterFile is the copy of a user's eksctl file that the state folder keeps, so that `down` needs nothing else.
const savedClusterFile = "eks/given.yaml"

// withClusterFile is the spec with what a user's own eksctl file says in the place of what lab.yaml says.
func withClusterFile(spec *lab.Spec, dir *labstate.Dir) (*lab.Spec, error) {
	out := *spec
	if spec.EKS.ClusterConfig == "" {
		return &out, nil
	}
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

// SaveClusterFile keeps a user's eksctl file beside the state.
func (l *Lab) SaveClusterFile() error {
	given, saved := l.Spec.EKS.ClusterConfig, l.Dir.Path(savedClusterFile)
	if given == "" || given == saved {
		return nil
	}
	data, err := os.ReadFile(given)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(saved), 0o700); err != nil {
		return err
	}
	return atomicfile.Write(saved, data, 0o600)
}
