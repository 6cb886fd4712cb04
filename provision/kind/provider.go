// Package kind makes the lab's cluster from containers of this machine, with kind as a library.
package kind

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"sigs.k8s.io/kind/pkg/apis/config/defaults"

	"github.com/compspec/ocifit-lab/provision"
	"github.com/compspec/ocifit-lab/provision/kube"
	"github.com/compspec/ocifit-lab/provision/step"
)

// defaultNodeImage is the node image that this version of kind was released with, pinned by digest.
const defaultNodeImage = defaults.Image

// standIn is said wherever results of such a cluster are shown.
const standIn = "containers of this machine that only carry the labels of instance types: every figure is this machine's, no price applies"

// lostAfter is how long nothing may answer on this machine before the cluster counts as stopped.
const lostAfter = 30 * time.Second

// Identity is the instance type that a node stands for.
type Identity struct {
	Group        string
	InstanceType string
	Architecture string
	// Labels are the type's cached node features and identity.
	Labels map[string]string
}

// Image is a container image that the nodes have to have before a trial is timed.
type Image struct {
	Ref string
	// Optional images are left out with a word when they cannot be had.
	Optional bool
}

// Archive is a tar stream with images, as `docker save` writes it or as an OCI layout.
type Archive struct {
	// Name is shown, and tells one archive from another.
	Name  string
	Write func(w io.Writer) error
	// Empty tells that there is nothing in it, which the nodes' import would take for damage; nil: there is something.
	Empty func() (bool, error)
}

// Options say what the cluster looks like and where its state is kept.
type Options struct {
	// Lab and Cluster are the lab's and the cluster's name.
	Lab, Cluster string
	// Dir is the lab's state folder; the provider owns its subfolder kind. Kubeconfig is written when the cluster runs.
	Dir, Kubeconfig string
	// Engine is docker, podman or nerdctl; empty takes the first one that answers.
	Engine string
	// NodeImage is the image of the nodes.
	NodeImage string
	// ControlPlane is what the control-plane node stands for, Workers one entry per worker.
	ControlPlane Identity
	Workers      []Identity
	// Program is the file of a statically linked ocifit-lab for Linux, from which the lab's own image is made; LabImage, when
	// given, is a ready image that is used instead.
	Program, LabImage string
	// Images are loaded into the nodes before anything is timed.
	Images []Image
	// Archives hold further images for the nodes.
	Archives []Archive
	// Mirrors are asked before a registry, by the registry's name.
	Mirrors map[string][]string
	// Retain keeps the nodes of a cluster that could not be created.
	Retain bool
	// Abandoned says that the cluster may be one whose state folder is gone: it is found by its name, and one of a lab that still has its
	// folder is left alone.
	Abandoned bool
}

// Provider makes, finds and removes a cluster of containers.
type Provider struct {
	opts Options
	dir  string

	mu     sync.Mutex
	eng    engine
	inform engineInfo
	exists bool // the cluster is there; its disk is taken already
	volume []string
}

var _ provision.Provider = (*Provider)(nil)

// New describes a cluster and touches nothing.
func New(o Options) *Provider {
	if o.NodeImage == "" {
		o.NodeImage = defaultNodeImage
	}
	if o.Kubeconfig == "" {
		o.Kubeconfig = filepath.Join(o.Dir, "kubeconfig")
	}
	return &Provider{opts: o, dir: filepath.Join(o.Dir, "kind")}
}

// Name is "kind".
func (p *Provider) Name() string { return "kind" }

// What its clusters have of what the lab may need.
var (
	_ provision.ProgramImager = (*Provider)(nil)
	_ provision.LogCollector  = (*Provider)(nil)
)

// Traits implements provision.Provider.
func (p *Provider) Traits() provision.Traits {
	return provision.Traits{
		Cluster: p.opts.Cluster, StandIns: map[string]string{"nodes": standIn}, NodeImage: p.opts.NodeImage, WebhookPorts: []int{registryPort},
	}
}

// engine finds the container engine once.
func (p *Provider) engine(ctx context.Context) (engine, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.eng != "" {
		return p.eng, nil
	}
	e, info, err := findEngine(ctx, p.opts.Engine)
	if err != nil {
		return "", err
	}
	p.eng, p.inform = e, info
	return e, nil
}

// Steps make the cluster and what stands beside it.
func (p *Provider) Steps() []step.Step {
	var types []string
	for _, w := range p.opts.Workers {
		types = append(types, w.InstanceType)
	}
	return []step.Step{
		{
			Name: "container-engine", Timeout: time.Minute,
			Plan: "check the container engine: running, rights, memory, disk, cgroups, architecture",
			Done: func(ctx context.Context) (bool, error) {
				p.note(ctx)
				return p.preflight(ctx, func(string, ...any) {}) == nil, nil
			},
			Run: p.preflight,
		}, {
			Name: "network", Needs: []string{"container-engine"}, Timeout: time.Minute,
			Plan: "create the container network " + p.opts.Cluster,
			Done: p.networkDone, Run: p.createNetwork, Undo: p.removeNetwork,
		}, {
			Name: "lab-image", Needs: []string{"container-engine"}, Timeout: 5 * time.Minute,
			Plan: "put this program into an image for registry, webhook and controller",
			Done: p.labImageDone, Run: p.makeLabImage, Undo: p.removeLabImage,
		}, {
			Name: "cluster", Needs: []string{"network"}, Timeout: createTimeout,
			Plan: fmt.Sprintf("create a control plane and %d workers (%s) from %s", len(types), strings.Join(types, ", "), p.opts.NodeImage),
			Done: p.clusterDone, Run: p.createCluster, Undo: p.removeCluster,
		}, {
			Name: "registry", Needs: []string{"network", "lab-image"}, Timeout: 2 * time.Minute,
			Plan: "run a registry beside the cluster", Done: p.registryDone, Run: p.startRegistry, Undo: p.removeRegistry,
		}, {
			Name: "registry-wiring", Needs: []string{"cluster", "registry"}, Timeout: time.Minute,
			Plan: "tell containerd on every node about the registry and the mirrors", Done: p.wired, Run: p.wireRegistry,
		}, {
			Name: "node-identity", Needs: []string{"cluster"}, Timeout: time.Minute,
			Plan: "give every worker an instance type's labels: " + strings.Join(types, ", "), Done: p.identified, Run: p.identify,
		}, {
			Name: "node-images", Needs: []string{"cluster", "lab-image"}, Timeout: 20 * time.Minute,
			Plan: "load images into the nodes: " + p.imageList(), Done: p.loaded, Run: p.load,
		},
	}
}

func (p *Provider) imageList() string {
	list := []string{"ocifit-lab"}
	for _, i := range p.opts.Images {
		list = append(list, i.Ref)
	}
	for _, a := range p.opts.Archives {
		list = append(list, "those of "+a.Name)
	}
	return strings.Join(list, ", ")
}

// Connect returns the running cluster.
func (p *Provider) Connect(context.Context) (*kube.Cluster, error) {
	if _, err := os.Stat(p.opts.Kubeconfig); err != nil {
		return nil, step.Try(errors.New("the kind cluster does not run"), "run `ocifit-lab up`")
	}
	c, err := kube.Connect(p.opts.Kubeconfig)
	if err == nil {
		c.LostAfter = lostAfter
	}
	return c, err
}

// Environment tells where the registry is, from here and from the cluster.
func (p *Provider) Environment(ctx context.Context) (provision.Environment, error) {
	e, err := p.engine(ctx)
	if err != nil {
		return provision.Environment{}, err
	}
	address, err := p.registryAddress(ctx, e)
	if err != nil {
		return provision.Environment{}, step.Try(err, "run `ocifit-lab up`")
	}
	key, err := p.registryLogin()
	if err != nil {
		return provision.Environment{}, err
	}
	return provision.Environment{Registry: address, RegistryLogin: key, RegistryInCluster: fmt.Sprintf("%s:%d", p.registryName(), registryPort), PlainHTTP: true}, nil
}

// Status describes the cluster, also when nothing runs.
func (p *Provider) Status(ctx context.Context) (provision.Status, error) {
	s := provision.Status{Provider: p.Name(), State: provision.Absent}
	e, err := p.engine(ctx)
	if err != nil {
		if p.readMark() != nil {
			s.State = provision.Broken
		}
		s.Detail = err.Error()
		return s, nil
	}
	all, running, err := p.nodeContainers(ctx, e)
	if err != nil {
		s.State, s.Detail = provision.Broken, err.Error()
		return s, nil
	}
	if len(all) == 0 {
		return s, nil
	}
	mark := p.readMark()
	s.Facts = map[string]string{"engine": string(e) + " " + p.inform.Version, "nodeImage": p.opts.NodeImage, "nodes": standIn}
	if address, err := p.registryAddress(ctx, e); err == nil {
		s.Facts["registry"] = address
		if key, err := p.registryLogin(); err == nil {
			s.Facts["registryLogin"], _ = key.Commands(address)
		}
	}
	switch {
	case mark == nil:
		s.State, s.Detail = provision.Broken, "its creation did not end; `ocifit-lab up` makes it anew"
	case len(running) < len(all):
		s.State, s.Detail = provision.Broken, fmt.Sprintf("%d of %d nodes are stopped; `ocifit-lab up` starts them", len(all)-len(running), len(all))
	default:
		s.State = provision.Running
	}
	if c, err := p.Connect(ctx); err == nil {
		s.Endpoint = c.Config.Host
		if s.State == provision.Running {
			if err := c.Ready(ctx); err != nil {
				s.State, s.Detail = provision.Broken, err.Error()
			}
		}
	}
	return s, nil
}
