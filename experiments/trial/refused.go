package trial

import (
	"cmp"
	"context"
	"fmt"
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
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var looking sync.WaitGroup
	for _, look := range []func(context.Context) *Failure{a.awaitRefusal, a.awaitShortage} {
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
