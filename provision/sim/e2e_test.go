package sim

import (
	"context"
	"crypto/tls"
	"fmt"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	"github.com/compspec/ocifit-lab/provision"
	"github.com/compspec/ocifit-lab/provision/kube"
	"github.com/compspec/ocifit-lab/provision/sim/scaler"
	"github.com/compspec/ocifit-lab/provision/step"
)

const superviseCommand = "supervise-for-test"

// TestMain is also the supervisor: the provider starts this very program with superviseCommand.
func TestMain(m *testing.M) {
	if len(os.Args) == 3 && os.Args[1] == superviseCommand {
		if err := Supervise(context.Background(), Config{File: os.Args[2], Registry: fakeRegistry, Webhook: clockServer}); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// fakeRegistry is a part that others wait for.
func fakeRegistry(ctx context.Context, _ Env, ready func(string)) error {
	ready("127.0.0.1:5000")
	<-ctx.Done()
	return nil
}

// clockServer lets the test spend simulated time.
func clockServer(ctx context.Context, env Env, ready func(string)) error {
	if env.Registry != "127.0.0.1:5000" {
		return fmt.Errorf("registry %q", env.Registry)
	}
	pair, err := tls.LoadX509KeyPair(env.CertFile, env.KeyFile)
	if err != nil {
		return err
	}
	listener, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{pair}})
	if err != nil {
		return err
	}
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		d, err := time.ParseDuration(r.URL.Query().Get("d"))
		if err == nil {
			err = env.Clock.Sleep(r.Context(), d)
		}
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
		}
	})}
	context.AfterFunc(ctx, func() { _ = server.Close() })
	ready(listener.Addr().String())
	_ = server.Serve(listener)
	return nil
}

func testGroups() []scaler.Group {
	group := func(name, instanceType, arch string, vcpu int, price float64) scaler.Group {
		return scaler.Group{Name: name, InstanceType: instanceType, Architecture: arch, VCPU: vcpu, MemoryMiB: int64(vcpu) * 2048, Max: 1, PriceUSD: price}
	}
	sticky := group("sticky", "t3.2xlarge", "amd64", 8, 0.33)
	sticky.Min, sticky.Desired, sticky.Sticky = 1, 1, true
	return []scaler.Group{sticky, group("hpc7g", "hpc7g.16xlarge", "arm64", 64, 1.68), group("c7a", "c7a.12xlarge", "amd64", 48, 2.46), group("m6g", "m6g.12xlarge", "arm64", 48, 1.85)}
}

func newProvider(dir string) *Provider {
	self, err := os.Executable()
	if err != nil {
		panic(err)
	}
	return New(Options{
		Dir: dir, Executable: self, Command: []string{superviseCommand},
		Settings: Settings{TimeScale: 0, NodeStart: 80 * time.Second, ScaleDownAfter: 10 * time.Minute, Groups: testGroups()},
	})
}

type lab struct {
	*testing.T
	provider *Provider
	cluster  *kube.Cluster
	client   kubernetes.Interface
}

func (l *lab) must(err error) {
	l.Helper()
	if err != nil {
		l.Fatal(err)
	}
}

func upForTest(t *testing.T) *lab {
	if testing.Short() {
		t.Skip("starts a cluster")
	}
	p := newProvider(t.TempDir())
	t.Cleanup(func() {
		if t.Failed() {
			data, _ := os.ReadFile(p.dir.log())
			t.Logf("log of the supervisor:\n%s", data)
		}
		if err := step.Down(context.Background(), p.Steps(), nil, nil); err != nil {
			t.Error(err)
		}
		left, err := p.Leftovers(context.Background())
		if err != nil || len(left) > 0 {
			t.Errorf("left over: %v, %v", left, err)
		}
	})
	begin := time.Now()
	if err := step.Up(t.Context(), p.Steps(), nil, nil); err != nil {
		t.Fatal(err)
	}
	t.Logf("up after %s", time.Since(begin))
	cluster, err := p.Connect(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return &lab{T: t, provider: p, cluster: cluster, client: cluster.Clientset}
}

func TestCluster(t *testing.T) {
	l := upForTest(t)
	t.Run("status", l.sub((*lab).testStatus))
	t.Run("access", l.sub((*lab).testAccess))
	t.Run("deployment gets a node", l.sub((*lab).testDeployment))
	t.Run("workload", l.sub((*lab).testWorkload))
	t.Run("refusal", l.sub((*lab).testRefusal))
	t.Run("trials", l.sub((*lab).testTrials))
	t.Run("replace", l.sub((*lab).testReplace))
	t.Run("scale down", l.sub((*lab).testScaleDown))
	t.Run("restart", l.sub((*lab).testRestart))
	if t.Failed() {
		data, _ := os.ReadFile(l.provider.dir.log())
		t.Logf("log of the supervisor:\n%s", data)
	}
	status, err := l.provider.Status(t.Context())
	l.must(err)
	t.Logf("memory %s MiB, peak %s MiB", status.Facts["memoryMiB"], status.Facts["peakMemoryMiB"])
	begin := time.Now()
	l.must(step.Down(t.Context(), l.provider.Steps(), nil, nil))
	t.Logf("down after %s", time.Since(begin))
}

func (l *lab) sub(f func(*lab)) func(t *testing.T) {
	return func(t *testing.T) {
		inner := *l
		inner.T = t
		f(&inner)
	}
}

func (l *lab) testStatus() {
	status, err := l.provider.Status(l.Context())
	l.must(err)
	if status.State != provision.Running || status.Simulated == "" || status.Endpoint == "" {
		l.Errorf("status %+v", status)
	}
	done, err := l.provider.Steps()[0].Done(l.Context())
	l.must(err)
	if !done {
		l.Error("a second up would not see that the cluster runs")
	}
	if info, err := os.Stat(l.provider.opts.Kubeconfig); err != nil || info.Mode().Perm() != 0o600 {
		l.Errorf("kubeconfig: %v, %v", info, err)
	}
}

func (l *lab) nodes(group string) []corev1.Node {
	list, err := l.client.CoreV1().Nodes().List(l.Context(), metav1.ListOptions{LabelSelector: scaler.GroupLabel + "=" + group})
	l.must(err)
	return list.Items
}

func (l *lab) eventually(what string, f func() (bool, string)) {
	l.Helper()
	seen := ""
	for deadline := time.Now().Add(30 * time.Second); time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
		var ok bool
		if ok, seen = f(); ok {
			return
		}
	}
	l.Fatalf("%s: not so after 30 s, last seen: %s", what, seen)
}

func (l *lab) eventuallyEvent(reason, text string) {
	l.Helper()
	l.eventually("event "+reason, func() (bool, string) {
		list, err := l.client.CoreV1().Events("").List(l.Context(), metav1.ListOptions{FieldSelector: "reason=" + reason})
		l.must(err)
		for _, e := range list.Items {
			if strings.Contains(e.Message, text) {
				return true, ""
			}
		}
		return false, fmt.Sprintf("%d events of that reason", len(list.Items))
	})
}

func (l *lab) gone(selector string) {
	l.Helper()
	l.eventually(selector+" gone", func() (bool, string) {
		list, err := l.client.CoreV1().Pods("default").List(l.Context(), metav1.ListOptions{LabelSelector: selector})
		l.must(err)
		return len(list.Items) == 0, fmt.Sprintf("%d pods", len(list.Items))
	})
}
