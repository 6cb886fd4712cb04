package scaler

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
)

// world is what a decision to grow looks at.
type world struct {
	groups  []Group
	places  []*placement // existing and booting nodes with their pods
	sizes   map[string]int
	pending []*corev1.Pod // unschedulable, oldest first
}

// growth is a decision about one pod: the group that gets a node for it, or why none does.
type growth struct {
	pod      *corev1.Pod
	group    *Group // nil: not triggered
	from, to int    // size of the group
	refusals string
}

// plan decides for each pending pod: wait for an existing or booting place, let the cheapest fitting group grow, or refuse.
// newName draws the name of a new node.
func (w *world) plan(newName func(Group) string) (decisions []growth, nodes []*corev1.Node) {
	if w.sizes == nil {
		w.sizes = map[string]int{}
	}
	for _, pod := range w.pending {
		if at := w.roomFor(pod); at != nil {
			at.pods = append(at.pods, pod)
			continue
		}
		group, refusals := w.cheapest(pod)
		if group == nil {
			decisions = append(decisions, growth{pod: pod, refusals: refusals})
			continue
		}
		size := w.sizes[group.Name]
		w.sizes[group.Name] = size + 1
		node := group.node(newName(*group))
		nodes = append(nodes, node)
		w.places = append(w.places, &placement{node: node, pods: []*corev1.Pod{pod}})
		decisions = append(decisions, growth{pod: pod, group: group, from: size, to: size + 1})
	}
	return decisions, nodes
}

func (w *world) roomFor(pod *corev1.Pod) *placement {
	for _, p := range w.places {
		if p.refuse(pod) == "" {
			return p
		}
	}
	return nil
}

// cheapest picks the group of least price that fits and may grow; the first of equals.
func (w *world) cheapest(pod *corev1.Pod) (*Group, string) {
	var best *Group
	reasons := map[string]int{}
	for i := range w.groups {
		g := &w.groups[i]
		template := placement{node: g.node(g.Name + "-template")}
		if reason := template.refuse(pod); reason != "" {
			reasons[reason]++
			continue
		}
		if w.sizes[g.Name] >= g.Max {
			reasons[reasonMaxSize]++
			continue
		}
		if best == nil || g.price() < best.price() {
			best = g
		}
	}
	return best, joinReasons(reasons)
}

func joinReasons(reasons map[string]int) string {
	var texts []string
	for reason, n := range reasons {
		texts = append(texts, fmt.Sprintf("%d %s", n, reason))
	}
	// The limit is what a user can change, so it comes first.
	slices.SortFunc(texts, func(a, b string) int {
		if max := strings.HasSuffix(a, reasonMaxSize); max != strings.HasSuffix(b, reasonMaxSize) {
			if max {
				return -1
			}
			return 1
		}
		return cmp.Compare(a, b)
	})
	return strings.Join(texts, ", ")
}

// unschedulable tells whether the scheduler has given up on the pod for now.
func unschedulable(pod *corev1.Pod) bool {
	if pod.Spec.NodeName != "" || pod.DeletionTimestamp != nil || finished(pod) {
		return false
	}
	for _, c := range pod.Status.Conditions {
		if c.Type == corev1.PodScheduled {
			return c.Status == corev1.ConditionFalse && c.Reason == corev1.PodReasonUnschedulable
		}
	}
	return false
}

func finished(pod *corev1.Pod) bool {
	return pod.Status.Phase == corev1.PodSucceeded || pod.Status.Phase == corev1.PodFailed
}

// occupies tells whether the pod keeps its node alive: it is not finished, and would not be on every node anyway.
func occupies(pod *corev1.Pod) bool {
	if finished(pod) {
		return false
	}
	for _, owner := range pod.OwnerReferences {
		if owner.Controller != nil && *owner.Controller && (owner.Kind == "DaemonSet" || owner.Kind == "Node") {
			return false
		}
	}
	return true
}
