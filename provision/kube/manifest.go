package kube

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	utilyaml "k8s.io/apimachinery/pkg/util/yaml"
	"sigs.k8s.io/yaml"
)

// Objects reads the objects of a multi-document YAML or JSON text in their order. Lists are opened, empty documents
// left out. Errors name the document by its number.
func Objects(manifests []byte) ([]*unstructured.Unstructured, error) {
	var objects []*unstructured.Unstructured
	reader := utilyaml.NewYAMLReader(bufio.NewReader(bytes.NewReader(manifests)))
	for n := 1; ; n++ {
		doc, err := reader.Read()
		if errors.Is(err, io.EOF) {
			return objects, nil
		}
		if err != nil {
			return nil, fmt.Errorf("manifest document %d: %w", n, err)
		}
		found, err := decode(doc)
		if err != nil {
			return nil, fmt.Errorf("manifest document %d: %w", n, err)
		}
		objects = append(objects, found...)
	}
}

func decode(doc []byte) ([]*unstructured.Unstructured, error) {
	data, err := yaml.YAMLToJSON(doc)
	if err != nil {
		return nil, err
	}
	if text := strings.TrimSpace(string(data)); text == "null" || text == "" {
		return nil, nil
	}
	obj, err := runtime.Decode(unstructured.UnstructuredJSONScheme, data)
	if err != nil {
		return nil, err
	}
	switch o := obj.(type) {
	case *unstructured.UnstructuredList:
		var all []*unstructured.Unstructured
		for i := range o.Items {
			item := &o.Items[i]
			if err := complete(item); err != nil {
				return nil, fmt.Errorf("item %d: %w", i+1, err)
			}
			all = append(all, item)
		}
		return all, nil
	case *unstructured.Unstructured:
		return []*unstructured.Unstructured{o}, complete(o)
	}
	return nil, fmt.Errorf("unexpected %T", obj)
}

func complete(o *unstructured.Unstructured) error {
	switch {
	case o.GetKind() == "":
		return errors.New("the object has no kind")
	case o.GetAPIVersion() == "":
		return fmt.Errorf("%s has no apiVersion", o.GetKind())
	case o.GetName() == "":
		return fmt.Errorf("%s has no metadata.name", o.GetKind())
	}
	return nil
}

// name is how errors call an object: "Deployment flux-operator/controller".
func name(o *unstructured.Unstructured) string {
	if ns := o.GetNamespace(); ns != "" {
		return o.GetKind() + " " + ns + "/" + o.GetName()
	}
	return o.GetKind() + " " + o.GetName()
}

func isCRD(o *unstructured.Unstructured) bool {
	gvk := o.GroupVersionKind()
	return gvk.Kind == "CustomResourceDefinition" && gvk.Group == "apiextensions.k8s.io"
}

func isNamespace(o *unstructured.Unstructured) bool {
	gvk := o.GroupVersionKind()
	return gvk.Kind == "Namespace" && gvk.Group == ""
}

func isWebhook(o *unstructured.Unstructured) bool {
	return o.GroupVersionKind().Group == "admissionregistration.k8s.io"
}

// phases splits objects by the first test that they pass; what passes none comes last. The order within a phase stays.
func phases(objects []*unstructured.Unstructured, tests ...func(*unstructured.Unstructured) bool) [][]*unstructured.Unstructured {
	split := make([][]*unstructured.Unstructured, len(tests)+1)
	for _, o := range objects {
		i := slices.IndexFunc(tests, func(test func(*unstructured.Unstructured) bool) bool { return test(o) })
		if i < 0 {
			i = len(tests)
		}
		split[i] = append(split[i], o)
	}
	return split
}
