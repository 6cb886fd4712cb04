package e2e_test

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	apitypes "k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic"

	"github.com/compspec/ocifit-lab/webhook/compat"
)

// Whoever applies a manifest again, by whatever way, gets the object that is there: the decision stays.
func TestAppliedTwice(t *testing.T) {
	s := newSite(t)
	s.push(t, "arch:v1", compat.MediaTypeFeatures, `{"version":"v1alpha1","compatibilities":[
		{"tag":"example.org/arch:any","rules":[{"matchFeatures":[{"matchExpressions":[{"op":"Exists","key":"kubernetes.io/arch"}]}]}]}]}`)
	client, err := dynamic.NewForConfig(cluster)
	if err != nil {
		t.Fatal(err)
	}
	for _, kind := range []string{"Pod", "MiniCluster"} {
		for _, model := range []string{"fom", "random", ""} {
			t.Run(kind+" "+model, func(t *testing.T) {
				gvr, manifest := objectOf(kind, "twice-"+strings.ToLower(kind)+"-"+map[string]string{"": "features"}[model]+model, s.ref, model)
				if model == "" {
					manifest.SetAnnotations(map[string]string{compat.AnnotationImageRef: s.registry.Ref("arch:v1")})
				}
				objects := client.Resource(gvr).Namespace(metav1.NamespaceDefault)
				data, err := json.Marshal(manifest)
				if err != nil {
					t.Fatal(err)
				}
				apply := func(kind apitypes.PatchType, body []byte) *unstructured.Unstructured {
					t.Helper()
					opts := metav1.PatchOptions{}
					if kind == apitypes.ApplyPatchType {
						opts.FieldManager, opts.Force = "test", new(bool)
						*opts.Force = true
					}
					got, err := objects.Patch(t.Context(), manifest.GetName(), kind, body, opts)
					if err != nil {
						t.Fatal(err)
					}
					return got
				}
				first := apply(apitypes.ApplyPatchType, data)
				now := int64(0)
				t.Cleanup(func() {
					_ = objects.Delete(context.Background(), manifest.GetName(), metav1.DeleteOptions{GracePeriodSeconds: &now})
				})
				want := decision(t, first.GetAnnotations())
				same := func(how string, got *unstructured.Unstructured) {
					t.Helper()
					if fmt.Sprint(got.Object["spec"]) != fmt.Sprint(first.Object["spec"]) || got.GetAnnotations()[compat.AnnotationDecision] != first.GetAnnotations()[compat.AnnotationDecision] {
						t.Errorf("%s:\n%v\n%v", how, got.Object["spec"], first.Object["spec"])
					}
				}
				same("server-side", apply(apitypes.ApplyPatchType, data))
				// Client-side apply sends the fields of the manifest that differ.
				same("client-side", apply(apitypes.MergePatchType, fmt.Appendf(nil, `{"metadata":{"labels":{"again":"yes"}},"spec":{"containers":%s}}`, containersOf(t, first, want.Image))))
			})
		}
	}
}

// containersOf are an object's containers with the target image put back.
func containersOf(t *testing.T, o *unstructured.Unstructured, image string) []byte {
	t.Helper()
	list, _, err := unstructured.NestedSlice(o.Object, "spec", "containers")
	if err != nil {
		t.Fatal(err)
	}
	data, err := json.Marshal(list)
	if err != nil {
		t.Fatal(err)
	}
	return []byte(strings.ReplaceAll(string(data), `"image":"`+image+`"`, `"image":"`+compat.DefaultTargetImage+`"`))
}

func objectOf(kind, name, ref, model string) (schema.GroupVersionResource, *unstructured.Unstructured) {
	o := &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "v1", "kind": kind,
		"metadata": map[string]any{
			"name": name, "namespace": metav1.NamespaceDefault, "labels": map[string]any{compat.LabelEnabled: "true"},
			"annotations": map[string]any{compat.AnnotationImageRef: ref, compat.AnnotationModel: model},
		},
		"spec": map[string]any{"containers": []any{map[string]any{"name": "main", "image": compat.DefaultTargetImage}}},
	}}
	if kind == "Pod" {
		return schema.GroupVersionResource{Version: "v1", Resource: "pods"}, o
	}
	o.SetAPIVersion("flux-framework.org/v1alpha2")
	o.Object["spec"].(map[string]any)["size"] = int64(1)
	return schema.GroupVersionResource{Group: "flux-framework.org", Version: "v1alpha2", Resource: "miniclusters"}, o
}
