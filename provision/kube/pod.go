package kube

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/watch"

	"github.com/compspec/ocifit-lab/provision/wait"
)

// WaitPod waits until cond accepts one of the pods that match the label selector, and gives that pod. It calls cond with
// each matching pod, at first and after each change; an error of cond ends the wait. Pods need not exist yet. When the
// time is over the error says what was last seen: phase, scheduler's message, reasons of containers, last events, and if
// there was no pod the last warnings in the namespace.
func (c *Cluster) WaitPod(ctx context.Context, namespace, selector string, cond func(*corev1.Pod) (bool, error)) (*corev1.Pod, error) {
	ctx, cancel := wait.Bounded(ctx, wait.Patience)
	defer cancel()
	doing, start := "wait for a pod"+matching(namespace, selector), time.Now()
	match := &podCondition{cond: cond}
	err := follow(ctx, c.podFeed(namespace), metav1.ListOptions{LabelSelector: selector}, match.check)
	if err == nil {
		return match.found, nil
	}
	if ctx.Err() == nil {
		return nil, c.Explain(fmt.Errorf("%s: %w", doing, err))
	}
	seen := match.gone
	if match.last != nil || seen == "" {
		seen = c.lastSeen(ctx, namespace, match.last)
	}
	return nil, c.waited(ctx, doing, start, seen, err)
}

// podCondition asks a condition about pods and remembers the last one.
type podCondition struct {
	cond        func(*corev1.Pod) (bool, error)
	last, found *corev1.Pod
	gone        string // how the last pod was before it went
}

func (m *podCondition) check(all []*corev1.Pod) (bool, error) {
	if len(all) == 0 && m.last != nil {
		m.gone, m.last = "pod "+m.last.Name+" is gone; it was "+podState(m.last), nil
	}
	for _, pod := range all {
		m.last = pod
		ok, err := m.cond(pod)
		if err != nil {
			return false, fmt.Errorf("pod %s: %w", pod.Name, err)
		}
		if ok {
			m.found = pod
			return true, nil
		}
	}
	return false, nil
}

func (c *Cluster) podFeed(namespace string) feed {
	pods := c.Clientset.CoreV1().Pods(namespace)
	return feed{
		lost:  c.lost,
		list:  func(ctx context.Context, o metav1.ListOptions) (runtime.Object, error) { return pods.List(ctx, o) },
		watch: func(ctx context.Context, o metav1.ListOptions) (watch.Interface, error) { return pods.Watch(ctx, o) },
	}
}

// lastSeen tells the state of a pod, or that there is none. When ctx ran out of time it asks for the last events as well.
func (c *Cluster) lastSeen(ctx context.Context, namespace string, pod *corev1.Pod) string {
	if !errors.Is(ctx.Err(), context.DeadlineExceeded) {
		if pod == nil {
			return "no such pod"
		}
		return "pod " + pod.Name + " " + podState(pod)
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 3*time.Second)
	defer cancel()
	if pod == nil {
		events, _ := c.Events(ctx, namespace, "type="+corev1.EventTypeWarning)
		return "no such pod" + lastEvents(events)
	}
	events, _ := c.Events(ctx, pod.Namespace, fields.Set{"involvedObject.kind": "Pod", "involvedObject.name": pod.Name}.String())
	return "pod " + pod.Name + " " + podState(pod) + lastEvents(events)
}

// lastEvents shows the last three distinct events.
func lastEvents(events []corev1.Event) string {
	var texts []string
	seen := map[string]bool{}
	for i := len(events) - 1; i >= 0 && len(texts) < 3; i-- {
		e := events[i]
		text := e.Reason + ": " + strings.TrimSpace(e.Message)
		if e.InvolvedObject.Kind != "Pod" {
			text = e.InvolvedObject.Kind + " " + e.InvolvedObject.Name + " " + text
		}
		if !seen[text] {
			seen[text] = true
			texts = append(texts, text)
		}
	}
	if len(texts) == 0 {
		return ""
	}
	return "; last events: " + strings.Join(texts, " | ")
}

// podState says in a line how a pod is and why: "Pending: Unschedulable: 0/3 nodes are available", "Running on ip-1,
// container hpcg waiting: ImagePullBackOff: ...".
func podState(pod *corev1.Pod) string {
	text := string(pod.Status.Phase)
	if text == "" {
		text = "without a phase"
	}
	if pod.DeletionTimestamp != nil {
		text = "being deleted, " + text
	}
	if pod.Spec.NodeName != "" {
		text += " on " + pod.Spec.NodeName
	}
	if because := because(pod.Status.Reason, pod.Status.Message); because != "" {
		text += ": " + because
	}
	for _, cond := range pod.Status.Conditions {
		if cond.Type == corev1.PodScheduled && cond.Status != corev1.ConditionTrue {
			if because := because(cond.Reason, cond.Message); because != "" {
				text += ": " + because
			}
		}
	}
	for _, s := range pod.Status.InitContainerStatuses {
		if s.State.Terminated == nil || s.State.Terminated.ExitCode != 0 {
			text += containerState("init container", s)
		}
	}
	for _, s := range pod.Status.ContainerStatuses {
		text += containerState("container", s)
	}
	return text
}

func containerState(what string, s corev1.ContainerStatus) string {
	state := ""
	switch {
	case s.State.Waiting != nil:
		state = "waiting: " + because(s.State.Waiting.Reason, s.State.Waiting.Message)
	case s.State.Terminated != nil:
		t := s.State.Terminated
		state = fmt.Sprintf("ended with exit code %d", t.ExitCode)
		if because := because(t.Reason, t.Message); because != "" && t.ExitCode != 0 {
			state += ": " + because
		}
	case s.State.Running != nil && !s.Ready:
		state = "running, not ready"
	case s.State.Running != nil:
		state = "ready"
	default:
		return ""
	}
	if s.RestartCount > 0 {
		state += fmt.Sprintf(", restarted %d times", s.RestartCount)
	}
	return ", " + what + " " + s.Name + " " + strings.TrimSuffix(state, ": ")
}

func because(reason, message string) string {
	message = strings.TrimSpace(message)
	if reason == "" || message == "" {
		return reason + message
	}
	return reason + ": " + message
}

// Wait waits until cond accepts one of the objects of any resource that match the label selector. cond tells also, for
// the error of a wait that takes too long, what it sees. An empty selector means all objects of the namespace.
func (c *Cluster) Wait(ctx context.Context, gvr schema.GroupVersionResource, namespace, selector string,
	cond func(*unstructured.Unstructured) (ok bool, seen string, err error),
) (*unstructured.Unstructured, error) {
	return c.wait(ctx, gvr, namespace, metav1.ListOptions{LabelSelector: selector}, matching(namespace, selector), cond)
}

// WaitNamed is Wait for the one object of the given name.
func (c *Cluster) WaitNamed(ctx context.Context, gvr schema.GroupVersionResource, namespace, name string,
	cond func(*unstructured.Unstructured) (ok bool, seen string, err error),
) (*unstructured.Unstructured, error) {
	return c.wait(ctx, gvr, namespace, byName(name), " "+name+matching(namespace, ""), func(o *unstructured.Unstructured) (bool, string, error) {
		if o.GetName() != name {
			return false, "", nil
		}
		return cond(o)
	})
}

func (c *Cluster) wait(ctx context.Context, gvr schema.GroupVersionResource, namespace string, opts metav1.ListOptions, which string,
	cond func(*unstructured.Unstructured) (bool, string, error),
) (*unstructured.Unstructured, error) {
	ctx, cancel := wait.Bounded(ctx, wait.Patience)
	defer cancel()
	start, seen := time.Now(), "nothing there"
	var found *unstructured.Unstructured
	target := c.Dynamic.Resource(gvr).Namespace(namespace)
	err := follow(ctx, c.dynamicFeed(target), opts, func(all []*unstructured.Unstructured) (bool, error) {
		seen = "nothing there"
		for _, o := range all {
			ok, text, err := cond(o)
			if err != nil {
				return false, fmt.Errorf("%s: %w", o.GetName(), err)
			}
			if ok {
				found = o
				return true, nil
			}
			if text != "" {
				seen = o.GetName() + " " + text
			}
		}
		return false, nil
	})
	return found, c.waited(ctx, "wait for "+gvr.Resource+which, start, seen, err)
}
