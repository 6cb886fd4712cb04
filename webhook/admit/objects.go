package admit

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	utilyaml "k8s.io/apimachinery/pkg/util/yaml"

	"github.com/compspec/ocifit-lab/webhook/patch"
)

// object is the part of any Kubernetes object that leads to the pods it makes.
type object struct {
	Kind     string `json:"kind"`
	Metadata struct {
		Name      string `json:"name"`
		Namespace string `json:"namespace"`
	} `json:"metadata"`
	Items    []json.RawMessage `json:"items"`
	Template json.RawMessage   `json:"template"`
	Spec     struct {
		Template    json.RawMessage `json:"template"`
		JobTemplate struct {
			Spec struct {
				Template json.RawMessage `json:"template"`
			} `json:"spec"`
		} `json:"jobTemplate"`
	} `json:"spec"`
}

// objects lists the objects of a file, YAML documents or JSON, in their order: those of lists one by one, and of what
// makes pods (Deployment, Job, CronJob and the like) the pod. Other kinds come as they are.
func objects(data []byte) ([]json.RawMessage, error) {
	data = bytes.TrimPrefix(data, []byte("\ufeff"))
	dec := utilyaml.NewYAMLOrJSONDecoder(bytes.NewReader(data), 4096)
	var out []json.RawMessage
	for n := 1; ; n++ {
		var raw json.RawMessage
		err := dec.Decode(&raw)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, fmt.Errorf("object %d: %w", n, err)
		}
		if len(raw) == 0 || string(raw) == "null" {
			continue
		}
		list, err := expand(raw, 0)
		if err != nil {
			return nil, fmt.Errorf("object %d: %w", n, err)
		}
		out = append(out, list...)
	}
	if len(out) == 0 {
		return nil, errors.New("there is no object in it; give the manifest of a Pod, a MiniCluster, or of what makes pods")
	}
	return out, nil
}

// expand turns lists and templates into what they hold.
func expand(raw json.RawMessage, depth int) ([]json.RawMessage, error) {
	var o object
	if err := json.Unmarshal(raw, &o); err != nil {
		return nil, err
	}
	switch {
	case o.Kind == "":
		return nil, errors.New("it has no kind")
	case strings.HasSuffix(o.Kind, "List") && depth < 4:
		var out []json.RawMessage
		for i, item := range o.Items {
			list, err := expand(item, depth+1)
			if err != nil {
				return nil, fmt.Errorf("item %d: %w", i+1, err)
			}
			out = append(out, list...)
		}
		return out, nil
	case patch.Kind(o.Kind).Valid():
		return []json.RawMessage{raw}, nil
	}
	for _, template := range []json.RawMessage{o.Template, o.Spec.Template, o.Spec.JobTemplate.Spec.Template} {
		if len(template) > 0 && string(template) != "null" {
			pod, err := podOf(o, template)
			return []json.RawMessage{pod}, err
		}
	}
	return []json.RawMessage{raw}, nil
}

// podOf is a pod as the object's controller makes it: with a generated name, in the object's namespace.
func podOf(o object, template json.RawMessage) (json.RawMessage, error) {
	var pod map[string]any
	if err := json.Unmarshal(template, &pod); err != nil {
		return nil, fmt.Errorf("the pod's template: %w", err)
	}
	meta, ok := pod["metadata"].(map[string]any)
	if !ok {
		meta = map[string]any{}
		pod["metadata"] = meta
	}
	delete(meta, "name")
	meta["generateName"] = o.Metadata.Name + "-"
	if o.Metadata.Namespace != "" {
		meta["namespace"] = o.Metadata.Namespace
	}
	pod["kind"], pod["apiVersion"] = string(patch.Pod), "v1"
	return json.Marshal(pod)
}
