package kube

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic"

	"github.com/compspec/ocifit-lab/provision/wait"
)

// Delete removes the objects of a multi-document YAML text and waits until they are gone; what is absent is fine. The
// order avoids the usual deadlocks: admission registrations first, then custom resources and their definitions while
// their controllers still run to release them, then the rest from last to first, then namespaces.
func (c *Cluster) Delete(ctx context.Context, manifests []byte) error {
	objects, err := Objects(manifests)
	if err != nil {
		return err
	}
	return c.DeleteObjects(ctx, objects)
}

// DeleteObjects is Delete for objects that are read already.
func (c *Cluster) DeleteObjects(ctx context.Context, objects []*unstructured.Unstructured) error {
	ctx, cancel := wait.Bounded(ctx, wait.Patience)
	defer cancel()
	declared := map[schema.GroupKind]bool{}
	for _, o := range objects {
		if isCRD(o) {
			group, _, _ := unstructured.NestedString(o.Object, "spec", "group")
			kind, _, _ := unstructured.NestedString(o.Object, "spec", "names", "kind")
			declared[schema.GroupKind{Group: group, Kind: kind}] = true
		}
	}
	custom := func(o *unstructured.Unstructured) bool { return declared[o.GroupVersionKind().GroupKind()] }
	split := phases(objects, isWebhook, custom, isCRD, isNamespace)
	split[3], split[4] = split[4], split[3]
	for _, phase := range split {
		slices.Reverse(phase)
		if err := c.deleteAll(ctx, phase); err != nil {
			return err
		}
	}
	if len(declared) > 0 {
		c.Mapper.Reset()
	}
	return nil
}

// deleteAll asks for the removal of all objects before it waits for any.
func (c *Cluster) deleteAll(ctx context.Context, objects []*unstructured.Unstructured) error {
	var going []*unstructured.Unstructured
	for _, o := range objects {
		there, err := c.deleteOne(ctx, o)
		if err != nil {
			return c.Explain(err)
		}
		if there {
			going = append(going, o)
		}
	}
	for _, o := range going {
		if err := c.waitObjectGone(ctx, o); err != nil {
			return err
		}
	}
	return nil
}

// deleteOne asks for the removal of an object and tells whether it was there.
func (c *Cluster) deleteOne(ctx context.Context, o *unstructured.Unstructured) (bool, error) {
	foreground, there := metav1.DeletePropagationForeground, true
	err := c.retry(ctx, "delete "+name(o), func(ctx context.Context) error {
		target, err := c.resource(o)
		if err == nil {
			err = target.Delete(ctx, o.GetName(), metav1.DeleteOptions{PropagationPolicy: &foreground})
		}
		if apierrors.IsNotFound(err) || meta.IsNoMatchError(err) {
			there = false
			return nil
		}
		return err
	})
	return there && err == nil, err
}

func (c *Cluster) waitObjectGone(ctx context.Context, o *unstructured.Unstructured) error {
	target, err := c.resource(o)
	if meta.IsNoMatchError(err) {
		return nil
	}
	if err != nil {
		return c.Explain(err)
	}
	return c.waitOneGone(ctx, target, name(o), o.GetName())
}

// WaitNamedGone waits until the object of that name is gone, or another one has taken its place.
func (c *Cluster) WaitNamedGone(ctx context.Context, gvr schema.GroupVersionResource, namespace, name string) error {
	ctx, cancel := wait.Bounded(ctx, wait.Patience)
	defer cancel()
	return c.waitOneGone(ctx, c.Dynamic.Resource(gvr).Namespace(namespace), gvr.Resource+" "+name+matching(namespace, ""), name)
}

func (c *Cluster) waitOneGone(ctx context.Context, target dynamic.ResourceInterface, what, name string) error {
	start, seen := time.Now(), "nothing yet"
	var first types.UID
	err := follow(ctx, c.dynamicFeed(target), byName(name), func(all []*unstructured.Unstructured) (bool, error) {
		i := slices.IndexFunc(all, func(o *unstructured.Unstructured) bool { return o.GetName() == name })
		if i < 0 {
			return true, nil
		}
		if first == "" {
			first = all[i].GetUID()
		}
		seen = holdup(all[i])
		return all[i].GetUID() != first, nil
	})
	return c.waited(ctx, "wait until "+what+" is gone", start, seen, ignoreAbsent(err))
}

// WaitGone waits until nothing of a resource matches the label selector in the namespace; an empty selector means all,
// an empty namespace all namespaces or a resource outside of them.
func (c *Cluster) WaitGone(ctx context.Context, gvr schema.GroupVersionResource, namespace, selector string) error {
	ctx, cancel := wait.Bounded(ctx, wait.Patience)
	defer cancel()
	doing := "wait until no " + gvr.Resource + matching(namespace, selector) + " is left"
	start, seen := time.Now(), "nothing yet"
	target := c.Dynamic.Resource(gvr).Namespace(namespace)
	err := follow(ctx, c.dynamicFeed(target), metav1.ListOptions{LabelSelector: selector}, func(all []*unstructured.Unstructured) (bool, error) {
		left := make([]string, 0, len(all))
		for _, o := range all {
			left = append(left, o.GetName()+" "+holdup(o))
		}
		if len(left) > 5 {
			left = append(left[:5], "...")
		}
		seen = fmt.Sprintf("%d left: %s", len(all), strings.Join(left, "; "))
		return len(all) == 0, nil
	})
	return c.waited(ctx, doing, start, seen, ignoreAbsent(err))
}

// ignoreAbsent: a resource that is not served any more has no objects.
func ignoreAbsent(err error) error {
	if apierrors.IsNotFound(err) && !errors.Is(err, context.DeadlineExceeded) {
		return nil
	}
	return err
}

// holdup says what keeps an object from going.
func holdup(o *unstructured.Unstructured) string {
	switch {
	case o.GetDeletionTimestamp() == nil:
		return "(not being deleted)"
	case len(o.GetFinalizers()) > 0:
		return "(being deleted, held by " + strings.Join(o.GetFinalizers(), ", ") + ")"
	}
	return "(being deleted)"
}

func matching(namespace, selector string) string {
	text := ""
	if selector != "" {
		text = " with " + selector
	}
	if namespace != "" {
		text += " in " + namespace
	}
	return text
}
