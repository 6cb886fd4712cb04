package trial

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/compspec/ocifit-lab/experiments/study"
	"github.com/compspec/ocifit-lab/provision/kube"
	"github.com/compspec/ocifit-lab/provision/step"
	"github.com/compspec/ocifit-lab/provision/wait"
)

// outageTries is how often a trial is tried while what all trials need is out of order, and outagePauses the times between: a minute in all.
const outageTries = 6

var outagePauses = wait.Backoff{First: 5 * time.Second, Longest: 30 * time.Second}

// Outage is trouble with what all trials need: the API server, the webhook, the registry. The trial has not begun and did not fail.
type Outage struct{ Err error }

func (o *Outage) Error() string { return o.Err.Error() }

// Unwrap gives the trouble itself.
func (o *Outage) Unwrap() error { return o.Err }

// beforePod makes an Outage of an error of the time before there is a pod, when it is one that may pass.
func beforePod(err error) error {
	if err == nil || errors.Is(err, kube.ErrLost) || !mayPass(err) {
		return err
	}
	return &Outage{err}
}

// passing are words of errors whose type was lost on the way through the API server or the webhook.
var passing = []string{
	"failed calling webhook", "connection refused", "connection reset", "i/o timeout", "no such host", "TLS handshake timeout", "no route to host",
	"unexpected EOF", "too many requests", "context deadline exceeded (Client.Timeout", noDecision,
}

func mayPass(err error) bool {
	if kube.Unreachable(err) || apierrors.IsServerTimeout(err) || apierrors.IsTooManyRequests(err) || apierrors.IsServiceUnavailable(err) || apierrors.IsTimeout(err) {
		return true
	}
	text := err.Error()
	for _, words := range passing {
		if strings.Contains(text, words) {
			return true
		}
	}
	return false
}

// outlast counts the tries of one trial during an outage and passes the time between them. It returns the error that ends the study.
type outlast struct {
	tries  int
	pauses *wait.Pauser
}

func (o *outlast) wait(ctx context.Context, t study.Trial, outage *Outage, obs Observer) error {
	if o.pauses == nil {
		o.pauses = outagePauses.Pauser()
	}
	if o.tries++; o.tries == outageTries {
		return step.Try(fmt.Errorf("tried %d times: %w", outageTries, outage), "see `ocifit-lab status`; `ocifit-lab up` repairs what is missing")
	}
	obs.Now(t, "%v; trying again (%d of %d)", outage, o.tries, outageTries-1)
	return o.pauses.Wait(ctx)
}
