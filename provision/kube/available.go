package kube

import (
	"context"
	"fmt"
	"strings"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

var deploymentResource = schema.GroupVersionResource{Group: "apps", Version: "v1", Resource: "deployments"}

// available is a condition for Wait and WaitNamed: a Deployment or DaemonSet whose newest pods are all there and ready.
func available(o *unstructured.Unstructured) (ok bool, seen string, err error) {
	number := func(path ...string) int64 {
		n, _, _ := unstructured.NestedInt64(o.Object, path...)
		return n
	}
	if seen := number("status", "observedGeneration"); seen < o.GetGeneration() {
		return false, "not yet noticed by its controller", nil
	}
	if o.GetKind() == "DaemonSet" {
		want, have := number("status", "desiredNumberScheduled"), min(number("status", "updatedNumberScheduled"), number("status", "numberReady"))
		return have >= want && want > 0, fmt.Sprintf("has %d of %d pods ready", have, want), nil
	}
	want, found, _ := unstructured.NestedInt64(o.Object, "spec", "replicas")
	if !found {
		want = 1
	}
	have := min(number("status", "updatedReplicas"), number("status", "availableReplicas"))
	return have >= want && number("status", "replicas") == want, fmt.Sprintf("has %d of %d pods ready: %s", have, want, conditions(o)), nil
}

// Runs asks whether a deployment is complete with the given image in its first container; an empty image means any.
func (c *Cluster) Runs(ctx context.Context, namespace, deployment, image string) error {
	d, err := c.Clientset.AppsV1().Deployments(namespace).Get(ctx, deployment, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return fmt.Errorf("there is no deployment %s/%s", namespace, deployment)
	}
	if err != nil {
		return c.Explain(err)
	}
	if have := d.Spec.Template.Spec.Containers[0].Image; image != "" && have != image {
		return fmt.Errorf("deployment %s/%s runs %s, not %s", namespace, deployment, have, image)
	}
	want := int32(1)
	if d.Spec.Replicas != nil {
		want = *d.Spec.Replicas
	}
	if d.Status.ObservedGeneration < d.Generation || d.Status.UpdatedReplicas < want || d.Status.AvailableReplicas < want {
		return fmt.Errorf("deployment %s/%s has %d of %d pods ready: %s", namespace, deployment, d.Status.AvailableReplicas, want, c.whyNot(ctx, d))
	}
	return nil
}

// WaitRuns waits until a deployment is complete. When the time is over the error tells what its pods hang on.
func (c *Cluster) WaitRuns(ctx context.Context, namespace, deployment string) error {
	_, err := c.WaitNamed(ctx, deploymentResource, namespace, deployment, available)
	if err == nil {
		return nil
	}
	ask, cancel := context.WithTimeout(context.WithoutCancel(ctx), 3*time.Second)
	defer cancel()
	if why := c.Runs(ask, namespace, deployment, ""); why != nil {
		return fmt.Errorf("%w; %w", err, why)
	}
	return err
}

// whyNot looks at a deployment's pods for the reason why they are not ready.
func (c *Cluster) whyNot(ctx context.Context, d *appsv1.Deployment) string {
	selector, err := metav1.LabelSelectorAsSelector(d.Spec.Selector)
	if err != nil {
		return err.Error()
	}
	pods, err := c.Clientset.CoreV1().Pods(d.Namespace).List(ctx, metav1.ListOptions{LabelSelector: selector.String()})
	if err != nil {
		return err.Error()
	}
	for i := range pods.Items {
		if p := &pods.Items[i]; !podReady(p) {
			return "pod " + p.Name + " " + podState(p) + c.lastWords(ctx, p)
		}
	}
	return "no pod yet"
}

// lastWords are what a container of the pod said before it ended last.
func (c *Cluster) lastWords(ctx context.Context, p *corev1.Pod) string {
	for _, s := range p.Status.ContainerStatuses {
		if s.RestartCount == 0 {
			continue
		}
		lines := int64(3)
		text, err := c.Clientset.CoreV1().Pods(p.Namespace).GetLogs(p.Name, &corev1.PodLogOptions{Container: s.Name, Previous: true, TailLines: &lines}).DoRaw(ctx)
		if err == nil && len(text) > 0 {
			return "; it said: " + strings.Join(strings.Split(strings.TrimSpace(string(text)), "\n"), " | ")
		}
	}
	return ""
}

func podReady(p *corev1.Pod) bool {
	for _, cond := range p.Status.Conditions {
		if cond.Type == corev1.PodReady {
			return cond.Status == corev1.ConditionTrue
		}
	}
	return false
}
