package builtin

import (
	"maps"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/compspec/ocifit-lab/provision/kube"
)

// A controller without a place would have an experiment's node started for it, maybe of another architecture than its image's.
func TestPlacement(t *testing.T) {
	for _, want := range []map[string]string{{}, {"ocifit-lab/pool": "sticky"}} {
		objects, err := kube.Objects((&Addon{Namespace: "lab", NodeSelector: want}).all("lab:v1"))
		if err != nil {
			t.Fatal(err)
		}
		found := false
		for _, o := range objects {
			if o.GetKind() != "Deployment" {
				continue
			}
			found = true
			if got, _, err := unstructured.NestedStringMap(o.Object, "spec", "template", "spec", "nodeSelector"); err != nil || !maps.Equal(got, want) {
				t.Errorf("%v, %v; want %v", got, err, want)
			}
		}
		if !found {
			t.Error("no deployment")
		}
	}
}
