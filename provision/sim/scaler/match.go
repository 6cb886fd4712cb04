package scaler

import (
	"fmt"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	resourcehelper "k8s.io/component-helpers/resource"
	schedulinghelper "k8s.io/component-helpers/scheduling/corev1"
	"k8s.io/component-helpers/scheduling/corev1/nodeaffinity"
	"k8s.io/klog/v2"
)

// placement is a node, existing or to come, with the pods on it.
type placement struct {
	node *corev1.Node
	pods []*corev1.Pod
}

// Reasons why a pod does not fit, in the scheduler's words.
const (
	reasonAffinity     = "node(s) didn't match Pod's node affinity/selector"
	reasonCordoned     = "node(s) were unschedulable"
	reasonAntiAffinity = "node(s) didn't match pod anti-affinity rules"
	reasonMaxSize      = "max node group size reached"
	reasonInsufficient = "Insufficient %s"
	reasonTaint        = "node(s) had untolerated taint(s)"
	taintNotReady      = "node.kubernetes.io/not-ready"
	taintToBeDeleted   = "ToBeDeletedByClusterAutoscaler"
	topologyHostname   = corev1.LabelHostname
)

// refuse tells why the pod cannot go there; "" means that it can. It asks what the scheduler asks, by the scheduler's own helpers
// where they exist: node selector and affinity, taints, requests, and required anti-affinity between pods of one host.
func (p *placement) refuse(pod *corev1.Pod) string {
	if p.node.Spec.Unschedulable {
		return reasonCordoned
	}
	if ok, err := nodeaffinity.GetRequiredNodeAffinity(pod).Match(p.node); err != nil || !ok {
		return reasonAffinity
	}
	// A node that boots is not ready yet, and will be.
	blocking := func(t *corev1.Taint) bool {
		return t.Key != taintNotReady && (t.Effect == corev1.TaintEffectNoSchedule || t.Effect == corev1.TaintEffectNoExecute)
	}
	if _, tainted := schedulinghelper.FindMatchingUntoleratedTaint(klog.Background(), p.node.Spec.Taints, pod.Spec.Tolerations, blocking, false); tainted {
		return reasonTaint
	}
	if name := p.lacks(pod); name != "" {
		return fmt.Sprintf(reasonInsufficient, name)
	}
	for _, other := range p.pods {
		if repels(pod, other) || repels(other, pod) {
			return reasonAntiAffinity
		}
	}
	return ""
}

// lacks names the first resource of which too little is left.
func (p *placement) lacks(pod *corev1.Pod) corev1.ResourceName {
	if free, ok := p.node.Status.Allocatable[corev1.ResourcePods]; ok && int64(len(p.pods)) >= free.Value() {
		return "pods"
	}
	requests := resourcehelper.PodRequests(pod, resourcehelper.PodResourcesOptions{})
	for _, name := range []corev1.ResourceName{corev1.ResourceCPU, corev1.ResourceMemory, corev1.ResourceEphemeralStorage} {
		if !p.fits(name, requests) {
			return name
		}
	}
	for name := range requests {
		if !p.fits(name, requests) {
			return name
		}
	}
	return ""
}

func (p *placement) fits(name corev1.ResourceName, requests corev1.ResourceList) bool {
	want, ok := requests[name]
	if !ok || want.IsZero() {
		return true
	}
	free := p.node.Status.Allocatable[name].DeepCopy()
	for _, other := range p.pods {
		if used, ok := resourcehelper.PodRequests(other, resourcehelper.PodResourcesOptions{})[name]; ok {
			free.Sub(used)
		}
	}
	return free.Cmp(want) >= 0
}

// repels tells whether pod demands not to share a host with other.
func repels(pod, other *corev1.Pod) bool {
	if pod.Spec.Affinity == nil || pod.Spec.Affinity.PodAntiAffinity == nil {
		return false
	}
	for _, term := range pod.Spec.Affinity.PodAntiAffinity.RequiredDuringSchedulingIgnoredDuringExecution {
		if term.TopologyKey != topologyHostname || !inNamespaces(term, pod.Namespace, other.Namespace) {
			continue
		}
		selector, err := metav1.LabelSelectorAsSelector(term.LabelSelector)
		if err == nil && selector.Matches(labels.Set(other.Labels)) {
			return true
		}
	}
	return false
}

func inNamespaces(term corev1.PodAffinityTerm, own, other string) bool {
	if len(term.Namespaces) == 0 && term.NamespaceSelector == nil {
		return own == other
	}
	for _, n := range term.Namespaces {
		if n == other {
			return true
		}
	}
	// Namespaces by label are not looked up: any will do, which at worst makes one node too many.
	return term.NamespaceSelector != nil
}
