package playback

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/kubernetes/fake"
	k8stesting "k8s.io/client-go/testing"

	"github.com/compspec/ocifit-lab/experiments/application"
	"github.com/compspec/ocifit-lab/experiments/application/hpcg"
	"github.com/compspec/ocifit-lab/experiments/application/stream"
	"github.com/compspec/ocifit-lab/experiments/replay"
	"github.com/compspec/ocifit-lab/provision/simulated"
	"github.com/compspec/ocifit-lab/templates"
)

// stepClock is simulated time that moves by sleeping alone. A gate, when given, holds every sleep until it is opened.
type stepClock struct {
	mu   sync.Mutex
	now  time.Time
	gate chan struct{}
}

func (c *stepClock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *stepClock) Sleep(ctx context.Context, d time.Duration) error {
	if c.gate != nil {
		select {
		case <-c.gate:
		case <-ctx.Done():
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
	return ctx.Err()
}

var rehearsers = []application.Rehearser{hpcg.Rehearser{}, stream.Rehearser{}}

var noon = time.Date(2025, 7, 21, 12, 0, 0, 0, time.UTC)

type stage struct {
	t    *testing.T
	kube *fake.Clientset
	dir  string
}

func open(t *testing.T, opts Options, existing ...runtime.Object) *stage {
	t.Helper()
	s := &stage{t: t, kube: fake.NewClientset(existing...), dir: t.TempDir()}
	watching := make(chan struct{})
	// The stand-in forgets what happens between a list and its watch.
	s.kube.PrependWatchReactor("pods", func(action k8stesting.Action) (bool, watch.Interface, error) {
		w, err := s.kube.Tracker().Watch(action.GetResource(), action.GetNamespace())
		close(watching)
		return true, w, err
	})
	if opts.Clock == nil {
		opts.Clock = &stepClock{now: noon}
	}
	opts.LogDir = filepath.Join(s.dir, "logs")
	opts.Rehearsers = rehearsers
	opts.Log = func(format string, args ...any) { t.Logf(format, args...) }
	opts.Types = map[string]templates.InstanceType{"hpc7g.16xlarge": {Name: "hpc7g.16xlarge", Architecture: "arm64", VCPU: 64, Cores: 64}}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- run(ctx, s.kube, opts) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	<-watching
	return s
}

func node(name, instanceType string, annotations map[string]string) *corev1.Node {
	n := &corev1.Node{ObjectMeta: metav1.ObjectMeta{
		Name: name, UID: types.UID(name), Annotations: annotations,
		Labels: map[string]string{corev1.LabelInstanceTypeStable: instanceType, corev1.LabelArchStable: "amd64", "feature.node.kubernetes.io/cpu-hardware_multithreading": "true"},
	}}
	n.Status.Capacity = corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("32")}
	return n
}

func pod(name, nodeName, image string, env map[string]string) *corev1.Pod {
	c := corev1.Container{Name: name, Image: image, Env: []corev1.EnvVar{{Name: application.EnvApplication, Value: "hpcg"}, {Name: application.EnvExclusive, Value: "true"}, {Name: application.EnvSaveLogs, Value: "true"}}}
	for k, v := range env {
		c.Env = append(c.Env, corev1.EnvVar{Name: k, Value: v})
	}
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: "study", Name: name + "-0-abcde", UID: types.UID("uid-" + name),
			Labels:      map[string]string{batchv1.JobNameLabel: name, labelTrial: "1"},
			Annotations: map[string]string{simulated.WorkloadAnnotation: "hpcg", batchv1.JobCompletionIndexAnnotation: "0"},
		},
		Spec: corev1.PodSpec{
			NodeName: nodeName, Hostname: name + "-0", Containers: []corev1.Container{c}, InitContainers: []corev1.Container{{Name: "flux-view", Image: "flux"}},
		},
	}
}

func (s *stage) create(p *corev1.Pod) {
	s.t.Helper()
	if _, err := s.kube.CoreV1().Pods(p.Namespace).Create(s.t.Context(), p, metav1.CreateOptions{}); err != nil {
		s.t.Fatal(err)
	}
}

func (s *stage) until(what string, check func() error) {
	s.t.Helper()
	deadline := time.Now().Add(30 * time.Second)
	for {
		err := check()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			s.t.Fatalf("%s: %v", what, err)
		}
		time.Sleep(2 * time.Millisecond)
	}
}

// reaches waits for a phase and returns the pod's note.
func (s *stage) reaches(p *corev1.Pod, phase string) (*corev1.Pod, replay.Note) {
	s.t.Helper()
	var have *corev1.Pod
	s.until(p.Name, func() (err error) {
		have, err = s.kube.CoreV1().Pods(p.Namespace).Get(s.t.Context(), p.Name, metav1.GetOptions{})
		if err == nil && have.Annotations[simulated.PhaseAnnotation] != phase {
			err = fmt.Errorf("annotations are %v", have.Annotations)
		}
		return err
	})
	note, _, err := replay.Of(have.Annotations)
	if err != nil {
		s.t.Fatal(err)
	}
	return have, note
}

func (s *stage) read(p *corev1.Pod, file string) string {
	s.t.Helper()
	b, err := os.ReadFile(filepath.Join(s.dir, "logs", p.Namespace+"_"+p.Name, file))
	if err != nil {
		s.t.Fatal(err)
	}
	return string(b)
}

func TestPlaysATrial(t *testing.T) {
	for _, instant := range []bool{true, false} {
		t.Run(fmt.Sprintf("instant %v", instant), func(t *testing.T) {
			came := map[string]string{simulated.RequestedAnnotation: noon.Format(time.RFC3339), simulated.CreatedAnnotation: noon.Add(92 * time.Second).Format(time.RFC3339)}
			s := open(t, Options{Instant: instant, Seed: 5}, node("n1", "hpc7g.16xlarge", came))
			p := pod("fom-7", "n1", "ghcr.io/x/hpcg-matrix:neoverse-v2-O2-arm", map[string]string{application.EnvTasks: "$(nproc)"})
			s.create(p)
			_, note := s.reaches(p, simulated.PhaseSucceeded)
			if !note.Simulated || note.Source != replay.Measured || !strings.Contains(note.Rule, "64 ranks") || note.NodeStartSeconds != 92 ||
				note.ImagePullSeconds != 25 || note.RunSeconds < 40 || note.RunSeconds > 70 {
				t.Errorf("%+v", note)
			}
			if c := note.Clock; !c.Created.Equal(noon) || !c.NodeReady.Equal(noon.Add(92*time.Second)) || !c.Started.Equal(noon.Add(43*time.Second)) ||
				c.Finished.Sub(c.Started).Seconds()-note.RunSeconds > 1e-6 {
				t.Errorf("%+v", c)
			}
			log := s.read(p, "fom-7.log")
			parsed, err := hpcg.Parse(strings.NewReader(log), 3)
			if err != nil {
				t.Fatal(err)
			}
			for _, r := range parsed.Results {
				if r.Ranks != 64 || r.Threads != 1 {
					t.Errorf("%d ranks with %d threads", r.Ranks, r.Threads)
				}
			}
			if !strings.Contains(log, note.Rule) || !strings.Contains(log, "-n $(nproc)") || !strings.Contains(log, " fom-7-0\n") {
				t.Errorf("log without rule, launch or host:\n%.1500s", log)
			}
			s.read(p, "fom-7.done")
			s.read(p, "flux-view.done")
			if line := s.read(p, "flux-view.log"); !strings.HasPrefix(line, "# REPLAY:") {
				t.Error(line)
			}
			running := false
			for _, a := range s.kube.Actions() {
				if patch, ok := a.(k8stesting.PatchAction); ok && strings.Contains(string(patch.GetPatch()), `"running"`) {
					running = true
				}
			}
			if running == instant {
				t.Errorf("phase running: %v", running)
			}
		})
	}
}

func TestSameTrialSameFigures(t *testing.T) {
	s := open(t, Options{Instant: true, Seed: 5}, node("n1", "r6i.8xlarge", nil), node("n2", "r6i.8xlarge", nil))
	image := "ghcr.io/x/hpcg-matrix:znver3-Ofast"
	first, again, other := pod("random-1", "n1", image, nil), pod("random-1", "n2", image, nil), pod("random-2", "n1", image, nil)
	again.Name, again.UID = "random-1-0-zzzzz", "uid-again"
	var logs []string
	var notes []replay.Note
	for _, p := range []*corev1.Pod{first, again, other} {
		s.create(p)
		_, note := s.reaches(p, simulated.PhaseSucceeded)
		notes = append(notes, note)
		parsed, err := hpcg.Parse(strings.NewReader(s.read(p, p.Spec.Containers[0].Name+".log")), 3)
		if err != nil {
			t.Fatal(err)
		}
		logs = append(logs, fmt.Sprint(parsed.Ratings()))
	}
	if logs[0] != logs[1] || logs[0] == logs[2] {
		t.Errorf("ratings: %q", logs)
	}
	if notes[0].ImagePullSeconds == 0 || notes[1].ImagePullSeconds == 0 || notes[2].ImagePullSeconds != 0 || notes[2].NodeStartSeconds != 0 {
		t.Errorf("pulls: %v %v %v", notes[0].ImagePullSeconds, notes[1].ImagePullSeconds, notes[2].ImagePullSeconds)
	}
}

func TestFails(t *testing.T) {
	s := open(t, Options{Instant: true}, node("n1", "r6i.8xlarge", nil))
	for name, tc := range map[string]struct {
		env  map[string]string
		want string
	}{
		"too-many":  {map[string]string{application.EnvTasks: "$(nproc)"}, "unsatisfiable request"},
		"no-count":  {map[string]string{application.EnvTasks: "several"}, `invalid value for -n: "several"`},
		"bad-size":  {map[string]string{"OCIFIT_SIZE": "32 32"}, `OCIFIT_SIZE="32 32"`},
		"arm-image": {nil, "exec /bin/bash: exec format error"},
		"bad-app":   {map[string]string{application.EnvApplication: "lammps"}, `OCIFIT_APP="lammps"`},
	} {
		t.Run(name, func(t *testing.T) {
			image := "x:znver3-Ofast"
			if name == "arm-image" {
				image = "x:neoverse-v2-O2-arm"
			}
			p := pod(name, "n1", image, tc.env)
			s.create(p)
			have, note := s.reaches(p, simulated.PhaseFailed)
			if have.Annotations[simulated.ExitCodeAnnotation] != "1" || !strings.Contains(note.Rule, strings.Split(tc.want, ": \"")[0]) {
				t.Errorf("%v", have.Annotations)
			}
			log := s.read(p, name+".log")
			if !strings.Contains(log, tc.want) || strings.Contains(log, "\nFLUX-RESULTS END") || !strings.Contains("\n"+log, "\n# REPLAY: ") {
				t.Errorf("log:\n%s", log)
			}
			s.read(p, name+".done")
		})
	}
}

func TestPlaceholderStaysPending(t *testing.T) {
	s := open(t, Options{Instant: true}, node("n1", "r6i.8xlarge", nil))
	p := pod("one", "n1", "placeholder:latest", nil)
	s.create(p)
	s.until("event", func() error {
		events, err := s.kube.CoreV1().Events("study").List(t.Context(), metav1.ListOptions{})
		if err == nil && (len(events.Items) != 1 || !strings.Contains(events.Items[0].Message, "placeholder:latest")) {
			err = fmt.Errorf("events %v", events.Items)
		}
		return err
	})
	have, err := s.kube.CoreV1().Pods("study").Get(t.Context(), p.Name, metav1.GetOptions{})
	if err != nil || have.Annotations[simulated.PhaseAnnotation] != "" {
		t.Errorf("%v, %v", have.Annotations, err)
	}
}

func TestLogComesBitByBitAndGoesWithThePod(t *testing.T) {
	clock := &stepClock{now: noon, gate: make(chan struct{})}
	s := open(t, Options{Clock: clock}, node("n1", "r6i.8xlarge", nil))
	p := pod("one", "n1", "x:znver3-Ofast", nil)
	s.create(p)
	clock.gate <- struct{}{} // the start of the container
	s.reaches(p, simulated.PhaseRunning)
	clock.gate <- struct{}{} // the first part, which comes at once
	clock.gate <- struct{}{} // the broker's start
	s.until("log", func() error {
		log := s.read(p, "one.log")
		if !strings.HasSuffix(log, "FLUX-RUN START hpcg-iter-1\n") {
			return fmt.Errorf("ends with %q", log[max(0, len(log)-100):])
		}
		return nil
	})
	folder := filepath.Join(s.dir, "logs", "study_"+p.Name)
	if _, err := os.Stat(filepath.Join(folder, "one.done")); err == nil {
		t.Error("the log is not complete")
	}
	if err := s.kube.CoreV1().Pods("study").Delete(t.Context(), p.Name, metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	s.until("folder", func() error {
		if _, err := os.Stat(folder); err == nil {
			return fmt.Errorf("%s is still there", folder)
		}
		return nil
	})
}

func TestStartRemovesOldLogsAndGoesOn(t *testing.T) {
	p := pod("one", "n1", "x:znver3-Ofast", nil)
	p.Annotations[simulated.PhaseAnnotation] = simulated.PhaseRunning // an engine before this one has begun with it
	dir := t.TempDir()
	for _, name := range []string{"study_gone-0-abcde", "study_" + p.Name} {
		if err := os.MkdirAll(filepath.Join(dir, name), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	s := &stage{t: t, kube: fake.NewClientset(p, node("n1", "r6i.8xlarge", nil)), dir: dir}
	ctx, cancel := context.WithCancel(t.Context())
	ended, ready := make(chan error, 1), make(chan struct{})
	go func() {
		ended <- run(ctx, s.kube, Options{Clock: &stepClock{now: noon}, LogDir: dir, Rehearsers: rehearsers, Instant: true, Ready: func() { close(ready) }})
	}()
	<-ready
	s.reaches(p, simulated.PhaseSucceeded)
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(filepath.Join(dir, "study_gone-0-abcde")); err == nil {
		t.Error("the logs of a pod that is gone are still there")
	}
	if _, err := os.Stat(filepath.Join(dir, "study_"+p.Name, "one.done")); err != nil {
		t.Error(err)
	}
}

func TestWorkersSayNothing(t *testing.T) {
	s := open(t, Options{Instant: true}, node("n1", "r6i.8xlarge", nil))
	lead, second := pod("two", "n1", "x:znver3-Ofast", map[string]string{application.EnvNodes: "2", application.EnvTasks: "32"}), pod("two", "n1", "x:znver3-Ofast", map[string]string{application.EnvNodes: "2", application.EnvTasks: "32"})
	second.Name, second.UID = "two-1-abcde", "uid-second"
	second.Annotations[batchv1.JobCompletionIndexAnnotation] = "1"
	s.create(lead)
	s.create(second)
	_, a := s.reaches(lead, simulated.PhaseSucceeded)
	_, b := s.reaches(second, simulated.PhaseSucceeded)
	if a.RunSeconds != b.RunSeconds {
		t.Errorf("%v and %v", a.RunSeconds, b.RunSeconds)
	}
	if got := s.read(second, "two.log"); got != "" {
		t.Errorf("the second pod logs %.100q", got)
	}
	if !strings.Contains(s.read(lead, "two.log"), " two-[0-1]\n") {
		t.Error("the nodes are not named")
	}
}

func TestImageNames(t *testing.T) {
	for image, want := range map[string]string{
		"x:a": "a", "localhost:5000/y/x:a": "a", "localhost:5000/y/x": "latest", "x:a@sha256:00": "a", "x@sha256:00": "latest",
	} {
		if got := imageTag(image); got != want {
			t.Errorf("%s: %q, want %q", image, got, want)
		}
	}
	for image, want := range map[string]bool{"placeholder:latest": true, "docker.io/library/placeholder": true, "x/placeholders:1": false} {
		if placeholder(image) != want {
			t.Errorf("%s: %v", image, !want)
		}
	}
}
