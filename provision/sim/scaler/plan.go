package scaler

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	resourcehelper "k8s.io/component-helpers/resource"
)

// world is what a decision to grow looks at.
type world struct {
	groups  []Group
	places  []*placement // existing and booting nodes with their pods
	sizes   map[string]int
	pending []*corev1.Pod // unschedulable, oldest first
	daemons []*corev1.Pod // a pod of each daemon set: what they take of a node that is to come
}

// growth is a decision about one pod: the group that gets a node for it, or why none does.
type growth struct {
	pod      *corev1.Pod
	group    *Group // nil: not triggered
	from, to int    // size of the group
	refusals string
}

// plan decides for each pending pod: wait for an existing or booting place, let the fitting group grow that wastes least, or refuse.
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
		group, refusals := w.leastWaste(pod)
		if group == nil {
			decisions = append(decisions, growth{pod: pod, refusals: refusals})
			continue
		}
		size := w.sizes[group.Name]
		w.sizes[group.Name] = size + 1
		node := group.node(newName(*group))
		nodes = append(nodes, node)
		at := w.empty(node)
		at.pods = append(at.pods, pod)
		w.places = append(w.places, at)
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

// empty is a node that is to come, with the daemon sets' pods that will be on it.
func (w *world) empty(node *corev1.Node) *placement {
	p := &placement{node: node}
	for _, d := range w.daemons {
		if p.refuse(d) == "" {
			p.pods = append(p.pods, d)
		}
	}
	return p
}

// leastWaste picks the group that fits, may grow, and of which the pod leaves the smallest share of CPU and memory idle, as cluster-autoscaler's
// default expander does; the cheaper of equals, and the first of those.
func (w *world) leastWaste(pod *corev1.Pod) (*Group, string) {
	var best *Group
	least := math.Inf(1)
	reasons := map[string]int{}
	for i := range w.groups {
		g := &w.groups[i]
		template := w.empty(g.node(g.Name + "-template"))
		if reason := template.refuse(pod); reason != "" {
			reasons[reason]++
			continue
		}
		if w.sizes[g.Name] >= g.Max {
			reasons[reasonMaxSize]++
			continue
		}
		wasted := waste(template.node, pod)
		if best == nil || wasted < least || wasted == least && g.price() < best.price() {
			best, least = g, wasted
		}
	}
	return best, joinReasons(reasons)
}

// waste is the sum of the shares of CPU and memory that a pod leaves idle: 0 for one that fills the node, 2 for one that asks for nothing.
func waste(node *corev1.Node, pod *corev1.Pod) float64 {
	requests := resourcehelper.PodRequests(pod, resourcehelper.PodResourcesOptions{})
	sum := 0.0
	for _, name := range []corev1.ResourceName{corev1.ResourceCPU, corev1.ResourceMemory} {
		all, asked := node.Status.Capacity[name], requests[name]
		if all.IsZero() {
			continue
		}
		sum += 1 - asked.AsApproximateFloat64()/all.AsApproximateFloat64()
	}
	return sum
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
