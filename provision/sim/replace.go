package sim

import (
	"context"
	"encoding/json"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/compspec/ocifit-lab/provision"
	"github.com/compspec/ocifit-lab/provision/sim/scaler"
	"github.com/compspec/ocifit-lab/provision/simulated"
	"github.com/compspec/ocifit-lab/provision/step"
)

var _ provision.NodeReplacer = (*Provider)(nil)

// ReplaceNode implements provision.NodeReplacer: it cordons and marks the node, and the scaler ends it.
func (p *Provider) ReplaceNode(ctx context.Context, name string) error {
	cluster, err := p.Connect(ctx)
	if err != nil {
		return err
	}
	nodes := cluster.Clientset.CoreV1().Nodes()
	node, err := nodes.Get(ctx, name, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("replace node %s: %w", name, err)
	}
	if node.Annotations[scaler.KeepAnnotation] == "true" {
		return step.Try(fmt.Errorf("node %s carries the lab's own parts and cannot be replaced", name),
			"put its instance type %s on the webhook's skip list", node.Labels[corev1.LabelInstanceTypeStable])
	}
	patch, err := json.Marshal(map[string]any{
		"metadata": map[string]any{"uid": node.UID, "annotations": map[string]string{simulated.ReplaceAnnotation: "true"}},
		"spec":     map[string]any{"unschedulable": true},
	})
	if err != nil {
		return err
	}
	if _, err := nodes.Patch(ctx, name, types.MergePatchType, patch, metav1.PatchOptions{}); apierrors.IsNotFound(err) {
		return nil
	} else if err != nil {
		return fmt.Errorf("replace node %s: %w", name, err)
	}
	return cluster.WaitNamedGone(ctx, corev1.SchemeGroupVersion.WithResource("nodes"), "", name)
}
