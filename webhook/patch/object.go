// Package patch builds the JSON patch that puts a selection into a Pod or a MiniCluster.
package patch

import "github.com/compspec/ocifit-lab/webhook/compat"

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
	Pod            *PodTemplate      `json:"pod"`
	Flux           *FluxSpec         `json:"flux"`
}

// Container of a Pod or MiniCluster.
type Container struct {
	Name  string `json:"name"`
	Image string `json:"image"`
}

// PodTemplate is what a MiniCluster says about its pods.
type PodTemplate struct {
	NodeSelector map[string]string `json:"nodeSelector"`
	Annotations  map[string]string `json:"annotations"`
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
