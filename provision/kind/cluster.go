package kind

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/kind/pkg/cluster"

	"github.com/compspec/ocifit-lab/provision/kube"
	"github.com/compspec/ocifit-lab/provision/step"
)

const (
	createTimeout = 15 * time.Minute
	// readyTimeout bounds the wait for nodes and cluster DNS after kind is done.
	readyTimeout = 5 * time.Minute
	// restartTimeout bounds the wait for a cluster whose nodes were stopped and are started again.
	restartTimeout = 3 * time.Minute
)

var (
	nodeResource       = schema.GroupVersionResource{Version: "v1", Resource: "nodes"}
	deploymentResource = schema.GroupVersionResource{Group: "apps", Version: "v1", Resource: "deployments"}
)

// kind returns the library's handle. The network's name reaches the library by the environment only.
func (p *Provider) kind(e engine, log *logger) (*cluster.Provider, error) {
	if err := os.Setenv(e.networkVariable(), p.opts.Cluster); err != nil {
		return nil, err
	}
	return cluster.NewProvider(e.kindProvider(), cluster.ProviderWithLogger(log)), nil
}

// clusterDone tells whether the cluster that is wanted is complete, runs and answers.
func (p *Provider) clusterDone(ctx context.Context) (bool, error) {
	e, err := p.engine(ctx)
	if err != nil {
		return false, err
	}
	m := p.readMark()
	if m == nil || m.Fingerprint != p.fingerprint() {
		return false, nil
	}
	_, running, err := p.nodeContainers(ctx, e)
	if err != nil || !slices.Equal(running, m.Nodes) {
		return false, nil
	}
	c, err := p.Connect(ctx)
	if err != nil {
		return false, nil
	}
	ask, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	return c.Ready(ask) == nil, nil
}

// createCluster makes the cluster, or repairs what is left of one.
func (p *Provider) createCluster(ctx context.Context, log step.Log) error {
	e, err := p.engine(ctx)
	if err != nil {
		return err
	}
	all, running, err := p.nodeContainers(ctx, e)
	if err != nil {
		return err
	}
	if m := p.readMark(); m != nil && m.Fingerprint == p.fingerprint() && slices.Equal(all, m.Nodes) {
		if err := p.restart(ctx, e, all, running, log); err == nil || ctx.Err() != nil {
			return err
		}
		log("the cluster does not come back; making it anew")
	}
	if len(all) > 0 {
		log("removing %d nodes of an earlier cluster", len(all))
		if err := p.removeCluster(ctx, log); err != nil {
			return err
		}
	}
	if err := os.MkdirAll(p.dir, 0o700); err != nil {
		return err
	}
	if err := p.pull(ctx, e, p.opts.NodeImage, log); err != nil {
		return fmt.Errorf("node image: %w", err)
	}
	err = p.create(ctx, e, log)
	if err == nil {
		err = p.awaitReady(ctx, log)
	}
	if err != nil {
		return p.failed(ctx, e, err, log)
	}
	return p.complete(ctx, e)
}

// create runs kind, which knows no context: when ctx ends, what it has begun is removed by the next up or by down.
func (p *Provider) create(ctx context.Context, e engine, log step.Log) error {
	file, err := os.OpenFile(filepath.Join(p.dir, "create.log"), os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	k, err := p.kind(e, &logger{file: file, say: log})
	if err != nil {
		return err
	}
	done := make(chan error, 1)
	go func() {
		defer file.Close()
		done <- k.Create(p.opts.Cluster,
			cluster.CreateWithV1Alpha4Config(p.clusterConfig(p.inform.CgroupVersion)),
			cluster.CreateWithNodeImage(p.opts.NodeImage),
			cluster.CreateWithKubeconfigPath(p.opts.Kubeconfig),
			cluster.CreateWithRetain(true), // their logs are wanted when this fails
		)
	}()
	select {
	case err := <-done:
		if err != nil {
			return fmt.Errorf("kind could not create the cluster: %w", explain(e, err, createOutput(err)))
		}
		return os.Chmod(p.opts.Kubeconfig, 0o600)
	case <-ctx.Done():
		return fmt.Errorf("create the cluster: %w; all that kind said is in %s", ctx.Err(), file.Name())
	}
}

// failed exports the logs of a cluster that could not be made, and removes it unless it is to be looked at.
func (p *Provider) failed(ctx context.Context, e engine, err error, log step.Log) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Minute)
	defer cancel()
	dir := filepath.Join(p.opts.Dir, "logs", "kind-"+time.Now().UTC().Format("20060102-150405"))
	if e := p.CollectLogs(ctx, dir); e != nil {
		err = errors.Join(err, fmt.Errorf("and its logs could not be exported: %w", e))
	} else {
		err = step.Try(err, "the logs of its nodes are in %s", dir)
	}
	if p.opts.Retain {
		return step.Try(err, "its nodes were kept (--retain); look into them with `%s exec -it %s-control-plane bash`", e, p.opts.Cluster)
	}
	return errors.Join(err, p.removeCluster(ctx, log))
}

// CollectLogs exports what the nodes' journals, kubelets and containers said into dir.
func (p *Provider) CollectLogs(ctx context.Context, dir string) error {
	e, err := p.engine(ctx)
	if err != nil {
		return err
	}
	k, err := p.kind(e, &logger{})
	if err != nil {
		return err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	done := make(chan error, 1)
	go func() { done <- k.CollectLogs(p.opts.Cluster, dir) }()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// complete writes the mark by which the cluster is known as whole.
func (p *Provider) complete(ctx context.Context, e engine) error {
	all, _, err := p.nodeContainers(ctx, e)
	if err != nil {
		return err
	}
	volumes, err := volumesOf(ctx, e, all)
	if err != nil {
		return err
	}
	m := &mark{Fingerprint: p.fingerprint(), Nodes: all, Volumes: volumes}
	return p.writeMark(m)
}

// restart starts nodes that are stopped, as after a reboot, and waits until the cluster answers.
func (p *Provider) restart(ctx context.Context, e engine, all, running []string, log step.Log) error {
	if len(running) < len(all) {
		log("starting %d stopped nodes", len(all)-len(running))
		if _, err := e.run(ctx, nil, append([]string{"start"}, all...)...); err != nil {
			return err
		}
	}
	k, err := p.kind(e, &logger{})
	if err != nil {
		return err
	}
	// The API server's port on this machine changes with a restart, unless it was chosen.
	if err := k.ExportKubeConfig(p.opts.Cluster, p.opts.Kubeconfig, false); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, restartTimeout)
	defer cancel()
	return p.awaitReady(ctx, log)
}

// awaitReady waits for every node and for cluster DNS. kind's own wait looks at control planes only, and takes a timeout for
// success.
func (p *Provider) awaitReady(ctx context.Context, log step.Log) error {
	ctx, cancel := context.WithTimeout(ctx, readyTimeout)
	defer cancel()
	c, err := p.Connect(ctx)
	if err != nil {
		return err
	}
	if err := c.WaitReady(ctx); err != nil {
		return err
	}
	for _, name := range p.nodeNames() {
		log("waiting for node %s", name)
		if _, err := c.WaitNamed(ctx, nodeResource, "", name, ready("Ready")); err != nil {
			return err
		}
	}
	log("waiting for cluster DNS")
	_, err = c.WaitNamed(ctx, deploymentResource, "kube-system", "coredns", ready("Available"))
	return err
}

// nodeNames are the names that kind gives its nodes.
func (p *Provider) nodeNames() []string {
	names := []string{p.opts.Cluster + "-control-plane"}
	for i := range p.opts.Workers {
		names = append(names, p.workerName(i))
	}
	return names
}

func (p *Provider) workerName(i int) string {
	if i == 0 {
		return p.opts.Cluster + "-worker"
	}
	return fmt.Sprintf("%s-worker%d", p.opts.Cluster, i+1)
}

// ready accepts an object whose condition of that type is true.
func ready(condition string) func(*unstructured.Unstructured) (bool, string, error) {
	return func(o *unstructured.Unstructured) (bool, string, error) {
		list, _, _ := unstructured.NestedSlice(o.Object, "status", "conditions")
		seen := "without condition " + condition
		for _, item := range list {
			c, _ := item.(map[string]any)
			if c["type"] == condition {
				seen = fmt.Sprintf("%s=%v %v: %v", condition, c["status"], c["reason"], c["message"])
				if c["status"] == string(corev1.ConditionTrue) {
					return true, seen, nil
				}
			}
		}
		return false, seen, nil
	}
}

// removeCluster removes the nodes with their volumes, also those of a creation that was cut short.
func (p *Provider) removeCluster(ctx context.Context, log step.Log) error {
	e, err := p.engine(ctx)
	if err != nil {
		return p.nothingWithout(err)
	}
	if !p.ours(ctx, e) {
		return p.forget()
	}
	all, _, err := p.nodeContainers(ctx, e)
	if err != nil {
		return err
	}
	volumes, err := volumesOf(ctx, e, all)
	if err != nil {
		return err
	}
	if m := p.readMark(); m != nil {
		volumes = append(volumes, m.Volumes...)
	}
	p.remember(volumes)
	if len(all) > 0 {
		log("removing %d nodes", len(all))
		if _, err := e.run(ctx, nil, append([]string{"rm", "-f", "-v"}, all...)...); err != nil && !absent(err) {
			return err
		}
	}
	return p.forget()
}

// forget removes the files that lead to a cluster.
func (p *Provider) forget() error {
	for _, path := range []string{p.opts.Kubeconfig, p.opts.Kubeconfig + ".lock", p.dir} {
		if err := os.RemoveAll(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

// cluster connects to the cluster for a step.
func (p *Provider) cluster(ctx context.Context) (engine, *kube.Cluster, error) {
	e, err := p.engine(ctx)
	if err != nil {
		return "", nil, err
	}
	c, err := p.Connect(ctx)
	return e, c, err
}
