package e2e_test

import (
	"context"
	"fmt"
	"maps"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"

	"github.com/compspec/ocifit-lab/webhook/compat"
)

// decision reads the record of an object.
func decision(t *testing.T, annotations map[string]string) *compat.Decision {
	t.Helper()
	d, err := compat.ParseDecision(annotations[compat.AnnotationDecision])
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func TestPods(t *testing.T) {
	s := newSite(t)
	for name, c := range map[string]struct {
		selector map[string]string
		want     string
	}{
		"no selector":       {nil, "hpc7g.16xlarge"},
		"a foreign one":     {map[string]string{"disk": "ssd"}, "hpc7g.16xlarge"},
		"by architecture":   {map[string]string{compat.LabelArch: "amd64"}, "c7a.12xlarge"},
		"by instance type":  {map[string]string{compat.LabelInstanceType: "m7g.16xlarge"}, "m7g.16xlarge"},
		"by several labels": {map[string]string{compat.LabelArch: "arm64", "zone": "a"}, "hpc7g.16xlarge"},
	} {
		p := pod("p-", s.ref, "fom")
		p.Spec.NodeSelector = maps.Clone(c.selector)
		got, err := s.create(t, p, false)
		if err != nil {
			t.Fatal(name, err)
		}
		want := maps.Clone(c.selector)
		if want == nil {
			want = map[string]string{}
		}
		want[compat.LabelInstanceType] = c.want
		if !maps.Equal(want, got.Spec.NodeSelector) {
			t.Errorf("%s: %v", name, got.Spec.NodeSelector)
		}
		d := decision(t, got.Annotations)
		if got.Spec.Containers[0].Image != d.Image || got.Spec.InitContainers[0].Image != d.Image || got.Spec.Containers[1].Image != "example.org/side:v1" || d.InstanceType != c.want {
			t.Errorf("%s: %+v, %+v", name, got.Spec.Containers, d)
		}
	}
	_, err := s.create(t, pod("p-", s.ref, "no-such-model"), false)
	if !apierrors.IsInvalid(err) && !strings.Contains(fmt.Sprint(err), `no model "no-such-model"; it has random, duration`) {
		t.Errorf("a denial that a user can act on: %v", err)
	}
	plain := pod("p-", s.ref, "fom")
	plain.Labels = nil
	if got, err := s.create(t, plain, false); err != nil || got.Spec.Containers[0].Image != compat.DefaultTargetImage {
		t.Errorf("a pod without the label was touched: %v", err)
	}
}

// A named pod has an event that tells what was chosen; a dry run has none.
func TestEvents(t *testing.T) {
	s := newSite(t)
	for _, dry := range []bool{true, false} {
		p := pod("", s.ref, "fom")
		p.Name = fmt.Sprintf("named-%v", dry)
		if _, err := s.create(t, p, dry); err != nil {
			t.Fatal(err)
		}
	}
	about := func(name string) []corev1.Event {
		list, err := s.client.CoreV1().Events(metav1.NamespaceDefault).List(t.Context(), metav1.ListOptions{FieldSelector: "involvedObject.name=" + name + ",reason=InstanceSelected"})
		if err != nil {
			t.Fatal(err)
		}
		return list.Items
	}
	eventually(t, "the event", func() bool { return len(about("named-false")) == 1 })
	if e := about("named-false")[0]; !strings.Contains(e.Message, "on hpc7g.16xlarge, chosen by model fom among 3 types, score 31.2275 (next c7a.12xlarge: 27.0698); 2 types tied, price decided") {
		t.Error(e.Message)
	}
	if n := len(about("named-true")); n != 0 {
		t.Errorf("%d events of a dry run", n)
	}
}

func TestMiniCluster(t *testing.T) {
	s := newSite(t)
	client, err := dynamic.NewForConfig(cluster)
	if err != nil {
		t.Fatal(err)
	}
	miniclusters := client.Resource(schema.GroupVersionResource{Group: "flux-framework.org", Version: "v1alpha2", Resource: "miniclusters"}).Namespace(metav1.NamespaceDefault)
	mc := &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "flux-framework.org/v1alpha2", "kind": "MiniCluster",
		"metadata": map[string]any{
			"name": "hpcg", "labels": map[string]any{compat.LabelEnabled: "true"},
			"annotations": map[string]any{compat.AnnotationImageRef: s.ref, compat.AnnotationModel: "gflops_per_second_spmv"},
		},
		"spec": map[string]any{"size": int64(1), "containers": []any{map[string]any{"image": compat.DefaultTargetImage, "command": "true"}}},
	}}
	got, err := miniclusters.Create(t.Context(), mc, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = miniclusters.Delete(context.Background(), "hpcg", metav1.DeleteOptions{}) })
	selector, _, err := unstructured.NestedStringMap(got.Object, "spec", "pod", "nodeSelector")
	if err != nil || selector[compat.LabelInstanceType] != "c7a.12xlarge" {
		t.Errorf("%v %v", selector, err)
	}
	image, _, err := unstructured.NestedString(got.Object, "spec", "flux", "container", "image")
	if err != nil || image != compat.FluxViewImage("amd64") {
		t.Errorf("%v %v", image, err)
	}
	containers, _, err := unstructured.NestedSlice(got.Object, "spec", "containers")
	if err != nil || containers[0].(map[string]any)["image"] != "example.org/hpcg:amd64" {
		t.Errorf("%v %v", containers, err)
	}
	if d := decision(t, got.GetAnnotations()); d.Model != "gflops_per_second_spmv" || d.InstanceType != "c7a.12xlarge" {
		t.Errorf("%+v", d)
	}
}

// Nodes count as they come and go: also for a feature specification, and for what a model does not know.
func TestNodes(t *testing.T) {
	s := newSite(t)
	s.push(t, "flavor:v1", compat.MediaTypeFeatures, `{"version":"v1alpha1","compatibilities":[
		{"tag":"example.org/ice:vanilla","rules":[{"matchFeatures":[{"matchExpressions":[{"op":"In","key":"feature.node.ocifit.flavor","value":["vanilla"]}]}]}]},
		{"tag":"example.org/ice:mint","rules":[{"matchFeatures":[{"matchExpressions":[{"op":"In","key":"feature.node.ocifit.flavor","value":"mint"}]}]}]}]}`)
	add := func(name string, l map[string]string, more ...string) {
		t.Helper()
		l = maps.Clone(l)
		for i := 0; i < len(more); i += 2 {
			l[more[i]] = more[i+1]
		}
		n := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: l}}
		if _, err := s.client.CoreV1().Nodes().Create(t.Context(), n, metav1.CreateOptions{}); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = s.client.CoreV1().Nodes().Delete(context.Background(), name, metav1.DeleteOptions{}) })
	}
	ask := func(ref, model string, selector map[string]string) (*corev1.Pod, error) {
		p := pod("p-", s.registry.Ref(ref), model)
		p.Spec.NodeSelector = selector
		return s.create(t, p, true)
	}
	image := func(selector map[string]string) string {
		got, err := ask("flavor:v1", "", selector)
		if err != nil {
			return err.Error()
		}
		return got.Spec.Containers[0].Image
	}
	one := map[string]string{compat.LabelInstanceType: types[2][compat.LabelInstanceType]} // the specification knows no other type
	add("n1", types[2], "feature.node.ocifit.flavor", "vanilla")
	eventually(t, "the node's flavour decides", func() bool { return image(one) == "example.org/ice:vanilla" })
	add("n2", types[2], "feature.node.ocifit.flavor", "mint")
	eventually(t, "two flavours are a question", func() bool { return strings.Contains(image(one), "need different images") })
	if got := image(map[string]string{"feature.node.ocifit.flavor": "mint"}); got != "example.org/ice:mint" {
		t.Error(got)
	}

	// A live node of the best type with a newer kernel: its type stays in, by the cached labels, and it is said.
	add("n3", types[0], compat.FeaturePrefix+"kernel-version.full", "6.12.0")
	var d *compat.Decision
	eventually(t, "the newer kernel is seen", func() bool {
		got, err := ask("study:v1", "fom", nil)
		if err != nil {
			t.Fatal(err)
		}
		d = decision(t, got.Annotations)
		return len(d.Cached) > 0
	})
	if d.InstanceType != "hpc7g.16xlarge" || !strings.Contains(d.Cached[0].Reason, "kernel-version.full=6.12.0 is not a value that model fom knows") {
		t.Errorf("%+v", d)
	}
	// A live type that the catalogue does not have, with labels that no model knows, is left out.
	add("n4", types[0], compat.LabelInstanceType, "x9.large", compat.FeaturePrefix+"kernel-version.full", "6.12.0")
	eventually(t, "the unknown type is left out", func() bool {
		got, err := ask("study:v1", "fom", nil)
		if err != nil {
			t.Fatal(err)
		}
		d = decision(t, got.Annotations)
		return len(d.OutOfDomain) == 1 && d.OutOfDomain[0].InstanceType == "x9.large" && d.InstanceType == "hpc7g.16xlarge"
	})
}

func TestRegistryStopsAndStarts(t *testing.T) {
	s := newSite(t)
	s.registry.SetDown(true)
	got, err := s.create(t, pod("p-", s.ref, "fom"), false)
	if err != nil {
		t.Fatal(err)
	}
	if d := decision(t, got.Annotations); len(d.Notes) != 1 || !strings.Contains(d.Notes[0], "last good copy") {
		t.Errorf("the last good copy serves, and says so: %+v", d.Notes)
	}
	_, err = s.create(t, pod("p-", s.registry.Ref("study:other"), "fom"), false)
	if err == nil || !strings.Contains(err.Error(), "artifact not available") {
		t.Errorf("what was never seen cannot be served: %v", err)
	}
	s.registry.SetDown(false)
	eventually(t, "the registry counts again", func() bool {
		got, err := s.create(t, pod("p-", s.ref, "fom"), false)
		return err == nil && len(decision(t, got.Annotations).Notes) == 0
	})
}

// A certificate is replaced three times while pods are created: none fails.
func TestCertificateRotatesUnderLoad(t *testing.T) {
	s := newSite(t)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var created atomic.Int64
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for ctx.Err() == nil {
				if _, err := s.create(t, pod("p-", s.ref, "fom"), true); err != nil && ctx.Err() == nil {
					t.Error(err)
					return
				}
				created.Add(1)
			}
		})
	}
	for serial := range int64(3) {
		before := created.Load()
		s.ca.issue(t, s.dir, 10+serial)
		time.Sleep(1500 * time.Millisecond) // longer than the webhook takes to look at its files
		eventually(t, "pods go on", func() bool { return created.Load() > before+10 || t.Failed() })
	}
	cancel()
	wg.Wait()
	t.Logf("%d pods admitted meanwhile", created.Load())
}

// While the webhook is away, objects that ask for it have to wait, and nothing else does: not its own pods either.
func TestWebhookRestarts(t *testing.T) {
	s := newSite(t)
	s.stop(t)
	if _, err := s.create(t, pod("p-", s.ref, "fom"), true); !apierrors.IsInternalError(err) {
		t.Errorf("failurePolicy is Fail: %v", err)
	}
	own := pod("webhook-", s.ref, "fom")
	own.Namespace, own.Labels = namespace, map[string]string{"app.kubernetes.io/name": "ocifit-lab-webhook", compat.LabelEnabled: "true"}
	ns := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: namespace}}
	if _, err := s.client.CoreV1().Namespaces().Create(t.Context(), ns, metav1.CreateOptions{}); err != nil && !apierrors.IsAlreadyExists(err) {
		t.Fatal(err)
	}
	eventually(t, "the namespace has its service account", func() bool {
		_, err := s.client.CoreV1().ServiceAccounts(namespace).Get(t.Context(), "default", metav1.GetOptions{})
		return err == nil
	})
	if _, err := s.create(t, own, true); err != nil {
		t.Errorf("the webhook's own pod was caught, even without the label it has no need of: %v", err)
	}
	plain := pod("p-", s.ref, "fom")
	plain.Labels = nil
	if _, err := s.create(t, plain, true); err != nil {
		t.Errorf("a pod that asks for nothing was caught: %v", err)
	}
	s.start(t)
	eventually(t, "the webhook is back", func() bool {
		_, err := s.create(t, pod("p-", s.ref, "fom"), true)
		return err == nil
	})
}
