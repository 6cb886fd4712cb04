package kube

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"syscall"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"

	"github.com/compspec/ocifit-lab/provision/step"
	"github.com/compspec/ocifit-lab/provision/wait"
)

// Explain adds what to try where an error shows that the cluster cannot be reached or refuses the user.
func (c *Cluster) Explain(err error) error {
	if err == nil || step.HintOf(err) != "" {
		return err
	}
	if lost := c.lost(time.Now(), err); lost != nil {
		return lost
	}
	host := "the cluster"
	if c.Config != nil && c.Config.Host != "" {
		host = c.Config.Host
	}
	var authority x509.UnknownAuthorityError
	var certificate x509.CertificateInvalidError
	switch {
	case errors.As(err, &authority):
		return step.Try(err, "%s belongs to another cluster than the one that answers at %s: run `ocifit-lab status`", c.Kubeconfig, host)
	case errors.As(err, &certificate):
		return step.Try(err, "the certificate of %s is not valid: is this machine's clock right?", host)
	case apierrors.IsUnauthorized(err):
		return step.Try(err, "the credentials in %s are not, or no longer, accepted: log in again or run `ocifit-lab up`", c.Kubeconfig)
	case apierrors.IsForbidden(err) && !apierrors.HasStatusCause(err, corev1.NamespaceTerminatingCause) && !strings.Contains(err.Error(), "admission"):
		return step.Try(err, "the user of %s needs that right in the cluster", c.Kubeconfig)
	case unreachable(err):
		return step.Try(err, "nothing answers at %s: is the lab up? See `ocifit-lab status`, start it with `ocifit-lab up`", host)
	}
	return err
}

// ErrLost marks errors of a cluster that has ended, or that nothing answers for any more: no other request will do better.
var ErrLost = errors.New("the cluster does not run any more")

// lostAfter is the time of Cluster.LostAfter where that is not set.
const lostAfter = 10 * time.Minute

// lost gives the error that ends a wait when requests have met no server since some time, or nil when waiting may help.
func (c *Cluster) lost(since time.Time, err error) error {
	if err == nil || errors.Is(err, ErrLost) {
		return err
	}
	if !transient(err) {
		return nil
	}
	limit := c.LostAfter
	if limit == 0 {
		limit = lostAfter
	}
	var why error
	switch {
	case c.Alive != nil && c.Alive() != nil:
		why = c.Alive()
	case unreachable(err) && time.Since(since) > limit:
		why = fmt.Errorf("no server took a request for %s", limit)
	default:
		return nil
	}
	return step.Try(fmt.Errorf("%w: %w (%w)", ErrLost, why, err), "start it again with `ocifit-lab up`, then run the same command again")
}

// Unreachable tells whether err means that no server took the request, or will any more.
func Unreachable(err error) bool { return err != nil && (errors.Is(err, ErrLost) || unreachable(err)) }

// unreachable tells whether err means that no server took the request.
func unreachable(err error) bool {
	var dns *net.DNSError
	return errors.Is(err, syscall.ECONNREFUSED) || errors.Is(err, syscall.EHOSTUNREACH) || errors.Is(err, syscall.ENETUNREACH) || errors.As(err, &dns)
}

// transient tells whether asking again may help.
func transient(err error) bool {
	var network net.Error
	switch {
	case errors.Is(err, ErrLost), errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return false
	case unreachable(err), errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE),
		errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return true
	case errors.As(err, &network) && network.Timeout():
		return true
	case apierrors.IsServerTimeout(err), apierrors.IsTimeout(err), apierrors.IsTooManyRequests(err),
		apierrors.IsServiceUnavailable(err), apierrors.IsUnexpectedServerError(err):
		return true
	}
	return strings.Contains(err.Error(), "http2: client connection lost")
}

// settling tells whether err is one that passes while a cluster takes in what was just applied: kinds that are not
// served yet, webhooks without endpoints, namespaces on their way out.
func settling(err error) bool {
	switch {
	case meta.IsNoMatchError(err), apierrors.HasStatusCause(err, corev1.NamespaceTerminatingCause), apierrors.IsConflict(err):
		return true
	case apierrors.IsInternalError(err):
		return strings.Contains(err.Error(), "failed calling webhook")
	case apierrors.IsNotFound(err):
		return strings.Contains(err.Error(), "could not find the requested resource")
	}
	return false
}

// retry repeats a request while the cluster takes in what came before it, or no server takes the request.
func (c *Cluster) retry(ctx context.Context, doing string, request func(ctx context.Context) error) error {
	start := time.Now()
	return wait.Retry(ctx, doing, wait.Backoff{First: 50 * time.Millisecond, Longest: 2 * time.Second}, func(ctx context.Context) error {
		err := request(ctx)
		if lost := c.lost(start, err); lost != nil {
			return wait.Stop(lost)
		}
		spent := time.Since(start)
		if err == nil || ctx.Err() != nil || settling(err) && spent < settleTime || transient(err) && spent < reachTime {
			return err
		}
		return wait.Stop(err)
	})
}
