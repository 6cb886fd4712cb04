package kube

import (
	"context"
	"errors"
	"testing"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime"
	clienttesting "k8s.io/client-go/testing"

	"github.com/compspec/ocifit-lab/provision/step"
)

func TestPodWatchServesManyWaits(t *testing.T) {
	l := newLab(t)
	lists := 0
	l.typed.PrependReactor("list", "pods", func(clienttesting.Action) (bool, runtime.Object, error) {
		lists++
		return false, nil, nil
	})
	opened := make(chan struct{})
	l.after(t, "pods", func() { close(opened) })
	w := l.WatchPods(t.Context(), "trial", "job-name=hpcg")
	defer w.Stop()
	<-opened
	if err := w.WaitGone(t.Context()); err != nil {
		t.Errorf("no pod yet: %v", err)
	}
	_ = l.typed.Tracker().Add(pod("hpcg-0"))
	if got, err := w.Wait(t.Context(), func(p *corev1.Pod) (bool, error) { return true, nil }); err != nil || got.Name != "hpcg-0" {
		t.Fatalf("%v, %v", got, err)
	}
	_ = l.typed.Tracker().Update(pods, pod("hpcg-0", phase(corev1.PodRunning)), "trial")
	if got, err := w.Wait(t.Context(), isRunning); err != nil || len(w.Pods()) != 1 {
		t.Fatalf("%v, %v", got, err)
	}
	_ = l.typed.Tracker().Delete(pods, "trial", "hpcg-0")
	if err := w.WaitGone(t.Context()); err != nil || len(w.Pods()) != 0 {
		t.Errorf("%d pods, %v", len(w.Pods()), err)
	}
	if lists != 1 {
		t.Errorf("%d lists for four waits, want 1", lists)
	}
}

func TestPodWatchSaysWhatWasSeen(t *testing.T) {
	l := newLab(t, pod("hpcg-0", unschedulable))
	w := l.WatchPods(t.Context(), "trial", "job-name=hpcg")
	defer w.Stop()
	if _, err := w.Wait(t.Context(), func(*corev1.Pod) (bool, error) { return true, nil }); err != nil {
		t.Fatal(err)
	}
	late, cancel := context.WithTimeout(t.Context(), 1)
	defer cancel()
	_, err := w.Wait(late, isRunning)
	if !errors.Is(err, step.ErrTimeout) {
		t.Errorf("not a timeout: %v", err)
	}
	contains(t, err, "wait for a pod with job-name=hpcg in trial", "pod hpcg-0 Pending: Unschedulable")
	boom := errors.New("exit code 3")
	if _, err = w.Wait(t.Context(), func(*corev1.Pod) (bool, error) { return false, boom }); !errors.Is(err, boom) {
		t.Errorf("an error of the condition: %v", err)
	}
}

func TestPodWatchTellsErrorsThatStay(t *testing.T) {
	l := newLab(t)
	l.typed.PrependReactor("list", "pods", func(clienttesting.Action) (bool, runtime.Object, error) {
		return true, nil, apierrors.NewForbidden(pods.GroupResource(), "", errors.New("not you"))
	})
	w := l.WatchPods(t.Context(), "trial", "")
	defer w.Stop()
	_, err := w.Wait(t.Context(), isRunning)
	contains(t, err, "not you")
	if step.HintOf(err) == "" {
		t.Error("the error has no hint")
	}
}
