package component

import (
	"maps"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/compspec/ocifit-lab/provision/kube"
)

// The deployments of a manifest have no values: they are bound as they are applied. What belongs on every node stays there.
func TestManifestsAreBound(t *testing.T) {
	objects, err := kube.Objects([]byte(`
{apiVersion: apps/v1, kind: Deployment, metadata: {name: a}, spec: {template: {spec: {containers: []}}}}
---
{apiVersion: apps/v1, kind: Deployment, metadata: {name: b}, spec: {template: {spec: {nodeSelector: {kubernetes.io/os: linux, pool: own}}}}}
---
{apiVersion: apps/v1, kind: DaemonSet, metadata: {name: c}, spec: {template: {spec: {containers: []}}}}
`))
	if err != nil {
		t.Fatal(err)
	}
	c := &Component{Nodes: map[string]string{"pool": "sticky"}}
	for i, want := range []map[string]string{{"pool": "sticky"}, {"kubernetes.io/os": "linux", "pool": "own"}, {}} {
		c.bind(objects[i])
		if got, _, err := unstructured.NestedStringMap(objects[i].Object, "spec", "template", "spec", "nodeSelector"); err != nil || !maps.Equal(got, want) {
			t.Errorf("%s: %v, %v; want %v", objects[i].GetName(), got, err, want)
		}
	}
	if before := (&Component{}).wanted(); before == c.wanted() {
		t.Error("an installation elsewhere counts as this one")
	}
}
