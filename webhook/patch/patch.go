package patch

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// ErrNoTarget says that no container has the target image.
var ErrNoTarget = errors.New("no container has the target image")

// Operation is one operation of a JSON patch (RFC 6902).
type Operation struct {
	Op    string `json:"op"`
	Path  string `json:"path"`
	Value any    `json:"value"`
}

// Change is what a selection does to an object. Empty fields change nothing.
type Change struct {
	// NodeSelector is added to the selector of the pods; keys that are there already get the new value.
	NodeSelector map[string]string
	// Image replaces TargetImage in every container and init container; at least one must have it.
	TargetImage, Image string
	// FormerImage, if set, is replaced like TargetImage: the image of a decision that this one supersedes.
	FormerImage string
	// FluxView is the image of a MiniCluster's Flux view; ignored for Pods.
	FluxView string
	// Annotations are added to the object, and to a MiniCluster's pods.
	Annotations map[string]string
}

// Build returns the operations that apply c to o. It is a pure function of both: equal input gives equal
// operations, and fields that c does not name stay as they are.
func Build(o *Object, c Change) ([]Operation, error) {
	if o.Targets(c.TargetImage) == 0 {
		return nil, fmt.Errorf("%w %q", ErrNoTarget, c.TargetImage)
	}
	return Restore(o, c), nil
}

// Restore is Build for an object that may have the change already, in whole or in part; what it has needs no operation.
func Restore(o *Object, c Change) []Operation {
	var ops []Operation
	if o.Spec != nil {
		ops = images(o.Spec, c)
		if o.Kind == Pod {
			ops = addMap(ops, "/spec/nodeSelector", o.Spec.NodeSelector, c.NodeSelector)
		} else {
			ops = addPodTemplate(ops, o.Spec.Pod, c)
			ops = addFluxView(ops, o.Spec.Flux, c.FluxView)
		}
	}
	if o.Metadata == nil {
		return addObject(ops, "/metadata", map[string]map[string]string{"annotations": c.Annotations})
	}
	return addMap(ops, "/metadata/annotations", o.Metadata.Annotations, c.Annotations)
}

// images replaces the target image wherever it is.
func images(s *Spec, c Change) []Operation {
	var ops []Operation
	replace := func(path string, list []Container) {
		for i, one := range list {
			if one.Image != c.Image && (one.Image == c.TargetImage || c.FormerImage != "" && one.Image == c.FormerImage) {
				ops = append(ops, Operation{"replace", path + "/" + strconv.Itoa(i) + "/image", c.Image})
			}
		}
	}
	replace("/spec/initContainers", s.InitContainers)
	replace("/spec/containers", s.Containers)
	return ops
}

func addPodTemplate(ops []Operation, p *PodTemplate, c Change) []Operation {
	if p == nil {
		return addObject(ops, "/spec/pod", map[string]map[string]string{
			"nodeSelector": c.NodeSelector, "annotations": c.Annotations,
		})
	}
	ops = addMap(ops, "/spec/pod/nodeSelector", p.NodeSelector, c.NodeSelector)
	return addMap(ops, "/spec/pod/annotations", p.Annotations, c.Annotations)
}

func addFluxView(ops []Operation, f *FluxSpec, image string) []Operation {
	container := map[string]string{"image": image}
	switch {
	case image == "":
		return ops
	case f == nil:
		return append(ops, Operation{"add", "/spec/flux", map[string]any{"container": container}})
	case f.Container == nil:
		return append(ops, Operation{"add", "/spec/flux/container", container})
	}
	if f.Container.Image == image {
		return ops
	}
	return append(ops, Operation{"add", "/spec/flux/container/image", image})
}

// addMap sets keys of the map at path, whose parent exists; have is what the map holds now, nil when it is
// absent or null.
func addMap(ops []Operation, path string, have, want map[string]string) []Operation {
	if len(want) == 0 {
		return ops
	}
	if have == nil {
		return append(ops, Operation{"add", path, want})
	}
	for _, k := range slices.Sorted(maps.Keys(want)) {
		if v, ok := have[k]; !ok || v != want[k] {
			ops = append(ops, Operation{"add", path + "/" + escape(k), want[k]})
		}
	}
	return ops
}

// addObject adds an absent object with those of its maps that are not empty.
func addObject(ops []Operation, path string, fields map[string]map[string]string) []Operation {
	maps.DeleteFunc(fields, func(_ string, m map[string]string) bool { return len(m) == 0 })
	if len(fields) == 0 {
		return ops
	}
	return append(ops, Operation{"add", path, fields})
}

// escape writes a key as a part of a JSON pointer (RFC 6901).
func escape(key string) string {
	return strings.ReplaceAll(strings.ReplaceAll(key, "~", "~0"), "/", "~1")
}
