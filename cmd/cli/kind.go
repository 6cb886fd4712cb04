package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"slices"
	"time"

	"github.com/spf13/cobra"
	"k8s.io/client-go/rest"

	"github.com/compspec/ocifit-lab/addons/builtin"
	"github.com/compspec/ocifit-lab/addons/builtin/minicluster"
	"github.com/compspec/ocifit-lab/provision"
	"github.com/compspec/ocifit-lab/provision/chart"
	"github.com/compspec/ocifit-lab/provision/eks"
	"github.com/compspec/ocifit-lab/provision/kind"
	"github.com/compspec/ocifit-lab/provision/lab"
	"github.com/compspec/ocifit-lab/provision/labstate"
	"github.com/compspec/ocifit-lab/provision/registry"
	"github.com/compspec/ocifit-lab/provision/step"
	"github.com/compspec/ocifit-lab/templates"
	"github.com/compspec/ocifit-lab/webhook/compat"
)

// Types that the workers stand for when lab.yaml names none: two whose images run here and whose features differ.
var kindWorkers = map[string][]string{
	"amd64": {"c7a.12xlarge", "c6i.16xlarge"},
	"arm64": {"hpc7g.16xlarge", "m6g.12xlarge"},
}

// clusterPrefix begins the names of containers and networks, so that a user knows whose they are.
const clusterPrefix = "ocifit-lab-"

// kindGroups replaces the spec's node groups by those that a kind cluster has: the sticky one and one per worker. Other types
// would be chosen and then waited for in vain.
func kindGroups(spec *lab.Spec) {
	workers := spec.Kind.Workers
	if len(workers) == 0 {
		workers = kindWorkers[runtime.GOARCH]
	}
	sticky, _ := spec.Sticky()
	sticky.Min, sticky.Desired, sticky.Max, sticky.Zones = 1, 1, 1, nil
	groups := []lab.NodeGroup{sticky}
	for _, w := range workers {
		groups = append(groups, lab.NodeGroup{Name: lab.GroupName(w), InstanceType: w, Min: 1, Desired: 1, Max: 1})
	}
	spec.NodeGroups = groups
}

func newKind(spec *lab.Spec, dir *labstate.Dir) (*kind.Provider, error) {
	executable, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("find this program's own file: %w", err)
	}
	types := map[string]templates.InstanceType{}
	for _, t := range templates.InstanceTypes() {
		types[t.Name] = t
	}
	identity := func(g lab.NodeGroup) kind.Identity {
		t := types[g.InstanceType]
		return kind.Identity{Group: g.Name, InstanceType: t.Name, Architecture: t.Architecture, Labels: t.Labels}
	}
	o := kind.Options{
		Lab: spec.Name, Cluster: clusterPrefix + spec.Name, Dir: dir.Path(), Kubeconfig: dir.Kubeconfig(),
		Engine: spec.Kind.Engine, NodeImage: spec.Kind.NodeImage, Retain: spec.Kind.Retain,
		Program: executable, LabImage: spec.Kind.LabImage, Mirrors: spec.Components.RegistryMirrors,
	}
	for _, g := range spec.NodeGroups {
		if g.Sticky {
			o.ControlPlane = identity(g)
		} else {
			o.Workers = append(o.Workers, identity(g))
		}
	}
	if image := spec.Artifact.Images[runtime.GOARCH]; image != "" {
		o.Images = append(o.Images, kind.Image{Ref: image})
	}
	for _, ref := range spec.Kind.Images {
		o.Images = append(o.Images, kind.Image{Ref: ref})
	}
	// A study may do without Flux of its own; one that cannot fails in its trial with the reason.
	o.Images = append(o.Images, kind.Image{Ref: compat.FluxViewImage(runtime.GOARCH), Optional: true})
	if file := spec.Components.Bundle; file != "" {
		o.Archives = append(o.Archives, bundleArchive(file))
	}
	return kind.New(o), nil
}

// registryServeCmd is what the container beside a kind cluster runs.
func (a *app) registryServeCmd() *cobra.Command {
	return &cobra.Command{
		Use: kind.RegistryCommand + " ADDRESS FOLDER", Short: "Serve an OCI registry (started by up)", Hidden: true,
		Args: cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			r, err := registry.Start(cmd.Context(), registry.Options{Addr: args[0], Dir: args[1], Log: a.Err})
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
			config, err := rest.InClusterConfig()
			if err != nil {
				return err
			}
			return minicluster.Run(cmd.Context(), config, minicluster.Options{
				Log:   func(format string, args ...any) { fmt.Fprintf(a.Err, format+"\n", args...) },
				Ready: func() { a.say("watching MiniClusters") },
			})
		},
	}
}

// labImage names the image of this program in the cluster.
type labImage interface {
	LabImage() (string, error)
}

func (s *setup) programImage(ctx context.Context) (string, error) {
	if p, ok := s.provider.(*eks.Provider); ok {
		return s.eksProgramImage(ctx, p)
	}
	p, ok := s.provider.(labImage)
	if !ok {
		return "", fmt.Errorf("provider %s has no image of this program", s.spec.Provider)
	}
	return p.LabImage()
}

// bundleArchive is what a bundle has for the image stores of the nodes.
func bundleArchive(file string) kind.Archive {
	open := func() (*chart.Bundle, error) { return chart.OpenBundle(context.Background(), file) }
	return kind.Archive{
		Name: file,
		Write: func(w io.Writer) error {
			b, err := open()
			if err != nil {
				return err
			}
			return b.Images(w)
		},
		Empty: func() (bool, error) {
			b, err := open()
			if err != nil {
				return false, err
			}
			return !slices.ContainsFunc(b.Entries(), func(e chart.Entry) bool { return e.Image }), nil
		},
	}
}

// withLogs exports what a running cluster said when something in it did not come up, as far as the provider can.
func withLogs(ctx context.Context, s *setup, err error) error {
	p, ok := s.provider.(interface {
		CollectLogs(ctx context.Context, dir string) error
	})
	if !ok {
		return err
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Minute)
	defer cancel()
	if status, e := s.provider.Status(ctx); e != nil || status.State != provision.Running {
		return err
	}
	dir := s.dir.Path("logs", "up-"+time.Now().UTC().Format("20060102-150405"))
	if e := p.CollectLogs(ctx, dir); e != nil {
		return errors.Join(err, fmt.Errorf("and the cluster's logs could not be exported: %w", e))
	}
	return step.Try(err, "the logs of its nodes and pods are in %s", dir)
}
