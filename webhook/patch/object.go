// Package patch builds the JSON patch that puts a selection into a Pod or a MiniCluster.
package patch

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"

	"github.com/compspec/ocifit-lab/webhook/compat"
)

// Kind is a kind of object that can carry a selection.
type Kind string

// The kinds that selections are made for.
const (
	Pod         Kind = "Pod"
	MiniCluster Kind = "MiniCluster"
)

// Valid reports whether k can carry a selection.
func (k Kind) Valid() bool { return k == Pod || k == MiniCluster }

// Object is the part of a Pod or MiniCluster that a selection reads and changes. Nil maps and pointers are
// fields that the object does not have.
type Object struct {
	Kind     Kind      `json:"-"`
	Metadata *Metadata `json:"metadata"`
	Spec     *Spec     `json:"spec"`
}

// Metadata of an Object.
type Metadata struct {
	Name         string            `json:"name"`
	GenerateName string            `json:"generateName"`
	Namespace    string            `json:"namespace"`
	Labels       map[string]string `json:"labels"`
	Annotations  map[string]string `json:"annotations"`
	Owners       []Owner           `json:"ownerReferences"`
	// DeletionTimestamp is set while the object waits for its finalizers.
	DeletionTimestamp string `json:"deletionTimestamp"`
}

// Owner is an object that this one belongs to.
type Owner struct {
	APIVersion string `json:"apiVersion"`
	Kind       string `json:"kind"`
	Name       string `json:"name"`
	UID        string `json:"uid"`
	Controller bool   `json:"controller"`
}

// Spec joins the fields of a Pod's spec (NodeSelector) and of a MiniCluster's (Pod, Flux).
type Spec struct {
	NodeSelector   map[string]string `json:"nodeSelector"`
	Containers     []Container       `json:"containers"`
	InitContainers []Container       `json:"initContainers"`
	// The rest of what the scheduler looks at stays as it is written: few objects have it.
	Affinity    json.RawMessage `json:"affinity"`
	Tolerations json.RawMessage `json:"tolerations"`
	Overhead    json.RawMessage `json:"overhead"`
	Resources   json.RawMessage `json:"resources"`

	Pod  *PodTemplate `json:"pod"`
	Flux *FluxSpec    `json:"flux"`
}

// Container of a Pod or MiniCluster.
type Container struct {
	Name          string          `json:"name"`
	Image         string          `json:"image"`
	RestartPolicy string          `json:"restartPolicy"`
	Resources     json.RawMessage `json:"resources"`
}

// PodTemplate is what a MiniCluster says about its pods.
type PodTemplate struct {
	NodeSelector map[string]string `json:"nodeSelector"`
	Annotations  map[string]string `json:"annotations"`
	// NodeAffinity lists, by node label, the values that nodes may have.
	NodeAffinity json.RawMessage `json:"nodeAffinity"`
	Tolerations  json.RawMessage `json:"tolerations"`
	// Resources are requests of the whole pod: quantities by name, without the levels that a container's have.
	Resources json.RawMessage `json:"resources"`
}

// FluxSpec is what a MiniCluster says about Flux.
type FluxSpec struct {
	Container *Container `json:"container"`
}

// Annotation returns an annotation of the object; ok is false when it is absent.
func (o *Object) Annotation(name string) (value string, ok bool) {
	if o.Metadata == nil {
		return "", false
	}
	value, ok = o.Metadata.Annotations[name]
	return value, ok
}

// Controller returns the owner that made the object; ok is false when a person did.
func (o *Object) Controller() (owner Owner, ok bool) {
	if o.Metadata != nil {
		for _, owner := range o.Metadata.Owners {
			if owner.Controller {
				return owner, true
			}
		}
	}
	return Owner{}, false
}

// Enabled reports whether the object asks for a selection.
func (o *Object) Enabled() bool {
	return o.Metadata != nil && o.Metadata.Labels[compat.LabelEnabled] == "true"
}

// Deleting reports whether the object is on its way out.
func (o *Object) Deleting() bool { return o.Metadata != nil && o.Metadata.DeletionTimestamp != "" }

// WithoutSelector returns the object without one key of its node selector; o stays as it is.
func (o *Object) WithoutSelector(key string) *Object {
	if o.Spec == nil {
		return o
	}
	out, spec := *o, *o.Spec
	selector := maps.Clone(o.NodeSelector())
	delete(selector, key)
	switch {
	case o.Kind == Pod:
		spec.NodeSelector = selector
	case spec.Pod != nil:
		pod := *spec.Pod
		pod.NodeSelector = selector
		spec.Pod = &pod
	}
	out.Spec = &spec
	return &out
}

// TargetImage is the image that the selection replaces.
func (o *Object) TargetImage() string {
	if image, ok := o.Annotation(compat.AnnotationTargetImage); ok && image != "" {
		return image
	}
	return compat.DefaultTargetImage
}

// NodeSelector returns the selector of the object's pods; nil when there is none.
func (o *Object) NodeSelector() map[string]string {
	switch {
	case o.Spec == nil:
		return nil
	case o.Kind == Pod:
		return o.Spec.NodeSelector
	case o.Spec.Pod == nil:
		return nil
	}
	return o.Spec.Pod.NodeSelector
}

// Targets counts the containers, init containers among them, whose image is the given one.
func (o *Object) Targets(image string) int {
	n := 0
	if o.Spec != nil {
		for _, list := range [][]Container{o.Spec.Containers, o.Spec.InitContainers} {
			for _, c := range list {
				if c.Image == image {
					n++
				}
			}
		}
	}
	return n
}

// Scheduling is what an object says about where its pods may run, beside the node selector, as it is written.
type Scheduling struct {
	Affinity, Tolerations, Overhead, Resources json.RawMessage
	// NodeValues and Requests are a MiniCluster's way to say affinity and resources: the values that node labels may have, and quantities.
	NodeValues, Requests       json.RawMessage
	Containers, InitContainers []Container
}

// Scheduling returns the parts that the scheduler looks at.
func (o *Object) Scheduling() Scheduling {
	switch {
	case o.Spec == nil:
		return Scheduling{}
	case o.Kind == Pod:
		return Scheduling{
			Affinity: o.Spec.Affinity, Tolerations: o.Spec.Tolerations, Overhead: o.Spec.Overhead, Resources: o.Spec.Resources,
			Containers: o.Spec.Containers, InitContainers: o.Spec.InitContainers,
		}
	case o.Spec.Pod == nil:
		return Scheduling{Containers: o.Spec.Containers}
	}
	return Scheduling{NodeValues: o.Spec.Pod.NodeAffinity, Tolerations: o.Spec.Pod.Tolerations, Requests: o.Spec.Pod.Resources, Containers: o.Spec.Containers}
}

// SchedulingKey writes down everything that decides where the object's pods may run: objects with equal keys may run on
// the same machines.
func (o *Object) SchedulingKey() string {
	s, selector := o.Scheduling(), o.NodeSelector()
	parts := [...]json.RawMessage{s.Affinity, s.Tolerations, s.Overhead, s.Resources, s.NodeValues, s.Requests}
	size := len(selector) + len(s.Containers) + len(s.InitContainers)
	for _, raw := range parts {
		size += len(raw)
	}
	if size == 0 {
		return ""
	}
	var b strings.Builder
	b.Grow(256)
	for _, k := range slices.Sorted(maps.Keys(selector)) {
		b.WriteString(k + "\x00" + selector[k] + "\x00")
	}
	for _, raw := range parts {
		b.WriteByte(1)
		b.Write(raw)
	}
	for _, list := range [][]Container{s.Containers, s.InitContainers} {
		b.WriteByte(2)
		for _, c := range list {
			b.Write(c.Resources)
			b.WriteString("\x00" + c.RestartPolicy + "\x00")
		}
	}
	return b.String()
}
