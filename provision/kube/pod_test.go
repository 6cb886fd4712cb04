package kube

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	clienttesting "k8s.io/client-go/testing"

	"github.com/compspec/ocifit-lab/provision/step"
)

func running(p *corev1.Pod) bool { return p.Status.Phase == corev1.PodRunning }

func isRunning(p *corev1.Pod) (bool, error) { return running(p), nil }

func phase(to corev1.PodPhase) func(*corev1.Pod) { return func(p *corev1.Pod) { p.Status.Phase = to } }

func unschedulable(p *corev1.Pod) {
	p.Status.Conditions = []corev1.PodCondition{{Type: corev1.PodScheduled, Status: corev1.ConditionFalse, Reason: "Unschedulable", Message: "0/1 nodes are available"}}
}

func event(name, kind, reason, message string, minute int) *corev1.Event {
	return &corev1.Event{
		ObjectMeta: metav1.ObjectMeta{Name: name + reason, Namespace: "trial"}, Type: corev1.EventTypeWarning, Reason: reason, Message: message,
		InvolvedObject: corev1.ObjectReference{Kind: kind, Name: name},
		LastTimestamp:  metav1.Date(2025, 7, 21, 0, minute, 0, 0, time.UTC),
	}
}

func TestWaitPod(t *testing.T) {
	l := newLab(t)
	l.after(t, "pods", func() {
		_ = l.typed.Tracker().Add(pod("hpcg-0"))
		_ = l.typed.Tracker().Update(pods, pod("hpcg-0", phase(corev1.PodRunning)), "trial")
	})
	got, err := l.WaitPod(t.Context(), "trial", "job-name=hpcg", isRunning)
	if err != nil || got.Name != "hpcg-0" {
		t.Fatalf("%v, %v", got, err)
	}
	if got, err = l.WaitPod(t.Context(), "trial", "job-name=hpcg", isRunning); err != nil || got == nil {
		t.Errorf("a pod that is there already: %v", err)
	}
	boom := errors.New("exit code 3")
	_, err = l.WaitPod(t.Context(), "trial", "", func(*corev1.Pod) (bool, error) { return false, boom })
	if !errors.Is(err, boom) {
		t.Errorf("an error of the condition: %v", err)
	}
	contains(t, err, "pod hpcg-0")
}

func TestWaitPodSaysWhatWasSeen(t *testing.T) {
	for name, tc := range map[string]struct {
		objects []runtime.Object
		want    []string
	}{
		"pending": {
			[]runtime.Object{pod("hpcg-0", unschedulable), event("hpcg-0", "Pod", "FailedScheduling", "no node fits", 1), event("hpcg-0", "Pod", "TriggeredScaleUp", "0->1", 2)},
			[]string{
				"wait for a pod with job-name=hpcg in trial: timed out", "pod hpcg-0 Pending: Unschedulable: 0/1 nodes are available",
				"last events: TriggeredScaleUp: 0->1 | FailedScheduling: no node fits",
			},
		},
		"none": {
			[]runtime.Object{event("hpcg", "Job", "FailedCreate", "admission webhook denied the request: no such model", 1)},
			[]string{"no such pod", "Job hpcg FailedCreate: admission webhook denied"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			l := newLab(t, tc.objects...)
			_, err := l.WaitPod(l.until(t, "pods"), "trial", "job-name=hpcg", isRunning)
			contains(t, err, tc.want...)
			if !errors.Is(err, step.ErrTimeout) {
				t.Errorf("not a timeout: %v", err)
			}
		})
	}
}

func TestPodSeerRemembersAPodThatIsGone(t *testing.T) {
	s := &podCondition{cond: isRunning}
	for _, all := range [][]*corev1.Pod{nil, {pod("hpcg-0", unschedulable)}, nil, nil} {
		if ok, err := s.check(all); ok || err != nil {
			t.Fatalf("%v %v", ok, err)
		}
	}
	if want := "pod hpcg-0 is gone; it was Pending: Unschedulable: 0/1 nodes are available"; s.gone != want || s.last != nil {
		t.Errorf("gone %q, last %v", s.gone, s.last)
	}
}

func TestWaitPodInterrupted(t *testing.T) {
	l := newLab(t, pod("hpcg-0"))
	ctx, cancel := context.WithCancel(t.Context())
	l.after(t, "pods", cancel)
	_, err := l.WaitPod(ctx, "trial", "", isRunning)
	if !errors.Is(err, context.Canceled) || errors.Is(err, step.ErrTimeout) {
		t.Errorf("error = %v", err)
	}
	contains(t, err, "last seen: pod hpcg-0 Pending")
}

func TestWaitPodStopsAtErrorsThatStay(t *testing.T) {
	l := newLab(t)
	l.typed.PrependReactor("list", "pods", func(clienttesting.Action) (bool, runtime.Object, error) {
		return true, nil, apierrors.NewForbidden(pods.GroupResource(), "", errors.New("not you"))
	})
	_, err := l.WaitPod(t.Context(), "trial", "", isRunning)
	contains(t, err, "not you")
	if !strings.Contains(step.HintOf(err), "needs that right") {
		t.Errorf("hint = %q", step.HintOf(err))
	}
}

func TestPodState(t *testing.T) {
	waiting := corev1.ContainerStatus{Name: "hpcg", State: corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: "ImagePullBackOff", Message: "back-off"}}}
	failed := corev1.ContainerStatus{Name: "hpcg", RestartCount: 2, State: corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{ExitCode: 137, Reason: "OOMKilled"}}}
	fine := corev1.ContainerStatus{Name: "flux-view", State: corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{Reason: "Completed"}}}
	for want, p := range map[string]*corev1.Pod{
		"without a phase": {},
		"Pending: Unschedulable: 0/1 nodes are available": pod("a", unschedulable),
		"Failed on ip-1: Evicted: out of disk": pod("a", phase(corev1.PodFailed), func(p *corev1.Pod) {
			p.Spec.NodeName, p.Status.Reason, p.Status.Message = "ip-1", "Evicted", "out of disk"
		}),
		"Pending, container hpcg waiting: ImagePullBackOff: back-off": pod("a", func(p *corev1.Pod) {
			p.Status.ContainerStatuses = []corev1.ContainerStatus{waiting}
			p.Status.InitContainerStatuses = []corev1.ContainerStatus{fine}
		}),
		"Failed, container hpcg ended with exit code 137: OOMKilled, restarted 2 times": pod("a", phase(corev1.PodFailed), func(p *corev1.Pod) { p.Status.ContainerStatuses = []corev1.ContainerStatus{failed} }),
		"being deleted, Running, container hpcg ready": pod("a", phase(corev1.PodRunning), func(p *corev1.Pod) {
			p.DeletionTimestamp = &metav1.Time{}
			p.Status.ContainerStatuses = []corev1.ContainerStatus{{Name: "hpcg", Ready: true, State: corev1.ContainerState{Running: &corev1.ContainerStateRunning{}}}}
		}),
	} {
		if got := podState(p); got != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
	}
}

func TestEventsAreSorted(t *testing.T) {
	late := event("a", "Pod", "Late", "", 3)
	series := event("a", "Pod", "Series", "", 1)
	series.Series = &corev1.EventSeries{LastObservedTime: metav1.NewMicroTime(late.LastTimestamp.Add(time.Minute))}
	micro := event("a", "Pod", "Micro", "", 1)
	micro.LastTimestamp, micro.EventTime = metav1.Time{}, metav1.NewMicroTime(late.LastTimestamp.Add(-time.Minute))
	l := newLab(t, series, late, micro)
	got, err := l.Events(t.Context(), "trial", "")
	if err != nil {
		t.Fatal(err)
	}
	var order []string
	for _, e := range got {
		order = append(order, e.Reason)
	}
	if strings.Join(order, " ") != "Micro Late Series" {
		t.Errorf("order = %v", order)
	}
}

func TestWaitAnything(t *testing.T) {
	ready := func(o *unstructured.Unstructured) (bool, string, error) {
		return conditionIs(o, "Available", "True"), conditions(o), nil
	}
	l := newLab(t, object("apps/v1", "Deployment", "trial", "a"), object("apps/v1", "Deployment", "trial", "b"))
	_, err := l.WaitNamed(l.until(t, "deployments"), deployments, "trial", "b", ready)
	contains(t, err, "wait for deployments b in trial: timed out", "last seen: b no conditions yet")
	_, err = l.WaitNamed(l.until(t, "deployments"), deployments, "trial", "c", ready)
	contains(t, err, "last seen: nothing there")
	got, err := l.Wait(t.Context(), deployments, "trial", "", func(o *unstructured.Unstructured) (bool, string, error) { return o.GetName() == "b", "", nil })
	if err != nil || got.GetName() != "b" {
		t.Errorf("%v %v", got, err)
	}
}

func TestDryRunCreatePod(t *testing.T) {
	l := newLab(t)
	l.Namespace = "lab"
	l.typed.PrependReactor("create", "pods", func(a clienttesting.Action) (bool, runtime.Object, error) {
		c := a.(clienttesting.CreateActionImpl)
		if c.Namespace != "lab" || len(c.CreateOptions.DryRun) != 1 {
			t.Errorf("asked for %+v", c)
		}
		p := c.Object.(*corev1.Pod).DeepCopy()
		p.Spec.NodeSelector = map[string]string{"a": "b"}
		return true, p, nil
	})
	got, err := l.DryRunCreatePod(t.Context(), &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "probe"}})
	if err != nil || got.Spec.NodeSelector["a"] != "b" {
		t.Errorf("%v %v", got, err)
	}
}
