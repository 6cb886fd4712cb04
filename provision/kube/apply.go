package kube

import (
	"context"
	"fmt"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"

	"github.com/compspec/ocifit-lab/provision/wait"
)

const (
	// settleTime is how long an object is tried again while the cluster takes in what came before it.
	settleTime = time.Minute
	// reachTime is how long a request is tried again that no server took.
	reachTime = 15 * time.Second
)

var crds = schema.GroupVersionResource{Group: "apiextensions.k8s.io", Version: "v1", Resource: "customresourcedefinitions"}

// Apply makes the objects of a multi-document YAML text what the text says, by server-side apply with owner as the field
// manager, taking over fields that others set. Definitions of custom resources come first and are waited for until they
// are established, then namespaces, then the rest in order, admission registrations last. Applying again changes nothing.
func (c *Cluster) Apply(ctx context.Context, manifests []byte, owner string) error {
	objects, err := Objects(manifests)
	if err != nil {
		return err
	}
	return c.ApplyObjects(ctx, objects, owner)
}

// ApplyObjects is Apply for objects that are read already.
func (c *Cluster) ApplyObjects(ctx context.Context, objects []*unstructured.Unstructured, owner string) error {
	ctx, cancel := wait.Bounded(ctx, wait.Patience)
	defer cancel()
	split := phases(objects, isCRD, isNamespace, isWebhook)
	definitions, namespaces, webhooks, rest := split[0], split[1], split[2], split[3]
	if err := c.applyAll(ctx, definitions, owner); err != nil {
		return err
	}
	for _, crd := range definitions {
		if err := c.waitEstablished(ctx, crd.GetName()); err != nil {
			return err
		}
	}
	if len(definitions) > 0 {
		c.Mapper.Reset()
	}
	for _, phase := range [][]*unstructured.Unstructured{namespaces, rest, webhooks} {
		if err := c.applyAll(ctx, phase, owner); err != nil {
			return err
		}
	}
	return nil
}

func (c *Cluster) applyAll(ctx context.Context, objects []*unstructured.Unstructured, owner string) error {
	for _, o := range objects {
		if err := c.applyOne(ctx, o, owner); err != nil {
			return c.Explain(err)
		}
	}
	return nil
}

func (c *Cluster) applyOne(ctx context.Context, o *unstructured.Unstructured, owner string) error {
	return c.retry(ctx, "apply "+name(o), func(ctx context.Context) error {
		target, err := c.resource(o)
		if err == nil {
			_, err = target.Apply(ctx, o.GetName(), o, metav1.ApplyOptions{FieldManager: owner, Force: true})
		}
		if meta.IsNoMatchError(err) {
			c.Mapper.Reset()
		}
		return err
	})
}

// resource finds where an object lives. Objects that belong in a namespace and name none get the cluster's default.
func (c *Cluster) resource(o *unstructured.Unstructured) (dynamic.ResourceInterface, error) {
	gvk := o.GroupVersionKind()
	mapping, err := c.Mapper.RESTMapping(gvk.GroupKind(), gvk.Version)
	if err != nil {
		return nil, err
	}
	if mapping.Scope.Name() != meta.RESTScopeNameNamespace {
		return c.Dynamic.Resource(mapping.Resource), nil
	}
	namespace := o.GetNamespace()
	if namespace == "" {
		namespace = c.Namespace
	}
	if namespace == "" {
		namespace = metav1.NamespaceDefault
	}
	return c.Dynamic.Resource(mapping.Resource).Namespace(namespace), nil
}

// waitEstablished waits until the API server serves the kind that a definition declares.
func (c *Cluster) waitEstablished(ctx context.Context, definition string) error {
	start, seen := time.Now(), "not there"
	err := follow(ctx, c.dynamicFeed(c.Dynamic.Resource(crds)), byName(definition), func(all []*unstructured.Unstructured) (bool, error) {
		for _, o := range all {
			if o.GetName() != definition {
				continue
			}
			if conditionIs(o, "NamesAccepted", "False") {
				return false, fmt.Errorf("its names are taken: %s", conditions(o))
			}
			if conditionIs(o, "Established", "True") {
				return true, nil
			}
			seen = conditions(o)
		}
		return false, nil
	})
	return c.waited(ctx, "wait until "+definition+" is established", start, seen, err)
}

// waited turns the outcome of follow into the error of a wait.
func (c *Cluster) waited(ctx context.Context, doing string, start time.Time, seen string, err error) error {
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return c.Explain(wait.Ended(ctx, doing, start, withTrouble(seen, err), err))
	}
	return c.Explain(fmt.Errorf("%s: %w", doing, err))
}
