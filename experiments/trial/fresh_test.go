package trial

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes/fake"

	"github.com/compspec/ocifit-lab/experiments/study"
	"github.com/compspec/ocifit-lab/provision/kube"
)

type replacer struct {
	gone []string
	err  error
}

func (r *replacer) ReplaceNode(ctx context.Context, name string) error {
	if _, bounded := ctx.Deadline(); !bounded {
		return errors.New("no deadline")
	}
	r.gone = append(r.gone, name)
	return r.err
}

func node(name, instanceType string) *corev1.Node {
	return &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{corev1.LabelInstanceTypeStable: instanceType}}}
}

func freshAttempt(r *replacer) *attempt {
	client := fake.NewClientset(node("a-1", "a"), node("a-2", "a"), node("b-1", "b"))
	deadline := study.Duration(time.Minute)
	return &attempt{
		Runner: &Runner{
			Study:    &study.Study{FreshNodes: true, Deadlines: study.Deadlines{Scheduled: deadline}},
			Cluster:  &kube.Cluster{Clientset: client},
			Replacer: r,
		},
		trial: study.Trial{Arm: study.Arm{Name: "x"}, N: 2},
		now:   func(string, ...any) {},
	}
}

func TestFreshenTakesAwayWhatServedTheArm(t *testing.T) {
	r := &replacer{}
	a := freshAttempt(r)
	a.served.add("x", "a-1")
	a.served.add("x", "b-1") // of another type, which the trial does not come to
	a.served.add("y", "a-2")
	bounded := func() error {
		return within(t.Context(), time.Minute, func(ctx context.Context) error { return a.freshen(ctx, "a") })
	}
	if err := bounded(); err != nil || !slices.Equal(r.gone, []string{"a-1"}) {
		t.Errorf("%v, replaced %v", err, r.gone)
	}
	r.err = errors.New("no")
	var failure *Failure
	if err := bounded(); !errors.As(err, &failure) || failure.Phase != "fresh node" {
		t.Errorf("%v", err)
	}
	a.Study.FreshNodes, r.gone = false, nil
	if err := bounded(); err != nil || r.gone != nil {
		t.Errorf("%v, replaced %v in a study that does not ask for it", err, r.gone)
	}
}

func TestRememberRefusesASecondTime(t *testing.T) {
	a := freshAttempt(&replacer{})
	a.pod = &corev1.Pod{Spec: corev1.PodSpec{NodeName: "a-1"}}
	if err := a.remember(); err != nil {
		t.Error(err)
	}
	if err := a.remember(); err == nil || !strings.Contains(err.Error(), "on which the arm ran before") {
		t.Errorf("%v", err)
	}
	a.trial.Arm.Name = "y"
	if err := a.remember(); err != nil {
		t.Errorf("another arm: %v", err)
	}
}

func TestFreshNodesNeedAReplacer(t *testing.T) {
	r := &Runner{Study: &study.Study{FreshNodes: true}}
	if _, err := r.RunAll(t.Context(), nil, 1, nil); !errors.Is(err, ErrNoReplacer) {
		t.Errorf("%v", err)
	}
}

// A node on which another trial runs is left alone, and one that the arm had ends with its trial where trials of an arm run side by side.
func TestFreshNodesSideBySide(t *testing.T) {
	r := &replacer{}
	a := freshAttempt(r)
	a.served.add("x", "a-1")
	a.served.busyIs("a-1", true)
	if err := within(t.Context(), time.Minute, func(ctx context.Context) error { return a.freshen(ctx, "a") }); err != nil || r.gone != nil {
		t.Errorf("%v, replaced %v", err, r.gone)
	}
	a.Study.Deadlines.Removed = study.Duration(time.Minute)
	a.pod = &corev1.Pod{Spec: corev1.PodSpec{NodeName: "a-2"}}
	if err := a.remember(); err != nil || !a.served.isBusy("a-2") {
		t.Errorf("%v, busy %v", err, a.served.isBusy("a-2"))
	}
	a.leave(t.Context())
	if a.served.isBusy("a-2") || r.gone != nil {
		t.Errorf("a trial alone: busy %v, replaced %v", a.served.isBusy("a-2"), r.gone)
	}
	_, q := onTypes(2, true, "x1")
	_, a.slot, _ = q.next(t.Context())
	a.Exclusive = true
	a.leave(t.Context())
	if !slices.Equal(r.gone, []string{"a-2"}) {
		t.Errorf("replaced %v", r.gone)
	}
}
