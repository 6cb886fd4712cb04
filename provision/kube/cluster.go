// Package kube is a handle on one live cluster: apply, delete, wait with reasons, follow logs.
package kube

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/discovery/cached/memory"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/restmapper"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/compspec/ocifit-lab/provision/step"
	"github.com/compspec/ocifit-lab/provision/wait"
)

// askTime is the deadline of a single question whose context has none.
const askTime = 30 * time.Second

// Cluster is a live cluster. All methods are safe for concurrent use, and all waits have a deadline: the context's, or
// ten minutes where it has none.
type Cluster struct {
	Name       string // of the cluster in the kubeconfig
	Kubeconfig string // file it was read from
	Namespace  string // of objects that name none
	Config     *rest.Config
	Clientset  kubernetes.Interface
	Dynamic    dynamic.Interface
	Discovery  discovery.CachedDiscoveryInterface // kept in memory
	Mapper     meta.ResettableRESTMapper          // on Discovery
	// Alive, if set, is asked when no server takes a request; its error says that the cluster has ended and why.
	Alive func() error
	// LostAfter is how long no server may take a request before a wait gives the cluster up; 0 means ten minutes.
	LostAfter time.Duration
}

// Connect reads the current context of a kubeconfig file. It does not touch the cluster; see Ready.
func Connect(kubeconfig string) (*Cluster, error) {
	file, err := clientcmd.LoadFromFile(kubeconfig)
	if err != nil {
		return nil, step.Try(fmt.Errorf("read kubeconfig: %w", err), "run `ocifit-lab up` first, or name the right lab file")
	}
	loader := clientcmd.NewDefaultClientConfig(*file, &clientcmd.ConfigOverrides{})
	config, err := loader.ClientConfig()
	if err != nil {
		return nil, fmt.Errorf("read kubeconfig %s: %w", kubeconfig, err)
	}
	namespace, _, err := loader.Namespace()
	if err != nil {
		return nil, fmt.Errorf("read kubeconfig %s: %w", kubeconfig, err)
	}
	name := ""
	if current := file.Contexts[file.CurrentContext]; current != nil {
		name = current.Cluster
	}
	// One program talks to one small cluster: the client's own throttle would only slow it down.
	config.QPS, config.Burst = -1, -1
	config.UserAgent = "ocifit-lab"
	config.WarningHandler = rest.NoWarnings{}
	return forConfig(config, name, kubeconfig, namespace)
}

func forConfig(config *rest.Config, name, kubeconfig, namespace string) (*Cluster, error) {
	// All clients share one transport, and so one connection.
	client, err := rest.HTTPClientFor(config)
	if err != nil {
		return nil, fmt.Errorf("connect to %s: %w", config.Host, err)
	}
	typed, err := kubernetes.NewForConfigAndClient(config, client)
	if err != nil {
		return nil, fmt.Errorf("connect to %s: %w", config.Host, err)
	}
	dyn, err := dynamic.NewForConfigAndClient(config, client)
	if err != nil {
		return nil, fmt.Errorf("connect to %s: %w", config.Host, err)
	}
	cached := memory.NewMemCacheClient(typed.Discovery())
	return &Cluster{
		Name: name, Kubeconfig: kubeconfig, Namespace: namespace, Config: config, Clientset: typed, Dynamic: dyn,
		Discovery: cached, Mapper: restmapper.NewDeferredDiscoveryRESTMapper(cached),
	}, nil
}

// Ready asks the API server once whether it is ready. The error says which of its checks fail.
func (c *Cluster) Ready(ctx context.Context) error {
	ctx, cancel := wait.Bounded(ctx, askTime)
	defer cancel()
	body, err := c.Clientset.Discovery().RESTClient().Get().AbsPath("/readyz").Param("verbose", "").Do(ctx).Raw()
	if err == nil {
		return nil
	}
	var failing []string
	for line := range strings.SplitSeq(string(body), "\n") {
		if check, ok := strings.CutPrefix(line, "[-]"); ok {
			failing = append(failing, strings.TrimSuffix(check, ": reason withheld"))
		}
	}
	if len(failing) > 0 {
		return fmt.Errorf("the API server is not ready: %s", strings.Join(failing, ", "))
	}
	return c.Explain(fmt.Errorf("ask the API server whether it is ready: %w", err))
}

// WaitReady asks until the API server is ready.
func (c *Cluster) WaitReady(ctx context.Context) error {
	return c.Explain(wait.Retry(ctx, "wait for the API server", wait.Backoff{First: 50 * time.Millisecond, Longest: time.Second}, func(ctx context.Context) error {
		err := c.Ready(ctx)
		if errors.Is(err, ErrLost) {
			return wait.Stop(err)
		}
		return err
	}))
}

// DryRunCreatePod sends the pod through admission without making it, and gives it as it would be stored.
func (c *Cluster) DryRunCreatePod(ctx context.Context, pod *corev1.Pod) (*corev1.Pod, error) {
	ctx, cancel := wait.Bounded(ctx, askTime)
	defer cancel()
	namespace := pod.Namespace
	if namespace == "" {
		namespace = c.Namespace
	}
	got, err := c.Clientset.CoreV1().Pods(namespace).Create(ctx, pod, metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}})
	if err != nil {
		return nil, c.Explain(fmt.Errorf("try the creation of a pod: %w", err))
	}
	return got, nil
}
