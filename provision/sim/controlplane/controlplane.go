// Package controlplane runs a whole Kubernetes control plane (etcd, kube-apiserver, kube-controller-manager, kube-scheduler) inside this process, on loopback only.
package controlplane

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/hashicorp/go-multierror"
	"golang.org/x/sync/errgroup"
	"k8s.io/client-go/rest"

	"github.com/compspec/ocifit-lab/provision/inprocess"
	"github.com/compspec/ocifit-lab/provision/pki"
)

// Version is the Kubernetes version of the linked server code, as /version reports it.
const Version = "v1.36.3"

// Options configure Start.
type Options struct {
	// Dir is the state folder: certificates, etcd's data, kubeconfig. It is made when absent; what it holds is taken up again.
	Dir string
	// Port of the API server on loopback; one that is taken is an error, zero means any that is free.
	Port int
	// Log receives what the components write. Nil leaves it on stderr.
	Log io.Writer
	// Prepare runs when the API server answers and before the controllers start. Custom resources defined here are known to
	// the garbage collector from its first moment; later ones only after its next look, up to 30 s later.
	Prepare func(ctx context.Context, config *rest.Config) error
	// Bare leaves the controllers and the scheduler out: etcd and the API server alone, as a reference for measurements.
	Bare bool
}

// ControlPlane is a running control plane. A process can run one at a time, and because the components register process-wide
// metrics and feature gates, a second one after Stop is not supported: tests share one per process.
type ControlPlane struct {
	dir    string
	port   int
	certs  *certificates
	config *rest.Config
	direct *inprocess.Transport // to the API server, as one of its own clients
	hooks  errgroup.Group       // parts of the API server's start
	etcd   *etcdServer

	stopControllers, stopAPIServer, stopRenewing context.CancelFunc
	controllers, apiServer                       sync.WaitGroup

	stopping chan struct{}
	stopOnce sync.Once
	failed   chan error
}

// Start brings the control plane up and returns when it is ready: /readyz says ok and, unless it is bare, the default service account exists.
// The deadline is the context's; its error tells which part was waited for. The context does not end the running control plane: Stop does.
func Start(ctx context.Context, o Options) (_ *ControlPlane, err error) {
	if err := os.MkdirAll(o.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("state folder of the control plane: %w", err)
	}
	certs, err := issueCertificates(filepath.Join(o.Dir, "pki"))
	if err != nil {
		return nil, err
	}
	setLog(o.Log)
	renewing, stopRenewing := context.WithCancel(context.WithoutCancel(ctx))
	cp := &ControlPlane{
		stopRenewing: stopRenewing, dir: o.Dir, certs: certs, direct: inprocess.New(),
		stopping: make(chan struct{}), failed: make(chan error, 4),
	}
	defer func() {
		if err != nil {
			stopCtx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
			defer cancel()
			err = errors.Join(err, cp.Stop(stopCtx))
		}
	}()
	if err := cp.startEtcd(ctx, o); err != nil {
		return nil, err
	}
	if err := cp.startAPIServer(ctx, o.Port); err != nil {
		return nil, err
	}
	if o.Prepare != nil {
		if err := o.Prepare(ctx, cp.RESTConfig()); err != nil {
			return nil, fmt.Errorf("prepare the cluster: %w", err)
		}
		if err := settleDefinitions(ctx, cp.RESTConfig()); err != nil {
			return nil, err
		}
	}
	if o.Bare {
		return cp, cp.awaitHooks(ctx)
	}
	if err := cp.startControllers(ctx); err != nil {
		return nil, err
	}
	go pki.Renew(renewing, pki.ShortLife, certs.issue, func(err error) { fmt.Fprintln(logOrStderr(o.Log), "renew the certificates:", err) })
	if err := cp.awaitServiceAccount(ctx); err != nil {
		return nil, err
	}
	return cp, cp.awaitHooks(ctx)
}

// Kubeconfig is the file with the administrator's access, readable by the owner alone.
func (c *ControlPlane) Kubeconfig() string { return filepath.Join(c.dir, "kubeconfig") }

// CA is the cluster's certificate authority, in every pod's and client's trust. Webhooks and the registry take their certificates from it.
func (c *ControlPlane) CA() *pki.Authority { return c.certs.cluster }

// InternalCA proves the connection from the API server to the kubelet endpoint alone. Nobody outside gets certificates from it.
func (c *ControlPlane) InternalCA() *pki.Authority { return c.certs.internal }

// Port is where the API server listens on loopback.
func (c *ControlPlane) Port() int { return c.port }

// RESTConfig is a new administrator's client configuration without client-side rate limits.
func (c *ControlPlane) RESTConfig() *rest.Config { return rest.CopyConfig(c.config) }

// Wait returns when the control plane has ended: nil after Stop, otherwise the error of the component that failed first.
func (c *ControlPlane) Wait() error {
	select {
	case err := <-c.failed:
		return err
	case <-c.stopping:
		return nil
	}
}

// Failed delivers the error of a component that ended by itself.
func (c *ControlPlane) Failed() <-chan error { return c.failed }

// Stop ends the components: controllers, API server, etcd. When the context's deadline comes first, what still runs is left to
// the end of the process and an error says what it was; the data is safe in either case.
func (c *ControlPlane) Stop(ctx context.Context) error {
	var errs *multierror.Error
	c.stopOnce.Do(func() {
		close(c.stopping)
		c.stopRenewing()
		if c.stopControllers != nil {
			c.stopControllers()
			errs = multierror.Append(errs, awaitGroup(ctx, &c.controllers, "controllers"))
		}
		if c.stopAPIServer != nil {
			c.stopAPIServer()
			errs = multierror.Append(errs, awaitGroup(ctx, &c.apiServer, "API server"))
		}
		if c.etcd != nil {
			errs = multierror.Append(errs, c.etcd.stop(ctx))
		}
	})
	return errs.ErrorOrNil()
}

// run starts a component; its end before Stop is a failure of the whole control plane.
func (c *ControlPlane) run(group *sync.WaitGroup, name string, f func() error) {
	group.Go(func() {
		err := f()
		select {
		case <-c.stopping:
			return
		default:
		}
		if err == nil {
			err = errors.New("ended by itself")
		}
		select {
		case c.failed <- fmt.Errorf("%s: %w", name, err):
		default:
		}
	})
}

func awaitGroup(ctx context.Context, group *sync.WaitGroup, what string) error {
	done := make(chan struct{})
	go func() { group.Wait(); close(done) }()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("%s did not end in time: %w", what, ctx.Err())
	}
}

func logOrStderr(w io.Writer) io.Writer {
	if w == nil {
		return os.Stderr
	}
	return w
}
