package kube

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/compspec/ocifit-lab/provision/wait"
)

const (
	// logTime is the deadline for following a log where the context has none.
	logTime = 24 * time.Hour
	// checkTime bounds the last reading of a log, which only has to fetch what is there.
	checkTime = 2 * time.Minute
	// endTime is how long after a stream's end the container's own end is waited for before the log is opened again.
	endTime = 2 * time.Second
)

// logReader reads the log of one container .
type logReader struct {
	c                         *Cluster
	namespace, pod, container string
	log                       *lineLog
	endTime                   time.Duration
}

func (l *logReader) String() string {
	return "the log of " + l.namespace + "/" + l.pod + "/" + l.container
}

// StreamLogs copies what a container writes to w, from its first line until the container has ended. A broken stream is
// opened again where it broke, by the times of its lines (or by comparing from the start where the server gives no
// times), and in the end the whole log is read once more and compared: each line is written once and in order, or there
// is an error, ErrLogGap when a part cannot be read any more. Only what the container wrote gets into w. A container
// that has not started yet is waited for. Without a deadline in ctx, a day is the limit.
func (c *Cluster) StreamLogs(ctx context.Context, namespace, pod, container string, w io.Writer) error {
	ctx, cancel := wait.Bounded(ctx, logTime)
	defer cancel()
	l := &logReader{c, namespace, pod, container, newLineLog(w), endTime}
	err := l.follow(ctx)
	if err == nil {
		err = l.check(ctx)
	}
	return c.Explain(err)
}

// CopyLogs is StreamLogs for a container that has ended: its log is read once.
func (c *Cluster) CopyLogs(ctx context.Context, namespace, pod, container string, w io.Writer) error {
	l := &logReader{c, namespace, pod, container, newLineLog(w), endTime}
	return c.Explain(l.check(ctx))
}

// follow reads until the container has ended.
func (l *logReader) follow(ctx context.Context) error {
	start, seen := time.Now(), "nothing yet"
	reached := start
	for pauses := (wait.Backoff{First: 20 * time.Millisecond, Longest: 2 * time.Second}).Pauser(); ; {
		before := len(l.log.entries)
		err := l.read(ctx, true)
		if final := new(permanent); errors.As(err, final) {
			return fmt.Errorf("read %s: %w", l, final.error)
		}
		if len(l.log.entries) > before {
			pauses.Reset()
		}
		over, state, stateErr := l.end(ctx, err == nil)
		if over {
			return nil
		}
		if final := new(permanent); errors.As(stateErr, final) {
			return fmt.Errorf("read %s: %w", l, final.error)
		}
		if err == nil || len(l.log.entries) > before || stateErr == nil && state != "" {
			reached = time.Now()
		} else if lost := l.c.lost(reached, err); lost != nil {
			return fmt.Errorf("read %s: %w", l, lost)
		}
		if texts := l.seen(ctx, state, err, stateErr); len(texts) > 0 {
			seen = strings.Join(texts, "; ")
		}
		if pauses.Wait(ctx) != nil {
			return wait.Ended(ctx, "read "+l.String(), start, seen, err)
		}
	}
}

// seen says how far the reading is, for the error of one that takes too long. Errors that the end of ctx made say nothing.
func (l *logReader) seen(ctx context.Context, state string, errs ...error) []string {
	var texts []string
	if state != "" {
		texts = append(texts, "pod "+state)
	}
	for _, err := range errs {
		if err != nil && ctx.Err() == nil {
			texts = append(texts, err.Error())
		}
	}
	if len(texts) > 0 {
		texts = append([]string{fmt.Sprintf("%d lines read", len(l.log.entries))}, texts...)
	}
	return texts
}

// check reads the whole log once more, compares it with what was written and adds what was missed at its end.
func (l *logReader) check(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, checkTime)
	defer cancel()
	start, tries := time.Now(), 0
	return wait.Retry(ctx, "compare "+l.String()+" with what was read", wait.Backoff{First: 50 * time.Millisecond, Longest: 2 * time.Second}, func(ctx context.Context) error {
		err := l.read(ctx, false)
		tries++
		if final := new(permanent); errors.As(err, final) {
			return wait.Stop(final.error)
		}
		if lost := l.c.lost(start, err); lost != nil {
			return wait.Stop(lost)
		}
		if (errors.Is(err, errShort) || errors.Is(err, errNoise)) && tries >= 5 {
			return wait.Stop(err)
		}
		return err
	})
}

// read opens the log once and takes in what comes: when following from where the lines known end, else all of it. Errors that
// another attempt cannot change are permanent.
func (l *logReader) read(ctx context.Context, follow bool) error {
	opts := &corev1.PodLogOptions{Container: l.container, Follow: follow, Timestamps: true}
	if since := l.log.since(); follow && since != nil {
		opts.SinceTime = &metav1.Time{Time: *since}
	}
	stream, err := l.c.Clientset.CoreV1().Pods(l.namespace).GetLogs(l.pod, opts).Stream(ctx)
	if err != nil {
		waiting := strings.Contains(err.Error(), "waiting to start") || strings.Contains(err.Error(), "not available")
		if apierrors.IsNotFound(err) || apierrors.IsForbidden(err) || apierrors.IsUnauthorized(err) || apierrors.IsBadRequest(err) && !waiting {
			return permanent{err}
		}
		return err
	}
	defer stream.Close()
	return l.log.read(stream, !follow)
}

// end tells whether the container has ended, and how it is. With patient set it gives the API server time to learn of it.
func (l *logReader) end(ctx context.Context, patient bool) (over bool, state string, err error) {
	limit := l.endTime
	if !patient {
		limit /= 10
	}
	short, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	err = follow(short, l.c.podFeed(l.namespace), byName(l.pod), func(all []*corev1.Pod) (bool, error) {
		i := slices.IndexFunc(all, func(p *corev1.Pod) bool { return p.Name == l.pod })
		if i < 0 {
			return false, fmt.Errorf("pod %s is gone", l.pod)
		}
		state = podState(all[i])
		s := statusOf(all[i], l.container)
		if over = s != nil && s.State.Terminated != nil; over {
			return true, nil
		}
		started := s != nil && (s.State.Running != nil || s.LastTerminationState.Terminated != nil)
		if phase := all[i].Status.Phase; !started && (phase == corev1.PodFailed || phase == corev1.PodSucceeded) {
			return false, fmt.Errorf("the container never ran: %s", state)
		}
		return false, nil
	})
	switch {
	case err == nil:
	case short.Err() != nil:
		err = nil
	case !transient(err):
		err = permanent{err}
	}
	return over, state, err
}

func statusOf(pod *corev1.Pod, container string) *corev1.ContainerStatus {
	for _, list := range [][]corev1.ContainerStatus{pod.Status.ContainerStatuses, pod.Status.InitContainerStatuses} {
		for i := range list {
			if list[i].Name == container {
				return &list[i]
			}
		}
	}
	return nil
}
