package scaler

import (
	"fmt"
	"maps"
	"math"
	"time"

	"github.com/compspec/ocifit-lab/provision/simulated"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation"
)

const (
	// GroupLabel names the node group of a node, as EKS does.
	GroupLabel = "eks.amazonaws.com/nodegroup"
	// eksctlGroupLabel is the same name, as eksctl puts it.
	eksctlGroupLabel = "alpha.eksctl.io/nodegroup-name"
	// KeepAnnotation is cluster-autoscaler's own: a node with the value "true" is never removed.
	KeepAnnotation = "cluster-autoscaler.kubernetes.io/scale-down-disabled"
)

// Group is a managed node group: what its nodes look like and how many there may be.
type Group struct {
	Name         string            `json:"name"`
	InstanceType string            `json:"instanceType"`
	Architecture string            `json:"architecture"` // amd64 or arm64
	VCPU         int               `json:"vcpu"`
	MemoryMiB    int64             `json:"memoryMiB"`
	Labels       map[string]string `json:"labels,omitempty"` // of every node, beside those that the scaler adds
	Min          int               `json:"min"`
	Desired      int               `json:"desired"` // nodes that exist from the start
	Max          int               `json:"max"`
	Sticky       bool              `json:"sticky,omitempty"`   // its nodes are never removed
	PriceUSD     float64           `json:"priceUSD,omitempty"` // per hour and node; 0 means unknown, which counts as dearest
}

// Validate tells what makes the group impossible.
func (g Group) Validate() error {
	switch {
	case len(validation.IsDNS1123Label(g.Name)) > 0 || len(g.Name) > 57:
		return fmt.Errorf("node group %q: the name must be lower-case letters, digits and dashes, at most 57", g.Name)
	case g.InstanceType == "":
		return fmt.Errorf("node group %s: no instance type", g.Name)
	case g.VCPU <= 0 || g.MemoryMiB <= 0:
		return fmt.Errorf("node group %s: vCPUs %d and memory %d MiB must be positive", g.Name, g.VCPU, g.MemoryMiB)
	case g.Min < 0 || g.Desired < g.Min || g.Max < g.Desired:
		return fmt.Errorf("node group %s: want 0 <= min (%d) <= desired (%d) <= max (%d)", g.Name, g.Min, g.Desired, g.Max)
	}
	for k, v := range g.Labels {
		if problems := append(validation.IsQualifiedName(k), validation.IsValidLabelValue(v)...); len(problems) > 0 {
			return fmt.Errorf("node group %s: label %s=%q: %s", g.Name, k, v, problems[0])
		}
	}
	return nil
}

func (g Group) price() float64 {
	if g.PriceUSD <= 0 {
		return math.Inf(1)
	}
	return g.PriceUSD
}

// node is the group's template as a node of the given name.
func (g Group) node(name string) *corev1.Node {
	labels := maps.Clone(g.Labels)
	if labels == nil {
		labels = map[string]string{}
	}
	maps.Copy(labels, map[string]string{
		corev1.LabelHostname:           name,
		corev1.LabelOSStable:           "linux",
		corev1.LabelArchStable:         g.Architecture,
		corev1.LabelInstanceTypeStable: g.InstanceType,
		GroupLabel:                     g.Name,
		eksctlGroupLabel:               g.Name,
		simulated.NodeLabel:            "true",
	})
	annotations := map[string]string{}
	if g.PriceUSD > 0 {
		annotations[simulated.PriceAnnotation] = fmt.Sprint(g.PriceUSD)
	}
	if g.Sticky {
		annotations[KeepAnnotation] = "true"
	}
	capacity, allocatable := g.resources()
	return &corev1.Node{
		ObjectMeta: metav1.ObjectMeta{Name: name, Labels: labels, Annotations: annotations},
		Spec:       corev1.NodeSpec{ProviderID: "sim:///" + g.Name + "/" + name},
		Status: corev1.NodeStatus{
			Capacity: capacity, Allocatable: allocatable,
			NodeInfo: corev1.NodeSystemInfo{
				Architecture: g.Architecture, OperatingSystem: "linux", OSImage: "simulated",
				KernelVersion:           orElse(g.Labels["feature.node.kubernetes.io/kernel-version.full"], "simulated"),
				ContainerRuntimeVersion: "simulated://0", KubeletVersion: "v1.36.3-simulated",
			},
		},
	}
}

func orElse(s, other string) string {
	if s == "" {
		return other
	}
	return s
}

// resources are the capacity of a node and what EKS leaves of it for pods: its AMIs reserve a falling share of the cores
// (6% of the first, 1% of the second, 0.5% of the next two, 0.25% of the rest), 255 MiB and 11 MiB per pod of memory,
// and 100 MiB before eviction. Managed node groups allow 110 pods below 30 vCPUs and 250 from there.
func (g Group) resources() (capacity, allocatable corev1.ResourceList) {
	pods := int64(110)
	if g.VCPU >= 30 {
		pods = 250
	}
	reserved := 0.0
	for core := 1; core <= g.VCPU; core++ {
		switch {
		case core == 1:
			reserved += 60
		case core == 2:
			reserved += 10
		case core <= 4:
			reserved += 5
		default:
			reserved += 2.5
		}
	}
	const disk = int64(80) << 30
	list := func(milliCPU, memory, disk int64) corev1.ResourceList {
		return corev1.ResourceList{
			corev1.ResourceCPU:              *resource.NewMilliQuantity(milliCPU, resource.DecimalSI),
			corev1.ResourceMemory:           *resource.NewQuantity(memory, resource.BinarySI),
			corev1.ResourceEphemeralStorage: *resource.NewQuantity(disk, resource.BinarySI),
			corev1.ResourcePods:             *resource.NewQuantity(pods, resource.DecimalSI),
		}
	}
	cpu, memory := int64(g.VCPU)*1000, g.MemoryMiB<<20
	free := max(memory-(255+11*pods+100)<<20, memory/2)
	return list(cpu, memory, disk), list(cpu-int64(math.Ceil(reserved)), free, disk*9/10)
}

func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339Nano) }
