package trial

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	dynamicfake "k8s.io/client-go/dynamic/fake"
	"k8s.io/client-go/kubernetes/fake"

	"github.com/compspec/ocifit-lab/experiments/breaker"
	"github.com/compspec/ocifit-lab/experiments/release"
	"github.com/compspec/ocifit-lab/experiments/store"
	"github.com/compspec/ocifit-lab/experiments/store/storetest"
	"github.com/compspec/ocifit-lab/experiments/study"
	"github.com/compspec/ocifit-lab/provision/chart"
	"github.com/compspec/ocifit-lab/provision/kube"
	"github.com/compspec/ocifit-lab/provision/step"
	"github.com/compspec/ocifit-lab/webhook/compat"
)

var errRefused = errors.New("Internal error occurred: failed calling webhook \"select.ocifit\": dial tcp 127.0.0.1:9443: connect: connection refused")

// noted is an observer that keeps what it is told.
type noted struct {
	mu    sync.Mutex
	now   []string
	ended []error
}

func (n *noted) Now(_ study.Trial, format string, args ...any) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.now = append(n.now, fmt.Sprintf(format, args...))
}

func (n *noted) Ended(_ study.Trial, _ store.Trial, err error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.ended = append(n.ended, err)
}

// helm is a Releaser that only knows names.
type helm struct {
	names []string
	gone  []string
}

func (h *helm) Install(context.Context, string, *chart.Chart, map[string]any) (string, error) {
	return "", nil
}

func (h *helm) Uninstall(_ context.Context, name string) error {
	h.gone = append(h.gone, name)
	return nil
}

func (h *helm) List(context.Context) ([]release.Info, error) {
	var infos []release.Info
	for _, n := range h.names {
		infos = append(infos, release.Info{Name: n})
	}
	return infos, nil
}

func miniCluster(name string, labels, annotations map[string]string) *unstructured.Unstructured {
	o := &unstructured.Unstructured{}
	o.SetGroupVersionKind(schema.GroupVersionKind{Group: miniClusters.Group, Version: miniClusters.Version, Kind: "MiniCluster"})
	o.SetNamespace("trials")
	o.SetName(name)
	o.SetLabels(labels)
	o.SetAnnotations(annotations)
	return o
}

func fakeCluster(objects ...runtime.Object) *kube.Cluster {
	dynamic := dynamicfake.NewSimpleDynamicClientWithCustomListKinds(runtime.NewScheme(), map[schema.GroupVersionResource]string{
		miniClusters: "MiniClusterList", jobs: "JobList", pods: "PodList",
	}, objects...)
	return &kube.Cluster{Clientset: fake.NewClientset(), Dynamic: dynamic, Namespace: "trials"}
}

func fakeRunner(t *testing.T, h *helm, one func(n int) error, objects ...runtime.Object) *Runner {
	t.Helper()
	s := storetest.Study(t, 5, 1, study.Arm{Name: "random", Model: "random", Tasks: "cores"})
	run, err := store.Create(t.TempDir(), store.Info{Study: s})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { run.Close() })
	n := 0
	return &Runner{
		Study: s, Store: run, Cluster: fakeCluster(objects...), Helm: h, Namespace: "trials",
		one: func(context.Context, study.Trial, func(string, ...any)) (store.Trial, error) {
			n++
			return store.Trial{}, one(n)
		},
	}
}

func five() []study.Trial {
	var trials []study.Trial
	for n := 1; n <= 5; n++ {
		trials = append(trials, planned("random", "random", n))
	}
	return trials
}

func TestOutageIsOutlasted(t *testing.T) {
	r := fakeRunner(t, &helm{}, func(n int) error {
		if n < 4 {
			return beforePod(&Failure{"helm install", errRefused})
		}
		return nil
	})
	synctest.Test(t, func(t *testing.T) {
		obs, began := &noted{}, time.Now()
		if err := r.attempts(t.Context(), planned("random", "random", 1), nil, obs); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(began); took < 20*time.Second || took > 30*time.Second {
			t.Errorf("the pauses took %s", took)
		}
		if len(obs.ended) != 1 || obs.ended[0] != nil || len(obs.now) != 3 || !strings.Contains(obs.now[0], "connection refused; trying again (1 of 5)") {
			t.Errorf("told: %q, ended: %v", obs.now, obs.ended)
		}
	})
}

// An outage that stays ends the study, and no trial is marked as failed for it.
func TestOutageEndsTheStudy(t *testing.T) {
	r := fakeRunner(t, &helm{}, func(int) error { return beforePod(&Failure{"helm install", errRefused}) })
	synctest.Test(t, func(t *testing.T) {
		obs := &noted{}
		failed, err := r.RunAll(t.Context(), five(), 1, obs)
		if failed != 0 || !errors.Is(err, errRefused) || !strings.Contains(step.HintOf(err), "`ocifit-lab up`") {
			t.Errorf("%d failed, error %v, hint %q", failed, err, step.HintOf(err))
		}
		if len(obs.ended) != 1 {
			t.Errorf("%d trials were tried", len(obs.ended))
		}
	})
}

func TestLostClusterEndsTheStudy(t *testing.T) {
	r := fakeRunner(t, &helm{}, func(int) error {
		return fmt.Errorf("running: %w", &Failure{"log", fmt.Errorf("read: %w", kube.ErrLost)})
	})
	obs := &noted{}
	failed, err := r.RunAll(t.Context(), five(), 1, obs)
	if failed != 0 || !errors.Is(err, kube.ErrLost) || len(obs.ended) != 1 {
		t.Errorf("%d failed, %d tried, error %v", failed, len(obs.ended), err)
	}
}

// The attempt of a lab that was lost is interrupted, not failed.
func TestLostClusterInterruptsTheTrial(t *testing.T) {
	r := fakeRunner(t, &helm{}, func(int) error { return nil })
	for name, c := range map[string]struct {
		err    error
		failed bool
	}{
		"lost":     {&Failure{"log", fmt.Errorf("read: %w", kube.ErrLost)}, false},
		"outage":   {&Outage{&Failure{"webhook", errRefused}}, false},
		"artifact": {ErrArtifactChanged, false},
		"own":      {&Failure{"container", errors.New("exit code 1")}, true},
	} {
		place, err := r.Store.Begin("random", 1, false)
		if err != nil {
			t.Fatal(err)
		}
		if err := end(t.Context(), place, place.Record(), c.err); !errors.Is(err, c.err) {
			t.Errorf("%s: got %v", name, err)
		}
		left, err := filepath.Glob(filepath.Join(r.Store.Dir(), "logs", "*", "random", "1.failed-*"))
		if failed := len(left) > 0; err != nil || failed != c.failed {
			t.Errorf("%s: failed is %t", name, failed)
		}
		if c.failed {
			break
		}
	}
}

func TestOneReasonStopsItsArm(t *testing.T) {
	s := storetest.Study(t, 5, 1, study.Arm{Name: "random", Model: "random", Tasks: "cores"}, study.Arm{Name: "fom-model", Model: "fom", Tasks: "cores"})
	var trials []study.Trial
	for n := 1; n <= 5; n++ {
		trials = append(trials, planned("fom-model", "fom", n), planned("random", "random", n))
	}
	for _, parallel := range []int{1, 4} {
		r := fakeRunner(t, &helm{}, nil)
		r.Study, r.Study.Retries = s, 0
		r.one = func(_ context.Context, trial study.Trial, _ func(string, ...any)) (store.Trial, error) {
			if trial.Arm.Name == "fom-model" {
				return store.Trial{}, &Failure{"node", errors.New("hpc7g.16xlarge cannot be had")}
			}
			return store.Trial{}, nil
		}
		obs := &noted{}
		failed, err := r.RunAll(t.Context(), trials, parallel, obs)
		if !errors.Is(err, breaker.ErrOpen) || !strings.Contains(err.Error(), "arm fom-model was stopped") || !strings.Contains(err.Error(), "cannot be had") {
			t.Errorf("parallel %d: %v", parallel, err)
		}
		random := 0
		for _, err := range obs.ended {
			if err == nil {
				random++
			}
		}
		if random != 5 || failed < sameFailures || parallel == 1 && (failed != sameFailures || !strings.Contains(err.Error(), "2 more of its trials were not started")) {
			t.Errorf("parallel %d: %d trials of the other arm, %d failed; %v", parallel, random, failed, err)
		}
	}
}

func TestOnlyTheSameReasonCounts(t *testing.T) {
	forbidden := func(n int) error {
		return &Failure{"pod", fmt.Errorf("its creation failed 3 times: pods \"hpcg-1a2b3c4d-%d\" is forbidden", n)}
	}
	for name, c := range map[string]struct {
		one    func(n int) error
		failed int
		open   bool
	}{
		"forbidden pods":  {forbidden, 3, true},
		"the application": {func(int) error { return &Failure{"container", errors.New("exit code 1")} }, 5, false},
		"now and then":    {func(n int) error { return map[bool]error{true: forbidden(n)}[n%3 != 0] }, 4, false},
		"one reason, one not": {func(n int) error {
			return map[bool]error{true: forbidden(n), false: &Failure{"node", errRefused}}[n%3 != 0]
		}, 5, false},
	} {
		t.Run(name, func(t *testing.T) {
			r := fakeRunner(t, &helm{}, c.one)
			r.Study.Retries = 0
			failed, err := r.RunAll(t.Context(), five(), 1, &noted{})
			if failed != c.failed || errors.Is(err, breaker.ErrOpen) != c.open {
				t.Errorf("%d failed, error %v", failed, err)
			}
		})
	}
}

// A trial does not wait for a machine that cannot be had, nor gives up one of which nothing is known.
// An image that nobody can pull ends the wait for its container: what cannot succeed at once, the rest after some tries of the kubelet. One that
// came after a bad moment of its registry does not.
func TestImageThatCannotBePulled(t *testing.T) {
	for name, tc := range map[string]struct {
		reason string
		init   bool
		heals  bool
		want   string
		after  time.Duration
	}{
		"not there":           {reason: "ImagePullBackOff", want: "image: example.org/a:v1 for main: ImagePullBackOff: it is not there", after: pullTime},
		"of flux":             {reason: "ErrImagePull", init: true, want: "image: example.org/a:v1 for main: ErrImagePull: it is not there", after: pullTime},
		"no name":             {reason: "InvalidImageName", want: "image: example.org/a:v1 for main: InvalidImageName: it is not there", after: 0},
		"a bad moment":        {reason: "ErrImagePull", heals: true},
		"waits for something": {reason: "ContainerCreating"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				status := []corev1.ContainerStatus{{Name: "main", Image: "example.org/a:v1", State: corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: tc.reason, Message: "it is not there"}}}}
				pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "p", Namespace: "trials"}, Status: corev1.PodStatus{Phase: corev1.PodPending, ContainerStatuses: status}}
				if tc.init {
					pod.Status.InitContainerStatuses, pod.Status.ContainerStatuses = status, nil
				}
				cluster := &kube.Cluster{Clientset: fake.NewClientset(pod), Namespace: "trials"}
				a := &attempt{pods: cluster.WatchPods(t.Context(), "trials", ""), Runner: &Runner{Namespace: "trials", Cluster: cluster}}
				defer a.pods.Stop()
				ctx, cancel := context.WithTimeout(t.Context(), 20*time.Minute)
				defer cancel()
				if tc.heals {
					time.AfterFunc(pullTime/2, func() {
						well := pod.DeepCopy()
						well.Status.ContainerStatuses[0].State = corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: "ContainerCreating"}}
						if _, err := cluster.Clientset.CoreV1().Pods("trials").UpdateStatus(context.Background(), well, metav1.UpdateOptions{}); err != nil {
							t.Error(err)
						}
					})
				}
				began := time.Now()
				err := unless(ctx, func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }, a.awaitPull)
				took := time.Since(began)
				switch {
				case tc.want == "":
					if !errors.Is(err, context.DeadlineExceeded) {
						t.Errorf("%v after %s", err, took)
					}
				case err == nil || err.Error() != tc.want || took < tc.after || took > tc.after+time.Minute:
					t.Errorf("%v after %s", err, took)
				}
			})
		})
	}
}

func TestShortageEndsTheWait(t *testing.T) {
	asked := 0
	a := &attempt{bound: "hpc7g.16xlarge", Runner: &Runner{Namespace: "trials", Cluster: fakeCluster(), shortagePause: time.Millisecond}}
	a.Shortage = func(_ context.Context, instanceType string, since time.Time) (string, error) {
		if instanceType != "hpc7g.16xlarge" || since.After(time.Now()) {
			t.Errorf("asked for %s since %s", instanceType, since)
		}
		switch asked++; asked {
		case 1:
			return "", nil
		case 2:
			return "", errRefused
		}
		return "InsufficientInstanceCapacity - none in us-east-1a", nil
	}
	err := a.unlessRefused(t.Context(), func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() })
	var failure *Failure
	if !errors.As(err, &failure) || failure.Phase != "node" || !strings.Contains(err.Error(), "hpc7g.16xlarge cannot be had: InsufficientInstanceCapacity") || asked != 3 {
		t.Errorf("%v after %d looks", err, asked)
	}
	for name, change := range map[string]func(*attempt){"nobody to ask": func(a *attempt) { a.Shortage = nil }, "no type": func(a *attempt) { a.bound = "" }} {
		quiet := &attempt{bound: a.bound, Runner: &Runner{Namespace: "trials", Cluster: fakeCluster(), shortagePause: a.shortagePause, Shortage: a.Shortage}}
		change(quiet)
		if err := quiet.unlessRefused(t.Context(), func(context.Context) error { return nil }); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// A node may go as soon as its pod has ended; the trial that ran there counts all the same.
func TestNodeThatWent(t *testing.T) {
	pod := &corev1.Pod{Spec: corev1.PodSpec{NodeName: "n"}}
	labels := map[string]string{corev1.LabelInstanceTypeStable: "c7a.12xlarge"}
	client := fake.NewClientset(&corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "n", Labels: labels}})
	a := &attempt{Runner: &Runner{Cluster: &kube.Cluster{Clientset: client}}, pod: pod}
	if err := a.lookAtNode(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := client.CoreV1().Nodes().Delete(t.Context(), "n", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	if err := a.lookAtNode(t.Context()); err != nil || a.node.Labels[corev1.LabelInstanceTypeStable] != "c7a.12xlarge" {
		t.Errorf("%v, %v", a.node, err)
	}
	a.pod = &corev1.Pod{Spec: corev1.PodSpec{NodeName: "other"}}
	var failure *Failure
	if err := a.lookAtNode(t.Context()); !errors.As(err, &failure) || failure.Phase != "node" || !strings.Contains(err.Error(), "its machine went away") {
		t.Errorf("a node that was never seen: %v", err)
	}
}

func TestSweepRemovesWhatAKilledProgramLeft(t *testing.T) {
	mine := map[string]string{LabelRun: "20260101-000000-aaaaaaaa"}
	h := &helm{names: []string{"hpcg-1a2b3c4d-1", "hpcg-1a2b3c4d-w2", "grafana"}}
	r := fakeRunner(t, h, func(int) error { return nil }, miniCluster("hpcg-1a2b3c4d-1", mine, nil), miniCluster("without-release", mine, nil), miniCluster("of-a-user", nil, nil))
	if _, err := r.RunAll(t.Context(), nil, 1, &noted{}); err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(h.gone, " "); got != "hpcg-1a2b3c4d-1 hpcg-1a2b3c4d-w2 without-release" {
		t.Errorf("removed %s", got)
	}
	left, err := r.Cluster.Dynamic.Resource(miniClusters).Namespace("trials").List(t.Context(), metav1.ListOptions{})
	if err != nil || len(left.Items) != 1 || left.Items[0].GetName() != "of-a-user" {
		t.Errorf("left: %v, %v", left, err)
	}
}

func TestDecisionIsLookedAtBeforeThePod(t *testing.T) {
	decided := func(digest string) map[string]string {
		text, err := compat.Decision{Model: "fom", InstanceType: "a", ArtifactDigest: digest}.Annotation()
		if err != nil {
			t.Fatal(err)
		}
		return map[string]string{compat.AnnotationDecision: text}
	}
	r := &Runner{Namespace: "trials", Cluster: fakeCluster(miniCluster("first", nil, decided("sha256:a")), miniCluster("same", nil, decided("sha256:a")),
		miniCluster("other", nil, decided("sha256:b")), miniCluster("none", nil, nil))}
	look := func(name string) error { return (&attempt{Runner: r, release: name}).awaitDecision(t.Context()) }
	for _, name := range []string{"first", "same"} {
		if err := look(name); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := look("other"); !errors.Is(err, ErrArtifactChanged) || !strings.Contains(err.Error(), "sha256:b") || step.HintOf(err) == "" {
		t.Errorf("another artifact: %v", err)
	}
	outage := new(Outage)
	if err := look("none"); !errors.As(err, &outage) || !strings.Contains(err.Error(), "carries no decision") {
		t.Errorf("no decision: %v", err)
	}
}

func refusedAttempt(events ...runtime.Object) *attempt {
	return &attempt{Runner: &Runner{Namespace: "trials", Cluster: &kube.Cluster{Clientset: fake.NewClientset(events...)}}, release: "hpcg-1a2b3c4d-1"}
}

func TestPodThatCannotBeMadeEndsTheTrial(t *testing.T) {
	forbidden := &corev1.Event{ObjectMeta: metav1.ObjectMeta{Namespace: "trials", Name: "e"}, Reason: "FailedCreate", Count: 4, Message: "violates PodSecurity"}
	never := func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		var failure *Failure
		err := refusedAttempt(forbidden).unlessRefused(t.Context(), never)
		if !errors.As(err, &failure) || err.Error() != "pod: its creation failed 4 times: violates PodSecurity" || time.Since(began) > 20*time.Second {
			t.Errorf("after %s: %v", time.Since(began), err)
		}
	})
	synctest.Test(t, func(t *testing.T) { // one that passes is waited for
		once := forbidden.DeepCopy()
		once.Count = 1
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if err := refusedAttempt(once).unlessRefused(ctx, never); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%v", err)
		}
		if err := refusedAttempt(forbidden).unlessRefused(ctx, func(context.Context) error { return nil }); err != nil {
			t.Errorf("a pod that came: %v", err)
		}
	})
}

func TestCleaningUpEndsSoonAfterCtrlC(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, interrupt := context.WithCancel(t.Context())
		removal, cancel := outliving(ctx, 5*time.Minute)
		defer cancel()
		time.Sleep(time.Minute)
		began := time.Now()
		interrupt()
		<-removal.Done()
		if took := time.Since(began); took != cleanupTimeout {
			t.Errorf("it went on for %s", took)
		}
	})
}
