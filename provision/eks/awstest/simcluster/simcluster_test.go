package simcluster_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/compspec/ocifit-lab/provision/eks"
	"github.com/compspec/ocifit-lab/provision/eks/awstest"
	"github.com/compspec/ocifit-lab/provision/eks/awstest/simcluster"
	"github.com/compspec/ocifit-lab/provision/eks/eksctl/child"
	"github.com/compspec/ocifit-lab/provision/kube"
	"github.com/compspec/ocifit-lab/provision/step"
)

func TestMain(m *testing.M) {
	if len(os.Args) > 1 {
		switch os.Args[1] {
		case "test-driver":
			os.Exit(child.Main(context.Background(), os.Stdin, os.Stdout))
		case "test-token":
			out, err := eks.Token(context.Background(), os.Args[3], os.Args[5], "")
			if err != nil {
				fmt.Fprintln(os.Stderr, err)
				os.Exit(1)
			}
			fmt.Println(string(out))
			os.Exit(0)
		}
	}
	os.Exit(m.Run())
}

// The whole of provider eks on a real API server: eksctl makes the cluster, a pod that asks for an instance type gets a node of it through
// the Auto Scaling service, the node goes when nobody needs it, and down leaves nothing.
func TestStudyOnSimulatedEKS(t *testing.T) {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	dir := t.TempDir()
	log, err := os.Create(filepath.Join(dir, "components.log"))
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	var scaler simcluster.Part
	cluster := simcluster.New(simcluster.Options{Dir: dir, Log: log, Parts: []simcluster.Part{
		func(ctx context.Context, env simcluster.Env) error { return scaler(ctx, env) },
	}})
	srv, err := awstest.New(awstest.Options{ControlPlane: cluster})
	if err != nil {
		t.Fatal(err)
	}
	defer srv.Close()
	scaler = simcluster.Autoscaler(srv.URL, srv.Region(), "study", 200*time.Millisecond, 50*time.Millisecond)
	for _, e := range srv.Env() {
		k, v, _ := strings.Cut(e, "=")
		t.Setenv(k, v)
	}
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	p := eks.New(eks.Options{
		Name: "study", Region: "us-east-1", KubernetesVersion: "1.34", Dir: filepath.Join(dir, "eks"), Kubeconfig: filepath.Join(dir, "kubeconfig"),
		NodeGroups: []eks.NodeGroup{
			{Name: "sticky", InstanceType: "t3.2xlarge", Min: 1, Desired: 1, Max: 1, Sticky: true},
			{Name: "c7a", InstanceType: "c7a.12xlarge", Max: 1},
			{Name: "hpc7g", InstanceType: "hpc7g.16xlarge", Max: 1},
		},
		Command: []string{exe, "test-driver"}, TokenCommand: []string{exe, "test-token"}, Poll: 50 * time.Millisecond,
	})
	start := time.Now()
	if err := step.Up(ctx, p.Steps(), nil, nil); err != nil {
		t.Fatalf("up: %v", err)
	}
	t.Logf("up took %s", time.Since(start).Round(time.Millisecond))
	k, err := p.Connect(ctx)
	if err != nil {
		t.Fatal(err)
	}
	tryPod(ctx, t, k, srv)

	start = time.Now()
	if err := step.Down(ctx, p.Steps(), nil, nil); err != nil {
		t.Errorf("down: %v", err)
	}
	t.Logf("down took %s", time.Since(start).Round(time.Millisecond))
	if left := srv.Inventory(); len(left) > 0 {
		t.Errorf("still there:\n%s", strings.Join(left, "\n"))
	}
}

func tryPod(ctx context.Context, t *testing.T, k *kube.Cluster, srv *awstest.Server) {
	t.Helper()
	pod := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: "trial", Labels: map[string]string{"app": "trial"}},
		Spec: corev1.PodSpec{
			NodeSelector: map[string]string{"node.kubernetes.io/instance-type": "hpc7g.16xlarge"},
			Containers: []corev1.Container{{Name: "work", Image: "example.invalid/work:1", Resources: corev1.ResourceRequirements{
				Requests: corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("32")},
			}}},
		},
	}
	if _, err := k.Clientset.CoreV1().Pods("default").Create(ctx, pod, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	got, err := k.WaitPod(ctx, "default", "app=trial", func(p *corev1.Pod) (bool, error) { return p.Status.Phase == corev1.PodRunning, nil })
	if err != nil {
		t.Fatal(err)
	}
	node, err := k.Clientset.CoreV1().Nodes().Get(ctx, got.Spec.NodeName, metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if node.Labels["eks.amazonaws.com/nodegroup"] != "hpc7g" || node.Labels[corev1.LabelArchStable] != "arm64" {
		t.Errorf("the pod is on a node with labels %v", node.Labels)
	}
	if err := k.Clientset.CoreV1().Pods("default").Delete(ctx, "trial", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	for {
		if _, err := k.Clientset.CoreV1().Nodes().Get(ctx, node.Name, metav1.GetOptions{}); err != nil {
			break
		}
		select {
		case <-time.After(50 * time.Millisecond):
		case <-ctx.Done():
			t.Fatal("the node stays although nobody needs it")
		}
	}
	asked := 0
	for _, c := range srv.Calls() {
		if c.Operation == "SetDesiredCapacity" {
			asked++
		}
	}
	if asked < 2 {
		t.Errorf("the Auto Scaling service was asked %d times", asked)
	}
}
