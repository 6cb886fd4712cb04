package assembly

import (
	"context"
	"io"
	"runtime"
	"slices"

	"github.com/compspec/ocifit-lab/provision"
	"github.com/compspec/ocifit-lab/provision/chart"
	"github.com/compspec/ocifit-lab/provision/kind"
	"github.com/compspec/ocifit-lab/provision/lab"
	"github.com/compspec/ocifit-lab/provision/labstate"
	"github.com/compspec/ocifit-lab/webhook/compat"
)

// Types that the workers stand for when lab.yaml names none: two whose images run here and whose features differ.
var kindWorkers = map[string][]string{
	"amd64": {"c7a.12xlarge", "c6i.16xlarge"},
	"arm64": {"hpc7g.16xlarge", "m6g.12xlarge"},
}

// clusterPrefix begins the names of containers and networks, so that a user knows whose they are.
const clusterPrefix = "ocifit-lab-"

// kindGroups are the node groups that a kind cluster has, the sticky one and one per worker, in the place of the spec's. Other types would be
// chosen and then waited for in vain.
func kindGroups(spec *lab.Spec) []lab.NodeGroup {
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
	return groups
}

func newKind(given *lab.Spec, dir *labstate.Dir, _ Options) (made, error) {
	executable, err := inCluster(given)
	if err != nil {
		return made{}, err
	}
	spec := *given
	spec.NodeGroups = kindGroups(given)
	o := kind.Options{
		Lab: spec.Name, Cluster: clusterPrefix + spec.Name, Dir: dir.Path(), Kubeconfig: dir.Kubeconfig(),
		Engine: spec.Kind.Engine, NodeImage: spec.Kind.NodeImage, Retain: spec.Kind.Retain,
		Program: executable, LabImage: spec.Kind.LabImage, Mirrors: spec.Components.RegistryMirrors, Images: kindImages(&spec),
	}
	for _, g := range spec.Groups() {
		identity := kind.Identity{Group: g.Name, InstanceType: g.Type.Name, Architecture: g.Type.Architecture, Labels: g.Type.Labels}
		if g.Sticky {
			o.ControlPlane = identity
		} else {
			o.Workers = append(o.Workers, identity)
		}
	}
	if file := spec.Components.Bundle; file != "" {
		o.Archives = append(o.Archives, bundleArchive(file))
	}
	return made{&spec, kind.New(o)}, nil
}

// namedKind finds a cluster by the names and labels of its containers.
func namedKind(n Name, dir *labstate.Dir, _ Options) (provision.Provider, error) {
	executable, err := thisProgram()
	if err != nil {
		return nil, err
	}
	return kind.New(kind.Options{
		Lab: n.Name, Cluster: clusterPrefix + n.Name, Dir: dir.Path(), Kubeconfig: dir.Kubeconfig(), Program: executable, Abandoned: true,
	}), nil
}

// kindImages are what the nodes have to have before a trial is timed.
func kindImages(spec *lab.Spec) []kind.Image {
	var images []kind.Image
	if image := spec.Artifact.Images[runtime.GOARCH]; image != "" {
		images = append(images, kind.Image{Ref: image})
	}
	for _, ref := range spec.Kind.Images {
		images = append(images, kind.Image{Ref: ref})
	}
	// A study may do without Flux of its own; one that cannot fails in its trial with the reason.
	return append(images, kind.Image{Ref: compat.FluxViewImage(runtime.GOARCH), Optional: true})
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
