// Package nfd installs node-feature-discovery and proves it by the labels of every node.
package nfd

import (
	"context"
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/compspec/ocifit-lab/addons"
	"github.com/compspec/ocifit-lab/addons/component"
	"github.com/compspec/ocifit-lab/provision/kube"
	"github.com/compspec/ocifit-lab/provision/step"
)

// annotation is where node-feature-discovery writes which labels of a node are its own.
const annotation = "nfd.node.kubernetes.io/feature-labels"

// Values are what the lab sets in the chart: workers also where a taint keeps others away.
func Values() map[string]any {
	return map[string]any{
		"worker": map[string]any{"tolerations": []any{map[string]any{"operator": "Exists"}}},
	}
}

// Addon is node-feature-discovery.
type Addon struct {
	*component.Component
}

// Name implements addons.Addon.
func (*Addon) Name() string { return "node-feature-discovery" }

// Needs implements addons.Addon.
func (*Addon) Needs() []string { return nil }

// Requires implements addons.Addon.
func (*Addon) Requires() addons.Requirements { return addons.Requirements{Nodes: true} }

// Plan implements addons.Addon.
func (a *Addon) Plan() string {
	return fmt.Sprintf("install %s, and wait until node-feature-discovery has labelled each node", a.Title())
}

// Ready looks for the labels on every node that is ready.
func (a *Addon) Ready(ctx context.Context, c *kube.Cluster) error {
	if err := a.Complete(ctx, c); err != nil {
		return err
	}
	nodes, err := c.Clientset.CoreV1().Nodes().List(ctx, metav1.ListOptions{})
	if err != nil {
		return c.Explain(err)
	}
	var missing []string
	for _, n := range nodes.Items {
		if nodeReady(&n) && n.Annotations[annotation] == "" {
			missing = append(missing, n.Name)
		}
	}
	if len(missing) > 0 {
		return fmt.Errorf("%d of %d nodes are not labelled yet: %s", len(missing), len(nodes.Items), strings.Join(missing, ", "))
	}
	return nil
}

func nodeReady(n *corev1.Node) bool {
	for _, c := range n.Status.Conditions {
		if c.Type == corev1.NodeReady {
			return c.Status == corev1.ConditionTrue
		}
	}
	return false
}

// Remove takes node-feature-discovery away. The labels that it put on nodes stay: they go with the nodes.
func (a *Addon) Remove(ctx context.Context, c *kube.Cluster, log step.Log) error {
	return a.Component.Remove(ctx, c, log)
}
