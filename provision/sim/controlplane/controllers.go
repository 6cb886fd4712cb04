package controlplane

import (
	"context"
	"fmt"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	kcm "k8s.io/kubernetes/cmd/kube-controller-manager/app"
	kcmoptions "k8s.io/kubernetes/cmd/kube-controller-manager/app/options"
	scheduler "k8s.io/kubernetes/cmd/kube-scheduler/app"
	scheduleroptions "k8s.io/kubernetes/cmd/kube-scheduler/app/options"
	"k8s.io/kubernetes/pkg/controller/job"

	"github.com/compspec/ocifit-lab/provision/atomicfile"
)

// heartbeatGrace is how long a node may be silent. It is long because a laptop sleeps, and simulated kubelets do not fail.
const heartbeatGrace = 10 * time.Minute

// enabledControllers are those that a batch study and the tools around it meet; storage, autoscaling of pods, bootstrap tokens,
// certificate requests and cloud routes have nothing to do here.
var enabledControllers = []string{
	"serviceaccount-token-controller", "serviceaccount-controller", "root-ca-certificate-publisher-controller", "namespace-controller",
	"garbage-collector-controller", "pod-garbage-collector-controller", "ttl-after-finished-controller", "clusterrole-aggregation-controller",
	"job-controller", "cronjob-controller", "deployment-controller", "replicaset-controller", "statefulset-controller", "daemonset-controller",
	"disruption-controller", "resourcequota-controller", "node-lifecycle-controller", "taint-eviction-controller",
}

func (c *ControlPlane) startControllers(ctx context.Context) error {
	// The components gather changes for whole seconds to spare a busy cluster; a rehearsal in compressed time would spend its life in these pauses.
	job.SyncJobBatchPeriod = 10 * time.Millisecond
	job.DefaultJobApiBackOff = 20 * time.Millisecond

	runCtx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	c.stopControllers = cancel
	server := c.config.Host
	manager, err := c.controllerManager(runCtx, server)
	if err != nil {
		return err
	}
	schedule, err := c.scheduler(runCtx, server)
	if err != nil {
		return err
	}
	c.run(&c.controllers, "controller manager", manager)
	c.run(&c.controllers, "scheduler", schedule)
	return nil
}

func (c *ControlPlane) controllerManager(ctx context.Context, server string) (func() error, error) {
	kubeconfig := c.certs.file("controller-manager.kubeconfig")
	if err := c.certs.kubeconfig(kubeconfig, "ocifit-lab", controllerManagerName, server); err != nil {
		return nil, err
	}
	o, err := kcmoptions.NewKubeControllerManagerOptions()
	if err != nil {
		return nil, fmt.Errorf("controller manager: %w", err)
	}
	o.SecureServing.BindPort = 0
	o.Generic.ClientConnection.Kubeconfig = kubeconfig
	o.Generic.ClientConnection.QPS, o.Generic.ClientConnection.Burst = 5000, 10000
	o.Generic.LeaderElection.LeaderElect = false
	o.Generic.Controllers = enabledControllers
	o.KubeCloudShared.AllocateNodeCIDRs = false
	o.KubeCloudShared.ConfigureCloudRoutes = false
	o.SAController.ServiceAccountKeyFile = c.certs.signingKey
	o.SAController.RootCAFile = c.certs.cluster.CertFile
	o.NodeLifecycleController.NodeMonitorGracePeriod = metav1.Duration{Duration: heartbeatGrace}
	o.ControllerShutdownTimeout = stopAfter
	config, err := o.Config(ctx, kcm.KnownControllers(), kcm.ControllersDisabledByDefault(), kcm.ControllerAliases())
	if err != nil {
		return nil, fmt.Errorf("controller manager: %w", err)
	}
	config.Kubeconfig.Wrap(c.direct.Wrap)
	return func() error { return kcm.Run(ctx, config.Complete()) }, nil
}

const schedulerConfig = `apiVersion: kubescheduler.config.k8s.io/v1
kind: KubeSchedulerConfiguration
clientConnection:
  kubeconfig: %q
  qps: 5000
  burst: 10000
leaderElection:
  leaderElect: false
enableProfiling: false
enableContentionProfiling: false
parallelism: 2
podInitialBackoffSeconds: 1
podMaxBackoffSeconds: 1
`

func (c *ControlPlane) scheduler(ctx context.Context, server string) (func() error, error) {
	kubeconfig, file := c.certs.file("scheduler.kubeconfig"), c.path("scheduler.yaml")
	if err := c.certs.kubeconfig(kubeconfig, "ocifit-lab", schedulerName, server); err != nil {
		return nil, err
	}
	if err := atomicfile.Write(file, fmt.Appendf(nil, schedulerConfig, kubeconfig), 0o600); err != nil {
		return nil, err
	}
	o := scheduleroptions.NewOptions()
	o.SecureServing.BindPort = 0
	o.ConfigFile = file
	config, sched, err := scheduler.Setup(ctx, o)
	if err != nil {
		return nil, fmt.Errorf("scheduler: %w", err)
	}
	return func() error { return scheduler.Run(ctx, config, sched) }, nil
}
