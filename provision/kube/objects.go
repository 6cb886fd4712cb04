package kube

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes/scheme"
)

// Namespace is the object of a namespace.
func Namespace(name string) *unstructured.Unstructured {
	return &unstructured.Unstructured{Object: map[string]any{"apiVersion": "v1", "kind": "Namespace", "metadata": map[string]any{"name": name}}}
}

// EnsureNamespace makes a namespace unless it is there.
func (c *Cluster) EnsureNamespace(ctx context.Context, name string) error {
	namespaces := c.Clientset.CoreV1().Namespaces()
	_, err := namespaces.Get(ctx, name, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		_, err = namespaces.Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}}, metav1.CreateOptions{})
	}
	if err != nil && !apierrors.IsAlreadyExists(err) {
		return fmt.Errorf("make sure of namespace %s: %w", name, c.Explain(err))
	}
	return nil
}

// ApplyTyped is ApplyObjects for objects of Kubernetes' own types; their kind and version are filled in.
func (c *Cluster) ApplyTyped(ctx context.Context, owner string, objects ...runtime.Object) error {
	var list []*unstructured.Unstructured
	for _, o := range objects {
		u, err := untyped(o)
		if err != nil {
			return err
		}
		list = append(list, u)
	}
	return c.ApplyObjects(ctx, list, owner)
}

func untyped(o runtime.Object) (*unstructured.Unstructured, error) {
	if u, ok := o.(*unstructured.Unstructured); ok {
		return u, nil
	}
	kinds, _, err := scheme.Scheme.ObjectKinds(o)
	if err != nil {
		return nil, err
	}
	content, err := runtime.DefaultUnstructuredConverter.ToUnstructured(o)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", kinds[0].Kind, err)
	}
	u := &unstructured.Unstructured{Object: content}
	u.SetGroupVersionKind(kinds[0])
	return u, nil
}
