package nodes

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"text/template"
	"time"

	"github.com/compspec/ocifit-lab/provision/simulated"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/strategicpatch"
	"k8s.io/client-go/kubernetes/fake"
	"sigs.k8s.io/kwok/pkg/apis/internalversion"
	"sigs.k8s.io/kwok/pkg/utils/gotpl"
	"sigs.k8s.io/kwok/pkg/utils/lifecycle"
)

// play sends a pod through the stages until none matches and returns it with the stages' names.
func play(t *testing.T, pod *corev1.Pod) (*corev1.Pod, []string) {
	t.Helper()
	stages, err := loadStages()
	if err != nil {
		t.Fatal(err)
	}
	life, err := lifecycle.NewLifecycle(stages[internalversion.StageResourceRef{APIGroup: "v1", Kind: "Pod"}])
	if err != nil {
		t.Fatal(err)
	}
	renderer := gotpl.NewRenderer(template.FuncMap{
		"creating": creating, "running": running, "terminated": terminated,
		"NodeIPsWith": func(string) []string { return []string{"127.0.0.1"} },
		"PodIPsWith":  func(string, bool, string, string, string) []string { return []string{"10.244.0.7"} },
	})
	var names []string
	for len(names) < 10 {
		event := &lifecycle.Event{Labels: pod.Labels, Annotations: pod.Annotations, Data: pod}
		matching, err := life.ListAllPossible(t.Context(), event)
		if err != nil {
			t.Fatal(err)
		}
		if len(matching) == 0 {
			return pod, names
		}
		if len(matching) > 1 {
			t.Fatalf("%d stages match, the first two %s and %s", len(matching), matching[0].Name(), matching[1].Name())
		}
		names = append(names, matching[0].Name())
		deleted := false
		_, err = matching[0].DoSteps(0, nil, pod, renderer, func(*internalversion.StageEvent) error { return nil },
			func() error { deleted = true; return nil },
			func(patch *lifecycle.Patch) error { pod = apply(t, pod, patch.Data); return nil },
			func(*lifecycle.Apply) error { return nil })
		if err != nil {
			t.Fatal(err)
		}
		if deleted {
			return nil, names
		}
	}
	t.Fatalf("stages without end: %v", names)
	return nil, nil
}

func apply(t *testing.T, pod *corev1.Pod, patch []byte) *corev1.Pod {
	t.Helper()
	before, err := json.Marshal(pod)
	if err != nil {
		t.Fatal(err)
	}
	after, err := strategicpatch.StrategicMergePatch(before, patch, corev1.Pod{})
	if err != nil {
		t.Fatalf("%v: %s", err, patch)
	}
	var out corev1.Pod
	if err := json.Unmarshal(after, &out); err != nil {
		t.Fatal(err)
	}
	return &out
}

func newPod(owner string, annotations map[string]string) *corev1.Pod {
	p := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "p", Namespace: "n", UID: "u", ResourceVersion: "7", Annotations: annotations}}
	if owner != "" {
		p.OwnerReferences = []metav1.OwnerReference{{Kind: owner, Name: "o"}}
	}
	p.Spec.NodeName = "node"
	p.Spec.InitContainers = []corev1.Container{{Name: "view", Image: "view:1"}}
	p.Spec.Containers = []corev1.Container{{Name: "main", Image: "hpcg:1"}}
	p.Status.Phase = corev1.PodPending
	p.Status.Conditions = []corev1.PodCondition{{Type: corev1.PodScheduled, Status: corev1.ConditionTrue}}
	return p
}

func TestPodLives(t *testing.T) {
	workload := func(phase string) map[string]string {
		a := map[string]string{simulated.WorkloadAnnotation: "x"}
		if phase != "" {
			a[simulated.PhaseAnnotation] = phase
		}
		return a
	}
	now := metav1.Now()
	seconds := func(n int64) *int64 { return &n }
	deleted := newPod("", nil)
	deleted.DeletionTimestamp, deleted.DeletionGracePeriodSeconds, deleted.Finalizers = &now, seconds(30), []string{"batch.kubernetes.io/job-tracking"}
	waits := newPod("", nil)
	waits.DeletionTimestamp, waits.DeletionGracePeriodSeconds, waits.Finalizers = &now, seconds(0), []string{"batch.kubernetes.io/job-tracking"}
	odd := workload(simulated.PhaseFailed)
	odd[simulated.ExitCodeAnnotation] = "137"
	tests := []struct {
		name   string
		pod    *corev1.Pod
		stages string
		phase  corev1.PodPhase
		exit   int32
	}{
		{"ordinary", newPod("ReplicaSet", nil), "pod-run", corev1.PodRunning, 0},
		{"of a job", newPod("Job", nil), "pod-run pod-complete", corev1.PodSucceeded, 0},
		{"workload waits", newPod("Job", workload("")), "workload-create", corev1.PodPending, 0},
		{"workload runs", newPod("Job", workload(simulated.PhaseRunning)), "workload-run", corev1.PodRunning, 0},
		{"workload ends", newPod("Job", workload(simulated.PhaseSucceeded)), "workload-succeed", corev1.PodSucceeded, 0},
		{"workload fails", newPod("Job", workload(simulated.PhaseFailed)), "workload-fail", corev1.PodFailed, 1},
		{"workload fails with a code", newPod("Job", odd), "workload-fail", corev1.PodFailed, 137},
		{"deleted", deleted, "pod-delete", "", 0},
		{"deleted, held by a finalizer", waits, "", corev1.PodPending, 0},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			pod, stages := play(t, test.pod)
			if got := strings.Join(stages, " "); got != test.stages {
				t.Errorf("stages %q, want %q", got, test.stages)
			}
			if pod == nil {
				return
			}
			if pod.Status.Phase != test.phase {
				t.Errorf("phase %s, want %s", pod.Status.Phase, test.phase)
			}
			if !slices.ContainsFunc(pod.Status.Conditions, func(c corev1.PodCondition) bool { return c.Type == corev1.PodScheduled }) {
				t.Errorf("the scheduler's condition is gone: %+v", pod.Status.Conditions)
			}
			checkContainers(t, pod, test.exit)
		})
	}
}

func checkContainers(t *testing.T, pod *corev1.Pod, exit int32) {
	t.Helper()
	s := pod.Status
	switch s.Phase {
	case corev1.PodRunning:
		if s.PodIP != "10.244.0.7" || s.HostIP != "127.0.0.1" || s.StartTime == nil {
			t.Errorf("addresses and start: %+v", s)
		}
		if !s.ContainerStatuses[0].Ready || s.ContainerStatuses[0].State.Running == nil || s.ContainerStatuses[0].Image != "hpcg:1" {
			t.Errorf("container %+v", s.ContainerStatuses[0])
		}
		if i := s.InitContainerStatuses[0]; !i.Ready || i.State.Terminated == nil {
			t.Errorf("init container %+v", i)
		}
	case corev1.PodSucceeded, corev1.PodFailed:
		c := s.ContainerStatuses[0]
		if c.Ready || c.State.Terminated == nil || c.State.Terminated.ExitCode != exit || c.State.Running != nil {
			t.Errorf("container %+v, want exit code %d", c, exit)
		}
	}
}

func TestPatchNamesResourceVersion(t *testing.T) {
	patch, err := running(map[string]any{"metadata": map[string]any{"resourceVersion": "7"}, "spec": map[string]any{}}, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	var got struct {
		Metadata struct{ ResourceVersion string }
	}
	if err := json.Unmarshal([]byte(patch), &got); err != nil || got.Metadata.ResourceVersion != "7" {
		t.Errorf("patch %s: %v; want resource version 7, so that a stale stage is refused", patch, err)
	}
}

func TestStartIsKept(t *testing.T) {
	p := newPod("Job", map[string]string{simulated.WorkloadAnnotation: "x", simulated.PhaseAnnotation: simulated.PhaseRunning})
	p, _ = play(t, p)
	start := metav1.NewTime(time.Date(2025, 7, 21, 0, 49, 0, 0, time.UTC))
	p.Status.ContainerStatuses[0].State.Running.StartedAt = start
	p.Annotations[simulated.PhaseAnnotation] = simulated.PhaseSucceeded
	p, _ = play(t, p)
	if got := p.Status.ContainerStatuses[0].State.Terminated; !got.StartedAt.Equal(&start) || !got.FinishedAt.After(start.Time) {
		t.Errorf("ran from %s to %s, want from %s", got.StartedAt, got.FinishedAt, start)
	}
}

func TestNodeStages(t *testing.T) {
	stages, err := loadStages()
	if err != nil {
		t.Fatal(err)
	}
	life, err := lifecycle.NewLifecycle(stages[internalversion.StageResourceRef{APIGroup: "v1", Kind: "Node"}])
	if err != nil {
		t.Fatal(err)
	}
	ready := func(status corev1.ConditionStatus) *corev1.Node {
		return &corev1.Node{Status: corev1.NodeStatus{Conditions: []corev1.NodeCondition{{Type: corev1.NodeReady, Status: status}}}}
	}
	for want, node := range map[string]*corev1.Node{"node-ready": {}, "node-ready ": ready("Unknown"), "node-heartbeat": ready("True")} {
		stage, err := life.Match(t.Context(), &lifecycle.Event{Data: node})
		if err != nil || stage == nil || stage.Name() != strings.TrimSpace(want) {
			t.Errorf("stage %v, %v; want %s", stage, err, want)
		}
	}
}

// The API server asks a node's log endpoint at the port that the node's status has: that of the process that simulates it now.
func TestNodesOfAnEarlierProcessAreAdopted(t *testing.T) {
	node := func(name string, labels map[string]string) *corev1.Node {
		return &corev1.Node{
			ObjectMeta: metav1.ObjectMeta{Name: name, Labels: labels},
			Status:     corev1.NodeStatus{DaemonEndpoints: corev1.NodeDaemonEndpoints{KubeletEndpoint: corev1.DaemonEndpoint{Port: 1}}},
		}
	}
	client := fake.NewClientset(node("ours", map[string]string{simulated.NodeLabel: "true"}), node("theirs", nil))
	if err := adopt(t.Context(), client, 4711); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]int32{"ours": 4711, "theirs": 1} {
		n, err := client.CoreV1().Nodes().Get(t.Context(), name, metav1.GetOptions{})
		if err != nil || n.Status.DaemonEndpoints.KubeletEndpoint.Port != want {
			t.Errorf("%s: %v, %v", name, n.Status.DaemonEndpoints, err)
		}
	}
}
