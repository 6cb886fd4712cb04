package component

import (
	"bytes"
	"fmt"
	"strings"

	"helm.sh/helm/v3/pkg/action"
	"helm.sh/helm/v3/pkg/chart/loader"
	"helm.sh/helm/v3/pkg/chartutil"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/compspec/ocifit-lab/addons/source"
	"github.com/compspec/ocifit-lab/provision/kube"
)

// objects are the component's objects with their namespaces, its own namespace first.
func (c *Component) objects(cluster *kube.Cluster, content source.Content) ([]*unstructured.Unstructured, error) {
	text := content.Data
	if content.Chart() {
		version, err := cluster.Discovery.ServerVersion()
		if err != nil {
			return nil, cluster.Explain(err)
		}
		if text, err = c.Render(content.Data, version.GitVersion); err != nil {
			return nil, err
		}
	}
	objects, err := kube.Objects(text)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", content.From, err)
	}
	namespace, err := runtime.DefaultUnstructuredConverter.ToUnstructured(&corev1.Namespace{
		TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Namespace"}, ObjectMeta: metav1.ObjectMeta{Name: c.Namespace},
	})
	if err != nil {
		return nil, err
	}
	all := []*unstructured.Unstructured{}
	if !builtinNamespace(c.Namespace) && !contains(objects, "Namespace", c.Namespace) {
		all = append(all, &unstructured.Unstructured{Object: namespace})
	}
	for _, o := range objects {
		c.pin(o)
		c.place(cluster, o)
		all = append(all, o)
	}
	return all, nil
}

// Render makes manifests from a chart as Helm would for a cluster of that version, without its hooks: they are jobs that test what
// Ready tests.
func (c *Component) Render(archive []byte, kubeVersion string) ([]byte, error) {
	ch, err := loader.LoadArchive(bytes.NewReader(archive))
	if err != nil {
		return nil, fmt.Errorf("%s: read the chart: %w", c.Name, err)
	}
	install := action.NewInstall(&action.Configuration{Log: func(string, ...any) {}})
	install.ReleaseName, install.Namespace = c.Name, c.Namespace
	install.ClientOnly, install.DryRun, install.IncludeCRDs, install.DisableHooks = true, true, true, true
	install.KubeVersion, err = chartutil.ParseKubeVersion(kubeVersion)
	if err != nil {
		return nil, err
	}
	values := c.Values
	if values == nil {
		values = map[string]any{}
	}
	rel, err := install.Run(ch, values)
	if err != nil {
		return nil, fmt.Errorf("%s: render the chart: %w", c.Name, err)
	}
	return []byte(rel.Manifest), nil
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
