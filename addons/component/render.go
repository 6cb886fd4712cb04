package component

import (
	"fmt"
	"maps"
	"strings"

	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/compspec/ocifit-lab/provision/chart"
	"github.com/compspec/ocifit-lab/provision/kube"
)

// objects are the component's objects with their namespaces, its own namespace first.
func (c *Component) objects(cluster *kube.Cluster, content chart.Content) ([]*unstructured.Unstructured, error) {
	text := content.Data
	if content.Chart() {
		version, err := cluster.Discovery.ServerVersion()
		if err != nil {
			return nil, cluster.Explain(err)
		}
		rendered, err := c.render(content.Data, version.GitVersion)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", c.Name, err)
		}
		text = []byte(rendered)
	}
	objects, err := kube.Objects(text)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", content.From, err)
	}
	all := []*unstructured.Unstructured{}
	if !builtinNamespace(c.Namespace) && !contains(objects, "Namespace", c.Namespace) {
		all = append(all, kube.Namespace(c.Namespace))
	}
	for _, o := range objects {
		c.pin(o)
		c.place(cluster, o)
		if !content.Chart() {
			c.bind(o)
		}
		all = append(all, o)
	}
	return all, nil
}

// render leaves hooks out: they are jobs that test what Ready tests.
func (c *Component) render(archive []byte, kubeVersion string) (string, error) {
	ch, err := chart.FromArchive(archive)
	if err != nil {
		return "", err
	}
	return ch.Render(c.Values, chart.Target{Release: c.Name, Namespace: c.Namespace, KubeVersion: kubeVersion, Definitions: true})
}

func builtinNamespace(name string) bool { return name == "default" || strings.HasPrefix(name, "kube-") }

func contains(objects []*unstructured.Unstructured, kind, name string) bool {
	for _, o := range objects {
		if o.GetKind() == kind && o.GetName() == name {
			return true
		}
	}
	return false
}

// place writes the namespace into objects that leave it out, so that the record names them in full.
func (c *Component) place(cluster *kube.Cluster, o *unstructured.Unstructured) {
	if o.GetNamespace() != "" {
		return
	}
	gvk := o.GroupVersionKind()
	mapping, err := cluster.Mapper.RESTMapping(gvk.GroupKind(), gvk.Version)
	if err == nil && mapping.Scope.Name() == meta.RESTScopeNameNamespace {
		o.SetNamespace(c.Namespace)
	}
}

// bind keeps a deployment on the nodes that are meant for it, beside what it asks for itself.
func (c *Component) bind(o *unstructured.Unstructured) {
	if o.GetKind() != "Deployment" || len(c.Nodes) == 0 {
		return
	}
	path := []string{"spec", "template", "spec", "nodeSelector"}
	selector, _, _ := unstructured.NestedStringMap(o.Object, path...)
	all := maps.Clone(c.Nodes)
	maps.Copy(all, selector)
	_ = unstructured.SetNestedStringMap(o.Object, all, path...)
}

// pin replaces images in the pods of an object.
func (c *Component) pin(o *unstructured.Unstructured) {
	for _, path := range [][]string{{"spec", "template", "spec"}, {"spec"}, {"spec", "jobTemplate", "spec", "template", "spec"}} {
		for _, kind := range []string{"containers", "initContainers"} {
			list, found, _ := unstructured.NestedSlice(o.Object, append(path, kind)...)
			if !found {
				continue
			}
			for _, item := range list {
				container, _ := item.(map[string]any)
				name, _ := container["image"].(string)
				if pinned := c.Images[name]; pinned != "" {
					container["image"] = pinned
				}
			}
			_ = unstructured.SetNestedSlice(o.Object, list, append(path, kind)...)
		}
	}
}
