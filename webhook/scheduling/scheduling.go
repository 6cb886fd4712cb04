// Package scheduling says which machines a pod's own requirements rule out, by the scheduler's rules: a pod that is bound
// to a type where it can never run would wait for ever.
package scheduling

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	resourcehelper "k8s.io/component-helpers/resource"
	corev1helpers "k8s.io/component-helpers/scheduling/corev1"
	"k8s.io/component-helpers/scheduling/corev1/nodeaffinity"
	"k8s.io/klog/v2"

	"github.com/compspec/ocifit-lab/webhook/compat"
	"github.com/compspec/ocifit-lab/webhook/features"
	"github.com/compspec/ocifit-lab/webhook/patch"
)

// Requirements are what a pod asks of its node.
type Requirements struct {
	// Selector is the node selector.
	Selector map[string]string
	// Affinity is the required node affinity; nil when there is none.
	Affinity *corev1.NodeSelector
	// Requests are those of the whole pod.
	Requests corev1.ResourceList
	// Tolerations of the pod.
	Tolerations []corev1.Toleration
}

// Of reads the requirements of an object's pods.
func Of(o *patch.Object) (*Requirements, error) {
	r := &Requirements{Selector: o.NodeSelector()}
	raw := o.Scheduling()
	pod := corev1.PodSpec{}
	var values map[string][]string
	var requests corev1.ResourceList
	for name, part := range map[string]struct {
		raw  json.RawMessage
		into any
	}{
		"affinity": {raw.Affinity, &pod.Affinity}, "tolerations": {raw.Tolerations, &pod.Tolerations},
		"overhead": {raw.Overhead, &pod.Overhead}, "resources": {raw.Resources, &pod.Resources},
		"nodeAffinity": {raw.NodeValues, &values}, "requested resources": {raw.Requests, &requests},
	} {
		if err := decode(part.raw, part.into); err != nil {
			return nil, fmt.Errorf("%s of the pod: %w", name, err)
		}
	}
	if len(requests) > 0 {
		pod.Resources = &corev1.ResourceRequirements{Requests: requests}
	}
	var err error
	if pod.Containers, err = containers(raw.Containers); err != nil {
		return nil, err
	}
	if pod.InitContainers, err = containers(raw.InitContainers); err != nil {
		return nil, err
	}
	r.Requests = resourcehelper.PodRequests(&corev1.Pod{Spec: pod}, resourcehelper.PodResourcesOptions{})
	r.Tolerations = pod.Tolerations
	if pod.Affinity != nil && pod.Affinity.NodeAffinity != nil {
		r.Affinity = pod.Affinity.NodeAffinity.RequiredDuringSchedulingIgnoredDuringExecution
	}
	if len(values) > 0 {
		r.Affinity = oneOf(values)
	}
	return r, nil
}

// oneOf is the node affinity that a MiniCluster's operator makes of the values that labels may have.
func oneOf(values map[string][]string) *corev1.NodeSelector {
	var all []corev1.NodeSelectorRequirement
	for _, label := range slices.Sorted(maps.Keys(values)) {
		all = append(all, corev1.NodeSelectorRequirement{Key: label, Operator: corev1.NodeSelectorOpIn, Values: values[label]})
	}
	return &corev1.NodeSelector{NodeSelectorTerms: []corev1.NodeSelectorTerm{{MatchExpressions: all}}}
}

func decode(raw json.RawMessage, into any) error {
	if len(raw) == 0 {
		return nil
	}
	return json.Unmarshal(raw, into)
}

func containers(list []patch.Container) ([]corev1.Container, error) {
	out := make([]corev1.Container, len(list))
	for i, c := range list {
		if err := decode(c.Resources, &out[i].Resources); err != nil {
			return nil, fmt.Errorf("resources of container %q: %w", c.Name, err)
		}
		if c.RestartPolicy != "" {
			p := corev1.ContainerRestartPolicy(c.RestartPolicy)
			out[i].RestartPolicy = &p
		}
		// A limit without a request is one; the API server writes it into pods, not into what makes them.
		for name, limit := range out[i].Resources.Limits {
			if _, ok := out[i].Resources.Requests[name]; !ok {
				if out[i].Resources.Requests == nil {
					out[i].Resources.Requests = corev1.ResourceList{}
				}
				out[i].Resources.Requests[name] = limit
			}
		}
	}
	return out, nil
}

// aliases are older names of labels, which every kubelet writes beside the present ones but a catalogue may lack.
var aliases = map[string]string{
	"beta.kubernetes.io/arch": compat.LabelArch, "beta.kubernetes.io/os": corev1.LabelOSStable,
	corev1.LabelInstanceType:          compat.LabelInstanceType,
	corev1.LabelFailureDomainBetaZone: corev1.LabelTopologyZone, corev1.LabelFailureDomainBetaRegion: corev1.LabelTopologyRegion,
}

// Labels lists the node labels that the requirements look at.
func (r *Requirements) Labels() []string {
	seen := map[string]bool{}
	for k := range r.Selector {
		seen[k] = true
	}
	if r.Affinity != nil {
		for _, t := range r.Affinity.NodeSelectorTerms {
			for _, e := range t.MatchExpressions {
				seen[e.Key] = true
			}
		}
	}
	for k := range seen {
		if present := aliases[k]; present != "" {
			seen[present] = true
		}
	}
	return slices.Sorted(maps.Keys(seen))
}

// Judge holds machines against requirements.
type Judge struct {
	Requirements *Requirements
	// Identity is the label that tells the type of a node.
	Identity string
	// Allocatable is what nodes of a type can give, by type, for types without a live node. A resource that is not
	// listed is unknown there.
	Allocatable map[string]corev1.ResourceList
	// Strict rules out a machine of which it is not known whether it has a label that the pod wants, but for its zone and region. Otherwise
	// only labels that describe a machine count then: its type, its architecture and its features.
	Strict bool
}

// typed joins the two halves of every reason: what the pod wants, and what the machines have.
const typed = ", nodes of this type have "

// Requirement cuts a reason that Excludes gave down to what the pod wants.
func Requirement(reason string) string {
	want, _, _ := strings.Cut(reason, typed)
	return want
}

// Excludes says why the pod cannot run on such a machine; empty when nothing is known against it.
func (j *Judge) Excludes(c features.Candidate) string {
	for _, rule := range []func(features.Candidate) string{j.selector, j.affinity, j.resources, j.taints} {
		if why := rule(c); why != "" {
			return why
		}
	}
	return ""
}

// label is a machine's label, also under its older name.
func label(c features.Candidate, key string) (string, bool) {
	v, ok := c.Labels[key]
	if key == corev1.LabelHostname && !c.Live {
		return "", false // a catalogue was recorded somewhere else
	}
	if present := aliases[key]; !ok && present != "" {
		v, ok = c.Labels[present]
	}
	return v, ok
}

// unknown reports whether nothing can be said about a label that the machine does not have.
func (j *Judge) unknown(c features.Candidate, key string) bool {
	if _, has := label(c, key); has {
		return false
	}
	switch {
	case key == corev1.LabelHostname: // no node that is not there yet has a name
		return false
	case topology(key): // the cloud gives every node one, some time after it is there
		return true
	case j.Strict:
		return false
	case key == j.Identity, key == compat.LabelInstanceType, aliases[key] == compat.LabelInstanceType, key == compat.LabelArch, aliases[key] == compat.LabelArch:
		return false
	}
	return !strings.HasPrefix(key, compat.FeaturePrefix)
}

// topology tells the labels of where a node is.
func topology(key string) bool {
	if present := aliases[key]; present != "" {
		key = present
	}
	return key == corev1.LabelTopologyZone || key == corev1.LabelTopologyRegion
}

func (j *Judge) selector(c features.Candidate) string {
	for _, k := range slices.Sorted(maps.Keys(j.Requirements.Selector)) {
		want := j.Requirements.Selector[k]
		have, there := label(c, k)
		if j.unknown(c, k) || there && have == want {
			continue
		}
		if !there {
			have = "no such label"
		}
		return fmt.Sprintf("the object's node selector wants %s=%s", k, want) + typed + have
	}
	return ""
}

// affinity holds the terms, of which one must fit, against the machine. What is unknown about it counts as fitting.
func (j *Judge) affinity(c features.Candidate) string {
	if j.Requirements.Affinity == nil {
		return ""
	}
	node := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Labels: c.Labels}}
	var first string
	for _, t := range j.Requirements.Affinity.NodeSelectorTerms {
		if len(t.MatchExpressions)+len(t.MatchFields) == 0 {
			continue // matches nothing, says the API
		}
		why := ""
		for _, e := range t.MatchExpressions {
			if j.unknown(c, e.Key) {
				continue
			}
			if why = j.expression(node, c, e); why != "" {
				break
			}
		}
		if why == "" {
			return ""
		}
		if first == "" {
			first = why
		}
	}
	if first == "" {
		return "the object's required node affinity has no term that anything fits" + typed + "no part in it"
	}
	return first
}

func (j *Judge) expression(node *corev1.Node, c features.Candidate, e corev1.NodeSelectorRequirement) string {
	have, there := label(c, e.Key)
	if _, under := node.Labels[e.Key]; !under && there {
		with := maps.Clone(node.Labels)
		with[e.Key] = have
		node = &corev1.Node{ObjectMeta: metav1.ObjectMeta{Labels: with}}
	}
	s, err := nodeaffinity.NewNodeSelector(&corev1.NodeSelector{NodeSelectorTerms: []corev1.NodeSelectorTerm{{MatchExpressions: []corev1.NodeSelectorRequirement{e}}}})
	if err != nil {
		return fmt.Sprintf("the object's node affinity on %s is not valid (%v)", e.Key, err)
	}
	if s.Match(node) {
		return ""
	}
	if !there {
		have = "no such label"
	}
	want := fmt.Sprintf("the object's node affinity wants %s %s", e.Key, e.Operator)
	if len(e.Values) > 0 {
		want += " " + strings.Join(e.Values, " or ")
	}
	return want + typed + have
}

func (j *Judge) resources(c features.Candidate) string {
	give, whole := c.Allocatable, true
	if give == nil {
		give, whole = j.Allocatable[c.InstanceType], false
	}
	if give == nil {
		return ""
	}
	for _, name := range slices.Sorted(maps.Keys(j.Requirements.Requests)) {
		want := j.Requirements.Requests[name]
		have, known := give[name]
		if !known && !whole || want.IsZero() || want.Cmp(have) <= 0 {
			continue
		}
		return fmt.Sprintf("the object requests %s of %s", want.String(), name) + typed + have.String()
	}
	return ""
}

func (j *Judge) taints(c features.Candidate) string {
	taint, there := corev1helpers.FindMatchingUntoleratedTaint(klog.Background(), c.Taints, j.Requirements.Tolerations, func(*corev1.Taint) bool { return true }, false)
	if !there {
		return ""
	}
	return fmt.Sprintf("the object does not tolerate %s", taint.ToString()) + typed + "this taint"
}
