// Package simcluster stands behind the EKS clusters of package awstest with the real control plane and simulated nodes.
package simcluster

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"github.com/compspec/ocifit-lab/provision/eks/awstest"
	"github.com/compspec/ocifit-lab/provision/sim/controlplane"
	"github.com/compspec/ocifit-lab/provision/sim/nodes"
	"github.com/compspec/ocifit-lab/provision/simulated"
)

// groupLabel is what eksctl labels the nodes of a group with.
const groupLabel = "alpha.eksctl.io/nodegroup-name"

// Env is what a part works with.
type Env struct {
	Config *rest.Config // an administrator's
	LogDir string       // of the containers: <namespace>_<pod>/<container>.log
	Log    io.Writer
}

// Part is something that works in the cluster from its start to its end, as a controller does.
type Part func(ctx context.Context, env Env) error

// Options configure New.
type Options struct {
	Dir   string                       // state of the control plane; logs of pods are in its folder logs
	Log   io.Writer                    // what the components write; nil drops it
	Types map[string]map[string]string // labels of the nodes of an instance type, beside those that EKS gives
	// Prepare, when set, defines custom resources before the controllers start.
	Prepare func(ctx context.Context, config *rest.Config) error
	Parts   []Part
}

// Cluster is a control plane for the endpoint. A process can have one, once.
type Cluster struct {
	opts Options

	mu     sync.Mutex
	plane  *controlplane.ControlPlane
	client kubernetes.Interface
	parts  sync.WaitGroup
	end    []func()
}

// New prepares a cluster; the endpoint starts it.
func New(o Options) *Cluster {
	if o.Log == nil {
		o.Log = io.Discard
	}
	return &Cluster{opts: o}
}

// Config is an administrator's access to the cluster while it runs.
func (c *Cluster) Config() *rest.Config {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.plane == nil {
		return nil
	}
	return c.plane.RESTConfig()
}

// Start implements awstest.ControlPlane.
func (c *Cluster) Start(ctx context.Context, spec awstest.ClusterSpec) (string, []byte, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.plane != nil {
		return "", nil, errors.New("one process can carry one simulated cluster only")
	}
	startCtx, cancel := context.WithTimeout(ctx, 2*time.Minute)
	defer cancel()
	plane, err := controlplane.Start(startCtx, controlplane.Options{
		Dir: filepath.Join(c.opts.Dir, "control-plane"), Log: c.opts.Log, Prepare: c.opts.Prepare,
	})
	if err != nil {
		return "", nil, err
	}
	c.plane = plane
	if c.client, err = kubernetes.NewForConfig(plane.RESTConfig()); err != nil {
		return "", nil, err
	}
	env := Env{Config: plane.RESTConfig(), LogDir: filepath.Join(c.opts.Dir, "logs"), Log: c.opts.Log}
	partCtx, stopParts := context.WithCancel(context.WithoutCancel(ctx))
	c.end = append(c.end, stopParts)
	if _, err := nodes.Start(partCtx, nodes.Options{
		Config: env.Config, LogDir: env.LogDir,
		CA: plane.InternalCA(), ClientName: controlplane.KubeletClient, Log: c.opts.Log,
	}); err != nil {
		return "", nil, err
	}
	for _, part := range c.opts.Parts {
		c.parts.Go(func() {
			if err := part(partCtx, env); err != nil && partCtx.Err() == nil {
				fmt.Fprintf(c.opts.Log, "part of the cluster: %v\n", err)
			}
		})
	}
	endpoint, ca, stopFront, err := spec.Front(plane.RESTConfig())
	if err != nil {
		return "", nil, err
	}
	c.end = append(c.end, stopFront)
	return endpoint, ca, nil
}

// Stop implements awstest.ControlPlane.
func (c *Cluster) Stop(ctx context.Context, _ string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.plane == nil {
		return nil
	}
	for _, end := range slices.Backward(c.end) {
		end()
	}
	c.end = nil
	c.parts.Wait()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 20*time.Second)
	defer cancel()
	err := c.plane.Stop(ctx)
	c.plane, c.client = nil, nil
	return err
}

// Scale implements awstest.ControlPlane.
func (c *Cluster) Scale(ctx context.Context, g awstest.GroupSpec) error {
	c.mu.Lock()
	client := c.client
	c.mu.Unlock()
	if client == nil {
		return nil
	}
	have, err := client.CoreV1().Nodes().List(ctx, metav1.ListOptions{LabelSelector: groupLabel + "=" + g.Name})
	if err != nil {
		return err
	}
	for _, n := range have.Items {
		if slices.Contains(g.Nodes, n.Name) {
			continue
		}
		if err := client.CoreV1().Nodes().Delete(ctx, n.Name, metav1.DeleteOptions{}); err != nil && !apierrors.IsNotFound(err) {
			return err
		}
	}
	for i, name := range g.Nodes {
		n := c.node(g, i, name)
		if _, err := client.CoreV1().Nodes().Create(ctx, n, metav1.CreateOptions{}); err != nil && !apierrors.IsAlreadyExists(err) {
			return err
		}
	}
	return nil
}

// node is one machine of a group as its kubelet would register it.
func (c *Cluster) node(g awstest.GroupSpec, i int, name string) *corev1.Node {
	labels := map[string]string{}
	for k, v := range c.opts.Types[g.InstanceType] {
		labels[k] = v
	}
	for k, v := range g.Labels {
		labels[k] = v
	}
	labels[corev1.LabelHostname], labels[corev1.LabelInstanceTypeStable] = name, g.InstanceType
	labels[corev1.LabelArchStable], labels[corev1.LabelOSStable] = g.Architecture, "linux"
	labels[simulated.NodeLabel] = "true"
	if len(g.Zones) > 0 {
		labels[corev1.LabelTopologyZone] = g.Zones[i%len(g.Zones)]
	}
	size := corev1.ResourceList{
		corev1.ResourceCPU:    *resource.NewQuantity(int64(g.VCPU), resource.DecimalSI),
		corev1.ResourceMemory: *resource.NewQuantity(g.MemoryMiB<<20, resource.BinarySI),
		corev1.ResourcePods:   resource.MustParse("110"),
	}
	return &corev1.Node{
		ObjectMeta: metav1.ObjectMeta{Name: name, Labels: labels},
		Spec:       corev1.NodeSpec{ProviderID: "aws:///" + labels[corev1.LabelTopologyZone] + "/" + name},
		Status: corev1.NodeStatus{Capacity: size, Allocatable: size, NodeInfo: corev1.NodeSystemInfo{
			Architecture: g.Architecture, OperatingSystem: "linux", OSImage: "simulated", KernelVersion: "simulated",
			ContainerRuntimeVersion: "simulated://0", KubeletVersion: controlplane.Version + "-simulated",
		}},
	}
}
