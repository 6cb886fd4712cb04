package playback

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes/fake"
	listers "k8s.io/client-go/listers/core/v1"
	"k8s.io/client-go/tools/cache"
)

// batch has the lines by which the study's chart tells of a launch.
var batch = strings.Join([]string{
	`#!/bin/bash`,
	`rm -r /opt/hpcg/hpcg.dat`,
	`echo "" >> /opt/hpcg/hpcg.dat`,
	`echo "16 24 32" >> /opt/hpcg/hpcg.dat`,
	`echo "20" >> /opt/hpcg/hpcg.dat`,
	`cat <<END >> /tmp/run_${app}.sh`,
	`flux resource list`,
	`for i in {1..2}`,
	`do`,
	`  echo "FLUX-RUN START $app-iter-\$i"`,
	`  flux run --setattr=user.study_id=$app-iter-\$i -N1 -n $(nproc) -o cpu-affinity=per-task -o gpu-affinity=off --exclusive ${apprun}`,
	`  echo "FLUX-RUN END $app-iter-\$i"`,
	`done`,
	`flux job stats`,
	`END`, ``,
}, "\n")

func publishedPod() *corev1.Pod {
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: "hpcg-0-x", Namespace: "default", Labels: map[string]string{batchv1.JobNameLabel: "hpcg"}},
		Spec: corev1.PodSpec{
			Hostname: "hpcg-0",
			Containers: []corev1.Container{{
				Name: "hpcg", Command: []string{"/bin/bash", "/flux_operator/wait-0.sh"},
				Env:          []corev1.EnvVar{{Name: "app", Value: "hpcg"}, {Name: "apprun", Value: "/opt/hpcg/xhpcg"}},
				VolumeMounts: []corev1.VolumeMount{{Name: "scripts", MountPath: "/flux_operator/"}},
			}},
			Volumes: []corev1.Volume{{Name: "scripts", VolumeSource: corev1.VolumeSource{ConfigMap: &corev1.ConfigMapVolumeSource{
				LocalObjectReference: corev1.LocalObjectReference{Name: "hpcg-entrypoint"}, Items: []corev1.KeyToPath{{Key: "wait-0", Path: "wait-0.sh"}},
			}}}},
		},
	}
}

// TestPublishedChart: the study's chart says by its script what ours says by its environment.
func TestPublishedChart(t *testing.T) {
	pod := publishedPod()
	e := &engine{
		kube: fake.NewClientset(&corev1.ConfigMap{
			ObjectMeta: metav1.ObjectMeta{Name: "hpcg-entrypoint", Namespace: "default"}, Data: map[string]string{"wait-0": batch},
		}),
		configMaps: listers.NewConfigMapLister(cache.NewIndexer(cache.MetaNamespaceKeyFunc, nil)), // behind the API server
	}
	main := mainContainer(pod)
	script, err := e.script(t.Context(), pod, main)
	if err != nil {
		t.Fatal(err)
	}
	env := map[string]string{"app": "hpcg", "apprun": "/opt/hpcg/xhpcg"}
	got, ok := readScript(script, env)
	if !ok {
		t.Fatalf("no run in\n%s", script)
	}
	want := map[string]string{
		"OCIFIT_APP": "hpcg", "OCIFIT_COMMAND": "/opt/hpcg/xhpcg", "OCIFIT_ITERATIONS": "2", "OCIFIT_NODES": "1", "OCIFIT_TASKS": "$(nproc)",
		"OCIFIT_SIZE": "16 24 32", "OCIFIT_SECONDS": "20", "OCIFIT_EXCLUSIVE": "true", "OCIFIT_SAVE_LOGS": "true",
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	if _, ok := readScript("sleep 5", env); ok {
		t.Error("a script without a run starts one")
	}
}

func TestTasksFlag(t *testing.T) {
	for words, want := range map[string]string{
		"-N1 -o x /opt/hpcg/xhpcg":           "",
		"-N 2 -n 4 -o x prog":                "4",
		"-N1 -n $(nproc) prog":               "$(nproc)",
		"-N1 -n $(( $(a | b) * $(c) )) -o x": "$(( $(a | b) * $(c) ))",
		"-N1 -n all prog":                    "all",
		"--nodes-are=none -n12":              "12",
	} {
		if got := tasksFlag(words); got != want {
			t.Errorf("%q: %q, want %q", words, got, want)
		}
	}
}

// TestLinger: a pod of a person runs until somebody reads its log, and not for ever.
func TestLinger(t *testing.T) {
	e := &engine{Options: Options{Linger: time.Millisecond}.withDefaults()}
	if err := e.linger(t.Context(), "/nobody/reads.read"); err != nil {
		t.Error(err)
	}
	e.Linger = time.Hour
	if err := e.linger(t.Context(), t.TempDir()); err != nil { // it is there: read already
		t.Error(err)
	}
}
