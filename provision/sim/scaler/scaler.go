// Package scaler lets node groups of simulated nodes grow and shrink by the rules of cluster-autoscaler.
//
// A group grows by one node for a pod that the scheduler cannot place, when the group's template fits the pod beside those of daemon sets and
// the group is below its maximum; of several groups the one that wastes least. A node goes when, for the unneeded time, it has had no pods but
// those of daemon sets, and at once when it is marked to be replaced. There is no pause after a scale-up, as in the autoscaler that a lab on eks
// gets; that pods are moved off little-used nodes is left out.
package scaler

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/hashicorp/go-multierror"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/rand"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/kubernetes/scheme"
	typedcorev1 "k8s.io/client-go/kubernetes/typed/core/v1"
	appslisters "k8s.io/client-go/listers/apps/v1"
	listers "k8s.io/client-go/listers/core/v1"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/tools/record"

	"github.com/compspec/ocifit-lab/provision/sim/simclock"
	"github.com/compspec/ocifit-lab/provision/simulated"
)

// component is the source of the scaler's events.
const component = "ocifit-lab-scaler"

// tryAgain is the pause after an API error.
const tryAgain = time.Second

// Options configure Run.
type Options struct {
	Config *rest.Config
	Groups []Group
	Clock  simclock.Clock
	// BootDelay is the simulated time between the decision for a node and its registration.
	BootDelay time.Duration
	// UnneededTime is the simulated time without pods after which a node is removed; 0 keeps nodes for ever.
	UnneededTime time.Duration
	// Ready, if set, is called when the desired nodes exist.
	Ready func()
	// Log is told what the scaler does; nil is silent.
	Log func(format string, args ...any)
}

type scaler struct {
	Options
	client   kubernetes.Interface
	nodes    listers.NodeLister
	pods     listers.PodLister
	daemons  appslisters.DaemonSetLister
	recorder record.EventRecorder
	wake     chan struct{}

	// Of the loop alone.
	refused map[types.UID]string // the last refusal told about a pod
	idle    map[string]idleness  // since when a node has had no pods

	mu      sync.Mutex
	booting map[string]*corev1.Node // by name, until the lister shows it
	failed  *multierror.Error
}

// idleness is since when a node has had nothing to do, in simulated and in real time.
type idleness struct{ simulated, real time.Time }

// Run makes the desired nodes and then scales until the context ends or the API server refuses a node.
func Run(ctx context.Context, o Options) error {
	for _, g := range o.Groups {
		if err := g.Validate(); err != nil {
			return err
		}
	}
	if o.Log == nil {
		o.Log = func(string, ...any) {}
	}
	client, err := kubernetes.NewForConfig(o.Config)
	if err != nil {
		return fmt.Errorf("client of the scaler: %w", err)
	}
	s := &scaler{
		Options: o, client: client, wake: make(chan struct{}, 1),
		booting: map[string]*corev1.Node{}, refused: map[types.UID]string{}, idle: map[string]idleness{},
	}
	broadcaster := record.NewBroadcaster(record.WithContext(ctx))
	defer broadcaster.Shutdown()
	broadcaster.StartRecordingToSink(&typedcorev1.EventSinkImpl{Interface: client.CoreV1().Events("")})
	s.recorder = broadcaster.NewRecorder(scheme.Scheme, corev1.EventSource{Component: component})
	if err := s.watch(ctx); err != nil {
		return err
	}
	if err := s.makeDesired(ctx); err != nil {
		return err
	}
	if s.Ready != nil {
		s.Ready()
	}
	return s.loop(ctx)
}

func (s *scaler) watch(ctx context.Context) error {
	factory := informers.NewSharedInformerFactory(s.client, 0)
	nodes, pods, daemons := factory.Core().V1().Nodes(), factory.Core().V1().Pods(), factory.Apps().V1().DaemonSets()
	s.nodes, s.pods, s.daemons = nodes.Lister(), pods.Lister(), daemons.Lister()
	poke := cache.ResourceEventHandlerFuncs{
		AddFunc:    func(any) { s.poke() },
		UpdateFunc: func(any, any) { s.poke() },
		DeleteFunc: func(any) { s.poke() },
	}
	for _, informer := range []cache.SharedIndexInformer{nodes.Informer(), pods.Informer(), daemons.Informer()} {
		if _, err := informer.AddEventHandler(poke); err != nil {
			return fmt.Errorf("watch for the scaler: %w", err)
		}
	}
	factory.StartWithContext(ctx)
	for kind, ok := range factory.WaitForCacheSync(ctx.Done()) {
		if !ok {
			return fmt.Errorf("scaler: no list of %s: %w", kind, context.Cause(ctx))
		}
	}
	return nil
}

func (s *scaler) poke() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// makeDesired creates the nodes that exist from the start; those of an earlier run count.
func (s *scaler) makeDesired(ctx context.Context) error {
	existing, err := s.nodes.List(labels.SelectorFromSet(labels.Set{simulated.NodeLabel: "true"}))
	if err != nil {
		return err
	}
	size := map[string]int{}
	for _, n := range existing {
		size[n.Labels[GroupLabel]]++
	}
	now := s.Clock.Now()
	for _, g := range s.Groups {
		for range g.Desired - size[g.Name] {
			node := g.node(newName(g))
			node.Annotations[simulated.RequestedAnnotation] = stamp(now)
			if err := s.create(ctx, node); err != nil {
				return err
			}
		}
	}
	return nil
}

func newName(g Group) string { return g.Name + "-" + rand.String(5) }

func (s *scaler) create(ctx context.Context, node *corev1.Node) error {
	node.Annotations[simulated.CreatedAnnotation] = stamp(s.Clock.Now())
	if _, err := s.client.CoreV1().Nodes().Create(ctx, node, metav1.CreateOptions{}); err != nil && !apierrors.IsAlreadyExists(err) {
		return fmt.Errorf("register node %s: %w", node.Name, err)
	}
	s.Log("node %s (%s) joined", node.Name, node.Labels[corev1.LabelInstanceTypeStable])
	return nil
}

func (s *scaler) loop(ctx context.Context) error {
	cancelTimer := func() {}
	defer func() { cancelTimer() }()
	for {
		if err := s.grow(ctx); err != nil {
			return err
		}
		next, err := s.shrink(ctx)
		if err != nil {
			s.Log("scale-down: %v", err)
			time.AfterFunc(tryAgain, s.poke)
		}
		cancelTimer()
		cancelTimer = s.wakeAt(ctx, next)
		select {
		case <-ctx.Done():
			return nil
		case <-s.wake:
		}
	}
}

// wakeAt pokes the loop when simulated time reaches t; never when t is zero.
func (s *scaler) wakeAt(ctx context.Context, t time.Time) context.CancelFunc {
	ctx, cancel := context.WithCancel(ctx)
	if !t.IsZero() {
		go func() {
			if s.Clock.Await(ctx, t) == nil {
				s.poke()
			}
		}()
	}
	return cancel
}

// grow looks at the unschedulable pods once.
func (s *scaler) grow(ctx context.Context) error {
	w, err := s.snapshot()
	if err != nil {
		return err
	}
	if len(w.pending) == 0 {
		return s.failure()
	}
	decisions, nodes := w.plan(newName)
	for _, d := range decisions {
		s.tell(d)
	}
	requested := s.Clock.Now()
	for _, node := range nodes {
		s.start(ctx, node, requested)
	}
	return s.failure()
}

func (s *scaler) start(ctx context.Context, node *corev1.Node, requested time.Time) {
	node.Annotations[simulated.RequestedAnnotation] = stamp(requested)
	s.mu.Lock()
	s.booting[node.Name] = node
	s.mu.Unlock()
	go s.boot(ctx, node, requested.Add(s.BootDelay))
}

func (s *scaler) boot(ctx context.Context, node *corev1.Node, at time.Time) {
	if s.Clock.SleepUntil(ctx, at) != nil {
		return
	}
	if err := s.create(ctx, node.DeepCopy()); err != nil && ctx.Err() == nil {
		s.mu.Lock()
		delete(s.booting, node.Name)
		s.failed = multierror.Append(s.failed, err)
		s.mu.Unlock()
	}
	s.poke()
}

func (s *scaler) failure() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.failed.ErrorOrNil()
}

// snapshot gathers nodes, pods and sizes as they are now.
func (s *scaler) snapshot() (*world, error) {
	nodes, err := s.nodes.List(labels.Everything())
	if err != nil {
		return nil, err
	}
	pods, err := s.pods.List(labels.Everything())
	if err != nil {
		return nil, err
	}
	sets, err := s.daemons.List(labels.Everything())
	if err != nil {
		return nil, err
	}
	w := &world{groups: s.Groups, sizes: map[string]int{}}
	for _, d := range sets {
		w.daemons = append(w.daemons, &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: d.Namespace, Labels: d.Spec.Template.Labels}, Spec: d.Spec.Template.Spec})
	}
	byName := map[string]*placement{}
	for _, n := range nodes {
		byName[n.Name] = &placement{node: n}
	}
	s.mu.Lock()
	for name, n := range s.booting {
		if _, joined := byName[name]; joined {
			delete(s.booting, name)
			continue
		}
		byName[name] = w.empty(n)
	}
	s.mu.Unlock()
	for _, pod := range pods {
		if at, ok := byName[pod.Spec.NodeName]; ok && !finished(pod) {
			at.pods = append(at.pods, pod)
		}
		if unschedulable(pod) {
			w.pending = append(w.pending, pod)
		}
	}
	for _, p := range byName {
		w.places = append(w.places, p)
		w.sizes[p.node.Labels[GroupLabel]]++
	}
	slices.SortFunc(w.places, func(a, b *placement) int { return cmp.Compare(a.node.Name, b.node.Name) })
	slices.SortFunc(w.pending, func(a, b *corev1.Pod) int {
		return cmp.Or(a.CreationTimestamp.Time.Compare(b.CreationTimestamp.Time), cmp.Compare(a.Namespace+"/"+a.Name, b.Namespace+"/"+b.Name))
	})
	s.forget(pods)
	return w, nil
}

// forget drops what was told about pods that are gone.
func (s *scaler) forget(pods []*corev1.Pod) {
	if len(s.refused) == 0 {
		return
	}
	alive := map[types.UID]bool{}
	for _, p := range pods {
		alive[p.UID] = true
	}
	for uid := range s.refused {
		if !alive[uid] {
			delete(s.refused, uid)
		}
	}
}

// tell records the decision as an event of the pod, a refusal only when it is news.
func (s *scaler) tell(d growth) {
	if d.group == nil {
		if s.refused[d.pod.UID] != d.refusals {
			s.refused[d.pod.UID] = d.refusals
			s.recorder.Eventf(d.pod, corev1.EventTypeNormal, "NotTriggerScaleUp", "pod didn't trigger scale-up: %s", d.refusals)
		}
		return
	}
	delete(s.refused, d.pod.UID)
	s.Log("pod %s/%s: node group %s grows %d->%d (max %d)", d.pod.Namespace, d.pod.Name, d.group.Name, d.from, d.to, d.group.Max)
	s.recorder.Eventf(d.pod, corev1.EventTypeNormal, "TriggeredScaleUp", "pod triggered scale-up: [{%s %d->%d (max: %d)}]", d.group.Name, d.from, d.to, d.group.Max)
}
