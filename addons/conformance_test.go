package addons_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/compspec/ocifit-lab/addons"
	"github.com/compspec/ocifit-lab/addons/autoscaler"
	"github.com/compspec/ocifit-lab/addons/builtin"
	"github.com/compspec/ocifit-lab/addons/certmanager"
	"github.com/compspec/ocifit-lab/addons/compatibility"
	"github.com/compspec/ocifit-lab/addons/component"
	"github.com/compspec/ocifit-lab/addons/fluxoperator"
	"github.com/compspec/ocifit-lab/addons/labcert"
	"github.com/compspec/ocifit-lab/addons/nfd"
	"github.com/compspec/ocifit-lab/addons/nodefeatures"
	"github.com/compspec/ocifit-lab/provision/chart"
	"github.com/compspec/ocifit-lab/provision/kube"
	"github.com/compspec/ocifit-lab/provision/registry"
	"github.com/compspec/ocifit-lab/provision/sim/controlplane"
	"github.com/compspec/ocifit-lab/provision/sim/nodes"
	"github.com/compspec/ocifit-lab/provision/simulated"
)

const lab = "ocifit-system"

// world is a real API server with controllers and one simulated node, a registry and a web server. A process can have one.
type world struct {
	dir      string
	cluster  *kube.Cluster
	registry string
	web      *httptest.Server
	mu       sync.Mutex
	files    map[string][]byte
	failures map[string]int // how often the web server fails before it serves a file
}

var shared *world

func TestMain(m *testing.M) {
	ctx, cancel := context.WithCancel(context.Background())
	dir, err := os.MkdirTemp("", "conformance-*")
	if err != nil {
		panic(err)
	}
	stop, err := begin(ctx, dir)
	code := 1
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
	} else {
		code = m.Run()
	}
	cancel()
	stop()
	os.RemoveAll(dir)
	os.Exit(code)
}

func begin(ctx context.Context, dir string) (stop func(), err error) {
	stop = func() {}
	log, err := os.Create(filepath.Join(dir, "log"))
	if err != nil {
		return stop, err
	}
	start, cancel := context.WithTimeout(ctx, 90*time.Second)
	defer cancel()
	plane, err := controlplane.Start(start, controlplane.Options{Dir: filepath.Join(dir, "plane"), Log: log})
	if err != nil {
		return stop, err
	}
	stop = func() {
		end, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		_ = plane.Stop(end)
	}
	if _, err := nodes.Start(ctx, nodes.Options{
		Config: plane.RESTConfig(), LogDir: filepath.Join(dir, "pods"), CA: plane.InternalCA(),
		ClientName: controlplane.KubeletClient, Log: log,
	}); err != nil {
		return stop, err
	}
	cluster, err := kube.Connect(plane.Kubeconfig())
	if err != nil {
		return stop, err
	}
	reg, err := registry.Start(ctx, registry.Options{Dir: filepath.Join(dir, "registry")})
	if err != nil {
		return stop, err
	}
	w := &world{dir: dir, cluster: cluster, registry: reg.Addr(), files: map[string][]byte{}, failures: map[string]int{}}
	w.web = httptest.NewServer(http.HandlerFunc(w.serve))
	shared = w
	go standIns(ctx, cluster)
	return func() { w.web.Close(); _ = reg.Stop(); stop2(plane) }, w.addNode(ctx)
}

func stop2(plane *controlplane.ControlPlane) {
	end, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	_ = plane.Stop(end)
}

func (w *world) addNode(ctx context.Context) error {
	room := corev1.ResourceList{"cpu": resource.MustParse("8"), "memory": resource.MustParse("32Gi"), "pods": resource.MustParse("110")}
	_, err := w.cluster.Clientset.CoreV1().Nodes().Create(ctx, &corev1.Node{
		ObjectMeta: metav1.ObjectMeta{Name: "node", Labels: map[string]string{simulated.NodeLabel: "true", corev1.LabelHostname: "node"}},
		Status:     corev1.NodeStatus{Capacity: room, Allocatable: room},
	}, metav1.CreateOptions{})
	return err
}

// serve gives out files, after as many failures as were asked for.
func (w *world) serve(rw http.ResponseWriter, r *http.Request) {
	w.mu.Lock()
	defer w.mu.Unlock()
	name := strings.TrimPrefix(r.URL.Path, "/")
	if w.failures[name] > 0 {
		w.failures[name]--
		http.Error(rw, "not now", http.StatusServiceUnavailable)
		return
	}
	data, ok := w.files[name]
	if !ok {
		http.NotFound(rw, r)
		return
	}
	_, _ = rw.Write(data)
}

func (w *world) put(name string, data []byte) string {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.files[name] = data
	return w.web.URL + "/" + name
}

func (w *world) sources() chart.Options {
	return chart.Options{PlainHTTP: []string{w.registry}, Pause: 10 * time.Millisecond}
}

// part is a component from a chart or manifest of the test's own.
func (w *world) part(name, location, version string, data []byte) *component.Component {
	return &component.Component{
		Name: name, Namespace: name, Records: lab, Source: w.sources(),
		Ref: chart.Ref{Location: location, Version: version, Digest: digestOf(data)},
	}
}

// cases are all addons, each in two versions.
func cases(t *testing.T, w *world) map[string]func(version int) addons.Addon {
	image := func(v int) func(context.Context) (string, error) {
		return func(context.Context) (string, error) { return fmt.Sprintf("lab:%d", v), nil }
	}
	return map[string]func(int) addons.Addon{
		"node-features": func(v int) addons.Addon {
			return &nodefeatures.Addon{Namespace: lab, Features: fmt.Appendf(nil, "[{\"v\": \"%d\"}]", v), Types: 1}
		},
		"artifact": func(v int) addons.Addon {
			return &compatibility.Addon{Images: map[string]string{"amd64": fmt.Sprintf("app:%d", v), "arm64": "app:arm"}, Target: func(context.Context) (compatibility.Target, error) {
				return compatibility.Target{Ref: w.registry + "/conformance/artifact:v1", PlainHTTP: []string{w.registry}}, nil
			}}
		},
		"certificates by the lab": func(v int) addons.Addon {
			return &labcert.Addon{Namespace: lab, Secret: "tls", Service: "hook", Now: func() time.Time { return time.Now().AddDate(0, 0, 350*(v-1)) }}
		},
		"cert-manager": func(v int) addons.Addon {
			data := chartArchive(t, "cert-manager", v, certificateCRDs, workload("Deployment", "controller", v))
			version := fmt.Sprintf("1.0.%d", v)
			return &certmanager.Addon{Component: w.part("cert-manager", w.push(t, "charts/cert-manager", version, data), version, data), Proof: lab}
		},
		"flux-operator": func(v int) addons.Addon {
			data := []byte(strings.Join([]string{miniclusterCRD, workload("Deployment", "operator", v), blocker(v)}, "\n---\n"))
			data = []byte(strings.ReplaceAll(string(data), "{{ .Release.Namespace }}", "flux-operator"))
			location := w.put(fmt.Sprintf("flux-%d.yaml", v), data)
			return &fluxoperator.Addon{Component: w.part("flux-operator", location, fmt.Sprint(v), data), Proof: lab}
		},
		"builtin MiniClusters": func(v int) addons.Addon { return &builtin.Addon{Namespace: lab, Image: image(v)} },
		"node-feature-discovery": func(v int) addons.Addon {
			data := chartArchive(t, "nfd", v, workload("DaemonSet", "worker", v), workload("Deployment", "master", v))
			return &nfd.Addon{Component: w.part("nfd", w.put(fmt.Sprintf("nfd-%d.tgz", v), data), fmt.Sprint(v), data)}
		},
		"autoscaler": func(v int) addons.Addon {
			data := chartArchive(t, "autoscaler", v, workload("Deployment", "autoscaler", v))
			part := w.part("autoscaler", w.put(fmt.Sprintf("ca-%d.tgz", v), data), fmt.Sprint(v), data)
			part.Values = autoscaler.Values(autoscaler.Options{Cluster: "c", Region: "us-east-1", ScaleDownAfter: 10 * time.Minute})
			return &autoscaler.Addon{Component: part}
		},
	}
}

// TestConformance puts every addon through its whole life.
func TestConformance(t *testing.T) {
	w := shared
	w.namespace(t, lab)
	for name, make := range cases(t, w) {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
			defer cancel()
			one, two := make(1), make(2)
			if one.Name() == "" || one.Plan() == "" {
				t.Error("no name or no plan")
			}
			if err := one.Ready(ctx, w.cluster); err == nil {
				t.Fatal("it is ready before it is installed")
			}
			install(ctx, t, w, one)
			before := w.fingerprint(ctx, t)
			if err := one.Install(ctx, w.cluster, t.Logf); err != nil {
				t.Fatalf("install again: %v", err)
			}
			if after := w.fingerprint(ctx, t); after != before {
				t.Errorf("a second installation changed something:\n%s\n%s", before, after)
			}
			if err := two.Ready(ctx, w.cluster); err == nil {
				t.Error("the next version is ready before it is installed")
			}
			install(ctx, t, w, two)
			for range 2 {
				if err := two.Remove(ctx, w.cluster, t.Logf); err != nil {
					t.Fatalf("remove: %v", err)
				}
			}
			if name != "artifact" { // a registry keeps what others may read
				if err := two.Ready(ctx, w.cluster); err == nil {
					t.Error("it is ready after its removal")
				}
			}
			w.nothingOf(ctx, t, name)
		})
	}
}

// install installs as `up` does: it tries Ready until the addon works.
func install(ctx context.Context, t *testing.T, w *world, a addons.Addon) {
	t.Helper()
	steps := addons.Steps(func(context.Context) (*kube.Cluster, error) { return w.cluster, nil }, free, a)
	if err := steps[0].Run(ctx, func(string, ...any) {}); err != nil {
		t.Fatalf("install: %v", err)
	}
	if done, err := steps[0].Done(ctx); !done || err != nil {
		t.Fatalf("installed, but not done: %v, %v", done, err)
	}
}
