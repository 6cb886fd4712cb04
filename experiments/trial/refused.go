package trial

import (
	"context"
	"fmt"
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

// unlessRefused does what waits for the trial's pod and ends it when the pod cannot be made: by a quota, by PodSecurity, by another
// webhook. The API server tells that in events of the job only.
func (a *attempt) unlessRefused(ctx context.Context, await func(context.Context) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	looked := make(chan struct{})
	go func() {
		defer close(looked)
		cancel(a.awaitRefusal(ctx))
	}()
	err := await(ctx)
	refusal := context.Cause(ctx)
	cancel(nil)
	<-looked
	if failure, refused := refusal.(*Failure); err != nil && refused {
		return failure
	}
	return err
}

// awaitRefusal returns the failure of a pod that cannot be made, or nil when ctx ends before.
func (a *attempt) awaitRefusal(ctx context.Context) error {
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
	if err != nil || refusal == nil {
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
