// Package component installs charts and manifests from elsewhere into a cluster: checked against their pins, applied by the server,
// written down object by object, and removable without the locks that finalizers and admission webhooks put on a removal.
package component

import (
	"context"
	"errors"
	"fmt"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/compspec/ocifit-lab/provision/chart"
	"github.com/compspec/ocifit-lab/provision/kube"
	"github.com/compspec/ocifit-lab/provision/step"
)

const fieldOwner = "ocifit-lab"

// Component is one chart or manifest in a cluster.
type Component struct {
	// Name is unique in the cluster; Namespace is where the component's own objects go.
	Name, Namespace string
	// Records is the namespace where it is written down what was installed.
	Records string
	Ref     chart.Ref
	// Values go into a chart.
	Values map[string]any
	// Images replaces images by their name: a moving tag by what is pinned.
	Images map[string]string
	// Nodes are labels of the nodes on which the deployments of a manifest run; a chart is told by its values.
	Nodes map[string]string
	// Source says how the chart is reached.
	Source chart.Options
	// Lock remembers digests of what has no pinned one; nil forgets.
	Lock *Lock
}

// Title names the component with its version, or with its source where that has none.
func (c *Component) Title() string {
	if c.Ref.Version != "" {
		return c.Name + " " + c.Ref.Version
	}
	return c.Name + " from " + c.Ref.Location
}

// Install brings the component to the wanted version. What an earlier version had and this one has not is removed.
func (c *Component) Install(ctx context.Context, cluster *kube.Cluster, log step.Log) error {
	before, err := c.Record(ctx, cluster)
	if err != nil {
		return err
	}
	if before != nil && before.Complete && before.Wanted == c.wanted() {
		return nil
	}
	log("fetching %s", c.Title())
	content, err := c.fetch(ctx, before)
	if err != nil {
		return err
	}
	objects, err := c.objects(cluster, content)
	if err != nil {
		return err
	}
	if err := c.foreign(ctx, cluster, objects, before); err != nil {
		return err
	}
	// What may be made is written down before it is made: a removal finds it whatever happens in between.
	now := record(c, content, objects)
	if before != nil {
		now.Objects = union(now.Objects, before.Objects)
	}
	if err := c.write(ctx, cluster, now); err != nil {
		return err
	}
	log("applying %d objects", len(objects))
	if err := c.scoped(cluster).ApplyObjects(ctx, objects, fieldOwner); err != nil {
		return fmt.Errorf("%s: %w", c.Name, err)
	}
	if before != nil {
		if err := c.prune(ctx, cluster, before, objects, log); err != nil {
			return err
		}
	}
	now.Objects, now.Complete = references(objects), true
	return c.write(ctx, cluster, now)
}

// Reach fetches what would be installed, checks it against its digest as far as that is known, and changes nothing.
func (c *Component) Reach(ctx context.Context) error {
	_, err := c.get(ctx, nil)
	return err
}

// fetch brings the content, and remembers its digest.
func (c *Component) fetch(ctx context.Context, before *Record) (chart.Content, error) {
	content, err := c.get(ctx, before)
	if err != nil {
		return content, err
	}
	return content, c.Lock.put(c.Ref, content.Digest)
}

// get brings the content. What has no pinned digest must stay what it was when it was installed first.
func (c *Component) get(ctx context.Context, before *Record) (chart.Content, error) {
	ref := c.Ref
	if ref.Digest == "" && before != nil && before.Location == ref.Location && before.Version == ref.Version {
		ref.Digest = before.Digest
	}
	if ref.Digest == "" {
		known, err := c.Lock.get(ref)
		if err != nil {
			return chart.Content{}, err
		}
		ref.Digest = known
	}
	content, err := chart.Fetch(ctx, ref, c.Source)
	if err != nil {
		return content, fmt.Errorf("%s: %w", c.Name, err)
	}
	return content, nil
}

// foreign refuses to take over definitions of custom resources that something else has brought.
func (c *Component) foreign(ctx context.Context, cluster *kube.Cluster, objects []*unstructured.Unstructured, before *Record) error {
	for _, o := range objects {
		if o.GetKind() != "CustomResourceDefinition" || before != nil && before.has(o) {
			continue
		}
		there, err := cluster.Dynamic.Resource(definitions).Get(ctx, o.GetName(), metav1.GetOptions{})
		if err != nil {
			continue // absent, or unreadable: applying it tells
		}
		if manager := otherManager(there); manager != "" {
			return step.Try(fmt.Errorf("%s: the cluster has %s already, with versions %s, made by %s; the one to install has versions %s",
				c.Name, o.GetName(), served(there), manager, served(o)),
				"remove what brought it, or leave it in charge and choose the stand-in in lab.yaml (components.certificates, components.miniclusters)")
		}
	}
	return nil
}

// otherManager names who made an object, unless it was this program.
func otherManager(o *unstructured.Unstructured) string {
	name := "something that left no name (its objects have no managed fields)"
	for _, m := range o.GetManagedFields() {
		if m.Manager == fieldOwner {
			return ""
		}
		if m.Subresource == "" {
			name = m.Manager
		}
	}
	return name
}

func served(crd *unstructured.Unstructured) string {
	list, _, _ := unstructured.NestedSlice(crd.Object, "spec", "versions")
	var names []string
	for _, v := range list {
		if m, ok := v.(map[string]any); ok {
			names = append(names, fmt.Sprint(m["name"]))
		}
	}
	return strings.Join(names, ", ")
}

// prune removes what the earlier version had and this one has not.
func (c *Component) prune(ctx context.Context, cluster *kube.Cluster, before *Record, objects []*unstructured.Unstructured, log step.Log) error {
	keep := map[Object]bool{}
	for _, o := range references(objects) {
		keep[o] = true
	}
	var gone []Object
	for _, o := range before.Objects {
		if !keep[o] {
			gone = append(gone, o)
		}
	}
	if len(gone) == 0 {
		return nil
	}
	log("removing %d objects that version %s no longer has", len(gone), c.Ref.Version)
	return c.scoped(cluster).DeleteObjects(ctx, c.stubs(ctx, cluster, gone))
}

// Remove takes away what is written down, admission webhooks first, and then the record itself.
func (c *Component) Remove(ctx context.Context, cluster *kube.Cluster, log step.Log) error {
	r, err := c.Record(ctx, cluster)
	if err != nil || r == nil {
		return err
	}
	log("removing %d objects", len(r.Objects))
	if err := c.scoped(cluster).DeleteObjects(ctx, c.stubs(ctx, cluster, r.Objects)); err != nil {
		return fmt.Errorf("%s: %w", c.Name, err)
	}
	return c.forget(ctx, cluster)
}

// Complete tells whether the wanted version is installed and all its deployments and daemon sets run.
func (c *Component) Complete(ctx context.Context, cluster *kube.Cluster) error {
	r, err := c.Record(ctx, cluster)
	switch {
	case err != nil:
		return err
	case r == nil:
		return errors.New(c.Name + " is not installed")
	case !r.Complete:
		return errors.New(c.Name + " was not installed to the end")
	case r.Wanted != c.wanted():
		return fmt.Errorf("%s is installed in version %s, not as wanted: %s", c.Name, r.Version, c.Ref.Version)
	}
	for _, o := range r.Objects {
		switch o.Kind {
		case "Deployment":
			err = cluster.Runs(ctx, o.Namespace, o.Name, "")
		case "DaemonSet":
			err = daemons(ctx, cluster, o)
		default:
			continue
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func daemons(ctx context.Context, cluster *kube.Cluster, o Object) error {
	d, err := cluster.Clientset.AppsV1().DaemonSets(o.Namespace).Get(ctx, o.Name, metav1.GetOptions{})
	if err != nil {
		return cluster.Explain(err)
	}
	s := d.Status
	if s.ObservedGeneration < d.Generation || s.DesiredNumberScheduled == 0 || min(s.UpdatedNumberScheduled, s.NumberReady) < s.DesiredNumberScheduled {
		return fmt.Errorf("daemon set %s/%s has %d of %d pods ready", o.Namespace, o.Name, min(s.UpdatedNumberScheduled, s.NumberReady), s.DesiredNumberScheduled)
	}
	return nil
}

// scoped is the cluster with the component's namespace for objects that name none.
func (c *Component) scoped(cluster *kube.Cluster) *kube.Cluster {
	s := *cluster
	s.Namespace = c.Namespace
	return &s
}
