package controlplane

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	utilnet "k8s.io/apimachinery/pkg/util/net"
	apimachineryversion "k8s.io/apimachinery/pkg/version"
	genericapiserver "k8s.io/apiserver/pkg/server"
	"k8s.io/apiserver/pkg/server/egressselector"
	basecompatibility "k8s.io/component-base/compatibility"
	"k8s.io/klog/v2"
	"k8s.io/kubernetes/cmd/kube-apiserver/app"
	"k8s.io/kubernetes/cmd/kube-apiserver/app/options"
	rbac "k8s.io/kubernetes/pkg/registry/rbac/rest"
	scheduling "k8s.io/kubernetes/pkg/registry/scheduling/rest"
)

const serviceRange = "10.96.0.0/16"

var serviceIP = net.IPv4(10, 96, 0, 1)

// stopAfter bounds how long the API server waits for its open watches at the end.
const stopAfter = 300 * time.Millisecond

func (c *ControlPlane) startAPIServer(ctx context.Context, port int) error {
	listener, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
	if errors.Is(err, syscall.EADDRINUSE) {
		return fmt.Errorf("port %d for the API server is taken by another program", port)
	}
	if err != nil {
		return fmt.Errorf("listen for the API server: %w", err)
	}
	address := listener.Addr().(*net.TCPAddr)
	c.port = address.Port
	server := "https://" + address.String()
	if err := c.certs.kubeconfig(c.Kubeconfig(), "ocifit-lab", adminName, server); err != nil {
		listener.Close()
		return err
	}
	if c.config, err = unlimited(c.Kubeconfig()); err != nil {
		listener.Close()
		return err
	}
	// Most clients of a rehearsal's API server are parts of its own process; the connections to itself were a large part of all its work.
	// Everything behind the connection stays: authentication, authorization, admission, encoding.
	c.config.Wrap(c.direct.Wrap)
	runCtx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	c.stopAPIServer = cancel
	c.run(&c.apiServer, "API server", func() error { return c.serveAPI(runCtx, listener) })
	select {
	case <-c.direct.Ready():
	case err := <-c.failed:
		return err
	case <-ctx.Done():
		return fmt.Errorf("the API server is not put together yet: %w", ctx.Err())
	}
	return c.awaitReady(ctx)
}

// serveAPI is what kube-apiserver's command does, without its signal handler, flags and logging set-up, which a process can have once only.
func (c *ControlPlane) serveAPI(ctx context.Context, listener net.Listener) error {
	defer listener.Close()
	o := c.apiServerOptions(listener)
	if err := o.GenericServerRunOptions.ComponentGlobalsRegistry.Set(); err != nil {
		return err
	}
	completed, err := o.Complete(ctx)
	if err != nil {
		return err
	}
	if errs := completed.Validate(); len(errs) > 0 {
		return errors.Join(errs...)
	}
	config, err := app.NewConfig(completed)
	if err != nil {
		return err
	}
	generic := config.KubeAPIs.ControlPlane.Generic
	generic.EffectiveVersion = reportedVersion{generic.EffectiveVersion}
	config.ApiExtensions.GenericConfig.EffectiveVersion = generic.EffectiveVersion
	config.Aggregator.GenericConfig.EffectiveVersion = generic.EffectiveVersion
	hooks, err := slowHooks()
	if err != nil {
		return err
	}
	for name := range hooks {
		generic.DisabledPostStartHooks.Insert(name)
	}
	complete, err := config.Complete()
	if err != nil {
		return err
	}
	server, err := app.CreateServerChain(complete)
	if err != nil {
		return err
	}
	server.GenericAPIServer.ShutdownTimeout = stopAfter
	for _, hook := range hooks {
		c.hooks.Go(func() error {
			return hook(genericapiserver.PostStartHookContext{LoopbackClientConfig: c.RESTConfig(), Context: ctx})
		})
	}
	prepared, err := server.PrepareRun()
	if err != nil {
		return err
	}
	c.direct.Serve(server.GenericAPIServer.Handler, generic.LoopbackClientConfig.BearerToken)
	return prepared.Run(ctx)
}

// slowHooks are the parts of the API server's start that wait a second before they look for work: the roles and the priorities that every
// cluster has. Here the second begins while the server is still being put together.
func slowHooks() (map[string]genericapiserver.PostStartHookFunc, error) {
	hooks := map[string]genericapiserver.PostStartHookFunc{}
	for _, provider := range []genericapiserver.PostStartHookProvider{rbac.RESTStorageProvider{}, scheduling.RESTStorageProvider{}} {
		name, hook, err := provider.PostStartHook()
		if err != nil {
			return nil, err
		}
		hooks[name] = hook
	}
	return hooks, nil
}

// uncached are the resources of which there are few objects and many changes. A cache of them would hold the changes of the last 75 s, which
// are hundreds of trials here, and a list from it waits, up to a tenth of a second, until etcd has told the cache that nothing came meanwhile.
var uncached = []string{"secrets", "jobs.batch", "pods", "configmaps", "services"}

func (c *ControlPlane) apiServerOptions(listener net.Listener) *options.ServerRunOptions {
	loopback := net.IPv4(127, 0, 0, 1)
	o := options.NewServerRunOptions()
	o.SecureServing.Listener = listener
	o.SecureServing.BindAddress = loopback
	o.SecureServing.BindPort = listener.Addr().(*net.TCPAddr).Port
	o.SecureServing.ServerCert.CertKey.CertFile = c.certs.file("apiserver.crt")
	o.SecureServing.ServerCert.CertKey.KeyFile = c.certs.file("apiserver.key")
	o.GenericServerRunOptions.AdvertiseAddress = loopback
	o.GenericServerRunOptions.ExternalHost = "127.0.0.1"
	// A loopback address cannot be the endpoint of a service, and no simulated pod would ask for it.
	o.EndpointReconcilerType = "none"
	o.ServiceClusterIPRanges = serviceRange

	o.Etcd.StorageConfig.Transport.ServerList = []string{"http://etcd"}
	o.Etcd.StorageConfig.Transport.EgressLookup = func(egressselector.NetworkContext) (utilnet.DialFunc, error) { return c.etcd.dial, nil }

	// A rehearsal writes in minutes what a cluster does in hours; nobody here reads what was a minute ago.
	o.Etcd.StorageConfig.CompactionInterval = time.Minute
	// Each trial asks for the events of its pod, which without a cache means to read those of all trials from etcd.
	o.Etcd.WatchCacheSizes = []string{"events#100"}
	for _, resource := range uncached {
		o.Etcd.WatchCacheSizes = append(o.Etcd.WatchCacheSizes, resource+"#0")
	}
	o.EventTTL = 5 * time.Minute

	o.KubeletConfig.TLSClientConfig.CertFile = c.certs.file("kubelet-client.crt")
	o.KubeletConfig.TLSClientConfig.KeyFile = c.certs.file("kubelet-client.key")
	o.KubeletConfig.TLSClientConfig.CAFile = c.certs.file("internal-ca.crt")
	o.KubeletConfig.PreferredAddressTypes = []string{"InternalIP"}

	o.Authentication.ClientCert.ClientCA = c.certs.cluster.CertFile
	o.Authentication.Anonymous.Allow = false
	o.Authentication.ServiceAccounts.Issuers = []string{"https://kubernetes.default.svc.cluster.local"}
	o.Authentication.ServiceAccounts.KeyFiles = []string{c.certs.signingKey}
	o.ServiceAccountSigningKeyFile = c.certs.signingKey
	o.Authorization.Modes = []string{"RBAC"}
	o.AllowPrivileged = true

	// One user on one machine needs neither queues between tenants nor profiles.
	o.Features.EnablePriorityAndFairness = false
	o.Features.EnableProfiling = false
	o.Admission.GenericAdmission.DisablePlugins = []string{"StorageObjectInUseProtection", "PersistentVolumeClaimResize", "DefaultStorageClass"}
	return o
}

// reportedVersion makes /version tell the release of the linked code; the release itself puts it in by linker flags, which a library never sees.
type reportedVersion struct {
	basecompatibility.EffectiveVersion
}

func (v reportedVersion) Info() *apimachineryversion.Info {
	info := v.EffectiveVersion.Info()
	if info == nil {
		return nil
	}
	info.GitVersion, info.GitCommit, info.GitTreeState = Version, "", "clean"
	return info
}

// setLog sends the components' errors to w. What they say in health fills a disk and costs time.
func setLog(w io.Writer) {
	if w == nil {
		return
	}
	flags := flag.NewFlagSet("klog", flag.ContinueOnError)
	klog.InitFlags(flags)
	for name, value := range map[string]string{"logtostderr": "false", "stderrthreshold": "FATAL", "one_output": "true"} {
		_ = flags.Set(name, value)
	}
	klog.SetOutput(w)
	klog.SetOutputBySeverity("INFO", io.Discard)
	klog.SetOutputBySeverity("WARNING", io.Discard)
}

func (c *ControlPlane) path(name string) string { return filepath.Join(c.dir, name) }
