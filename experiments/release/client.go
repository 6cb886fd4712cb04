// Package release installs and removes Helm charts through the Helm SDK, without a helm binary and without its files.
package release

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"helm.sh/helm/v3/pkg/action"
	"helm.sh/helm/v3/pkg/chartutil"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/compspec/ocifit-lab/provision/chart"
	"github.com/compspec/ocifit-lab/provision/kube"
	"github.com/compspec/ocifit-lab/provision/step"
)

// patience is the deadline of an operation whose context has none.
const patience = 10 * time.Minute

// Client installs releases in one namespace. Helm's records are secrets there, as `helm list` expects them. A Client is
// safe for concurrent use as long as each release name is used by one caller at a time; it keeps what it learns of the
// API between calls. All operations end with their context, or after ten minutes where it has no deadline.
type Client struct {
	namespace string
	log       func(string, ...any)
	cluster   *kube.Cluster
	// propagation says whether what depends on a release's objects goes before or after them.
	propagation metav1.DeletionPropagation

	// open makes what Helm's actions share, bound to a context. Tests put fakes behind it.
	open func(ctx context.Context) (*action.Configuration, error)

	mu           sync.Mutex
	capabilities *chartutil.Capabilities
	there        bool // the namespace
}

// LeaveDependents makes Uninstall return when the objects of a release are gone, while the cluster's garbage collector still removes
// what depends on them. That takes the collector a third of the requests. Whoever needs the dependents gone waits for them.
func (c *Client) LeaveDependents() { c.propagation = metav1.DeletePropagationBackground }

// Info is the newest revision of a release.
type Info struct {
	Name      string    `json:"name"`
	Namespace string    `json:"namespace"`
	Status    string    `json:"status"`
	Revision  int       `json:"revision"`
	Chart     string    `json:"chart"` // name and version: "hpcg-0.1.0"
	Updated   time.Time `json:"updated"`
}

// New makes a client for a namespace of the cluster that the kubeconfig file leads to. It touches nothing. Helm's own
// messages go to log, which may be nil. Settings of a Helm installation (HELM_* variables, its folders) have no effect.
func New(kubeconfig, namespace string, log func(string, ...any)) (*Client, error) {
	cluster, err := kube.Connect(kubeconfig)
	if err != nil {
		return nil, err
	}
	return ForCluster(cluster, namespace, log), nil
}

// ForCluster is New for a cluster that is connected already; it shares the cluster's connection and caches.
func ForCluster(cluster *kube.Cluster, namespace string, log func(string, ...any)) *Client {
	if log == nil {
		log = func(string, ...any) {}
	}
	if namespace == "" {
		namespace = metav1.NamespaceDefault
	}
	c := &Client{namespace: namespace, log: log, cluster: cluster, propagation: metav1.DeletePropagationForeground}
	c.open = c.configuration
	return c
}

// Install installs a chart under a name that is unique in the namespace, and gives the manifest that was applied. The
// namespace is made if it is not there. What an earlier, broken attempt left under the same name is removed first. It
// does not wait for the objects to become ready. After an error the release may be there half-made; Uninstall removes
// it. ch and values are not changed. Values that the chart's schema refuses are an error before anything is made.
func (c *Client) Install(ctx context.Context, name string, ch *chart.Chart, values map[string]any) (string, error) {
	ctx, cancel := bounded(ctx)
	defer cancel()
	doing, start := "install release "+name+" in "+c.namespace, time.Now()
	if ch == nil {
		return "", fmt.Errorf("%s: there is no chart", doing)
	}
	if err := c.ensureNamespace(ctx); err != nil {
		return "", c.failure(ctx, doing, start, err)
	}
	cfg, err := c.open(ctx)
	if err != nil {
		return "", c.failure(ctx, doing, start, err)
	}
	if err := c.clear(ctx, cfg, name); err != nil {
		return "", c.failure(ctx, doing, start, err)
	}
	manifest, err := c.install(ctx, cfg, name, ch, values)
	if unknownKind(err) {
		// Nothing was made yet: the kind may have come after the API was read.
		c.forget()
		if cfg, err = c.open(ctx); err == nil {
			manifest, err = c.install(ctx, cfg, name, ch, values)
		}
	}
	return manifest, c.failure(ctx, doing, start, err)
}

func (c *Client) install(ctx context.Context, cfg *action.Configuration, name string, ch *chart.Chart, values map[string]any) (string, error) {
	install := action.NewInstall(cfg)
	install.ReleaseName, install.Namespace = name, c.namespace
	install.Timeout = remaining(ctx)
	// The check against the API's OpenAPI document costs its download each time; the API server checks as well.
	install.DisableOpenAPIValidation = true
	rel, err := install.Run(ch.Copy(), chart.Plain(values))
	if err == nil {
		err = ctx.Err() // Helm takes it for success when only its record of the result could not be written
	}
	if rel == nil {
		return "", err
	}
	return rel.Manifest, err
}

// Uninstall removes a release whatever its state, with all that its manifests list, and waits until that is gone; what
// depends on the objects (jobs and pods of theirs) goes before them, or after them with LeaveDependents. A release that is absent
// is fine.
func (c *Client) Uninstall(ctx context.Context, name string) error {
	ctx, cancel := bounded(ctx)
	defer cancel()
	start := time.Now()
	cfg, err := c.open(ctx)
	if err == nil {
		err = c.clear(ctx, cfg, name)
	}
	return c.failure(ctx, "uninstall release "+name+" from "+c.namespace, start, err)
}

// List gives all releases of the namespace in whatever state, sorted by name.
func (c *Client) List(ctx context.Context) ([]Info, error) {
	ctx, cancel := bounded(ctx)
	defer cancel()
	start := time.Now()
	cfg, err := c.open(ctx)
	if err != nil {
		return nil, c.failure(ctx, "list releases in "+c.namespace, start, err)
	}
	list := action.NewList(cfg)
	list.All, list.StateMask = true, action.ListAll
	releases, err := list.Run()
	if err != nil {
		return nil, c.failure(ctx, "list releases in "+c.namespace, start, err)
	}
	infos := make([]Info, 0, len(releases))
	for _, r := range releases {
		info := Info{Name: r.Name, Namespace: r.Namespace, Revision: r.Version}
		if r.Info != nil {
			info.Status, info.Updated = r.Info.Status.String(), r.Info.LastDeployed.Time
		}
		if r.Chart != nil && r.Chart.Metadata != nil {
			info.Chart = r.Chart.Metadata.Name + "-" + r.Chart.Metadata.Version
		}
		infos = append(infos, info)
	}
	return infos, nil
}

// ensureNamespace makes the namespace if it is not there; it asks once in the client's life.
func (c *Client) ensureNamespace(ctx context.Context) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.there {
		return nil
	}
	if err := c.cluster.EnsureNamespace(ctx, c.namespace); err != nil {
		return err
	}
	c.there = true
	return nil
}

// forget drops what is known of the API and the namespace.
func (c *Client) forget() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.capabilities, c.there = nil, false
	c.cluster.Mapper.Reset()
}

// failure says what went wrong while doing something: a timeout with the last error, or the error with a hint.
func (c *Client) failure(ctx context.Context, doing string, start time.Time, err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(ctx.Err(), context.DeadlineExceeded):
		return step.Timeout(doing, time.Since(start), err.Error(), err)
	case ctx.Err() != nil:
		return fmt.Errorf("%s: %w", doing, errors.Join(ctx.Err(), err))
	}
	return c.cluster.Explain(fmt.Errorf("%s: %w", doing, err))
}

// unknownKind recognises the mapper's error behind Helm's, which keeps only its text.
func unknownKind(err error) bool {
	return err != nil && strings.Contains(err.Error(), "no matches for kind")
}

func bounded(ctx context.Context) (context.Context, context.CancelFunc) {
	if _, ok := ctx.Deadline(); ok {
		return context.WithCancel(ctx)
	}
	return context.WithTimeout(ctx, patience)
}

func remaining(ctx context.Context) time.Duration {
	if deadline, ok := ctx.Deadline(); ok {
		return time.Until(deadline)
	}
	return patience
}
