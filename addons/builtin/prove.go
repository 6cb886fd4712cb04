package builtin

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"strings"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/compspec/ocifit-lab/addons/builtin/minicluster"
	"github.com/compspec/ocifit-lab/provision/kube"
	"github.com/compspec/ocifit-lab/webhook/compat"
)

// proofTime bounds one proof; a controller answers within a second.
const proofTime = 8 * time.Second

var jobs = schema.GroupVersionResource{Group: "batch", Version: "v1", Resource: "jobs"}

// Prove makes a MiniCluster that fits no node, waits for the job that its controller makes for it, and removes it again.
func Prove(ctx context.Context, c *kube.Cluster, namespace string) (err error) {
	ctx, cancel := context.WithTimeout(ctx, proofTime)
	defer cancel()
	resource := c.Dynamic.Resource(minicluster.GVR).Namespace(namespace)
	name := "ocifit-probe-" + strings.ToLower(rand.Text()[:8])
	_, err = resource.Create(ctx, probe(name, namespace), metav1.CreateOptions{})
	if apierrors.IsNotFound(err) {
		return errors.New("the cluster serves no MiniClusters")
	}
	if err != nil {
		return fmt.Errorf("try a MiniCluster: %w", err)
	}
	defer func() {
		// The proof goes whether it succeeded or not, and is waited for: its definition may be about to go too.
		clean, cancel := context.WithTimeout(context.WithoutCancel(ctx), proofTime)
		defer cancel()
		background := metav1.DeletePropagationBackground
		if e := resource.Delete(clean, name, metav1.DeleteOptions{PropagationPolicy: &background}); e != nil && !apierrors.IsNotFound(e) {
			err = errors.Join(err, fmt.Errorf("remove the MiniCluster %s that was tried: %w", name, e))
		}
	}()
	if _, err := c.WaitNamed(ctx, jobs, namespace, name, func(*unstructured.Unstructured) (bool, string, error) { return true, "", nil }); err != nil {
		return fmt.Errorf("the controller made no job for a MiniCluster: %w", err)
	}
	return nil
}

func probe(name, namespace string) *unstructured.Unstructured {
	return &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": minicluster.GVK.GroupVersion().String(),
		"kind":       minicluster.GVK.Kind,
		"metadata":   map[string]any{"name": name, "namespace": namespace, "labels": map[string]any{"ocifit-lab/probe": "true"}},
		"spec": map[string]any{
			"size": int64(1),
			// No node carries this label: nothing is pulled and nothing runs.
			"pod": map[string]any{"nodeSelector": map[string]any{"ocifit-lab/probe": "nowhere"}},
			"containers": []any{map[string]any{
				"image": compat.DefaultTargetImage, "command": "true", "runFlux": true,
			}},
		},
	}}
}
