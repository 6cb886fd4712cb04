package e2e_test

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	apitypes "k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic"

	"github.com/compspec/ocifit-lab/webhook/compat"
	"github.com/compspec/ocifit-lab/webhook/serve"
)

// demand is what a pod itself asks of its node: how a Pod and how a MiniCluster write it, which types can do it, and how a denial names it.
type demand struct {
	name             string
	pod, miniCluster func(spec map[string]any)
	fits             []string
	denial           string
	// kept are the types that fit where there is a node of hpc7g in zone a that is kept for some, if they are others.
	kept []string
}

func set(path string, value any) func(map[string]any) {
	return func(spec map[string]any) {
		if err := unstructured.SetNestedField(spec, value, strings.Split(path, "/")...); err != nil {
			panic(err)
		}
	}
}

// affinity is a required node affinity on one label.
func affinity(label, operator string, values ...any) any {
	return map[string]any{"requiredDuringSchedulingIgnoredDuringExecution": map[string]any{"nodeSelectorTerms": []any{
		map[string]any{"matchExpressions": []any{map[string]any{"key": label, "operator": operator, "values": values}}},
	}}}
}

// requests puts a request on the only container.
func requests(cpu string) func(map[string]any) {
	return func(spec map[string]any) {
		container := spec["containers"].([]any)[0].(map[string]any)
		container["resources"] = map[string]any{"requests": map[string]any{"cpu": cpu}, "limits": map[string]any{"cpu": cpu}}
	}
}

// tolerated is the toleration of the node that is kept for some.
var tolerated = []any{map[string]any{"key": "kept", "operator": "Equal", "value": "some", "effect": "NoSchedule"}}

func both(some ...func(map[string]any)) func(map[string]any) {
	return func(spec map[string]any) {
		for _, do := range some {
			do(spec)
		}
	}
}

var demands = []demand{
	{"nothing", func(map[string]any) {}, func(map[string]any) {}, []string{"hpc7g.16xlarge", "m7g.16xlarge", "c7a.12xlarge"}, "", []string{"m7g.16xlarge", "c7a.12xlarge"}},
	{
		"selector", set("nodeSelector", map[string]any{"kubernetes.io/arch": "amd64"}), set("pod/nodeSelector", map[string]any{"kubernetes.io/arch": "amd64"}),
		[]string{"c7a.12xlarge"},
		"", nil,
	},
	{
		"older selector", set("nodeSelector", map[string]any{"beta.kubernetes.io/arch": "amd64"}), set("pod/nodeSelector", map[string]any{"beta.kubernetes.io/arch": "amd64"}),
		[]string{"c7a.12xlarge"},
		"", nil,
	},
	{
		"affinity", set("affinity/nodeAffinity", affinity(compat.LabelInstanceType, "In", "m7g.16xlarge", "t3.2xlarge")),
		set("pod/nodeAffinity", map[string]any{compat.LabelInstanceType: []any{"m7g.16xlarge", "t3.2xlarge"}}),
		[]string{"m7g.16xlarge"},
		"", nil,
	},
	{"requests", requests("50"), requests("50"), []string{"hpc7g.16xlarge", "m7g.16xlarge"}, "", []string{"m7g.16xlarge"}},
	{"toleration", set("tolerations", tolerated), set("pod/tolerations", tolerated), []string{"hpc7g.16xlarge", "m7g.16xlarge", "c7a.12xlarge"}, "", nil},
	{
		"zone", both(set("tolerations", tolerated), set("nodeSelector", map[string]any{corev1.LabelTopologyZone: "a"})),
		both(set("pod/tolerations", tolerated), set("pod/nodeSelector", map[string]any{corev1.LabelTopologyZone: "a"})),
		[]string{"hpc7g.16xlarge", "m7g.16xlarge", "c7a.12xlarge"},
		"", nil,
	},
	{
		"other zone", both(set("tolerations", tolerated), set("nodeSelector", map[string]any{corev1.LabelTopologyZone: "b"})),
		both(set("pod/tolerations", tolerated), set("pod/nodeSelector", map[string]any{corev1.LabelTopologyZone: "b"})),
		[]string{"hpc7g.16xlarge", "m7g.16xlarge", "c7a.12xlarge"},
		"",
		[]string{"m7g.16xlarge", "c7a.12xlarge"},
	},
	{"too much", requests("96"), requests("96"), nil, "the object requests 96 of cpu", nil},
	{
		"contradiction", set("affinity/nodeAffinity", affinity(compat.LabelArch, "In", "riscv64")), set("pod/nodeAffinity", map[string]any{compat.LabelArch: []any{"riscv64"}}),
		nil, "node affinity wants kubernetes.io/arch In riscv64", nil,
	},
	{
		"skipped type", set("nodeSelector", map[string]any{compat.LabelInstanceType: "t3.2xlarge"}), set("pod/nodeSelector", map[string]any{compat.LabelInstanceType: "t3.2xlarge"}),
		nil, "skip list (t3.2xlarge)", nil,
	},
}

// choice is how the object wants to be decided about. best is the type among those that fit; "" where any may be chosen and none is bound.
type choice struct {
	name, ref, model string
	best             func(fits []string) string
}

// TestMatrix holds every decision against one rule: of the types that the object's own demands leave, a model takes the best by its score,
// chance any, and a feature specification binds none but takes the image that all of them share. It goes through the real API server, for
// pods and MiniClusters, with no node, a node that carries its features, one that lost them and one in a zone and kept for some, when the
// object is made, when the same manifest is applied again, when it asks for another model, and when it asks for what no type can give.
func TestMatrix(t *testing.T) {
	s := newSite(t)
	s.stop(t)
	s.configure = func(c *serve.Config) {
		c.Seed = 0
		c.Allocatable = map[string]corev1.ResourceList{}
		for name, cores := range map[string]int64{"hpc7g.16xlarge": 64, "m7g.16xlarge": 64, "c7a.12xlarge": 48, "t3.2xlarge": 8} {
			c.Allocatable[name] = corev1.ResourceList{corev1.ResourceCPU: *resource.NewQuantity(cores, resource.DecimalSI)}
		}
	}
	s.start(t)
	s.push(t, "kernel:v1", compat.MediaTypeFeatures, `{"version":"v1alpha1","compatibilities":[
		{"tag":"example.org/hpcg:six","rules":[{"matchFeatures":[{"matchExpressions":[{"op":"In","key":"feature.node.kubernetes.io/kernel-version.major","value":["6"]}]}]}]}]}`)
	first := func(order ...string) func([]string) string {
		return func(fits []string) string {
			for _, o := range order {
				if slices.Contains(fits, o) {
					return o
				}
			}
			return ""
		}
	}
	s.choices = []choice{
		{"fom", s.ref, "fom", first("hpc7g.16xlarge", "m7g.16xlarge", "c7a.12xlarge")},
		{"spmv", s.ref, "gflops_per_second_spmv", first("c7a.12xlarge", "hpc7g.16xlarge", "m7g.16xlarge")},
		{"random", s.ref, "random", nil},
		{"features", s.registry.Ref("kernel:v1"), "", nil},
	}
	client, err := dynamic.NewForConfig(cluster)
	if err != nil {
		t.Fatal(err)
	}
	zoned := maps.Clone(types[0])
	zoned[corev1.LabelTopologyZone] = "a"
	for _, live := range []struct {
		name   string
		labels map[string]string
		taints []corev1.Taint
	}{
		{"no node", nil, nil},
		{"live labels", types[0], nil},
		{"labels away", map[string]string{compat.LabelInstanceType: "hpc7g.16xlarge", compat.LabelArch: "arm64"}, nil},
		{"kept", zoned, []corev1.Taint{{Key: "kept", Value: "some", Effect: corev1.TaintEffectNoSchedule}}},
	} {
		t.Run(live.name, func(t *testing.T) {
			if live.labels != nil {
				s.node(t, "matrix-node", live.labels, live.taints...)
			}
			for _, kind := range []string{"Pod", "MiniCluster"} {
				for _, d := range demands {
					if live.taints != nil && d.kept != nil {
						d.fits = d.kept
					}
					for _, c := range s.choices {
						name := strings.ToLower(strings.ReplaceAll(strings.Join([]string{"m", kind, d.name, c.name, live.name}, "-"), " ", ""))
						t.Run(strings.Join([]string{kind, d.name, c.name}, "/"), func(t *testing.T) {
							s.cell(t, client, kind, name, d, c, live.name == "labels away")
						})
					}
				}
			}
		})
	}
}

// node makes a node and waits until the webhook has seen it.
func (s *site) node(t *testing.T, name string, labels map[string]string, taints ...corev1.Taint) {
	t.Helper()
	labels = maps.Clone(labels)
	labels[corev1.LabelHostname] = name
	n := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: labels}, Spec: corev1.NodeSpec{Taints: taints}}
	if _, err := s.client.CoreV1().Nodes().Create(t.Context(), n, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.client.CoreV1().Nodes().Delete(context.Background(), name, metav1.DeleteOptions{}) })
	eventually(t, "the node is seen", func() bool {
		p := pod("seen-", s.registry.Ref("kernel:v1"), "")
		p.Spec.NodeSelector = map[string]string{corev1.LabelHostname: name}
		p.Spec.Tolerations = []corev1.Toleration{{Operator: corev1.TolerationOpExists}}
		_, err := s.create(t, p, true)
		return err == nil // until then nothing is known to have this label
	})
}

// cell makes one object of the matrix, applies it again, and asks for another model.
func (s *site) cell(t *testing.T, client dynamic.Interface, kind, name string, d demand, c choice, away bool) {
	gvr, object := objectOf(kind, name, c.ref, c.model)
	if c.model == "" {
		object.SetAnnotations(map[string]string{compat.AnnotationImageRef: c.ref})
	}
	spec, selectorPath := object.Object["spec"].(map[string]any), []string{"spec", "nodeSelector"}
	if kind == "Pod" {
		d.pod(spec)
	} else {
		d.miniCluster(spec)
		selectorPath = []string{"spec", "pod", "nodeSelector"}
	}
	objects := client.Resource(gvr).Namespace(metav1.NamespaceDefault)
	apply := func() (*unstructured.Unstructured, error) {
		data, err := json.Marshal(object)
		if err != nil {
			t.Fatal(err)
		}
		force := true
		return objects.Patch(t.Context(), name, apitypes.ApplyPatchType, data, metav1.PatchOptions{FieldManager: "test", Force: &force})
	}
	made, err := apply()
	if d.fits == nil {
		if err == nil || !strings.Contains(err.Error(), d.denial) {
			t.Fatalf("not denied with %q: %v", d.denial, err)
		}
		return
	}
	if err != nil {
		t.Fatal(err)
	}
	now := int64(0)
	t.Cleanup(func() {
		_ = objects.Delete(context.Background(), name, metav1.DeleteOptions{GracePeriodSeconds: &now})
	})
	check := func(o *unstructured.Unstructured, c choice) *compat.Decision {
		t.Helper()
		dec := decision(t, o.GetAnnotations())
		selector, _, err := unstructured.NestedStringMap(o.Object, selectorPath...)
		if err != nil {
			t.Fatal(err)
		}
		bound, image := selector[compat.LabelInstanceType], containerImage(t, o)
		switch {
		case c.model == "":
			only := ""
			if len(d.fits) == 1 {
				only = d.fits[0]
			}
			if image != "example.org/hpcg:six" || dec.Candidates != len(d.fits) || dec.InstanceType != only {
				t.Errorf("image %s among %d candidates, type %q", image, dec.Candidates, dec.InstanceType)
			}
			return dec
		case c.best != nil && bound != c.best(d.fits), !slices.Contains(d.fits, bound):
			t.Errorf("bound to %s of %v", bound, d.fits)
		}
		if want := "example.org/hpcg:" + map[bool]string{true: "amd64", false: "arm64"}[bound == "c7a.12xlarge"]; image != want || dec.InstanceType != bound || dec.Image != want {
			t.Errorf("bound to %s with image %s; the record says %s, %s", bound, image, dec.InstanceType, dec.Image)
		}
		return dec
	}
	dec := check(made, c)
	// What is not believed of a live node is said with its reason, and only then.
	concerned := away && c.name != "random" && slices.Contains(d.fits, "hpc7g.16xlarge")
	told := slices.ContainsFunc(dec.Cached, func(x compat.LeftOut) bool {
		return x.InstanceType == "hpc7g.16xlarge" && strings.Contains(x.Reason, "absent")
	})
	if told != concerned {
		t.Errorf("labels that are away: told %v, want %v: %+v", told, concerned, dec.Cached)
	}

	again, err := apply()
	if err != nil {
		t.Fatal(err)
	}
	if fmt.Sprint(again.Object["spec"]) != fmt.Sprint(made.Object["spec"]) || again.GetAnnotations()[compat.AnnotationDecision] != made.GetAnnotations()[compat.AnnotationDecision] {
		t.Errorf("applied again:\n%v\n%v", again.Object["spec"], made.Object["spec"])
	}
	if c.model == "" {
		return
	}
	s.asksForOther(t, object, again, kind, c, d, apply, check)
}

// asksForOther changes what an object asks for: a MiniCluster follows, a pod's node selector cannot change and it keeps its decision. What no
// type can give is denied, and changes nothing.
func (s *site) asksForOther(t *testing.T, object, made *unstructured.Unstructured, kind string, c choice, d demand, apply func() (*unstructured.Unstructured, error), check func(*unstructured.Unstructured, choice) *compat.Decision) {
	t.Helper()
	other := s.choices[0]
	if c.name == other.name {
		other = s.choices[1]
	}
	object.SetAnnotations(map[string]string{compat.AnnotationImageRef: other.ref, compat.AnnotationModel: other.model})
	changed, err := apply()
	if err != nil {
		t.Fatal(err)
	}
	if kind == "Pod" {
		if dec := check(changed, c); dec.Model != c.model || changed.GetAnnotations()[compat.AnnotationDecision] != made.GetAnnotations()[compat.AnnotationDecision] {
			t.Errorf("the pod is now decided by %s", dec.Model)
		}
		return
	}
	if dec := check(changed, other); dec.Model != other.model {
		t.Errorf("decided by %s, want %s", dec.Model, other.model)
	}
	requests("96")(object.Object["spec"].(map[string]any))
	object.SetAnnotations(map[string]string{compat.AnnotationImageRef: c.ref, compat.AnnotationModel: c.model})
	if _, err := apply(); err == nil || !strings.Contains(err.Error(), "the object requests 96 of cpu") {
		t.Errorf("what no type can give was not denied: %v", err)
	}
}

// containerImage is the image of the object's first container.
func containerImage(t *testing.T, o *unstructured.Unstructured) string {
	t.Helper()
	list, _, err := unstructured.NestedSlice(o.Object, "spec", "containers")
	if err != nil {
		t.Fatal(err)
	}
	image, _ := list[0].(map[string]any)["image"].(string)
	return image
}
