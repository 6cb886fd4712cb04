package minicluster

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"
	dynamicfake "k8s.io/client-go/dynamic/fake"
	"k8s.io/client-go/kubernetes/fake"
	k8stesting "k8s.io/client-go/testing"
	"k8s.io/client-go/tools/cache"
)

// lab is a controller that runs against client-go's stand-in for an API server.
type lab struct {
	t       *testing.T
	kube    *fake.Clientset
	dynamic *dynamicfake.FakeDynamicClient
}

func start(t *testing.T, existing ...runtime.Object) *lab {
	t.Helper()
	l := &lab{t: t, kube: fake.NewClientset(existing...)}
	l.dynamic = dynamicfake.NewSimpleDynamicClientWithCustomListKinds(runtime.NewScheme(), map[schema.GroupVersionResource]string{GVR: "MiniClusterList"})
	l.versionServices()
	watching := l.followWatches()
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		ended <- run(ctx, clients{kube: l.kube, dynamic: l.dynamic}, Options{
			PodAnnotations: map[string]string{"example/workload": "hpcg"},
			Log:            func(format string, args ...any) { t.Logf(format, args...) },
		})
	}()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	<-watching
	return l
}

// followWatches tells when all watches run: the stand-in forgets what happens between a list and its watch.
func (l *lab) followWatches() <-chan struct{} {
	var watches atomic.Int32
	watching := make(chan struct{})
	follow := func(tracker k8stesting.ObjectTracker) k8stesting.WatchReactionFunc {
		return func(action k8stesting.Action) (bool, watch.Interface, error) {
			w, err := tracker.Watch(action.GetResource(), action.GetNamespace())
			if watches.Add(1) == 4 {
				close(watching)
			}
			return true, w, err
		}
	}
	l.kube.PrependWatchReactor("*", follow(l.kube.Tracker()))
	l.dynamic.PrependWatchReactor("*", follow(l.dynamic.Tracker()))
	return watching
}

// versionServices gives services a version that grows, and keeps to the version that a deletion asks for: the stand-in
// does neither, and the controller relies on both where its cache is behind.
func (l *lab) versionServices() {
	gvr := corev1.SchemeGroupVersion.WithResource("services")
	plain := k8stesting.ObjectReaction(l.kube.Tracker())
	version := 1
	stamp := func(obj runtime.Object) {
		version++
		obj.(*corev1.Service).ResourceVersion = strconv.Itoa(version)
	}
	l.kube.PrependReactor("create", "services", func(action k8stesting.Action) (bool, runtime.Object, error) {
		stamp(action.(k8stesting.CreateAction).GetObject())
		return plain(action)
	})
	l.kube.PrependReactor("patch", "services", func(action k8stesting.Action) (bool, runtime.Object, error) {
		handled, obj, err := plain(action)
		if err != nil {
			return handled, obj, err
		}
		stamp(obj)
		return true, obj, l.kube.Tracker().Update(gvr, obj, action.GetNamespace())
	})
	l.kube.PrependReactor("delete", "services", func(action k8stesting.Action) (bool, runtime.Object, error) {
		remove := action.(k8stesting.DeleteActionImpl)
		obj, err := l.kube.Tracker().Get(gvr, remove.Namespace, remove.Name)
		if err != nil {
			return true, nil, err
		}
		have, want := obj.(*corev1.Service).ResourceVersion, remove.DeleteOptions.Preconditions.ResourceVersion
		if want != nil && *want != have {
			return true, nil, apierrors.NewConflict(gvr.GroupResource(), remove.Name, fmt.Errorf("it is at version %s and not %s", have, *want))
		}
		return plain(action)
	})
}

func (l *lab) create(name string, change func(spec map[string]any)) *unstructured.Unstructured {
	l.t.Helper()
	u := oneContainer("x", nil)
	u.SetName(name)
	u.SetUID(types.UID("uid-" + name))
	if change != nil {
		change(u.Object["spec"].(map[string]any))
	}
	u, err := l.dynamic.Resource(GVR).Namespace("study").Create(l.t.Context(), u, metav1.CreateOptions{})
	if err != nil {
		l.t.Fatal(err)
	}
	return u
}

func (l *lab) remove(name string) {
	l.t.Helper()
	if err := l.dynamic.Resource(GVR).Namespace("study").Delete(l.t.Context(), name, metav1.DeleteOptions{}); err != nil {
		l.t.Fatal(err)
	}
}

// until tries check until it is content; the deadline is only there so that a fault does not hang the tests.
func (l *lab) until(what string, check func() error) {
	l.t.Helper()
	deadline := time.Now().Add(30 * time.Second)
	for {
		err := check()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			l.t.Fatalf("%s: %v", what, err)
		}
		time.Sleep(2 * time.Millisecond)
	}
}

func (l *lab) condition(name, kind string, status metav1.ConditionStatus) func() error {
	return func() error {
		u, err := l.dynamic.Resource(GVR).Namespace("study").Get(l.t.Context(), name, metav1.GetOptions{})
		if err != nil {
			return err
		}
		s, err := decodeStatus(u)
		if err != nil {
			return err
		}
		if c := meta.FindStatusCondition(s.Conditions, kind); c == nil || c.Status != status {
			return fmt.Errorf("conditions are %v", s.Conditions)
		}
		return nil
	}
}

func gone[T any](get func(context.Context, string, metav1.GetOptions) (T, error), t *testing.T, name string) func() error {
	return func() error {
		if _, err := get(t.Context(), name, metav1.GetOptions{}); !apierrors.IsNotFound(err) {
			return fmt.Errorf("%s is still there (%v)", name, err)
		}
		return nil
	}
}

func (l *lab) endJob(name string, kind batchv1.JobConditionType) {
	l.t.Helper()
	jobs := l.kube.BatchV1().Jobs("study")
	job, err := jobs.Get(l.t.Context(), name, metav1.GetOptions{})
	if err != nil {
		l.t.Fatal(err)
	}
	job.Status.Conditions = []batchv1.JobCondition{{Type: kind, Status: corev1.ConditionTrue, Message: "it is over"}}
	if _, err := jobs.UpdateStatus(l.t.Context(), job, metav1.UpdateOptions{}); err != nil {
		l.t.Fatal(err)
	}
}

func TestLifeOfAMiniCluster(t *testing.T) {
	l := start(t)
	l.create("one", nil)
	l.until("ready", l.condition("one", ConditionReady, metav1.ConditionTrue))
	job, err := l.kube.BatchV1().Jobs("study").Get(t.Context(), "one", metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if job.Spec.Template.Annotations["example/workload"] != "hpcg" {
		t.Errorf("pod annotations: %v", job.Spec.Template.Annotations)
	}
	if _, err := l.kube.CoreV1().ConfigMaps("study").Get(t.Context(), "one-entrypoint", metav1.GetOptions{}); err != nil {
		t.Error(err)
	}
	l.endJob("one", batchv1.JobFailed)
	l.until("finished", l.condition("one", ConditionFinished, metav1.ConditionTrue))
	l.remove("one")
	l.until("job", gone(l.kube.BatchV1().Jobs("study").Get, t, "one"))
	l.until("config map", gone(l.kube.CoreV1().ConfigMaps("study").Get, t, "one-entrypoint"))
	l.until("service", gone(l.kube.CoreV1().Services("study").Get, t, "flux-service"))
}

func TestSecondReconcileWritesNothing(t *testing.T) {
	l := &lab{t: t, kube: fake.NewClientset()}
	l.dynamic = dynamicfake.NewSimpleDynamicClientWithCustomListKinds(runtime.NewScheme(), map[schema.GroupVersionResource]string{GVR: "MiniClusterList"})
	watching := l.followWatches()
	ctx, cancel := context.WithCancel(t.Context())
	c := newController(clients{kube: l.kube, dynamic: l.dynamic}, Options{})
	stop, err := c.startInformers(ctx)
	defer func() { cancel(); stop() }()
	if err != nil {
		t.Fatal(err)
	}
	<-watching
	l.create("one", nil)
	known := func() (int, error) {
		_, err := c.clusters.Get("study/one")
		return len(c.jobs.List()) + len(c.configMaps.List()) + len(c.services.List()), err
	}
	l.until("seen", func() error { _, err := known(); return err })
	if err := c.reconcile(ctx, "study/one"); err != nil {
		t.Fatal(err)
	}
	l.until("cached", func() error {
		u, err := c.clusters.Get("study/one")
		if err != nil {
			return err
		}
		if s, err := decodeStatus(u.(*unstructured.Unstructured)); err != nil || s.Size != 1 {
			return fmt.Errorf("status %v, %v", s, err)
		}
		if n, _ := known(); n != 3 {
			return fmt.Errorf("%d objects", n)
		}
		return nil
	})
	l.kube.ClearActions()
	l.dynamic.ClearActions()
	if err := c.reconcile(ctx, "study/one"); err != nil {
		t.Fatal(err)
	}
	if calls := append(l.kube.Actions(), l.dynamic.Actions()...); len(calls) > 0 {
		t.Errorf("the second reconcile called the API server: %v", calls)
	}
}

// TestStatusIsWrittenOnce although the cache does not show yet what was written.
func TestStatusIsWrittenOnce(t *testing.T) {
	l := &lab{t: t, kube: fake.NewClientset()}
	l.dynamic = dynamicfake.NewSimpleDynamicClientWithCustomListKinds(runtime.NewScheme(), map[schema.GroupVersionResource]string{GVR: "MiniClusterList"})
	l.create("one", nil)
	c := newController(clients{kube: l.kube, dynamic: l.dynamic}, Options{})
	l.dynamic.ClearActions()
	job := &batchv1.Job{ObjectMeta: metav1.ObjectMeta{UID: "job"}}
	cached := func(version string) *cluster {
		return &cluster{ObjectMeta: metav1.ObjectMeta{Namespace: "study", Name: "one", ResourceVersion: version}, Spec: spec{Size: 1}}
	}
	for _, call := range []struct {
		version string
		writes  int
	}{{"1", 1}, {"1", 1}, {"2", 2}} {
		if err := c.report(t.Context(), cached(call.version), job, nil); err != nil {
			t.Fatal(err)
		}
		if n := len(l.dynamic.Actions()); n != call.writes {
			t.Errorf("at version %s %d writes in all, want %d", call.version, n, call.writes)
		}
	}
}

// TestFinishedIsLeftAlone: what goes of a finished MiniCluster before it goes itself is not made again.
func TestFinishedIsLeftAlone(t *testing.T) {
	kube := fake.NewClientset()
	c := newController(clients{kube: kube}, Options{})
	c.services, c.configMaps = cache.NewIndexer(cache.MetaNamespaceKeyFunc, nil), cache.NewIndexer(cache.MetaNamespaceKeyFunc, nil)
	cl := &cluster{ObjectMeta: metav1.ObjectMeta{Namespace: "study", Name: "one", UID: "u"}, Spec: spec{Size: 1}}
	job := &batchv1.Job{
		ObjectMeta: metav1.ObjectMeta{Namespace: "study", Name: "one", OwnerReferences: []metav1.OwnerReference{*metav1.NewControllerRef(cl, GVK)}},
		Status:     batchv1.JobStatus{Conditions: []batchv1.JobCondition{{Type: batchv1.JobComplete, Status: corev1.ConditionTrue}}},
	}
	if kept, err := c.ensure(t.Context(), cl, job); err != nil || kept != job {
		t.Errorf("%v, %v", kept, err)
	}
	if calls := kube.Actions(); len(calls) > 0 {
		t.Errorf("the API server was called: %v", calls)
	}
}

func TestSharedService(t *testing.T) {
	l := start(t)
	services := l.kube.CoreV1().Services("study")
	owners := func(want ...string) func() error {
		return func() error {
			svc, err := services.Get(t.Context(), "flux-service", metav1.GetOptions{})
			if err != nil {
				return err
			}
			var have []string
			for _, ref := range svc.OwnerReferences {
				have = append(have, ref.Name)
			}
			if slices.Sort(have); !slices.Equal(have, want) {
				return fmt.Errorf("owners %v", have)
			}
			return nil
		}
	}
	shared := func(spec map[string]any) { spec["network"] = map[string]any{"headlessName": "flux-service"} }
	l.create("one", shared)
	l.until("made", owners("one"))
	l.create("two", shared)
	l.until("joined", owners("one", "two"))
	l.remove("one")
	l.until("job", gone(l.kube.BatchV1().Jobs("study").Get, t, "one"))
	if err := owners("one", "two")(); err != nil {
		t.Errorf("the other cluster's service was touched: %v", err)
	}
	l.remove("two")
	l.until("service", gone(services.Get, t, "flux-service"))
}

func TestSomeoneElsesJob(t *testing.T) {
	other := &batchv1.Job{ObjectMeta: metav1.ObjectMeta{Namespace: "study", Name: "one"}}
	l := start(t, other)
	l.create("one", nil)
	l.until("refused", l.condition("one", ConditionInvalid, metav1.ConditionTrue))
	events, err := l.kube.CoreV1().Events("study").List(t.Context(), metav1.ListOptions{})
	if err != nil || len(events.Items) != 1 || !strings.Contains(events.Items[0].Message, `another job "one"`) {
		t.Errorf("events: %v, %v", events.Items, err)
	}
	l.remove("one")
	l.create("two", nil)
	l.until("ready", l.condition("two", ConditionReady, metav1.ConditionTrue))
	if _, err := l.kube.BatchV1().Jobs("study").Get(t.Context(), "one", metav1.GetOptions{}); err != nil {
		t.Errorf("the other one's job was touched: %v", err)
	}
}

func TestInvalidBecomesValid(t *testing.T) {
	l := start(t)
	u := l.create("one", func(spec map[string]any) { spec["containers"] = []any{map[string]any{"image": "x"}} })
	l.until("refused", l.condition("one", ConditionInvalid, metav1.ConditionTrue))
	if err := unstructured.SetNestedField(u.Object, true, "spec", "interactive"); err != nil {
		t.Fatal(err)
	}
	if _, err := l.dynamic.Resource(GVR).Namespace("study").Update(t.Context(), u, metav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
	l.until("ready", l.condition("one", ConditionReady, metav1.ConditionTrue))
}

func TestCleanup(t *testing.T) {
	l := start(t)
	l.create("one", func(spec map[string]any) { spec["cleanup"] = true })
	l.until("ready", l.condition("one", ConditionReady, metav1.ConditionTrue))
	l.endJob("one", batchv1.JobComplete)
	l.until("cluster", gone(func(ctx context.Context, name string, o metav1.GetOptions) (*unstructured.Unstructured, error) {
		return l.dynamic.Resource(GVR).Namespace("study").Get(ctx, name, o)
	}, t, "one"))
	l.until("job", gone(l.kube.BatchV1().Jobs("study").Get, t, "one"))
}

func TestFinishedJobIsNotRunAgain(t *testing.T) {
	l := start(t)
	l.create("one", nil)
	l.until("ready", l.condition("one", ConditionReady, metav1.ConditionTrue))
	l.endJob("one", batchv1.JobComplete)
	l.until("finished", l.condition("one", ConditionFinished, metav1.ConditionTrue))
	if err := l.kube.BatchV1().Jobs("study").Delete(t.Context(), "one", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	l.create("two", nil)
	l.until("ready", l.condition("two", ConditionReady, metav1.ConditionTrue))
	if err := gone(l.kube.BatchV1().Jobs("study").Get, t, "one")(); err != nil {
		t.Error(err)
	}
}

func TestNoWatchNoStart(t *testing.T) {
	kube := fake.NewClientset()
	dyn := dynamicfake.NewSimpleDynamicClientWithCustomListKinds(runtime.NewScheme(), map[schema.GroupVersionResource]string{GVR: "MiniClusterList"})
	dyn.PrependReactor("list", "*", func(k8stesting.Action) (bool, runtime.Object, error) {
		return true, nil, apierrors.NewNotFound(GVR.GroupResource(), "")
	})
	err := run(t.Context(), clients{kube: kube, dynamic: dyn}, Options{SyncTimeout: 50 * time.Millisecond})
	if err == nil || !strings.Contains(err.Error(), "1 of its 4 watches") {
		t.Error(err)
	}
}
