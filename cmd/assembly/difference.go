package assembly

import (
	"reflect"

	"github.com/compspec/ocifit-lab/provision/lab"
)

// Difference names the first setting in which two specs describe different clusters.
func Difference(old, spec *lab.Spec) string {
	for _, f := range []struct {
		name string
		a, b any
	}{
		{"provider", old.Provider, spec.Provider},
		{"region", old.Region, spec.Region},
		{"kubernetesVersion", old.KubernetesVersion, spec.KubernetesVersion},
		{"nodeGroups", old.NodeGroups, spec.NodeGroups},
		{"webhook", old.Webhook, spec.Webhook},
		{"artifact", old.Artifact, spec.Artifact},
		{"sim", old.Sim, spec.Sim},
		{"kind", old.Kind, spec.Kind},
		{"components", old.Components, spec.Components},
		{"eks.clusterConfig", old.EKS.ClusterConfig, spec.EKS.ClusterConfig},
		{"eks.tags", old.EKS.Tags, spec.EKS.Tags},
	} {
		if !reflect.DeepEqual(f.a, f.b) {
			return f.name + " was changed"
		}
	}
	return ""
}
