package scaler

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/compspec/ocifit-lab/provision/simulated"
	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

func group(name, instanceType string, vcpu int, price float64) Group {
	return Group{Name: name, InstanceType: instanceType, Architecture: "amd64", VCPU: vcpu, MemoryMiB: int64(vcpu) * 2048, Max: 1, PriceUSD: price}
}

func pod(name string, change ...func(*corev1.Pod)) *corev1.Pod {
	p := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: "default"}}
	p.Spec.Containers = []corev1.Container{{Name: "main"}}
	p.Status.Conditions = []corev1.PodCondition{{Type: corev1.PodScheduled, Status: corev1.ConditionFalse, Reason: corev1.PodReasonUnschedulable}}
	for _, f := range change {
		f(p)
	}
	return p
}

func onType(instanceType string) func(*corev1.Pod) {
	return func(p *corev1.Pod) {
		p.Spec.NodeSelector = map[string]string{corev1.LabelInstanceTypeStable: instanceType}
	}
}

func cpu(amount string) func(*corev1.Pod) {
	return func(p *corev1.Pod) {
		p.Spec.Containers[0].Resources.Requests = corev1.ResourceList{corev1.ResourceCPU: resource.MustParse(amount)}
	}
}

func alone(p *corev1.Pod) {
	p.Labels = map[string]string{"job-name": "a"}
	p.Spec.Affinity = &corev1.Affinity{PodAntiAffinity: &corev1.PodAntiAffinity{RequiredDuringSchedulingIgnoredDuringExecution: []corev1.PodAffinityTerm{{
		TopologyKey: corev1.LabelHostname, LabelSelector: &metav1.LabelSelector{MatchLabels: p.Labels},
	}}}}
}

func notIn(instanceTypes ...string) func(*corev1.Pod) {
	return func(p *corev1.Pod) {
		p.Spec.Affinity = &corev1.Affinity{NodeAffinity: &corev1.NodeAffinity{RequiredDuringSchedulingIgnoredDuringExecution: &corev1.NodeSelector{
			NodeSelectorTerms: []corev1.NodeSelectorTerm{{MatchExpressions: []corev1.NodeSelectorRequirement{
				{Key: corev1.LabelInstanceTypeStable, Operator: corev1.NodeSelectorOpNotIn, Values: instanceTypes},
			}}},
		}}}
	}
}

func existing(g Group, taints []corev1.Taint, pods ...*corev1.Pod) *placement {
	node := g.node(g.Name + "-0")
	node.Spec.Taints = taints
	return &placement{node: node, pods: pods}
}

func TestPlan(t *testing.T) {
	small, big, dear := group("small", "t.small", 2, 0.1), group("big", "c.big", 32, 1.5), group("dear", "p.dear", 32, 9)
	unknown := group("unknown", "x.unknown", 32, 0)
	wide := big
	wide.Max = 3
	noSchedule := []corev1.Taint{{Key: "dedicated", Effect: corev1.TaintEffectNoSchedule}}
	tests := []struct {
		name   string
		groups []Group
		places []*placement
		sizes  map[string]int
		pods   []*corev1.Pod
		want   []string
	}{
		{"the selector decides", []Group{small, big, dear}, nil, nil, []*corev1.Pod{pod("a", onType("p.dear"))}, []string{"a: dear 0->1"}},
		{"the cheaper of equals", []Group{dear, big, small}, nil, nil, []*corev1.Pod{pod("a", cpu("20"))}, []string{"a: big 0->1"}},
		{"the one that wastes least, though it is dearer", []Group{big, group("tight", "p.tight", 24, 9)}, nil, nil, []*corev1.Pod{pod("a", cpu("20"))}, []string{"a: tight 0->1"}},
		{"unknown price is dearest", []Group{unknown, dear}, nil, nil, []*corev1.Pod{pod("a")}, []string{"a: dear 0->1"}},
		{"affinity", []Group{small, big, dear}, nil, nil, []*corev1.Pod{pod("a", notIn("t.small", "c.big"))}, []string{"a: dear 0->1"}},
		{"two pods share a new node", []Group{big}, nil, nil, []*corev1.Pod{pod("a", cpu("10")), pod("b", cpu("10"))}, []string{"a: big 0->1"}},
		{"two pods that fill a node each", []Group{wide}, nil, nil, []*corev1.Pod{pod("a", cpu("20")), pod("b", cpu("20"))}, []string{"a: big 0->1", "b: big 1->2"}},
		{"two pods that repel each other", []Group{wide}, nil, nil, []*corev1.Pod{pod("a", alone), pod("b", alone)}, []string{"a: big 0->1", "b: big 1->2"}},
		{
			"maximum",
			[]Group{big, small},
			nil,
			map[string]int{"big": 1},
			[]*corev1.Pod{pod("a", onType("c.big"))},
			[]string{"a: no: 1 max node group size reached, 1 node(s) didn't match Pod's node affinity/selector"},
		},
		{"nothing is big enough", []Group{small}, nil, nil, []*corev1.Pod{pod("a", cpu("20"))}, []string{"a: no: 1 Insufficient cpu"}},
		{"more than allocatable", []Group{small}, nil, nil, []*corev1.Pod{pod("a", cpu("2"))}, []string{"a: no: 1 Insufficient cpu"}},
		{"no such device", []Group{big}, nil, nil, []*corev1.Pod{pod("a", func(p *corev1.Pod) {
			p.Spec.Containers[0].Resources.Limits = corev1.ResourceList{"nvidia.com/gpu": resource.MustParse("1")}
			p.Spec.Containers[0].Resources.Requests = p.Spec.Containers[0].Resources.Limits
		})}, []string{"a: no: 1 Insufficient nvidia.com/gpu"}},
		{"room on a node that exists", []Group{big}, []*placement{existing(big, nil)}, map[string]int{"big": 1}, []*corev1.Pod{pod("a", cpu("10"))}, nil},
		{
			"room on a node that boots",
			[]Group{big},
			[]*placement{existing(big, []corev1.Taint{{Key: taintNotReady, Effect: corev1.TaintEffectNoSchedule}})},
			map[string]int{"big": 1},
			[]*corev1.Pod{pod("a", cpu("10"))},
			nil,
		},
		{"the node is full", []Group{wide}, []*placement{existing(big, nil, pod("old", cpu("25")))}, map[string]int{"big": 1}, []*corev1.Pod{pod("a", cpu("10"))}, []string{"a: big 1->2"}},
		{
			"the node is being removed",
			[]Group{wide},
			[]*placement{existing(big, []corev1.Taint{{Key: taintToBeDeleted, Effect: corev1.TaintEffectNoSchedule}})},
			map[string]int{"big": 1},
			[]*corev1.Pod{pod("a")},
			[]string{"a: big 1->2"},
		},
		{
			"a taint that is tolerated",
			[]Group{wide},
			[]*placement{existing(big, noSchedule)},
			map[string]int{"big": 1},
			[]*corev1.Pod{pod("a", func(p *corev1.Pod) { p.Spec.Tolerations = []corev1.Toleration{{Operator: corev1.TolerationOpExists}} })},
			nil,
		},
		{"a taint that is not", []Group{wide}, []*placement{existing(big, noSchedule)}, map[string]int{"big": 1}, []*corev1.Pod{pod("a")}, []string{"a: big 1->2"}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			w := world{groups: test.groups, places: test.places, sizes: test.sizes, pending: test.pods}
			n := 0
			decisions, nodes := w.plan(func(g Group) string { n++; return fmt.Sprintf("%s-%d", g.Name, n) })
			var got []string
			grown := 0
			for _, d := range decisions {
				if d.group == nil {
					got = append(got, fmt.Sprintf("%s: no: %s", d.pod.Name, d.refusals))
					continue
				}
				grown++
				got = append(got, fmt.Sprintf("%s: %s %d->%d", d.pod.Name, d.group.Name, d.from, d.to))
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Error(diff)
			}
			if len(nodes) != grown {
				t.Errorf("%d nodes for %d decisions to grow", len(nodes), grown)
			}
		})
	}
}

// TestPlanNeverExceedsMaximum tries many pods of many sizes.
func TestPlanNeverExceedsMaximum(t *testing.T) {
	for n := range 40 {
		groups := []Group{group("a", "a", 4, 1), group("b", "b", 16, 2)}
		groups[0].Max, groups[1].Max = n%4, n%3
		var pods []*corev1.Pod
		for i := range n {
			pods = append(pods, pod(fmt.Sprint(i), cpu(fmt.Sprint(1+(i*7)%15))))
		}
		w := world{groups: groups, pending: pods}
		_, nodes := w.plan(func(g Group) string { return g.Name })
		count := map[string]int{}
		for _, node := range nodes {
			count[node.Name]++
		}
		for _, g := range groups {
			if count[g.Name] > g.Max {
				t.Errorf("%d pods: %d nodes of %s, maximum %d", n, count[g.Name], g.Name, g.Max)
			}
		}
		for _, p := range w.places {
			if p.lacksAny() {
				t.Errorf("%d pods: node %s is overfull", n, p.node.Name)
			}
		}
	}
}

func (p *placement) lacksAny() bool {
	for i, last := range p.pods {
		before := placement{node: p.node, pods: append(append([]*corev1.Pod(nil), p.pods[:i]...), p.pods[i+1:]...)}
		if before.lacks(last) != "" {
			return true
		}
	}
	return false
}

func TestUnschedulable(t *testing.T) {
	now := metav1.Now()
	tests := map[string]struct {
		pod  *corev1.Pod
		want bool
	}{
		"given up":   {pod("a"), true},
		"not tried":  {pod("a", func(p *corev1.Pod) { p.Status.Conditions = nil }), false},
		"gated":      {pod("a", func(p *corev1.Pod) { p.Status.Conditions[0].Reason = corev1.PodReasonSchedulingGated }), false},
		"bound":      {pod("a", func(p *corev1.Pod) { p.Spec.NodeName = "n" }), false},
		"going away": {pod("a", func(p *corev1.Pod) { p.DeletionTimestamp = &now }), false},
		"failed":     {pod("a", func(p *corev1.Pod) { p.Status.Phase = corev1.PodFailed }), false},
	}
	for name, test := range tests {
		if got := unschedulable(test.pod); got != test.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}

func TestUnneeded(t *testing.T) {
	at := func(minutes int) time.Time { return time.Date(2025, 7, 21, 0, minutes, 0, 0, time.UTC) }
	g := group("g", "g", 4, 1)
	g.Min = 1
	sticky := group("sticky", "s", 4, 1)
	sticky.Sticky = true
	nodes := []*corev1.Node{g.node("g-0"), g.node("g-1"), sticky.node("sticky-0"), {ObjectMeta: metav1.ObjectMeta{Name: "foreign"}}}
	s := scaler{Options: Options{Groups: []Group{g, sticky}, UnneededTime: 10 * time.Minute}, idle: map[string]idleness{}}
	steps := []struct {
		minute int
		used   []string
		due    []string
		next   int
	}{
		{0, []string{"g-0", "g-1"}, nil, 0},
		{1, []string{"g-1"}, nil, 11},
		{5, nil, nil, 11},
		{6, []string{"g-0"}, nil, 15},
		{7, nil, nil, 15},
		{15, nil, []string{"g-1"}, 17},
		{30, nil, []string{"g-0"}, 0}, // the one that stays by the minimum is whichever comes last
	}
	for _, step := range steps {
		used := map[string]bool{}
		for _, name := range step.used {
			used[name] = true
		}
		due, next := s.unneeded(nodes, used, at(step.minute))
		var names []string
		for _, n := range due {
			names = append(names, n.Name)
		}
		if diff := cmp.Diff(step.due, names); diff != "" {
			t.Errorf("minute %d: %s", step.minute, diff)
		}
		want := time.Time{}
		if step.next > 0 {
			want = at(step.next)
		}
		if !next.Equal(want) {
			t.Errorf("minute %d: next look at %s, want %s", step.minute, next, want)
		}
	}
}

func TestOccupies(t *testing.T) {
	yes := true
	tests := map[string]struct {
		pod  *corev1.Pod
		want bool
	}{
		"running": {pod("a"), true},
		"done":    {pod("a", func(p *corev1.Pod) { p.Status.Phase = corev1.PodSucceeded }), false},
		"daemon set": {pod("a", func(p *corev1.Pod) {
			p.OwnerReferences = []metav1.OwnerReference{{Kind: "DaemonSet", Controller: &yes}}
		}), false},
		"job": {pod("a", func(p *corev1.Pod) { p.OwnerReferences = []metav1.OwnerReference{{Kind: "Job", Controller: &yes}} }), true},
	}
	for name, test := range tests {
		if got := occupies(test.pod); got != test.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}

func TestTemplateNode(t *testing.T) {
	g := Group{
		Name: "hpc7g", InstanceType: "hpc7g.16xlarge", Architecture: "arm64", VCPU: 64, MemoryMiB: 128 << 10, Max: 1, PriceUSD: 1.683,
		Labels: map[string]string{"feature.node.kubernetes.io/kernel-version.full": "6.12.37", corev1.LabelArchStable: "wrong"},
	}
	node := g.node("hpc7g-abcde")
	for key, want := range map[string]string{
		corev1.LabelHostname: "hpc7g-abcde", corev1.LabelArchStable: "arm64", corev1.LabelInstanceTypeStable: "hpc7g.16xlarge",
		GroupLabel: "hpc7g", eksctlGroupLabel: "hpc7g", simulated.NodeLabel: "true", "feature.node.kubernetes.io/kernel-version.full": "6.12.37",
	} {
		if got := node.Labels[key]; got != want {
			t.Errorf("label %s=%q, want %q", key, got, want)
		}
	}
	if node.Status.NodeInfo.KernelVersion != "6.12.37" || node.Annotations[simulated.PriceAnnotation] != "1.683" {
		t.Errorf("kernel %q, price %q", node.Status.NodeInfo.KernelVersion, node.Annotations[simulated.PriceAnnotation])
	}
	if g.Labels[GroupLabel] != "" {
		t.Error("the template changed the group's own labels")
	}
	for name, capacity := range node.Status.Capacity {
		if free := node.Status.Allocatable[name]; free.Cmp(capacity) > 0 || free.Sign() <= 0 {
			t.Errorf("%s: allocatable %s of %s", name, &free, &capacity)
		}
	}
	if got := node.Status.Allocatable.Cpu().MilliValue(); got != 64000-230 {
		t.Errorf("allocatable %d milli-CPUs, want 63770", got)
	}
}

func TestGroupValidate(t *testing.T) {
	good := group("g", "t", 2, 1)
	if err := good.Validate(); err != nil {
		t.Fatal(err)
	}
	for want, change := range map[string]func(*Group){
		"lower-case":    func(g *Group) { g.Name = "Not_A_Label" },
		"instance type": func(g *Group) { g.InstanceType = "" },
		"positive":      func(g *Group) { g.VCPU = 0 },
		"min":           func(g *Group) { g.Desired = 2 },
		"label":         func(g *Group) { g.Labels = map[string]string{"a": "not a value!"} },
	} {
		g := good
		change(&g)
		if err := g.Validate(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: error %v", want, err)
		}
	}
}

// Daemon sets take their part of a node that is to come, where they run; a group that has no room beside them does not grow.
func TestDaemonsTakeRoom(t *testing.T) {
	big := group("big", "c.big", 32, 1)
	tight := group("tight", "c.tight", 31, 0.5)
	everywhere, elsewhere := pod("agent", cpu("2")), pod("gpu-agent", cpu("30"), onType("p.gpu"))
	for name, c := range map[string]struct {
		daemons []*corev1.Pod
		want    string
	}{
		"none":      {nil, "tight"},
		"elsewhere": {[]*corev1.Pod{elsewhere}, "tight"},
		"on it":     {[]*corev1.Pod{everywhere, elsewhere}, "big"},
	} {
		t.Run(name, func(t *testing.T) {
			w := world{groups: []Group{big, tight}, pending: []*corev1.Pod{pod("a", cpu("29.5"))}, daemons: c.daemons}
			decisions, _ := w.plan(func(g Group) string { return g.Name })
			if len(decisions) != 1 || decisions[0].group == nil || decisions[0].group.Name != c.want {
				t.Errorf("%+v", decisions)
			}
		})
	}
	w := world{groups: []Group{tight}, pending: []*corev1.Pod{pod("a", cpu("29.5"))}, daemons: []*corev1.Pod{everywhere}}
	decisions, _ := w.plan(func(g Group) string { return g.Name })
	if len(decisions) != 1 || decisions[0].group != nil || decisions[0].refusals != "1 Insufficient cpu" {
		t.Errorf("%+v", decisions)
	}
	// What boots already has them too: two pods of half a node each do not fit beside them.
	half := group("half", "c.half", 32, 1)
	half.Max = 2
	w = world{groups: []Group{half}, pending: []*corev1.Pod{pod("a", cpu("15")), pod("b", cpu("15"))}, daemons: []*corev1.Pod{everywhere}}
	n := 0
	if _, nodes := w.plan(func(g Group) string { n++; return fmt.Sprint(g.Name, n) }); len(nodes) != 2 {
		t.Errorf("%d nodes", len(nodes))
	}
}

// BenchmarkPlan decides for a pod that no node can take: the worst case, as every node and every group is looked at.
func BenchmarkPlan(b *testing.B) {
	for _, size := range []struct{ groups, nodes int }{{25, 25}, {100, 1000}, {1000, 10_000}} {
		b.Run(fmt.Sprintf("groups=%d,nodes=%d", size.groups, size.nodes), func(b *testing.B) {
			var groups []Group
			for i := range size.groups {
				g := group(fmt.Sprintf("g%d", i), fmt.Sprintf("t%d.large", i), 2+i%64, 1)
				g.Max = size.nodes/size.groups + 1
				groups = append(groups, g)
			}
			var places []*placement
			for i := range size.nodes {
				places = append(places, existing(groups[i%size.groups], nil))
			}
			waiting := pod("a", onType(groups[size.groups-1].InstanceType), cpu("1000"))
			for b.Loop() {
				w := &world{groups: groups, places: places, pending: []*corev1.Pod{waiting}}
				if decisions, nodes := w.plan(func(Group) string { return "new" }); len(decisions) != 1 || len(nodes) != 0 {
					b.Fatal("a node was started for a pod that fits none")
				}
			}
		})
	}
}
