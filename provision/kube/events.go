package kube

import (
	"context"
	"fmt"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/compspec/ocifit-lab/provision/wait"
)

// Events gives the events of a namespace that match a field selector such as "involvedObject.name=hpcg-0" or
// "type=Warning", oldest first. An empty selector means all, an empty namespace all namespaces.
func (c *Cluster) Events(ctx context.Context, namespace, selector string) ([]corev1.Event, error) {
	ctx, cancel := wait.Bounded(ctx, askTime)
	defer cancel()
	got, err := c.Clientset.CoreV1().Events(namespace).List(ctx, metav1.ListOptions{FieldSelector: selector})
	if err != nil {
		return nil, c.Explain(fmt.Errorf("list events%s: %w", matching(namespace, selector), err))
	}
	slices.SortStableFunc(got.Items, func(a, b corev1.Event) int { return EventTime(a).Compare(EventTime(b)) })
	return got.Items, nil
}

// EventTime is when an event was last seen, from whichever of its fields its reporter filled in.
func EventTime(e corev1.Event) time.Time {
	latest := e.FirstTimestamp.Time
	for _, t := range []time.Time{e.LastTimestamp.Time, e.EventTime.Time} {
		if t.After(latest) {
			latest = t
		}
	}
	if e.Series != nil && e.Series.LastObservedTime.After(latest) {
		latest = e.Series.LastObservedTime.Time
	}
	if latest.IsZero() {
		return e.CreationTimestamp.Time
	}
	return latest
}
