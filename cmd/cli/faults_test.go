package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	apitypes "k8s.io/apimachinery/pkg/types"

	"github.com/compspec/ocifit-lab/experiments/store"
	"github.com/compspec/ocifit-lab/provision/kube"
	"github.com/compspec/ocifit-lab/provision/simulated"
)

// faults are what clusters do to running trials: rows of GUARANTEES.md, each with what the record of the attempt says then.
var faults = []struct {
	name   string
	do     func(ctx context.Context, c *kube.Cluster, p *corev1.Pod) error
	reason string
}{
	{"the machine is taken back", func(ctx context.Context, c *kube.Cluster, p *corev1.Pod) error {
		if err := c.Clientset.CoreV1().Nodes().Delete(ctx, p.Spec.NodeName, metav1.DeleteOptions{}); err != nil {
			return err
		}
		// Kubernetes removes the pods of a node that is gone after 40 s.
		now := int64(0)
		return c.Clientset.CoreV1().Pods(p.Namespace).Delete(ctx, p.Name, metav1.DeleteOptions{GracePeriodSeconds: &now})
	}, "node: its machine went away while it ran"},
	{"the pod is evicted", func(ctx context.Context, c *kube.Cluster, p *corev1.Pod) error {
		return c.Clientset.PolicyV1().Evictions(p.Namespace).Evict(ctx, &policyv1.Eviction{ObjectMeta: metav1.ObjectMeta{Name: p.Name, Namespace: p.Namespace}})
	}, "pod: it was evicted or deleted while it ran"},
	{"the container is killed for want of memory", func(ctx context.Context, c *kube.Cluster, p *corev1.Pod) error {
		patch := fmt.Sprintf(`{"metadata":{"annotations":{%q:%q,%q:"137"}}}`, simulated.PhaseAnnotation, simulated.PhaseFailed, simulated.ExitCodeAnnotation)
		_, err := c.Clientset.CoreV1().Pods(p.Namespace).Patch(ctx, p.Name, apitypes.MergePatchType, []byte(patch), metav1.PatchOptions{})
		return err
	}, "exit code 137"},
}

// TestFaults does to a trial that runs what each row says. The attempt is kept with its reason, the trial is tried again as its study says, and
// counts once.
func TestFaults(t *testing.T) {
	if testing.Short() {
		t.Skip("runs a lab")
	}
	l, cluster := faultLab(t)
	for i, row := range faults {
		t.Run(row.name, func(t *testing.T) {
			run := fmt.Sprintf("run-%d", i)
			ended := l.begin(run)
			pod := runningPod(t, cluster, ended)
			if err := row.do(t.Context(), cluster, pod); err != nil {
				t.Fatal(err)
			}
			if err := <-ended; err != nil {
				t.Fatal(err)
			}
			failed, done := readTrial(t, l.trial(run, "1.failed-1")), readTrial(t, l.trial(run, "1"))
			if failed.Verdict != store.Failed || !strings.Contains(failed.Reason, row.reason) {
				t.Errorf("the attempt is %s: %s", failed.Verdict, failed.Reason)
			}
			if done.Verdict != store.Complete || done.Attempt != 2 {
				t.Errorf("the trial is %s at attempt %d: %s", done.Verdict, done.Attempt, done.Reason)
			}
		})
	}
	l.nothingRuns()
	l.must("down")
	l.gone("lab.yaml", "study.yaml")
}

// faultLab is a lab that is up, with a study of one trial that is tried twice.
func faultLab(t *testing.T) (chaosLab, *kube.Cluster) {
	t.Helper()
	l := newChaosLab(t)
	for name, text := range map[string]string{
		"lab.yaml":   "apiVersion: ocifit-lab/v1alpha1\nsim: {timeScale: 0.05}\n",
		"study.yaml": "apiVersion: ocifit-lab/v1alpha1\nname: faults\nrepeats: 1\niterations: 1\nretries: 1\narms:\n- {name: only, model: fom, tasks: cores}\n",
	} {
		if err := os.WriteFile(filepath.Join(l.dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	l.must("up")
	cluster, err := kube.Connect(l.kubeconfig())
	if err != nil {
		t.Fatal(err)
	}
	return l, cluster
}

func (l chaosLab) kubeconfig() string {
	return filepath.Join(l.dir, ".ocifit-lab", "ocifit", "kubeconfig")
}

// begin runs the study of a faultLab, and tells when it ends.
func (l chaosLab) begin(run string) <-chan error {
	ended := make(chan error, 1)
	go func() {
		said, err := l.command("experiment", "all", "--study", "study.yaml", "--run", run).CombinedOutput()
		if err != nil {
			err = fmt.Errorf("%w\n%s", err, said)
		}
		ended <- err
	}()
	return ended
}

// trial is the record of an attempt of the study of a faultLab.
func (l chaosLab) trial(run, attempt string) string {
	return filepath.Join(l.dir, "results", "ocifit", run, "logs", "hpcg", "only", attempt, "trial.json")
}

// runningPod waits for the pod of the trial that runs.
func runningPod(t *testing.T, c *kube.Cluster, ended <-chan error) *corev1.Pod {
	t.Helper()
	for end := time.Now().Add(2 * time.Minute); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		select {
		case err := <-ended:
			t.Fatalf("the study ended before its trial ran: %v", err)
		default:
		}
		list, err := c.Clientset.CoreV1().Pods("experiments").List(t.Context(), metav1.ListOptions{})
		if err != nil {
			t.Fatal(err)
		}
		for i := range list.Items {
			if p := &list.Items[i]; p.Status.Phase == corev1.PodRunning && p.DeletionTimestamp == nil {
				return p
			}
		}
	}
	t.Fatal("no pod runs")
	return nil
}

func readTrial(t *testing.T, file string) store.Trial {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var record store.Trial
	if err := json.Unmarshal(data, &record); err != nil {
		t.Fatal(err)
	}
	return record
}
