package kube

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	clienttesting "k8s.io/client-go/testing"

	"github.com/compspec/ocifit-lab/provision/step"
)

const everything = `
apiVersion: admissionregistration.k8s.io/v1
kind: MutatingWebhookConfiguration
metadata: {name: hook}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: controller, namespace: widgets}
---
# nothing but a comment
---
apiVersion: example.org/v1
kind: Widget
metadata: {name: first, namespace: widgets}
---
apiVersion: v1
kind: List
items:
- {apiVersion: v1, kind: ConfigMap, metadata: {name: settings}}
- {apiVersion: v1, kind: Namespace, metadata: {name: widgets}}
---
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: widgets.example.org}
spec: {group: example.org, names: {kind: Widget}}
---
`

func established(l *lab) func() {
	return func() {
		crd, err := l.dynamic.Tracker().Get(crds, "", "widgets.example.org")
		if err != nil {
			panic(err)
		}
		o := crd.(*unstructured.Unstructured).DeepCopy()
		unstructured.SetNestedSlice(o.Object, []any{map[string]any{"type": "Established", "status": "True"}}, "status", "conditions")
		if err := l.dynamic.Tracker().Update(crds, o, ""); err != nil {
			panic(err)
		}
	}
}

func TestApplyOrdersAndWaits(t *testing.T) {
	l := newLab(t)
	l.mapper.onReset = func(m *mapper) { m.addWidgets() }
	l.after(t, "customresourcedefinitions", established(l))
	if err := l.Apply(t.Context(), []byte(everything), "ocifit-lab"); err != nil {
		t.Fatal(err)
	}
	want := []string{
		"apply customresourcedefinitions widgets.example.org",
		"apply namespaces widgets",
		"apply deployments controller", "apply widgets first", "apply configmaps settings",
		"apply mutatingwebhookconfigurations hook",
	}
	if d := cmp.Diff(want, l.called()); d != "" {
		t.Error(d)
	}
	got, err := l.Dynamic.Resource(configMaps).Namespace("default").Get(t.Context(), "settings", metav1.GetOptions{})
	if err != nil {
		t.Fatalf("an object without a namespace is not in default: %v", err)
	}
	if d := cmp.Diff(map[string]string{"owner": "ocifit-lab", "force": "true"}, got.GetAnnotations()); d != "" {
		t.Error(d)
	}
}

func TestApplyTriesAgainWhileTheClusterSettles(t *testing.T) {
	l := newLab(t)
	fails := []error{
		apierrors.NewInternalError(errors.New(`failed calling webhook "x": no endpoints`)),
		apierrors.NewServiceUnavailable("busy"),
		&apierrors.StatusError{ErrStatus: metav1.Status{Reason: metav1.StatusReasonNotFound, Message: "the server could not find the requested resource"}},
	}
	l.dynamic.PrependReactor("patch", "*", func(clienttesting.Action) (bool, runtime.Object, error) {
		if len(fails) == 0 {
			return false, nil, nil
		}
		err := fails[0]
		fails = fails[1:]
		return true, nil, err
	})
	if err := l.Apply(t.Context(), []byte(`{apiVersion: v1, kind: ConfigMap, metadata: {name: a}}`), "x"); err != nil {
		t.Error(err)
	}
}

func TestApplyFailures(t *testing.T) {
	for name, tc := range map[string]struct {
		manifest string
		reactor  error
		want     []string
	}{
		"not YAML":     {"a: [", nil, []string{"manifest document 1"}},
		"no kind":      {"apiVersion: v1\nmetadata: {name: a}", nil, []string{"manifest document 1", "Kind"}},
		"no name":      {"a: b\nkind: ConfigMap\napiVersion: v1\n---\n", nil, []string{"manifest document 1", "ConfigMap has no metadata.name"}},
		"in a list":    {"apiVersion: v1\nkind: List\nitems: [{apiVersion: v1, kind: Pod}]", nil, []string{"item 1: Pod has no metadata.name"}},
		"not allowed":  {"{apiVersion: v1, kind: ConfigMap, metadata: {name: a, namespace: b}}", apierrors.NewForbidden(configMaps.GroupResource(), "a", errors.New("no")), []string{"apply ConfigMap b/a", "forbidden"}},
		"invalid":      {"{apiVersion: v1, kind: ConfigMap, metadata: {name: a}}", apierrors.NewBadRequest("field not declared"), []string{"apply ConfigMap a", "field not declared"}},
		"no namespace": {"{apiVersion: v1, kind: ConfigMap, metadata: {name: a}}", apierrors.NewNotFound(namespaces.GroupResource(), "b"), []string{`namespaces "b" not found`}},
	} {
		t.Run(name, func(t *testing.T) {
			l := newLab(t)
			if tc.reactor != nil {
				l.dynamic.PrependReactor("patch", "*", func(clienttesting.Action) (bool, runtime.Object, error) { return true, nil, tc.reactor })
			}
			err := l.Apply(t.Context(), []byte(tc.manifest), "x")
			contains(t, err, tc.want...)
			if name == "not allowed" && step.HintOf(err) == "" {
				t.Error("no hint")
			}
		})
	}
}

func TestApplyTimeoutsSayWhatWasSeen(t *testing.T) {
	l := newLab(t)
	over := newLate(t)
	over.expire()
	err := l.Apply(over, []byte(`{apiVersion: example.org/v1, kind: Widget, metadata: {name: a}}`), "x")
	contains(t, err, "apply Widget a", "timed out", `no matches for kind "Widget"`)
	if !errors.Is(err, step.ErrTimeout) || l.mapper.resets == 0 {
		t.Errorf("error %v, %d resets", err, l.mapper.resets)
	}

	err = l.Apply(l.until(t, "customresourcedefinitions"), []byte(everything), "x")
	contains(t, err, "wait until widgets.example.org is established", "timed out", "no conditions yet")

	l = newLab(t)
	l.after(t, "customresourcedefinitions", func() {
		crd, _ := l.dynamic.Tracker().Get(crds, "", "widgets.example.org")
		o := crd.(*unstructured.Unstructured).DeepCopy()
		unstructured.SetNestedSlice(o.Object, []any{map[string]any{"type": "NamesAccepted", "status": "False", "reason": "KindConflict", "message": "taken"}}, "status", "conditions")
		_ = l.dynamic.Tracker().Update(crds, o, "")
	})
	err = l.Apply(t.Context(), []byte(everything), "x")
	contains(t, err, "its names are taken", "KindConflict: taken")
}

func TestDeleteOrdersAndWaits(t *testing.T) {
	l := newLab(t)
	l.mapper.addWidgets()
	objects, err := Objects([]byte(everything))
	if err != nil {
		t.Fatal(err)
	}
	for _, o := range objects {
		if o.GetKind() == "ConfigMap" {
			continue // absent is fine
		}
		mapping, err := l.Mapper.RESTMapping(o.GroupVersionKind().GroupKind(), o.GroupVersionKind().Version)
		if err != nil {
			t.Fatal(err)
		}
		if err := l.dynamic.Tracker().Create(mapping.Resource, o, o.GetNamespace()); err != nil {
			t.Fatal(err)
		}
	}
	if err := l.Delete(t.Context(), []byte(everything)); err != nil {
		t.Fatal(err)
	}
	want := []string{
		"delete mutatingwebhookconfigurations hook",
		"delete widgets first",
		"delete customresourcedefinitions widgets.example.org",
		"delete configmaps settings", "delete deployments controller",
		"delete namespaces widgets",
	}
	if d := cmp.Diff(want, l.called()); d != "" {
		t.Error(d)
	}
	if err := l.Delete(t.Context(), []byte(everything)); err != nil {
		t.Errorf("deleting again: %v", err)
	}
	if err := newLab(t).Delete(t.Context(), []byte(`{apiVersion: example.org/v1, kind: Widget, metadata: {name: a}}`)); err != nil {
		t.Errorf("deleting an unknown kind: %v", err)
	}
}

func TestDeleteWaitsForWhatIsHeld(t *testing.T) {
	held := object("v1", "ConfigMap", "default", "a")
	held.SetUID("1")
	held.SetFinalizers([]string{"example.org/keep"})
	now := metav1.Now()
	held.SetDeletionTimestamp(&now)
	manifest := []byte(`{apiVersion: v1, kind: ConfigMap, metadata: {name: a}}`)
	keep := func(l *lab) {
		l.dynamic.PrependReactor("delete", "*", func(clienttesting.Action) (bool, runtime.Object, error) { return true, nil, nil })
	}

	l := newLab(t, held.DeepCopy())
	keep(l)
	err := l.Delete(l.until(t, "configmaps"), manifest)
	contains(t, err, "wait until ConfigMap a is gone", "timed out", "held by example.org/keep")

	l = newLab(t, held.DeepCopy())
	keep(l)
	l.after(t, "configmaps", func() { _ = l.dynamic.Tracker().Delete(configMaps, "default", "a") })
	if err := l.Delete(t.Context(), manifest); err != nil {
		t.Errorf("released: %v", err)
	}

	l = newLab(t, held.DeepCopy())
	keep(l)
	l.after(t, "configmaps", func() {
		anew := object("v1", "ConfigMap", "default", "a")
		anew.SetUID("2")
		_ = l.dynamic.Tracker().Update(configMaps, anew, "default")
	})
	if err := l.Delete(t.Context(), manifest); err != nil {
		t.Errorf("made anew: %v", err)
	}
}

func TestWaitGone(t *testing.T) {
	l := newLab(t, object("v1", "Pod", "trial", "a"), object("v1", "Pod", "trial", "b"))
	err := l.WaitGone(l.until(t, "pods"), pods, "trial", "")
	contains(t, err, "wait until no pods in trial is left", "2 left: a (not being deleted); b")
	l.after(t, "pods", func() {
		_ = l.dynamic.Tracker().Delete(pods, "trial", "a")
		_ = l.dynamic.Tracker().Delete(pods, "trial", "b")
	})
	if err := l.WaitGone(t.Context(), pods, "trial", ""); err != nil {
		t.Error(err)
	}
	l.dynamic.PrependReactor("list", "*", func(clienttesting.Action) (bool, runtime.Object, error) {
		return true, nil, apierrors.NewNotFound(schema.GroupResource{}, "")
	})
	if err := l.WaitGone(t.Context(), pods, "trial", "a=b"); err != nil {
		t.Errorf("a resource that is not served has nothing left: %v", err)
	}
}

func TestObjectsKeepsNumbers(t *testing.T) {
	got, err := Objects([]byte("---\napiVersion: v1\nkind: X\nmetadata: {name: a}\nspec: {count: 3, big: 9007199254740993}\n"))
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(map[string]any{"count": int64(3), "big": int64(9007199254740993)}, got[0].Object["spec"]); d != "" {
		t.Error(d)
	}
	if got, err := Objects([]byte(strings.Repeat("---\n", 5))); err != nil || len(got) != 0 {
		t.Errorf("%v %v", got, err)
	}
}
