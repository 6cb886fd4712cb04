package sim

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	authenticationv1 "k8s.io/api/authentication/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"github.com/compspec/ocifit-lab/provision"
	"github.com/compspec/ocifit-lab/provision/simulated"
	"github.com/compspec/ocifit-lab/provision/step"
)

// testAccess asks as a pod's account and as nobody: roles decide, and nobody gets in.
func (l *lab) testAccess() {
	var token *authenticationv1.TokenRequest
	token, err := l.client.CoreV1().ServiceAccounts("default").CreateToken(l.Context(), "default", &authenticationv1.TokenRequest{}, metav1.CreateOptions{})
	l.must(err)
	list := func(token string) error {
		config := rest.AnonymousClientConfig(l.cluster.Config)
		config.BearerToken = token
		client, err := kubernetes.NewForConfig(config)
		l.must(err)
		_, err = client.CoreV1().Secrets("default").List(l.Context(), metav1.ListOptions{})
		return err
	}
	if err := list(token.Status.Token); !apierrors.IsForbidden(err) {
		l.Errorf("a pod's account lists secrets: %v, want forbidden", err)
	}
	if err := list(""); !apierrors.IsUnauthorized(err) {
		l.Errorf("nobody lists secrets: %v, want unauthorized", err)
	}
}

// podSpec asks for a whole node of an instance type.
func podSpec(instanceType, cpu string) corev1.PodSpec {
	return corev1.PodSpec{
		NodeSelector:   map[string]string{corev1.LabelInstanceTypeStable: instanceType},
		RestartPolicy:  corev1.RestartPolicyNever,
		InitContainers: []corev1.Container{{Name: "view", Image: "view:1"}},
		Containers: []corev1.Container{{
			Name: "main", Image: "placeholder:latest",
			Resources: corev1.ResourceRequirements{Requests: corev1.ResourceList{corev1.ResourceCPU: resource.MustParse(cpu)}},
		}},
	}
}

func (l *lab) testDeployment() {
	spec := podSpec("m6g.12xlarge", "1")
	spec.RestartPolicy, spec.InitContainers = corev1.RestartPolicyAlways, nil
	labels := map[string]string{"app": "web"}
	two := int32(2)
	_, err := l.client.AppsV1().Deployments("default").Create(l.Context(), &appsv1.Deployment{
		ObjectMeta: metav1.ObjectMeta{Name: "web"},
		Spec: appsv1.DeploymentSpec{
			Replicas: &two, Selector: &metav1.LabelSelector{MatchLabels: labels},
			Template: corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: labels}, Spec: spec},
		},
	}, metav1.CreateOptions{})
	l.must(err)
	l.eventually("both replicas ready", func() (bool, string) {
		d, err := l.client.AppsV1().Deployments("default").Get(l.Context(), "web", metav1.GetOptions{})
		l.must(err)
		return d.Status.ReadyReplicas == 2, fmt.Sprintf("%+v", d.Status)
	})
	if nodes := l.nodes("m6g"); len(nodes) != 1 {
		l.Errorf("%d nodes of m6g for two small pods, want 1", len(nodes))
	}
	l.eventuallyEvent("TriggeredScaleUp", "m6g 0->1 (max: 1)")
	l.must(l.client.AppsV1().Deployments("default").Delete(l.Context(), "web", metav1.DeleteOptions{}))
	l.gone("app=web")
}

func (l *lab) createJob(name, instanceType, cpu string) {
	l.Helper()
	one, zero := int32(1), int32(0)
	indexed := batchv1.IndexedCompletion
	_, err := l.client.BatchV1().Jobs("default").Create(l.Context(), &batchv1.Job{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec: batchv1.JobSpec{
			Completions: &one, Parallelism: &one, BackoffLimit: &zero, CompletionMode: &indexed,
			Template: corev1.PodTemplateSpec{
				ObjectMeta: metav1.ObjectMeta{Annotations: map[string]string{simulated.WorkloadAnnotation: "test"}},
				Spec:       podSpec(instanceType, cpu),
			},
		},
	}, metav1.CreateOptions{})
	l.must(err)
}

// pod watches the pods of a job until one is as wanted.
func (l *lab) pod(job, what string, want func(*corev1.Pod) bool) *corev1.Pod {
	l.Helper()
	ctx, cancel := context.WithTimeout(l.Context(), 30*time.Second)
	defer cancel()
	w, err := l.client.CoreV1().Pods("default").Watch(ctx, metav1.ListOptions{LabelSelector: "job-name=" + job})
	l.must(err)
	defer w.Stop()
	seen := "no pod"
	for event := range w.ResultChan() {
		if pod, ok := event.Object.(*corev1.Pod); ok {
			if want(pod) {
				return pod
			}
			seen = fmt.Sprintf("%s, conditions %+v", pod.Status.Phase, pod.Status.Conditions)
		}
	}
	l.Fatalf("%s: %s; last seen: %s", job, what, seen)
	return nil
}

func bound(p *corev1.Pod) bool { return p.Spec.NodeName != "" }

func inPhase(phase corev1.PodPhase) func(*corev1.Pod) bool {
	return func(p *corev1.Pod) bool { return p.Status.Phase == phase }
}

func (l *lab) annotate(pod *corev1.Pod, key, value string) {
	l.Helper()
	patch := fmt.Sprintf(`{"metadata":{"annotations":{%q:%q}}}`, key, value)
	_, err := l.client.CoreV1().Pods(pod.Namespace).Patch(l.Context(), pod.Name, types.MergePatchType, []byte(patch), metav1.PatchOptions{})
	l.must(err)
}

func (l *lab) logPath(pod *corev1.Pod, name string) string {
	dir := filepath.Join(l.provider.dir.podLogs(), pod.Namespace+"_"+pod.Name)
	l.must(os.MkdirAll(dir, 0o755))
	return filepath.Join(dir, name)
}

// testWorkload drives a pod through its phases by hand, and follows its log meanwhile.
func (l *lab) testWorkload() {
	l.createJob("work", "c7a.12xlarge", "40")
	pod := l.pod("work", "bound", bound)
	waiting := l.pod("work", "container waits", func(p *corev1.Pod) bool { return len(p.Status.ContainerStatuses) > 0 })
	if waiting.Status.Phase != corev1.PodPending || waiting.Status.ContainerStatuses[0].State.Waiting == nil {
		l.Errorf("before its playback the pod is %s, %+v", waiting.Status.Phase, waiting.Status.ContainerStatuses)
	}
	l.annotate(pod, simulated.PhaseAnnotation, simulated.PhaseRunning)
	pod = l.pod("work", "running", inPhase(corev1.PodRunning))
	if s := pod.Status.InitContainerStatuses; len(s) != 1 || s[0].State.Terminated == nil || s[0].State.Terminated.ExitCode != 0 {
		l.Errorf("init containers %+v", s)
	}
	if pod.Status.PodIP == "" || pod.Status.StartTime == nil || !pod.Status.ContainerStatuses[0].Ready {
		l.Errorf("status %+v", pod.Status)
	}

	stream, err := l.client.CoreV1().Pods("default").GetLogs(pod.Name, &corev1.PodLogOptions{Container: "main", Follow: true}).Stream(l.Context())
	l.must(err)
	defer stream.Close()
	lines := bufio.NewScanner(stream)
	file, err := os.Create(l.logPath(pod, "main.log"))
	l.must(err)
	for i := range 3 {
		_, err := fmt.Fprintf(file, "line %d\n", i)
		l.must(err)
		if !lines.Scan() || lines.Text() != fmt.Sprintf("line %d", i) {
			l.Fatalf("line %d: got %q, %v", i, lines.Text(), lines.Err())
		}
	}
	_, err = file.WriteString("the end")
	l.must(err)
	l.must(file.Close())
	l.must(os.WriteFile(l.logPath(pod, "main.done"), nil, 0o644))
	if !lines.Scan() || lines.Text() != "the end" || lines.Scan() {
		l.Errorf("end of the log: %q, %v", lines.Text(), lines.Err())
	}
	l.annotate(pod, simulated.PhaseAnnotation, simulated.PhaseSucceeded)
	l.pod("work", "succeeded", inPhase(corev1.PodSucceeded))
	l.eventually("job complete", func() (bool, string) {
		job, err := l.client.BatchV1().Jobs("default").Get(l.Context(), "work", metav1.GetOptions{})
		l.must(err)
		return job.Status.Succeeded == 1 && job.Status.CompletionTime != nil, fmt.Sprintf("%+v", job.Status)
	})
	whole, err := l.client.CoreV1().Pods("default").GetLogs(pod.Name, &corev1.PodLogOptions{Container: "main"}).DoRaw(l.Context())
	l.must(err)
	if string(whole) != "line 0\nline 1\nline 2\nthe end" {
		l.Errorf("whole log %q", whole)
	}
	l.deleteJob("work")
}

func (l *lab) deleteJob(name string) {
	l.Helper()
	background := metav1.DeletePropagationBackground
	l.must(l.client.BatchV1().Jobs("default").Delete(l.Context(), name, metav1.DeleteOptions{PropagationPolicy: &background}))
	l.gone("job-name=" + name)
}

// testRefusal asks for more than the group may grow, and for what no group has.
func (l *lab) testRefusal() {
	l.createJob("first", "c7a.12xlarge", "40")
	l.pod("first", "bound", bound)
	l.createJob("second", "c7a.12xlarge", "40")
	l.eventuallyEvent("NotTriggerScaleUp", "1 max node group size reached, 3 node(s) didn't match Pod's node affinity/selector")
	l.createJob("third", "p5.48xlarge", "40")
	l.eventuallyEvent("NotTriggerScaleUp", "pod didn't trigger scale-up: 4 node(s) didn't match Pod's node affinity/selector")
	l.deleteJob("first")
	l.pod("second", "takes the freed node", bound)
	l.deleteJob("second")
	l.deleteJob("third")
}

// testTrials measures trials, the first on a new node.
func (l *lab) testTrials() {
	for i := range 12 {
		name := fmt.Sprintf("trial-%d", i)
		begin := time.Now()
		var laps []string
		lap := func(what string) { laps = append(laps, fmt.Sprintf("%s %d", what, time.Since(begin).Milliseconds())) }
		l.createJob(name, "hpc7g.16xlarge", "60")
		pod := l.pod(name, "bound", bound)
		lap("bound")
		l.annotate(pod, simulated.PhaseAnnotation, simulated.PhaseRunning)
		l.pod(name, "running", inPhase(corev1.PodRunning))
		lap("running")
		l.annotate(pod, simulated.PhaseAnnotation, simulated.PhaseSucceeded)
		l.pod(name, "succeeded", inPhase(corev1.PodSucceeded))
		lap("succeeded")
		l.deleteJob(name)
		lap("gone")
		l.Logf("trial %d (ms): %s", i, strings.Join(laps, ", "))
	}
	if n := l.nodes("hpc7g"); len(n) != 1 {
		l.Errorf("%d nodes of hpc7g after trials one after another, want 1", len(n))
	}
}

// testScaleDown spends simulated time: nodes without pods stay until the unneeded time, then they go; the sticky one stays.
func (l *lab) testScaleDown() {
	env, err := l.provider.Environment(l.Context())
	l.must(err)
	if env.Webhook == nil || env.Registry == "" || !env.PlainHTTP {
		l.Fatalf("environment %+v", env)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(env.Webhook.CABundle)
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}}
	defer transport.CloseIdleConnections()
	sleep := func(d string) {
		response, err := (&http.Client{Transport: transport}).Get(env.Webhook.URL + "/?d=" + d)
		l.must(err)
		response.Body.Close()
	}
	l.createJob("last", "hpc7g.16xlarge", "60")
	l.pod("last", "bound", bound)
	l.deleteJob("last")
	sleep("5m")
	time.Sleep(200 * time.Millisecond)
	if len(l.nodes("hpc7g")) != 1 {
		l.Errorf("the node went before the unneeded time")
	}
	sleep("6m")
	l.eventually("only the sticky node is left", func() (bool, string) {
		left := len(l.nodes("hpc7g")) + len(l.nodes("c7a")) + len(l.nodes("m6g"))
		return left == 0, fmt.Sprintf("%d other nodes", left)
	})
	if len(l.nodes("sticky")) != 1 {
		l.Error("the sticky node went")
	}
	l.eventuallyEvent("ScaleDown", "unneeded for 10m0s")
}

// testRestart kills the supervisor; what was there is there again.
func (l *lab) testRestart() {
	l.createJob("before", "c7a.12xlarge", "40")
	pod := l.pod("before", "bound", bound)
	l.annotate(pod, simulated.PhaseAnnotation, simulated.PhaseRunning)
	l.pod("before", "running", inPhase(corev1.PodRunning))
	l.must(os.WriteFile(l.logPath(pod, "main.log"), []byte("before"), 0o644))
	l.must(os.WriteFile(l.logPath(pod, "main.done"), nil, 0o644))
	r, err := readReport(l.provider.dir)
	l.must(err)
	l.must(syscall.Kill(r.Process.PID, syscall.SIGKILL))
	r.Process.awaitEnd(5 * time.Second)
	status, err := l.provider.Status(l.Context())
	l.must(err)
	if status.State != provision.Broken {
		l.Errorf("after a kill the state is %s", status.State)
	}
	begin := time.Now()
	l.must(step.Up(l.Context(), l.provider.Steps(), nil, nil))
	l.Logf("up again after %s", time.Since(begin))
	if n := l.nodes("sticky"); len(n) != 1 {
		l.Errorf("%d sticky nodes after the restart, want 1", len(n))
	}
	whole, err := l.client.CoreV1().Pods("default").GetLogs(pod.Name, &corev1.PodLogOptions{Container: "main"}).DoRaw(l.Context())
	if err != nil || string(whole) != "before" {
		l.Errorf("the log of a pod from before the restart is %q, %v", whole, err)
	}
	l.deleteJob("before")
	again, err := readReport(l.provider.dir)
	l.must(err)
	if again.APIServerPort != r.APIServerPort {
		l.Errorf("API server moved from port %d to %d", r.APIServerPort, again.APIServerPort)
	}
}
