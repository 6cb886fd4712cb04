package component

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/compspec/ocifit-lab/provision/chart"
	"github.com/compspec/ocifit-lab/provision/kube"
)

var definitions = schema.GroupVersionResource{Group: "apiextensions.k8s.io", Version: "v1", Resource: "customresourcedefinitions"}

// recordKey is the key of the ConfigMap that holds a record.
const recordKey = "record.json"

// Record is what was installed.
type Record struct {
	Location string `json:"location"`
	Version  string `json:"version"`
	Digest   string `json:"digest"`
	// Wanted tells one wanted state from another: source, version, values, images.
	Wanted string `json:"wanted"`
	// Complete is set when everything was applied.
	Complete bool     `json:"complete"`
	Objects  []Object `json:"objects"`
}

// Object names an object in the cluster.
type Object struct {
	APIVersion string `json:"apiVersion"`
	Kind       string `json:"kind"`
	Namespace  string `json:"namespace,omitempty"`
	Name       string `json:"name"`
}

func (c *Component) wanted() string {
	wanted := map[string]any{"ref": c.Ref, "values": c.Values, "images": c.Images, "namespace": c.Namespace}
	if len(c.Nodes) > 0 {
		wanted["nodes"] = c.Nodes
	}
	data, _ := json.Marshal(wanted)
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:8])
}

func (c *Component) recordName() string { return "component-" + c.Name }

// Record returns what is installed, or nil.
func (c *Component) Record(ctx context.Context, cluster *kube.Cluster) (*Record, error) {
	cm, err := cluster.Clientset.CoreV1().ConfigMaps(c.Records).Get(ctx, c.recordName(), metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return nil, nil
	}
	if err != nil {
		return nil, cluster.Explain(err)
	}
	var r Record
	if err := json.Unmarshal([]byte(cm.Data[recordKey]), &r); err != nil {
		return nil, fmt.Errorf("ConfigMap %s/%s, which says what was installed, is damaged: %w", c.Records, c.recordName(), err)
	}
	return &r, nil
}

func record(c *Component, content chart.Content, objects []*unstructured.Unstructured) *Record {
	return &Record{Location: c.Ref.Location, Version: c.Ref.Version, Digest: content.Digest, Wanted: c.wanted(), Objects: references(objects)}
}

func references(objects []*unstructured.Unstructured) []Object {
	var list []Object
	for _, o := range objects {
		list = append(list, Object{o.GetAPIVersion(), o.GetKind(), o.GetNamespace(), o.GetName()})
	}
	return list
}

func union(a, b []Object) []Object {
	for _, o := range b {
		if !slices.Contains(a, o) {
			a = append(a, o)
		}
	}
	return a
}

func (r *Record) has(o *unstructured.Unstructured) bool {
	return slices.Contains(r.Objects, references([]*unstructured.Unstructured{o})[0])
}

func (c *Component) write(ctx context.Context, cluster *kube.Cluster, r *Record) error {
	data, err := json.Marshal(r)
	if err != nil {
		return err
	}
	return cluster.ApplyTyped(ctx, fieldOwner, kube.Namespace(c.Records), &corev1.ConfigMap{
		ObjectMeta: metav1.ObjectMeta{Name: c.recordName(), Namespace: c.Records},
		Data:       map[string]string{recordKey: string(data)},
	})
}

func (c *Component) forget(ctx context.Context, cluster *kube.Cluster) error {
	err := cluster.Clientset.CoreV1().ConfigMaps(c.Records).Delete(ctx, c.recordName(), metav1.DeleteOptions{})
	if apierrors.IsNotFound(err) {
		return nil
	}
	return err
}

// stubs are objects with as much as a removal needs. Definitions of custom resources are read, so that the order of the removal can
// tell which objects are theirs.
func (c *Component) stubs(ctx context.Context, cluster *kube.Cluster, objects []Object) []*unstructured.Unstructured {
	var list []*unstructured.Unstructured
	for _, o := range objects {
		u := &unstructured.Unstructured{}
		if o.Kind == "CustomResourceDefinition" {
			if there, err := cluster.Dynamic.Resource(definitions).Get(ctx, o.Name, metav1.GetOptions{}); err == nil {
				u = there
			}
		}
		u.SetAPIVersion(o.APIVersion)
		u.SetKind(o.Kind)
		u.SetName(o.Name)
		if o.Kind != "CustomResourceDefinition" {
			u.SetNamespace(o.Namespace)
		}
		list = append(list, u)
	}
	return list
}
