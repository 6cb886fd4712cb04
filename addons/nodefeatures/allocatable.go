package nodefeatures

import (
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/compspec/ocifit-lab/templates"
)

// Allocatable is what nodes of the catalogue's types can give at most, by type: their processors and memory.
func Allocatable() map[string]corev1.ResourceList {
	out := map[string]corev1.ResourceList{}
	for _, t := range templates.InstanceTypes() {
		out[t.Name] = corev1.ResourceList{
			corev1.ResourceCPU:    *resource.NewQuantity(int64(t.VCPU), resource.DecimalSI),
			corev1.ResourceMemory: *resource.NewQuantity(t.MemoryMiB<<20, resource.BinarySI),
		}
	}
	return out
}
