package playback

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/hashicorp/go-multierror"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	listers "k8s.io/client-go/listers/core/v1"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/cache"

	"github.com/compspec/ocifit-lab/experiments/application"
	"github.com/compspec/ocifit-lab/provision/simulated"
	"github.com/compspec/ocifit-lab/templates"
)

// The study's pods took 43 s from binding to the container's start on fresh nodes and 18 s on nodes that had the
// images: these are the means over its random arm.
const (
	defaultImagePull      = 25 * time.Second
	defaultContainerStart = 18 * time.Second
)

// defaultLinger leaves time for the commands that a person types, or a script runs, after a pod was made.
const defaultLinger = 30 * time.Second

// labelTrial marks pods of a study.
const labelTrial = "ocifit-lab/trial"

// Clock is simulated time.
type Clock interface {
	Now() time.Time
	// Sleep returns when d has passed on the clock, or with the context's error.
	Sleep(ctx context.Context, d time.Duration) error
}

// Options says what an engine plays, and where.
type Options struct {
	REST  *rest.Config
	Clock Clock
	// LogDir gets a folder NAMESPACE_POD for each pod, with CONTAINER.log, and CONTAINER.done once the log is complete.
	LogDir string
	// Seed is mixed into the seed of every trial that brings none.
	Seed uint64
	// Types knows the lab's instance types by name; what it does not know is taken from the node.
	Types map[string]templates.InstanceType
	// Rehearsers are the applications that can be played.
	Rehearsers []application.Rehearser
	// Described makes one of the application file that a container brings. Nil knows none.
	Described func(file string) (application.Rehearser, error)
	// Instant leaves out the phase "running", for a clock that never waits: log and end then come at once.
	Instant bool
	// Linger is how long, in real time, a pod that no study has started keeps running while nobody reads its log, on a clock that
	// never waits. Zero means the default.
	Linger time.Duration
	// ImagePull is spent once for each node and image, ContainerStart for each pod. Zero means the defaults.
	ImagePull, ContainerStart time.Duration
	// SyncTimeout bounds the start; a minute when it is 0.
	SyncTimeout time.Duration
	// Log takes one line per failure. Nil throws them away.
	Log func(format string, args ...any)
	// Ready, when given, is called once the engine has seen all pods that exist.
	Ready func()
}

type engine struct {
	Options
	kube       kubernetes.Interface
	nodes      listers.NodeLister
	configMaps listers.ConfigMapLister

	mu     sync.Mutex
	pods   map[types.UID]*playing
	pulled map[string]bool // node UID and image
	plays  sync.WaitGroup
}

// playing is a pod with a workload, from its first sight until it is gone.
type playing struct {
	created time.Time // on the simulated clock
	started bool
	cancel  context.CancelFunc
}

// Run plays the workload of every pod that asks for one by its annotation and has come to a node, until ctx ends; then it
// returns nil.
func Run(ctx context.Context, opts Options) error {
	cfg := rest.CopyConfig(opts.REST)
	cfg.QPS, cfg.Burst = -1, 0 // the server has its own flow control
	rest.AddUserAgent(cfg, "ocifit-lab-playback")
	kube, err := kubernetes.NewForConfig(cfg)
	if err != nil {
		return fmt.Errorf("playback: %w", err)
	}
	return run(ctx, kube, opts)
}

func run(ctx context.Context, kube kubernetes.Interface, opts Options) error {
	if err := os.MkdirAll(opts.LogDir, 0o700); err != nil {
		return fmt.Errorf("playback: folder of the logs: %w", err)
	}
	e := &engine{Options: opts.withDefaults(), kube: kube, pods: map[types.UID]*playing{}, pulled: map[string]bool{}}
	ctx, cancel := context.WithCancel(ctx)
	factory := informers.NewSharedInformerFactoryWithOptions(kube, 0, informers.WithTransform(withoutManagedFields))
	core := factory.Core().V1()
	informer := core.Pods().Informer()
	e.nodes, e.configMaps = core.Nodes().Lister(), core.ConfigMaps().Lister()
	registration, err := informer.AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc:    func(obj any) { e.see(ctx, obj) },
		UpdateFunc: func(_, obj any) { e.see(ctx, obj) },
		DeleteFunc: e.forget,
	})
	if err != nil {
		cancel()
		return fmt.Errorf("playback: %w", err)
	}
	defer func() { cancel(); factory.Shutdown(); e.plays.Wait() }()
	factory.Start(ctx.Done())
	syncing, stop := context.WithTimeout(ctx, e.SyncTimeout)
	defer stop()
	if !cache.WaitForCacheSync(syncing.Done(), core.Nodes().Informer().HasSynced, core.ConfigMaps().Informer().HasSynced, registration.HasSynced) {
		if ctx.Err() != nil {
			return nil
		}
		return fmt.Errorf("playback: the lists of pods, nodes and config maps have not come in %s: %w", e.SyncTimeout, context.Cause(syncing))
	}
	if err := e.sweep(informer.GetStore()); err != nil {
		return err
	}
	if e.Ready != nil {
		e.Ready()
	}
	<-ctx.Done()
	return nil
}

func (o Options) withDefaults() Options {
	if o.ImagePull == 0 {
		o.ImagePull = defaultImagePull
	}
	if o.ContainerStart == 0 {
		o.ContainerStart = defaultContainerStart
	}
	if o.Linger == 0 {
		o.Linger = defaultLinger
	}
	if o.SyncTimeout == 0 {
		o.SyncTimeout = time.Minute
	}
	if o.Log == nil {
		o.Log = func(string, ...any) {}
	}
	return o
}

func withoutManagedFields(obj any) (any, error) {
	if o, ok := obj.(metav1.Object); ok {
		o.SetManagedFields(nil)
	}
	return obj, nil
}

// see notes a pod's creation at its first sight and starts its play when it has come to a node.
func (e *engine) see(ctx context.Context, obj any) {
	pod, ok := obj.(*corev1.Pod)
	if !ok || pod.Annotations[simulated.WorkloadAnnotation] == "" {
		return
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	p := e.pods[pod.UID]
	if p == nil {
		p = &playing{created: e.Clock.Now()}
		e.pods[pod.UID] = p
	}
	if pod.DeletionTimestamp != nil {
		if p.cancel != nil {
			p.cancel()
		}
		return
	}
	if p.started || pod.Spec.NodeName == "" || over(pod) {
		return
	}
	p.started = true
	ctx, p.cancel = context.WithCancel(ctx)
	created := p.created
	e.plays.Go(func() {
		if err := e.play(ctx, pod, created); err != nil && ctx.Err() == nil {
			e.Log("playback of %s/%s: %v", pod.Namespace, pod.Name, err)
		}
		e.mu.Lock()
		gone := e.pods[pod.UID] == nil
		e.mu.Unlock()
		if gone { // meanwhile: what was written after its end has no owner
			e.removeLogs(pod)
		}
	})
}

func over(pod *corev1.Pod) bool {
	phase := pod.Annotations[simulated.PhaseAnnotation]
	return phase == simulated.PhaseSucceeded || phase == simulated.PhaseFailed || pod.Status.Phase == corev1.PodSucceeded || pod.Status.Phase == corev1.PodFailed
}

// forget ends the play of a pod that is gone and removes its logs.
func (e *engine) forget(obj any) {
	if gone, ok := obj.(cache.DeletedFinalStateUnknown); ok {
		obj = gone.Obj
	}
	pod, ok := obj.(*corev1.Pod)
	if !ok || pod.Annotations[simulated.WorkloadAnnotation] == "" {
		return
	}
	e.mu.Lock()
	if p := e.pods[pod.UID]; p != nil && p.cancel != nil {
		p.cancel()
	}
	delete(e.pods, pod.UID)
	e.mu.Unlock()
	e.removeLogs(pod)
}

func (e *engine) removeLogs(pod *corev1.Pod) {
	if err := os.RemoveAll(e.folder(pod)); err != nil {
		e.Log("playback of %s/%s: remove its logs: %v", pod.Namespace, pod.Name, err)
	}
}

func (e *engine) folder(pod *corev1.Pod) string {
	return filepath.Join(e.LogDir, pod.Namespace+"_"+pod.Name)
}

// sweep removes the logs of pods that went while no engine ran.
func (e *engine) sweep(store cache.Store) error {
	entries, err := os.ReadDir(e.LogDir)
	if err != nil {
		return fmt.Errorf("playback: folder of the logs: %w", err)
	}
	keep := map[string]bool{}
	for _, obj := range store.List() {
		if pod, ok := obj.(*corev1.Pod); ok {
			keep[filepath.Base(e.folder(pod))] = true
		}
	}
	var all *multierror.Error
	for _, entry := range entries {
		if keep[entry.Name()] {
			continue
		}
		if err := os.RemoveAll(filepath.Join(e.LogDir, entry.Name())); err != nil {
			all = multierror.Append(all, err)
		}
	}
	if err := all.ErrorOrNil(); err != nil {
		return fmt.Errorf("playback: remove old logs: %w", err)
	}
	return nil
}
