package scaler

import (
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes/fake"
	clienttesting "k8s.io/client-go/testing"
	"k8s.io/client-go/tools/record"

	"github.com/compspec/ocifit-lab/provision/sim/simclock"

	"github.com/compspec/ocifit-lab/provision/simulated"
)

var (
	foreign = corev1.Taint{Key: "team", Value: "blue", Effect: corev1.TaintEffectNoSchedule}
	ours    = corev1.Taint{Key: taintToBeDeleted, Value: "1", Effect: corev1.TaintEffectNoSchedule}
)

func simulatedNode(name string, taints ...corev1.Taint) *corev1.Node {
	return &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{simulated.NodeLabel: "true", GroupLabel: "g"}}, Spec: corev1.NodeSpec{Taints: taints}}
}

func podOn(node string) *corev1.Pod {
	return &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "p", Namespace: "default"}, Spec: corev1.PodSpec{NodeName: node}}
}

func fakeScaler(t *testing.T, objects ...runtime.Object) *scaler {
	t.Helper()
	client := fake.NewClientset(objects...)
	clock, err := simclock.New(0, time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC))
	if err != nil {
		t.Fatal(err)
	}
	factory := informers.NewSharedInformerFactory(client, 0)
	s := &scaler{
		Options: Options{Clock: clock, Groups: []Group{group("g", "t", 2, 5)}, UnneededTime: time.Minute, Log: t.Logf},
		client:  client, nodes: factory.Core().V1().Nodes().Lister(), pods: factory.Core().V1().Pods().Lister(),
		recorder: record.NewFakeRecorder(10), booting: map[string]*corev1.Node{}, idle: map[string]idleness{},
	}
	factory.StartWithContext(t.Context())
	factory.WaitForCacheSync(t.Context().Done())
	t.Cleanup(factory.Shutdown)
	return s
}

func (s *scaler) taintsOf(t *testing.T, name string) []corev1.Taint {
	t.Helper()
	n, err := s.client.CoreV1().Nodes().Get(t.Context(), name, metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return n.Spec.Taints
}

func TestTaintLeavesOthersAlone(t *testing.T) {
	s := fakeScaler(t, simulatedNode("n", foreign))
	conflicts := 2
	s.client.(*fake.Clientset).PrependReactor("update", "nodes", func(clienttesting.Action) (bool, runtime.Object, error) {
		if conflicts--; conflicts >= 0 {
			return true, nil, apierrors.NewConflict(schema.GroupResource{Resource: "nodes"}, "n", nil)
		}
		return false, nil, nil
	})
	for range 2 { // the second time there is nothing to do
		if err := s.setTaint(t.Context(), "n", true); err != nil {
			t.Fatal(err)
		}
		if got := s.taintsOf(t, "n"); len(got) != 2 || got[0] != foreign || got[1].Key != taintToBeDeleted || got[1].Effect != corev1.TaintEffectNoSchedule {
			t.Errorf("on: %v", got)
		}
	}
	for range 2 {
		if err := s.setTaint(t.Context(), "n", false); err != nil {
			t.Fatal(err)
		}
		if got := s.taintsOf(t, "n"); len(got) != 1 || got[0] != foreign {
			t.Errorf("off: %v", got)
		}
	}
	if err := s.setTaint(t.Context(), "gone", true); err != nil {
		t.Errorf("a node that is gone: %v", err)
	}
}

// A pod that comes at the last moment keeps its node, and the node takes pods again.
func TestNodeDueIsKeptForAPodThatCame(t *testing.T) {
	s := fakeScaler(t, simulatedNode("n", foreign), podOn("n"))
	gone, err := s.remove(t.Context(), simulatedNode("n"), "unneeded")
	if err != nil || gone {
		t.Fatalf("gone %t, %v", gone, err)
	}
	if got := s.taintsOf(t, "n"); len(got) != 1 || got[0] != foreign {
		t.Errorf("the node still refuses pods: %v", got)
	}
}

// What an earlier scaler left in the middle of a removal is put right.
func TestShrinkClearsTaintsThatWereLeft(t *testing.T) {
	marked := simulatedNode("replaced", ours)
	marked.Annotations = map[string]string{simulated.ReplaceAnnotation: "true"}
	used := podOn("replaced")
	s := fakeScaler(t, simulatedNode("left", ours, foreign), marked, used)
	if _, err := s.shrink(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := s.taintsOf(t, "left"); len(got) != 1 || got[0] != foreign {
		t.Errorf("the node still refuses pods: %v", got)
	}
	if got := s.taintsOf(t, "replaced"); len(got) != 1 {
		t.Errorf("a node that is to be replaced takes pods again: %v", got)
	}
	// Later it goes, for nobody needs it. (The fake client's list of a node's pods is the list of all.)
	if err := s.client.CoreV1().Pods("default").Delete(t.Context(), "p", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	if err := s.Clock.Sleep(t.Context(), 2*time.Minute); err != nil {
		t.Fatal(err)
	}
	if _, err := s.shrink(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := s.client.CoreV1().Nodes().Get(t.Context(), "left", metav1.GetOptions{}); !apierrors.IsNotFound(err) {
		t.Errorf("the node is still there: %v", err)
	}
}

// However much simulated time has passed at once, the log of a pod that has ended can still be read: its node stays for a real while, or
// until the pod is gone.
func TestNodeStaysWhileItsLogIsRead(t *testing.T) {
	ended := podOn("n")
	ended.Status.Phase = corev1.PodSucceeded
	for name, c := range map[string]struct {
		pods []runtime.Object
		idle time.Duration
		gone bool
	}{
		"read now":         {[]runtime.Object{ended}, 0, false},
		"read long ago":    {[]runtime.Object{ended}, time.Minute, true},
		"nothing to read":  {nil, 0, true},
		"a pod that works": {[]runtime.Object{podOn("n")}, time.Minute, false},
	} {
		t.Run(name, func(t *testing.T) {
			s := fakeScaler(t, append(c.pods, simulatedNode("n"))...)
			s.idle["n"] = idleness{s.Clock.Now().Add(-time.Hour), time.Now().Add(-c.idle)}
			if _, err := s.shrink(t.Context()); err != nil {
				t.Fatal(err)
			}
			_, err := s.client.CoreV1().Nodes().Get(t.Context(), "n", metav1.GetOptions{})
			if gone := apierrors.IsNotFound(err); gone != c.gone {
				t.Errorf("gone: %v, %v", gone, err)
			}
		})
	}
}
