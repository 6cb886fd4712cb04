package trial

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/compspec/ocifit-lab/experiments/replay"
	"github.com/compspec/ocifit-lab/experiments/store"
	"github.com/compspec/ocifit-lab/experiments/study"
	"github.com/compspec/ocifit-lab/webhook/compat"
)

func planned(arm, model string, n int) study.Trial {
	return study.Trial{Arm: study.Arm{Name: arm, Model: model}, N: n}
}

func TestReleaseNamesAreUniqueAndFitForPods(t *testing.T) {
	seen := map[string]string{}
	for _, run := range []string{"20260101-000000-aaaaaaaa", "20260101-000000-bbbbbbbb"} {
		for _, arm := range []string{"random", "memory-bandwidth-across-kernels-total"} {
			for _, warmup := range []bool{false, true} {
				for n := 1; n <= 100; n++ {
					p := planned(arm, "m", n)
					p.Warmup = warmup
					name, id := releaseName("hpcg", run, p), fmt.Sprint(run, arm, warmup, n)
					if other, twice := seen[name]; twice {
						t.Fatalf("%s is the name of %s and of %s", name, other, id)
					}
					seen[name] = id
					// A job's pod adds its index and five random characters.
					if problems := validation.IsDNS1123Label(name + "-0-abcde"); len(problems) > 0 || len(name) > 40 {
						t.Fatalf("%s: %v", name, problems)
					}
				}
			}
		}
	}
	p := planned("random", "random", 7)
	if releaseName("hpcg", "r", p) != releaseName("hpcg", "r", p) {
		t.Error("the name changes from call to call: a killed trial would not be found again")
	}
}

func TestSeedsDifferByTrialAndRepeat(t *testing.T) {
	a, b := planned("random", "random", 1), planned("random", "random", 2)
	if Seed(1, a) != Seed(1, a) {
		t.Error("the seed of a trial changes")
	}
	if Seed(1, a) == Seed(1, b) || Seed(1, a) == Seed(2, a) {
		t.Error("two trials or two studies share a seed")
	}
}

func finishedPod(annotations map[string]string) *corev1.Pod {
	at := func(s int) metav1.Time { return metav1.NewTime(time.Date(2025, 7, 21, 0, 0, s, 0, time.UTC)) }
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{CreationTimestamp: at(0), Annotations: annotations},
		Status: corev1.PodStatus{
			Conditions: []corev1.PodCondition{{Type: corev1.PodScheduled, Status: corev1.ConditionTrue, LastTransitionTime: at(20)}},
			ContainerStatuses: []corev1.ContainerStatus{{Name: "hpcg", State: corev1.ContainerState{
				Terminated: &corev1.ContainerStateTerminated{StartedAt: at(30), FinishedAt: at(50)},
			}}},
		},
	}
}

// TestUndisturbed: a container that was started again has the log of another run, whatever it says.
func TestUndisturbed(t *testing.T) {
	killed := corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{ExitCode: 137, Reason: "OOMKilled"}}
	for name, tc := range map[string]struct {
		change func(p *corev1.Pod)
		want   string
	}{
		"once": {func(*corev1.Pod) {}, ""},
		"restarted": {func(p *corev1.Pod) {
			p.Status.ContainerStatuses[0].RestartCount, p.Status.ContainerStatuses[0].LastTerminationState = 2, killed
		}, "restarted: container hpcg was started 3 times, after exit code 137 OOMKilled"},
		"init restarted": {func(p *corev1.Pod) {
			p.Status.InitContainerStatuses = []corev1.ContainerStatus{{Name: "flux-view", RestartCount: 1}}
		}, "restarted: container flux-view was started 2 times, for no known reason"},
		"evicted": {
			func(p *corev1.Pod) {
				p.Status.Phase, p.Status.Reason, p.Status.Message = corev1.PodFailed, "Evicted", "the node was low on memory"
			},
			"pod: Evicted: the node was low on memory",
		},
	} {
		t.Run(name, func(t *testing.T) {
			p := finishedPod(nil)
			tc.change(p)
			got := ""
			if err := undisturbed(p); err != nil {
				got = err.Error()
			}
			if got != tc.want {
				t.Errorf("%q, want %q", got, tc.want)
			}
		})
	}
}

func TestSeedsSurviveJSON(t *testing.T) {
	for n := range 1000 {
		if s := Seed(1, planned("random", "random", n)); s != uint64(float64(s)) || s >= 1<<53 {
			t.Fatalf("trial %d: seed %d changes in a JSON number", n, s)
		}
	}
}

func nodeReadyAt(second int) *corev1.Node {
	return &corev1.Node{Status: corev1.NodeStatus{Conditions: []corev1.NodeCondition{{
		Type: corev1.NodeReady, LastTransitionTime: metav1.NewTime(time.Date(2025, 7, 21, 0, 0, second, 0, time.UTC)),
	}}}}
}

func TestPhasesOfARealPod(t *testing.T) {
	at := func(s int) time.Time { return time.Date(2025, 7, 21, 0, 0, s, 0, time.UTC) }
	got, note, err := podPhases(finishedPod(nil), nodeReadyAt(15), "hpcg")
	if err != nil || note != nil {
		t.Fatalf("note %s, error %v", note, err)
	}
	want := store.Phases{Created: at(0), Scheduled: at(20), NodeReady: at(15), Started: at(30), Finished: at(50)}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	// A node that was ready before the pod was not started for it.
	got, _, err = podPhases(finishedPod(nil), nodeReadyAt(-60), "hpcg")
	if err != nil || !got.NodeReady.IsZero() {
		t.Errorf("node ready %v, error %v", got.NodeReady, err)
	}
}

func TestPhasesOfAReplayAreOnItsClock(t *testing.T) {
	day := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	note, err := replay.Encode(replay.Note{Source: replay.Measured, Clock: replay.Clock{
		Created: day, NodeReady: day.Add(80 * time.Second), Started: day.Add(2 * time.Minute), Finished: day.Add(3 * time.Minute),
	}})
	if err != nil {
		t.Fatal(err)
	}
	got, raw, err := podPhases(finishedPod(map[string]string{replay.Annotation: note}), nodeReadyAt(15), "hpcg")
	if err != nil {
		t.Fatal(err)
	}
	want := store.Phases{
		Created: day, Scheduled: day.Add(80 * time.Second), NodeReady: day.Add(80 * time.Second),
		Started: day.Add(2 * time.Minute), Finished: day.Add(3 * time.Minute),
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if string(raw) != note {
		t.Errorf("the note came back as %s", raw)
	}
	if _, _, err := podPhases(finishedPod(map[string]string{replay.Annotation: "{"}), nil, "hpcg"); err == nil {
		t.Error("a broken note was accepted")
	}
}

func TestCheckRefusesATrialThatRanOtherwise(t *testing.T) {
	good := func() *attempt {
		return &attempt{
			Runner: &Runner{Skip: []string{"t3.2xlarge"}}, trial: planned("fom-model", "fom", 1), release: "hpcg", pod: finishedPod(nil),
			record: store.Trial{
				Image: "registry/hpcg:1", Node: store.Node{InstanceType: "hpc7g.16xlarge"},
				Decision: &compat.Decision{Model: "fom", InstanceType: "hpc7g.16xlarge"},
			},
		}
	}
	if err := good().check(); err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		name, want string
		spoil      func(*attempt)
	}{
		{"another model", "asks for model fom", func(a *attempt) { a.record.Decision.Model = "random" }},
		{"another node", "the pod ran on c7a.12xlarge", func(a *attempt) { a.record.Node.InstanceType = "c7a.12xlarge" }},
		{"skipped type", "is on the skip list", func(a *attempt) {
			a.record.Decision.InstanceType, a.record.Node.InstanceType = "t3.2xlarge", "t3.2xlarge"
		}},
		{"placeholder", "kept the image placeholder", func(a *attempt) { a.record.Image = compat.DefaultTargetImage }},
		{"exit code", "exit code 1", func(a *attempt) { a.pod.Status.ContainerStatuses[0].State.Terminated.ExitCode = 1 }},
	} {
		t.Run(tc.name, func(t *testing.T) {
			a := good()
			tc.spoil(a)
			if err := a.check(); err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("error %v, want it to say %q", err, tc.want)
			}
		})
	}
}
