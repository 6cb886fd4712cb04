package kube

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/watch"
	dynamicfake "k8s.io/client-go/dynamic/fake"
	"k8s.io/client-go/kubernetes/fake"
	clienttesting "k8s.io/client-go/testing"
)

var (
	pods        = schema.GroupVersionResource{Version: "v1", Resource: "pods"}
	configMaps  = schema.GroupVersionResource{Version: "v1", Resource: "configmaps"}
	namespaces  = schema.GroupVersionResource{Version: "v1", Resource: "namespaces"}
	widgets     = schema.GroupVersionResource{Group: "example.org", Version: "v1", Resource: "widgets"}
	webhooks    = schema.GroupVersionResource{Group: "admissionregistration.k8s.io", Version: "v1", Resource: "mutatingwebhookconfigurations"}
	deployments = schema.GroupVersionResource{Group: "apps", Version: "v1", Resource: "deployments"}
)

// mapper knows the kinds of the tests; widgets only once their definition is there.
type mapper struct {
	*meta.DefaultRESTMapper
	resets  int
	onReset func(*mapper)
}

func newMapper() *mapper {
	m := &mapper{DefaultRESTMapper: meta.NewDefaultRESTMapper(nil)}
	for kind, scope := range map[schema.GroupVersionKind]meta.RESTScope{
		{Version: "v1", Kind: "ConfigMap"}:                                                           meta.RESTScopeNamespace,
		{Version: "v1", Kind: "Namespace"}:                                                           meta.RESTScopeRoot,
		{Group: "apps", Version: "v1", Kind: "Deployment"}:                                           meta.RESTScopeNamespace,
		{Group: "apiextensions.k8s.io", Version: "v1", Kind: "CustomResourceDefinition"}:             meta.RESTScopeRoot,
		{Group: "admissionregistration.k8s.io", Version: "v1", Kind: "MutatingWebhookConfiguration"}: meta.RESTScopeRoot,
	} {
		m.Add(kind, scope)
	}
	return m
}

func (m *mapper) Reset() {
	m.resets++
	if m.onReset != nil {
		m.onReset(m)
	}
}

func (m *mapper) addWidgets() {
	m.Add(schema.GroupVersionKind{Group: "example.org", Version: "v1", Kind: "Widget"}, meta.RESTScopeNamespace)
}

// lab is a Cluster on fakes, with a record of what was asked of the dynamic client.
type lab struct {
	*Cluster
	typed   *fake.Clientset
	dynamic *dynamicfake.FakeDynamicClient
	mapper  *mapper
	watched chan string // resources, one for each watch that has begun

	mu    sync.Mutex
	calls []string
}

func newLab(t *testing.T, objects ...runtime.Object) *lab {
	t.Helper()
	var typed, untyped []runtime.Object
	for _, o := range objects {
		if _, ok := o.(*unstructured.Unstructured); ok {
			untyped = append(untyped, o)
		} else {
			typed = append(typed, o)
		}
	}
	kinds := map[schema.GroupVersionResource]string{
		pods: "PodList", configMaps: "ConfigMapList", namespaces: "NamespaceList", widgets: "WidgetList",
		webhooks: "MutatingWebhookConfigurationList", deployments: "DeploymentList", crds: "CustomResourceDefinitionList",
	}
	l := &lab{
		typed: fake.NewClientset(typed...), mapper: newMapper(), watched: make(chan string, 100),
		dynamic: dynamicfake.NewSimpleDynamicClientWithCustomListKinds(runtime.NewScheme(), kinds, untyped...),
	}
	l.Cluster = &Cluster{Name: "lab", Kubeconfig: "kubeconfig", Clientset: l.typed, Dynamic: l.dynamic, Mapper: l.mapper}
	l.dynamic.PrependReactor("patch", "*", l.apply)
	l.dynamic.PrependReactor("delete", "*", func(a clienttesting.Action) (bool, runtime.Object, error) {
		l.call("delete", a.GetResource(), a.(clienttesting.DeleteAction).GetName())
		return false, nil, nil
	})
	l.dynamic.PrependWatchReactor("*", l.watch(l.dynamic.Tracker()))
	l.typed.PrependWatchReactor("*", l.watch(l.typed.Tracker()))
	return l
}

// watch is the fakes' own watching, with a sign when it has begun: fakes have no history, so only what happens after
// that is seen.
func (l *lab) watch(tracker clienttesting.ObjectTracker) clienttesting.WatchReactionFunc {
	return func(a clienttesting.Action) (bool, watch.Interface, error) {
		w, err := tracker.Watch(a.GetResource(), a.GetNamespace())
		l.watched <- a.GetResource().Resource
		return true, w, err
	}
}

func (l *lab) call(verb string, gvr schema.GroupVersionResource, name string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.calls = append(l.calls, verb+" "+gvr.Resource+" "+name)
}

func (l *lab) called() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.calls)
}

// apply stands in for server-side apply.
func (l *lab) apply(a clienttesting.Action) (bool, runtime.Object, error) {
	patch := a.(clienttesting.PatchActionImpl)
	l.call("apply", a.GetResource(), patch.Name)
	o := &unstructured.Unstructured{}
	if err := json.Unmarshal(patch.Patch, &o.Object); err != nil {
		return true, nil, err
	}
	o.SetNamespace(patch.Namespace)
	o.SetAnnotations(map[string]string{"owner": patch.PatchOptions.FieldManager, "force": fmt.Sprint(*patch.PatchOptions.Force)})
	tracker := l.dynamic.Tracker()
	if _, err := tracker.Get(a.GetResource(), patch.Namespace, patch.Name); err == nil {
		return true, o, tracker.Update(a.GetResource(), o, patch.Namespace)
	}
	return true, o, tracker.Create(a.GetResource(), o, patch.Namespace)
}

// after does something once a watch of the resource has begun.
func (l *lab) after(t *testing.T, resource string, do func()) {
	done := make(chan struct{})
	ctx, cancel := context.WithCancel(t.Context())
	t.Cleanup(func() { cancel(); <-done })
	go func() {
		defer close(done)
		for {
			select {
			case <-ctx.Done():
				return
			case r := <-l.watched:
				if r == resource {
					do()
					return
				}
			}
		}
	}()
}

func pod(name string, change ...func(*corev1.Pod)) *corev1.Pod {
	p := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: "trial", Labels: map[string]string{"job-name": "hpcg"}}}
	p.Status.Phase = corev1.PodPending
	for _, c := range change {
		c(p)
	}
	return p
}

func object(apiVersion, kind, namespace, name string) *unstructured.Unstructured {
	o := &unstructured.Unstructured{}
	o.SetAPIVersion(apiVersion)
	o.SetKind(kind)
	o.SetNamespace(namespace)
	o.SetName(name)
	return o
}

// late is a context that runs out of time when the test says so, not when the clock does.
type late struct {
	context.Context
	over chan struct{}
	once sync.Once
}

func newLate(t *testing.T) *late { return &late{Context: t.Context(), over: make(chan struct{})} }

func (l *late) expire()                     { l.once.Do(func() { close(l.over) }) }
func (l *late) Deadline() (time.Time, bool) { return time.Now().Add(time.Hour), true }
func (l *late) Done() <-chan struct{}       { return l.over }
func (l *late) Err() error {
	select {
	case <-l.over:
		return context.DeadlineExceeded
	default:
		return nil
	}
}

// until is a context that expires once a watch of the resource has begun.
func (l *lab) until(t *testing.T, resource string) context.Context {
	ctx := newLate(t)
	l.after(t, resource, ctx.expire)
	return ctx
}

func contains(t *testing.T, err error, wants ...string) {
	t.Helper()
	if err == nil {
		t.Fatalf("no error, want one with %q", wants)
	}
	for _, want := range wants {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("error %q lacks %q", err, want)
		}
	}
}
