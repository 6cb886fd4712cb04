// Package supervisor is the process of a simulated lab: registry, webhook, MiniCluster controller and playback beside the control plane.
package supervisor

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/cache"

	"github.com/compspec/ocifit-lab/addons"
	"github.com/compspec/ocifit-lab/addons/builtin/minicluster"
	"github.com/compspec/ocifit-lab/addons/nodefeatures"
	"github.com/compspec/ocifit-lab/cmd/serving"
	"github.com/compspec/ocifit-lab/experiments/applications"
	"github.com/compspec/ocifit-lab/experiments/playback"
	"github.com/compspec/ocifit-lab/provision/atomicfile"
	"github.com/compspec/ocifit-lab/provision/registry"
	"github.com/compspec/ocifit-lab/provision/sim"
	"github.com/compspec/ocifit-lab/provision/simulated"
	"github.com/compspec/ocifit-lab/templates"
	"github.com/compspec/ocifit-lab/webhook/compat"
	"github.com/compspec/ocifit-lab/webhook/serve"
)

// Command is the hidden command that provider sim runs as a process of its own, with the settings file as its argument.
const Command = "sim-supervisor"

// Webhook is what the webhook in the supervisor is told.
type Webhook struct {
	Skip     []string `json:"skip"`
	TieBreak string   `json:"tieBreak"`
	// Registries are those beside the lab's own and the published one that pods may name artifacts in.
	Registries []string `json:"registries,omitempty"`
}

// Run carries the simulated cluster that a settings file describes until it is told to stop.
func Run(ctx context.Context, file string) error {
	return sim.Supervise(ctx, sim.Config{
		File: file, Prepare: minicluster.Install, Registry: registryPart, Webhook: webhookPart, MiniCluster: MiniClusters, Playback: Playback,
	})
}

func registryPart(ctx context.Context, env sim.Env, ready func(string)) error {
	r, err := registry.Start(ctx, registry.Options{Addr: env.Listen, Dir: env.Dir, Login: env.RegistryLogin})
	if err != nil {
		return err
	}
	ready(r.Addr())
	<-r.Done()
	return r.Stop()
}

// MiniClusters runs the MiniCluster controller, whose pods replay their benchmark.
func MiniClusters(ctx context.Context, env sim.Env, ready func(string)) error {
	return minicluster.Run(ctx, env.Config, minicluster.Options{
		PodAnnotations: map[string]string{simulated.WorkloadAnnotation: "replay"},
		Log:            func(format string, args ...any) { fmt.Fprintf(env.Log, "minicluster: "+format+"\n", args...) },
		Ready:          func() { ready("") },
	})
}

// Playback plays what pods of the benchmark would have printed.
func Playback(ctx context.Context, env sim.Env, ready func(string)) error {
	types := map[string]templates.InstanceType{}
	for _, t := range templates.InstanceTypes() {
		types[t.Name] = t
	}
	rehearsers, err := applications.Rehearsers()
	if err != nil {
		return err
	}
	return playback.Run(ctx, playback.Options{
		REST: env.Config, Clock: env.Clock, LogDir: env.LogDir, Types: types, Rehearsers: rehearsers,
		Described: applications.Rehearser,
		Instant:   env.Settings.TimeScale == 0,
		Ready:     func() { ready("") },
		Log:       func(format string, args ...any) { fmt.Fprintf(env.Log, "playback: "+format+"\n", args...) },
	})
}

// webhookPart listens at once, so that its address is known, and serves when the node features are in the cluster: like a pod
// that waits for its volume.
func webhookPart(ctx context.Context, env sim.Env, ready func(string)) error {
	var extra Webhook
	if err := json.Unmarshal(env.Settings.Extra, &extra); err != nil {
		return fmt.Errorf("settings of the webhook: %w", err)
	}
	client, err := kubernetes.NewForConfig(env.Config)
	if err != nil {
		return err
	}
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", env.Listen)
	if err != nil {
		return err
	}
	defer listener.Close()
	ready(listener.Addr().String())
	cluster, err := serve.Connect(env.Config)
	if err != nil {
		return err
	}
	return ServeWebhook(ctx, env, client, serve.Config{
		AllowRegistries: append([]string{env.Registry, compat.PublishedRegistry}, extra.Registries...),
		Listener:        listener, Cluster: cluster, Skip: extra.Skip, TieBreak: extra.TieBreak, PlainHTTPRegistries: []string{env.Registry}, Events: true,
		Mirrors:    map[string][]string{compat.PublishedRegistry: {env.Registry}},
		Credential: env.RegistryLogin.Credential(env.Registry, nil),
	})
}

// ServeWebhook waits for the node features in client's cluster and serves with the part's certificate.
func ServeWebhook(ctx context.Context, env sim.Env, client kubernetes.Interface, c serve.Config) error {
	file := filepath.Join(env.Dir, nodefeatures.File)
	if err := mountFeatures(ctx, client, file); err != nil {
		if ctx.Err() != nil {
			return nil
		}
		return err
	}
	c.CertFile, c.KeyFile, c.FeaturesFile = env.CertFile, env.KeyFile, file
	c.Prices, _ = templates.Prices()
	c.Allocatable = serving.Allocatable()
	c.Log = slog.New(slog.NewJSONHandler(env.Log, &slog.HandlerOptions{Level: slog.LevelWarn}))
	return serve.Run(ctx, c)
}

// mountFeatures keeps a file in step with the node-features ConfigMap, as a volume of a pod would be. It returns when the file
// is there first, and goes on until ctx ends.
func mountFeatures(ctx context.Context, client kubernetes.Interface, file string) error {
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		return err
	}
	written := make(chan error, 1)
	report := func(err error) {
		select {
		case written <- err:
		default: // only the first time matters to the caller
		}
	}
	write := func(object any) {
		cm, ok := object.(*corev1.ConfigMap)
		if !ok || cm.Data[nodefeatures.File] == "" {
			return
		}
		report(atomicfile.Write(file, []byte(cm.Data[nodefeatures.File]), 0o600))
	}
	factory := informers.NewSharedInformerFactoryWithOptions(client, 0, informers.WithNamespace(addons.Namespace),
		informers.WithTweakListOptions(func(o *metav1.ListOptions) {
			o.FieldSelector = fields.OneTermEqualSelector(metav1.ObjectNameField, nodefeatures.ConfigMap).String()
		}))
	informer := factory.Core().V1().ConfigMaps().Informer()
	if _, err := informer.AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc: write, UpdateFunc: func(_, object any) { write(object) },
	}); err != nil {
		return err
	}
	factory.Start(ctx.Done())
	select {
	case err := <-written:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}
