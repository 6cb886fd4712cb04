package release

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"helm.sh/helm/v3/pkg/action"
	"helm.sh/helm/v3/pkg/chartutil"
	helmkube "helm.sh/helm/v3/pkg/kube"
	"helm.sh/helm/v3/pkg/storage/driver"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"

	"github.com/compspec/ocifit-lab/provision/kube"
)

// configuration makes what Helm's actions need for one operation. Helm has no contexts below its surface, so each
// request that it makes is bound to ctx on its way out.
func (c *Client) configuration(ctx context.Context) (*action.Configuration, error) {
	config := rest.CopyConfig(c.cluster.Config)
	config.Wrap(func(next http.RoundTripper) http.RoundTripper { return &bound{ctx, next} })
	cfg := &action.Configuration{}
	if err := cfg.Init(&getter{c.cluster, config, c.namespace}, c.namespace, "secret", c.log); err != nil {
		return nil, fmt.Errorf("set up Helm: %w", err)
	}
	cfg.KubeClient = &watching{cfg.KubeClient.(*helmkube.Client), ctx, c.cluster}
	cfg.Releases.Driver = &records{Driver: cfg.Releases.Driver, remove: func(key string) error {
		err := c.cluster.Clientset.CoreV1().Secrets(c.namespace).Delete(ctx, key, metav1.DeleteOptions{})
		if apierrors.IsNotFound(err) {
			return driver.ErrReleaseNotFound
		}
		return err
	}}
	var err error
	cfg.Capabilities, err = c.serverCapabilities()
	return cfg, err
}

// serverCapabilities asks the server what it serves, once: Helm would read the whole API for each action.
func (c *Client) serverCapabilities() (*chartutil.Capabilities, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.capabilities != nil {
		return c.capabilities.Copy(), nil
	}
	version, err := c.cluster.Discovery.ServerVersion()
	if err != nil {
		return nil, fmt.Errorf("ask for the server's version: %w", err)
	}
	served, err := action.GetVersionSet(c.cluster.Discovery)
	if err != nil {
		return nil, err
	}
	c.capabilities = chartutil.DefaultCapabilities.Copy()
	c.capabilities.KubeVersion = chartutil.KubeVersion{Version: version.GitVersion, Major: version.Major, Minor: version.Minor}
	c.capabilities.APIVersions = served
	return c.capabilities.Copy(), nil
}

// getter hands the cluster's connection and caches to Helm.
type getter struct {
	cluster   *kube.Cluster
	config    *rest.Config
	namespace string
}

func (g *getter) ToRESTConfig() (*rest.Config, error) { return rest.CopyConfig(g.config), nil }

func (g *getter) ToDiscoveryClient() (discovery.CachedDiscoveryInterface, error) {
	return g.cluster.Discovery, nil
}

func (g *getter) ToRESTMapper() (meta.RESTMapper, error) { return g.cluster.Mapper, nil }

func (g *getter) ToRawKubeConfigLoader() clientcmd.ClientConfig {
	overrides := &clientcmd.ConfigOverrides{Context: clientcmdapi.Context{Namespace: g.namespace}}
	return clientcmd.NewDefaultClientConfig(*clientcmdapi.NewConfig(), overrides)
}

// bound ends requests with the operation that they belong to.
type bound struct {
	ctx  context.Context
	next http.RoundTripper
}

func (b *bound) RoundTrip(r *http.Request) (*http.Response, error) {
	if err := b.ctx.Err(); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancelCause(r.Context())
	stop := context.AfterFunc(b.ctx, func() { cancel(b.ctx.Err()) })
	release := func() { stop(); cancel(nil) }
	response, err := b.next.RoundTrip(r.WithContext(ctx))
	if err != nil {
		if b.ctx.Err() != nil && !errors.Is(err, b.ctx.Err()) {
			err = errors.Join(b.ctx.Err(), err)
		}
		release()
		return nil, err
	}
	response.Body = &body{response.Body, release}
	return response, nil
}

// WrappedRoundTripper lets client-go find the transport underneath.
func (b *bound) WrappedRoundTripper() http.RoundTripper { return b.next }

// body keeps its request's context until it is closed.
type body struct {
	io.ReadCloser
	release func()
}

func (b *body) Close() error {
	defer b.release()
	return b.ReadCloser.Close()
}

// watching is Helm's client with a wait for deletions that watches instead of polling and ends with its context.
type watching struct {
	*helmkube.Client
	ctx     context.Context
	cluster *kube.Cluster
}

// IsReachable spares Helm's question for the server's version before each action: the action's own requests tell.
func (w *watching) IsReachable() error { return nil }

func (w *watching) WaitForDelete(objects helmkube.ResourceList, _ time.Duration) error {
	for _, o := range objects {
		if err := w.cluster.WaitNamedGone(w.ctx, o.Mapping.Resource, o.Namespace, o.Name); err != nil {
			return err
		}
	}
	return nil
}

// noting remembers errors that Helm's uninstall action turns into text or drops.
type noting struct {
	helmkube.Interface
	err error
}

func (n *noting) DeleteWithPropagationPolicy(objects helmkube.ResourceList, policy metav1.DeletionPropagation) (*helmkube.Result, []error) {
	result, errs := n.Interface.(helmkube.InterfaceDeletionPropagation).DeleteWithPropagationPolicy(objects, policy)
	n.err = errors.Join(append([]error{n.err}, errs...)...)
	return result, errs
}

func (n *noting) WaitForDelete(objects helmkube.ResourceList, limit time.Duration) error {
	err := n.Interface.(helmkube.InterfaceExt).WaitForDelete(objects, limit)
	n.err = errors.Join(n.err, err)
	return err
}
