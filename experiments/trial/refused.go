package trial

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/compspec/ocifit-lab/provision/wait"
)

const (
	// refusedLook is the time between looks whether the trial's pod can be made at all.
	refusedLook = 2 * time.Second
	// refusedTime and refusedTimes are how long, and how often, its creation must have failed before it is given up.
	refusedTime  = 15 * time.Second
	refusedTimes = 3
)

// unlessRefused does what waits for the trial's pod and its node, and ends it when the pod cannot be made (by a quota, by PodSecurity, by
// another webhook: the API server tells that in events of the job only), or when no machine of its type can be had.
func (a *attempt) unlessRefused(ctx context.Context, await func(context.Context) error) error {
	return unless(ctx, await, a.awaitRefusal, a.awaitShortage)
}

// unless does what waits, and ends it when one of the looks finds why it would wait in vain.
func unless(ctx context.Context, await func(context.Context) error, looks ...func(context.Context) *Failure) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var looking sync.WaitGroup
	for _, look := range looks {
		looking.Go(func() {
			if failure := look(ctx); failure != nil {
				cancel(failure)
			}
		})
	}
	err := await(ctx)
	refusal := context.Cause(ctx)
	cancel(nil)
	looking.Wait()
	if failure, refused := refusal.(*Failure); err != nil && refused {
		return failure
	}
	return err
}

const (
	// pullTime is how long a kubelet may try in vain to get an image: its pauses grow to five minutes, and registries have bad moments.
	pullTime = 5 * time.Minute
	pullLook = 15 * time.Second
)

// awaitPull returns the failure of a trial whose image cannot be had, or nil when ctx ends before.
func (a *attempt) awaitPull(ctx context.Context) *Failure {
	var since time.Time
	var failure *Failure
	err := wait.Until(ctx, "", wait.Every(pullLook), func(context.Context) (bool, string, error) {
		why, lasting := notPulled(a.pods.Pods())
		switch {
		case why == "":
			since = time.Time{}
			return false, "", nil
		case since.IsZero():
			since = time.Now()
		}
		if !lasting && time.Since(since) < pullTime {
			return false, "", nil
		}
		failure = &Failure{"image", errors.New(why)}
		return true, "", nil
	})
	if err != nil {
		return nil
	}
	return failure
}

// What a kubelet calls an image that it cannot get, and whether it tries no more.
var pullReasons = map[string]bool{
	"InvalidImageName": true, "ErrImageNeverPull": true,
	"ErrImagePull": false, "ImagePullBackOff": false, "ImageInspectError": false, "RegistryUnavailable": false, "SignatureValidationFailed": false,
}

// notPulled says which container of the pods waits for its image and why; lasting is what no kubelet tries again.
func notPulled(pods []*corev1.Pod) (why string, lasting bool) {
	for _, p := range pods {
		for _, s := range slices.Concat(p.Status.InitContainerStatuses, p.Status.ContainerStatuses) {
			w := s.State.Waiting
			if w == nil {
				continue
			}
			if lasting, known := pullReasons[w.Reason]; known {
				return fmt.Sprintf("%s for %s: %s: %s", s.Image, s.Name, w.Reason, w.Message), lasting
			}
		}
	}
	return "", false
}

const (
	// shortageAfter is how long a node may take before the provider is asked why it does not come: a scaling group tries other zones first.
	shortageAfter = 3 * time.Minute
	shortageLook  = 30 * time.Second
	// clockSkew is how far the clock of whoever lends machines may be behind.
	clockSkew = 30 * time.Second
)

// awaitShortage returns the failure of a trial whose machine cannot be had, or nil when ctx ends before.
func (a *attempt) awaitShortage(ctx context.Context) *Failure {
	if a.Shortage == nil || a.bound == "" {
		return nil
	}
	began := time.Now()
	if wait.Pause(ctx, cmp.Or(a.shortagePause, shortageAfter)) != nil {
		return nil
	}
	var shortage *Failure
	err := wait.Until(ctx, "", wait.Every(cmp.Or(a.shortagePause, shortageLook)), func(ctx context.Context) (bool, string, error) {
		why, err := a.Shortage(ctx, a.bound, began.Add(-clockSkew))
		if err != nil || why == "" {
			return false, "", nil //nolint:nilerr // who cannot be asked knows of no shortage; the wait itself has a deadline
		}
		shortage = &Failure{"node", fmt.Errorf("%s cannot be had: %s", a.bound, why)}
		return true, "", nil
	})
	if err != nil {
		return nil
	}
	return shortage
}

// awaitRefusal returns the failure of a pod that cannot be made, or nil when ctx ends before.
func (a *attempt) awaitRefusal(ctx context.Context) *Failure {
	began := time.Now()
	var refusal *Failure
	err := wait.Until(ctx, "", wait.Every(refusedLook), func(ctx context.Context) (bool, string, error) {
		if time.Since(began) < refusedTime {
			return false, "", nil
		}
		events, err := a.Cluster.Events(ctx, a.Namespace, "reason=FailedCreate,involvedObject.name="+a.release)
		if err != nil || a.seen.Load() {
			return false, "", nil //nolint:nilerr // the wait for the pod itself tells of a cluster in trouble
		}
		times, last := 0, ""
		for _, e := range events {
			times += max(1, int(seriesCount(e)))
			last = e.Message
		}
		if times < refusedTimes {
			return false, "", nil
		}
		refusal = &Failure{"pod", fmt.Errorf("its creation failed %d times: %s", times, last)}
		return true, "", nil
	})
	if err != nil {
		return nil
	}
	return refusal
}

func seriesCount(e corev1.Event) int32 {
	if e.Series != nil {
		return e.Series.Count
	}
	return e.Count
}
