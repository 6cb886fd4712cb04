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

	apimachineryversion "k8s.io/apimachinery/pkg/version"
	basecompatibility "k8s.io/component-base/compatibility"
	"k8s.io/klog/v2"
	"k8s.io/kubernetes/cmd/kube-apiserver/app"
	"k8s.io/kubernetes/cmd/kube-apiserver/app/options"
)

const serviceRange = "10.96.0.0/16"

var serviceIP = net.IPv4(10, 96, 0, 1)

// stopAfter bounds how long the API server waits for its open watches at the end.
const stopAfter = 300 * time.Millisecond

func (c *ControlPlane) startAPIServer(ctx context.Context, port int) error {
	listener, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
	if errors.Is(err, syscall.EADDRINUSE) {
		return &PortTakenError{Part: "the API server", Port: port}
	}
	if err != nil {
		return fmt.Errorf("listen for the API server: %w", err)
	}
	address := listener.Addr().(*net.TCPAddr)
	c.ports.APIServer = address.Port
	server := "https://" + address.String()
	if err := c.certs.kubeconfig(c.Kubeconfig(), "ocifit-lab", adminName, server); err != nil {
		listener.Close()
		return err
	}
	if c.config, err = unlimited(c.Kubeconfig()); err != nil {
		listener.Close()
		return err
	}
	runCtx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	c.stopAPIServer = cancel
	c.run(&c.apiServer, "API server", func() error { return c.serveAPI(runCtx, listener) })
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
	config.KubeAPIs.ControlPlane.Generic.EffectiveVersion = reportedVersion{config.KubeAPIs.ControlPlane.Generic.EffectiveVersion}
	config.ApiExtensions.GenericConfig.EffectiveVersion = config.KubeAPIs.ControlPlane.Generic.EffectiveVersion
	config.Aggregator.GenericConfig.EffectiveVersion = config.KubeAPIs.ControlPlane.Generic.EffectiveVersion
	complete, err := config.Complete()
	if err != nil {
		return err
	}
	server, err := app.CreateServerChain(complete)
	if err != nil {
		return err
	}
	server.GenericAPIServer.ShutdownTimeout = stopAfter
	prepared, err := server.PrepareRun()
	if err != nil {
		return err
	}
	return prepared.Run(ctx)
}

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

	o.Etcd.StorageConfig.Transport.ServerList = []string{c.etcd.endpoint}
	o.Etcd.StorageConfig.Transport.CertFile = c.certs.file("etcd-client.crt")
	o.Etcd.StorageConfig.Transport.KeyFile = c.certs.file("etcd-client.key")
	o.Etcd.StorageConfig.Transport.TrustedCAFile = c.certs.file("internal-ca.crt")

	// A rehearsal writes in minutes what a cluster does in hours; nobody here reads what was a minute ago.
	o.Etcd.StorageConfig.CompactionInterval = time.Minute
	// Each trial asks for the events of its pod, which without a cache means to read those of all trials from etcd.
	o.Etcd.WatchCacheSizes = []string{"events#100"}
	o.EventTTL = 10 * time.Minute

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
