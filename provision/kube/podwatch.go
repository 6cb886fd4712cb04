package kube

import (
	"context"
	"fmt"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/compspec/ocifit-lab/provision/wait"
)

// PodWatch sees the pods of a label selector from when it is opened until it is stopped: many waits cost one list and one watch.
type PodWatch struct {
	c                   *Cluster
	namespace, selector string
	stop                context.CancelFunc
	ended               chan struct{}

	mu      sync.Mutex
	pods    []*corev1.Pod // by name; not to be changed
	listed  bool
	err     error
	changed chan struct{} // closed at the next change
}

// WatchPods opens a watch that lives until Stop or until ctx ends.
func (c *Cluster) WatchPods(ctx context.Context, namespace, selector string) *PodWatch {
	ctx, stop := context.WithCancel(ctx)
	w := &PodWatch{c: c, namespace: namespace, selector: selector, stop: stop, ended: make(chan struct{}), changed: make(chan struct{})}
	go func() {
		defer close(w.ended)
		err := follow(ctx, c.podFeed(namespace), metav1.ListOptions{LabelSelector: selector}, func(all []*corev1.Pod) (bool, error) {
			w.change(func() { w.pods, w.listed = all, true })
			return false, nil
		})
		w.change(func() { w.err = err })
	}()
	return w
}

// Stop ends the watch and returns when it has ended.
func (w *PodWatch) Stop() {
	w.stop()
	<-w.ended
}

func (w *PodWatch) change(how func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	how()
	close(w.changed)
	w.changed = make(chan struct{})
}

func (w *PodWatch) now() (pods []*corev1.Pod, listed bool, changed <-chan struct{}, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.pods, w.listed, w.changed, w.err
}

// Pods are the pods as they were last seen, by name. They belong to the watch: copy what you change.
func (w *PodWatch) Pods() []*corev1.Pod {
	pods, _, _, _ := w.now()
	return pods
}

// Wait is Cluster.WaitPod on this watch; of changes that follow each other at once cond may see only the last.
func (w *PodWatch) Wait(ctx context.Context, cond func(*corev1.Pod) (bool, error)) (*corev1.Pod, error) {
	match := &podCondition{cond: cond}
	if err := w.until(ctx, "wait for a pod", match, match.check); err != nil {
		return nil, err
	}
	return match.found, nil
}

// WaitGone waits until there is no pod.
func (w *PodWatch) WaitGone(ctx context.Context) error {
	last := &podCondition{}
	return w.until(ctx, "wait until no pod is left", last, func(all []*corev1.Pod) (bool, error) {
		if len(all) > 0 {
			last.last = all[0]
		}
		return len(all) == 0, nil
	})
}

func (w *PodWatch) until(ctx context.Context, doing string, match *podCondition, enough func([]*corev1.Pod) (bool, error)) error {
	ctx, cancel := wait.Bounded(ctx, wait.Patience)
	defer cancel()
	doing, start := doing+matching(w.namespace, w.selector), time.Now()
	for {
		pods, listed, changed, broken := w.now()
		if listed {
			done, err := enough(pods)
			if err != nil {
				return w.c.Explain(fmt.Errorf("%s: %w", doing, err))
			}
			if done {
				return nil
			}
		}
		if broken != nil && ctx.Err() == nil {
			return w.c.Explain(fmt.Errorf("%s: %w", doing, broken))
		}
		select {
		case <-changed:
		case <-ctx.Done():
			seen := match.gone
			if match.last != nil || seen == "" {
				seen = w.c.lastSeen(ctx, w.namespace, match.last)
			}
			return w.c.waited(ctx, doing, start, seen, ctx.Err())
		}
	}
}
