// Package trial runs one trial from installation to removal and records what happened.
package trial

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync/atomic"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/compspec/ocifit-lab/experiments/release"
	"github.com/compspec/ocifit-lab/experiments/schedule"
	"github.com/compspec/ocifit-lab/experiments/store"
	"github.com/compspec/ocifit-lab/experiments/study"
	"github.com/compspec/ocifit-lab/provision/chart"
	"github.com/compspec/ocifit-lab/provision/kube"
	"github.com/compspec/ocifit-lab/provision/wait"
)

// Releaser installs and removes Helm releases.
type Releaser interface {
	// Install replaces whatever an earlier attempt left under the name, and returns the rendered manifest.
	Install(ctx context.Context, name string, ch *chart.Chart, values map[string]any) (manifest string, err error)
	// Uninstall returns when the release and its objects are gone; none is fine.
	Uninstall(ctx context.Context, name string) error
	// List gives the releases that are there.
	List(ctx context.Context) ([]release.Info, error)
}

// Runner runs the trials of one study on one cluster. Its methods are safe for concurrent use.
type Runner struct {
	Study       *study.Study
	Store       *store.Run
	Cluster     *kube.Cluster
	Helm        Releaser
	Chart       *chart.Chart // its digest is recorded with each trial
	Namespace   string
	ArtifactRef string
	// Skip lists instance types that no decision may choose.
	Skip []string
	// Prices per hour in USD by instance type.
	Prices map[string]float64
	// Budget limits what the run may cost; nil does not.
	Budget *Budget
	// Limits bound what runs side by side; its Parallel is set by RunAll.
	Limits schedule.Limits
	// Exclusive says that the chart's trials ask for most of a node's disk (value minicluster.storage), so that the cluster itself keeps two
	// from sharing a node and a type may have several nodes. Without it a type has one trial at a time.
	Exclusive bool
	// Replacer is needed for a study with fresh nodes.
	Replacer NodeReplacer
	// Shortage says why no machine of a type came since a moment, or "" when nobody knows; nil where nobody can be asked.
	Shortage func(ctx context.Context, instanceType string, since time.Time) (string, error)

	shortagePause time.Duration // tests: in the place of both pauses before Shortage is asked
	served        served
	artifact      artifact
	// one runs a trial once; tests put their own in its place.
	one func(ctx context.Context, t study.Trial, now func(format string, args ...any)) (store.Trial, error)
}

func (r *Runner) run(ctx context.Context, t study.Trial, slot *slot, now func(format string, args ...any)) (store.Trial, error) {
	if r.one != nil {
		return r.one(ctx, t, now)
	}
	return r.attempt(ctx, t, slot, now)
}

// Failure is a trial that ended without a usable result. Other errors concern the run as a whole.
type Failure struct {
	Phase string
	Err   error
}

func (f *Failure) Error() string { return f.Phase + ": " + f.Err.Error() }
func (f *Failure) Unwrap() error { return f.Err }

const (
	// cleanupTimeout bounds the removal of a trial that was interrupted; the program is about to end then.
	cleanupTimeout = 30 * time.Second
	manifestFile   = "manifest.yaml"
	podFile        = "pod.json"
	podTimeFile    = "pod-time.txt"
	eventsFile     = "events.json"
)

// attempt is one try at one trial.
type attempt struct {
	*Runner
	trial   study.Trial
	slot    *slot // nil for a trial that runs alone
	release string
	dir     string
	now     func(format string, args ...any)
	record  store.Trial
	pod     *corev1.Pod
	node    *corev1.Node
	place   *store.Attempt
	bound   string      // the instance type that the decision chose; empty when it bound none
	seen    atomic.Bool // there was a pod
	// installed says that the release is there with all that belongs to it.
	installed bool
	pods      *kube.PodWatch // the trial's pods, from before its installation until they are gone
}

// attempt makes one attempt at a trial. now is told what it is doing. A *Failure says that the trial failed and has been
// recorded as such; the release is gone in any case, unless the error says otherwise.
func (r *Runner) attempt(ctx context.Context, t study.Trial, slot *slot, now func(format string, args ...any)) (store.Trial, error) {
	place, err := r.Store.Begin(t.Arm.Name, t.N, t.Warmup)
	if err != nil {
		return store.Trial{}, err
	}
	a := &attempt{
		Runner: r, trial: t, slot: slot, now: now, place: place, dir: place.Dir(),
		release: releaseName(r.Study.Application, r.Store.ID(), t),
		record:  place.Record(),
	}
	a.record.Release, a.record.Namespace = a.release, r.Namespace
	a.record.Chart = r.Chart.Name() + "-" + r.Chart.Metadata.Version + "@" + r.Chart.Digest
	// The watch outlives the request to stop, for the removal needs it.
	a.pods = r.Cluster.WatchPods(context.WithoutCancel(ctx), r.Namespace, jobSelector(a.release))
	defer a.pods.Stop()
	err = a.run(ctx)
	// A trial that is complete counts, also when what it ran in cannot be removed.
	gone := a.remove(ctx)
	err = end(ctx, place, a.record, err)
	a.leave(ctx)
	if gone != nil {
		err = errors.Join(err, gone)
	}
	return a.record, err
}

// end closes the attempt in the store as its error says.
func end(ctx context.Context, place *store.Attempt, record store.Trial, err error) error {
	failure, own := ownFailure(err)
	switch {
	case err == nil:
		err = place.Commit(record)
		var rejection *store.Rejection
		if errors.As(err, &rejection) {
			return &Failure{"log", err}
		}
		return err
	case ctx.Err() != nil:
		return errors.Join(err, place.Discard())
	case own && failure != nil:
		record.Verdict, record.Reason = store.Failed, err.Error()
		return errors.Join(err, place.Fail(record))
	}
	return errors.Join(err, place.Discard())
}

func (a *attempt) run(ctx context.Context) error {
	if err := a.reserve(ctx); err != nil {
		return err
	}
	for _, phase := range []struct {
		name    string
		timeout study.Duration
		do      func(context.Context) error
	}{
		{"installing", a.Study.Deadlines.Removed, a.install},
		{"looking at the decision", a.Study.Deadlines.Removed, a.awaitDecision},
		{"waiting for a node", a.Study.Deadlines.Scheduled, a.awaitScheduled},
		{"starting", a.Study.Deadlines.Ready, a.awaitStarted},
		{"running", a.Study.Deadlines.Run, a.follow},
		{"recording", a.Study.Deadlines.Removed, a.settle},
	} {
		a.now("%s", phase.name)
		if err := within(ctx, time.Duration(phase.timeout), phase.do); err != nil {
			a.collect(ctx)
			return fmt.Errorf("%s: %w", phase.name, err)
		}
	}
	return nil
}

func within(ctx context.Context, timeout time.Duration, do func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	return do(ctx)
}

func (a *attempt) install(ctx context.Context) error {
	values, err := a.values(a.trial)
	if err != nil {
		return err
	}
	manifest, err := a.Helm.Install(ctx, a.release, a.Chart, values)
	if err != nil {
		return beforePod(&Failure{"helm install", err})
	}
	a.installed = true
	return a.place.WriteFile(manifestFile, []byte(manifest))
}

func jobSelector(job string) string { return "job-name=" + job }

func (a *attempt) awaitScheduled(ctx context.Context) error {
	err := a.unlessRefused(ctx, func(ctx context.Context) error {
		return a.await(ctx, func(p *corev1.Pod) (bool, error) {
			a.seen.Store(true)
			return p.Spec.NodeName != "" || over(p), nil
		})
	})
	if err != nil {
		a.slot.lost(ctx)
		return err
	}
	return a.remember()
}

func (a *attempt) awaitStarted(ctx context.Context) error {
	err := unless(ctx, func(ctx context.Context) error { return a.await(ctx, a.started) }, a.awaitPull)
	if err != nil || over(a.pod) { // the node of one that is over is looked at when it is recorded
		return err
	}
	return a.lookAtNode(ctx)
}

// started tells whether the trial's container has begun.
func (a *attempt) started(p *corev1.Pod) (bool, error) {
	for _, s := range p.Status.ContainerStatuses {
		if s.Name == a.release && (s.State.Running != nil || s.State.Terminated != nil) {
			return true, nil
		}
	}
	return over(p), nil
}

// lookAtNode reads the node of the pod. One that went since the last look is known from then: a trial that ended well may lose it to the
// autoscaler, or to whoever lent it.
func (a *attempt) lookAtNode(ctx context.Context) error {
	node, err := a.Cluster.Clientset.CoreV1().Nodes().Get(ctx, a.pod.Spec.NodeName, metav1.GetOptions{})
	switch {
	case apierrors.IsNotFound(err) && a.node != nil && a.node.Name == a.pod.Spec.NodeName:
		return nil
	case apierrors.IsNotFound(err):
		return machineGone(err)
	case err != nil:
		return &Failure{"node", err}
	}
	a.node = node
	return nil
}

func (a *attempt) await(ctx context.Context, cond func(*corev1.Pod) (bool, error)) error {
	pod, err := a.pods.Wait(ctx, cond)
	if err != nil {
		return &Failure{"pod", err}
	}
	a.pod = pod
	return nil
}

// follow writes the log while the trial runs, and waits for the pod's end.
func (a *attempt) follow(ctx context.Context) error {
	if err := a.podTime(); err != nil {
		return err
	}
	file, err := os.Create(filepath.Join(a.dir, a.Store.LogName()))
	if err != nil {
		return err
	}
	defer file.Close()
	w := &diskWriter{file: file}
	read := a.Cluster.StreamLogs
	if over(a.pod) {
		read = a.Cluster.CopyLogs
	}
	if err := read(ctx, a.Namespace, a.pod.Name, a.release, w); err != nil {
		if w.err != nil {
			return w.err
		}
		return a.whyNoLog(ctx, err)
	}
	if err := errors.Join(file.Sync(), file.Close()); err != nil {
		return err
	}
	return a.await(ctx, func(p *corev1.Pod) (bool, error) { return over(p), nil })
}

func machineGone(err error) error {
	return &Failure{"node", fmt.Errorf("its machine went away while it ran: %w", err)}
}

// whyNoLog tells what became of a pod whose log cannot be read to its end: its machine may be gone, or it itself.
func (a *attempt) whyNoLog(ctx context.Context, err error) error {
	core := a.Cluster.Clientset.CoreV1()
	if _, gone := core.Nodes().Get(ctx, a.pod.Spec.NodeName, metav1.GetOptions{}); apierrors.IsNotFound(gone) {
		return machineGone(err)
	}
	if pod, gone := core.Pods(a.Namespace).Get(ctx, a.pod.Name, metav1.GetOptions{}); apierrors.IsNotFound(gone) || gone == nil && pod.DeletionTimestamp != nil {
		return &Failure{"pod", fmt.Errorf("it was evicted or deleted while it ran: %w", err)}
	}
	return &Failure{"log", err}
}

// diskWriter remembers that writing failed: a full disk is no fault of the trial.
type diskWriter struct {
	file *os.File
	err  error
}

func (w *diskWriter) Write(p []byte) (int, error) {
	n, err := w.file.Write(p)
	if err != nil {
		w.err = err
	}
	return n, err
}

func over(p *corev1.Pod) bool {
	return p.Status.Phase == corev1.PodSucceeded || p.Status.Phase == corev1.PodFailed
}

// settle records the finished pod and checks what it claims.
func (a *attempt) settle(ctx context.Context) error {
	if err := a.lookAtNode(ctx); err != nil { // again: labels of what is discovered may come after the pod
		return err
	}
	if err := a.describe(); err != nil {
		return &Failure{"record", err}
	}
	if err := a.evidence(ctx); err != nil {
		return err
	}
	return a.check()
}

// remove takes the trial away, also when the program has been asked to stop.
func (a *attempt) remove(ctx context.Context) error {
	a.now("removing")
	timeout := time.Duration(a.Study.Deadlines.Removed)
	if ctx.Err() != nil {
		timeout = cleanupTimeout
	}
	ctx, cancel := outliving(ctx, timeout)
	defer cancel()
	return a.uninstall(ctx, a.release, a.installed, func(ctx context.Context) error {
		if err := a.pods.WaitGone(ctx); err == nil || ctx.Err() != nil {
			return err
		}
		// The watch ended with an outage that is over.
		return a.podsGone(a.release)(ctx)
	})
}

// outliving is a context that goes on for cleanupTimeout after ctx was cancelled, and for limit in all.
func outliving(ctx context.Context, limit time.Duration) (context.Context, context.CancelFunc) {
	longer, cancel := context.WithTimeout(context.WithoutCancel(ctx), limit)
	stop := context.AfterFunc(ctx, func() {
		if wait.Pause(longer, cleanupTimeout) == nil {
			cancel()
		}
	})
	return longer, func() { stop(); cancel() }
}
