package serve

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	admissionv1 "k8s.io/api/admission/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/rest"

	"github.com/compspec/ocifit-lab/webhook/artifact"
	"github.com/compspec/ocifit-lab/webhook/compat"
	"github.com/compspec/ocifit-lab/webhook/features"
	"github.com/compspec/ocifit-lab/webhook/predict"
)

// Run with: go test -run - -bench Admissions -benchtime 1x ./webhook/serve
//
// Each line measures the webhook and a webhook that only decodes and allows, over TLS from clients that keep their
// connections, in turns and in one process on one machine. p50 and p99 are of 1,000 requests a second and less;
// throughput is with eight clients that do not wait.

// fleet makes types with combinations of feature labels that model fom was fitted on, and what nodes carry beside them.
func fleet(tb testing.TB, types int) []map[string]string {
	tb.Helper()
	models, err := predict.Published()
	if err != nil {
		tb.Fatal(err)
	}
	fom := models[slices.IndexFunc(models, func(m *predict.Model) bool { return m.Name == "fom" })]
	rng := rand.New(rand.NewPCG(1, 2))
	rows := make([]map[string]string, types)
	for i := range rows {
		l := map[string]string{
			compat.LabelInstanceType: fmt.Sprintf("t%d.%dxlarge", i/10, i%10), compat.LabelArch: []string{"amd64", "arm64"}[i%2], "kubernetes.io/os": "linux",
			"topology.kubernetes.io/region": "us-east-1",
		}
		maps.Copy(l, fom.Combinations[rng.IntN(len(fom.Combinations))])
		for n := range 40 {
			l[fmt.Sprintf("%scpu-cpuid.FLAG%d", compat.FeaturePrefix, n)] = "true"
		}
		rows[i] = l
	}
	return rows
}

// cluster answers node lists and watches as an API server does, with nodes of realistic size.
type cluster struct {
	rows  []map[string]string
	nodes int
	churn chan int // numbers of nodes whose status changes; negative ones change their labels
}

func (c *cluster) node(i, version int) *corev1.Node {
	labels := map[string]string{"kubernetes.io/hostname": fmt.Sprintf("ip-10-0-%d-%d.ec2.internal", i/256, i%256), "topology.kubernetes.io/zone": "us-east-1a"}
	for k, v := range c.rows[i%len(c.rows)] {
		labels[k] = v
	}
	if version < 0 {
		labels[compat.FeaturePrefix+"custom"] = fmt.Sprint(version)
	}
	n := &corev1.Node{}
	n.Kind, n.APIVersion, n.Name, n.Labels, n.ResourceVersion = "Node", "v1", labels["kubernetes.io/hostname"], labels, fmt.Sprint(1000+max(version, -version))
	n.UID = "00000000-0000-0000-0000-000000000000"
	for k := range 40 {
		n.Status.Images = append(n.Status.Images, corev1.ContainerImage{Names: []string{fmt.Sprintf("registry.example/some/image@sha256:%064d", k)}, SizeBytes: 1e8})
	}
	for k := range 5 {
		n.Status.Conditions = append(n.Status.Conditions, corev1.NodeCondition{Type: corev1.NodeConditionType(fmt.Sprint("Condition", k)), Reason: "KubeletHasSufficientMemory", Message: "kubelet has sufficient memory available"})
	}
	return n
}

func (c *cluster) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	enc := json.NewEncoder(w)
	send := func(kind string, object any) {
		_ = enc.Encode(map[string]any{"type": kind, "object": object})
	}
	if r.URL.Query().Get("watch") == "" {
		list := corev1.NodeList{}
		list.Kind, list.APIVersion, list.ResourceVersion = "NodeList", "v1", "1000"
		for i := range c.nodes {
			list.Items = append(list.Items, *c.node(i, 0))
		}
		_ = enc.Encode(list)
		return
	}
	if r.URL.Query().Get("sendInitialEvents") == "true" {
		for i := range c.nodes {
			send("ADDED", c.node(i, 0))
		}
		mark := corev1.Node{}
		mark.Kind, mark.APIVersion, mark.ResourceVersion, mark.Annotations = "Node", "v1", "1000", map[string]string{"k8s.io/initial-events-end": "true"}
		send("BOOKMARK", mark)
	}
	w.(http.Flusher).Flush()
	for version := 1; ; version++ {
		select {
		case <-r.Context().Done():
			return
		case i := <-c.churn:
			if i < 0 {
				send("MODIFIED", c.node(-i, -version))
			} else {
				send("MODIFIED", c.node(i, version))
			}
			w.(http.Flusher).Flush()
		}
	}
}

// serveCluster starts the API for nodes and returns its URL.
func serveCluster(tb testing.TB, c *cluster) string {
	tb.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	web := &http.Server{Handler: c}
	go func() { _ = web.Serve(ln) }()
	tb.Cleanup(func() { web.Close() })
	return "http://" + ln.Addr().String()
}

// newCluster is a webhook over a fleet.
func newCluster(tb testing.TB, types, nodes int) (*site, *cluster) {
	tb.Helper()
	rows := fleet(tb, types)
	c := &cluster{rows: rows, nodes: nodes, churn: make(chan int)}
	s := start(tb, func(cfg *Config) {
		cfg.Models = nil
		cfg.Log = slog.New(slog.NewJSONHandler(io.Discard, nil))
		cfg.FeaturesFile = filepath.Join(filepath.Dir(cfg.FeaturesFile), "fleet.json")
		writeFleet(tb, cfg.FeaturesFile, rows)
		if nodes > 0 {
			client, err := Connect(&rest.Config{Host: serveCluster(tb, c)})
			if err != nil {
				tb.Fatal(err)
			}
			cfg.Cluster = client
		}
	})
	study(tb, s)
	eventually(tb, "ready", func() bool { code, _ := s.get(tb, PathReady); return code == 200 })
	return s, c
}

func writeFleet(tb testing.TB, file string, rows []map[string]string) {
	tb.Helper()
	var cs []features.Candidate
	for _, r := range rows {
		cs = append(cs, features.Candidate{Labels: r})
	}
	data, err := features.EncodeCatalogue(cs)
	if err != nil {
		tb.Fatal(err)
	}
	if err := os.WriteFile(file, data, 0o600); err != nil {
		tb.Fatal(err)
	}
}

// study pushes the artifact with all models.
func study(tb testing.TB, s *site) {
	tb.Helper()
	models, err := predict.Published()
	if err != nil {
		tb.Fatal(err)
	}
	list := []compat.Model{predict.RandomModel()}
	for _, m := range models {
		list = append(list, m.ArtifactModel())
	}
	data, err := artifact.Build(list, map[string]string{"amd64": "ghcr.io/example/hpcg:amd64", "arm64": "ghcr.io/example/hpcg:arm64"})
	if err != nil {
		tb.Fatal(err)
	}
	if _, err := artifact.Push(tb.Context(), s.registry.Ref("study:v1"), data, compat.MediaTypeModels, artifact.Options{PlainHTTP: []string{s.registry.Host}}); err != nil {
		tb.Fatal(err)
	}
}

// fullReview is a review as the API server writes it for the pod of a Job: 3 KiB.
func fullReview(s *site, tag string) string {
	object := fmt.Sprintf(`{"kind":"Pod","apiVersion":"v1","metadata":{"generateName":"hpcg-","namespace":"default","creationTimestamp":null,
"labels":{%q:"true","app.kubernetes.io/name":"hpcg","job-name":"hpcg","batch.kubernetes.io/job-name":"hpcg","controller-uid":"5b8dd1b0-7d9e-4c0e-9b7f-52f6b1a7d111"},
"annotations":{%q:%q,%q:%q,"batch.kubernetes.io/job-completion-index":"0"},
"ownerReferences":[{"apiVersion":"batch/v1","kind":"Job","name":"hpcg","uid":"5b8dd1b0-7d9e-4c0e-9b7f-52f6b1a7d111","controller":true,"blockOwnerDeletion":true}],
"finalizers":["batch.kubernetes.io/job-tracking"],
"managedFields":[{"manager":"kube-controller-manager","operation":"Update","apiVersion":"v1","time":"2025-07-21T00:49:00Z","fieldsType":"FieldsV1","fieldsV1":{"f:metadata":{"f:annotations":{".":{},"f:batch.kubernetes.io/job-completion-index":{}},"f:generateName":{},"f:labels":{".":{},"f:job-name":{}},"f:ownerReferences":{".":{}}},"f:spec":{"f:containers":{},"f:dnsPolicy":{},"f:enableServiceLinks":{},"f:restartPolicy":{},"f:schedulerName":{},"f:securityContext":{},"f:terminationGracePeriodSeconds":{}}}}]},
"spec":{"volumes":[{"name":"kube-api-access-x","projected":{"sources":[{"serviceAccountToken":{"expirationSeconds":3607,"path":"token"}},{"configMap":{"name":"kube-root-ca.crt","items":[{"key":"ca.crt","path":"ca.crt"}]}},{"downwardAPI":{"items":[{"path":"namespace","fieldRef":{"apiVersion":"v1","fieldPath":"metadata.namespace"}}]}}],"defaultMode":420}}],
"containers":[{"name":"hpcg","image":"placeholder:latest","command":["/bin/bash","/flux_operator/wait-0.sh"],"resources":{},"volumeMounts":[{"name":"kube-api-access-x","readOnly":true,"mountPath":"/var/run/secrets/kubernetes.io/serviceaccount"}],"terminationMessagePath":"/dev/termination-log","terminationMessagePolicy":"File","imagePullPolicy":"IfNotPresent"}],
"restartPolicy":"Never","terminationGracePeriodSeconds":30,"dnsPolicy":"ClusterFirst","serviceAccountName":"default","serviceAccount":"default","securityContext":{},"schedulerName":"default-scheduler","tolerations":[{"key":"node.kubernetes.io/not-ready","operator":"Exists","effect":"NoExecute","tolerationSeconds":300},{"key":"node.kubernetes.io/unreachable","operator":"Exists","effect":"NoExecute","tolerationSeconds":300}],"priority":0,"enableServiceLinks":true,"preemptionPolicy":"PreemptLowerPriority"},"status":{}}`,
		compat.LabelEnabled, compat.AnnotationImageRef, s.registry.Ref("study:v1"), compat.AnnotationModel, tag)
	return fmt.Sprintf(`{"kind":"AdmissionReview","apiVersion":"admission.k8s.io/v1","request":{"uid":"705ab4f5-6393-11e8-b7cc-42010a800002","kind":{"group":"","version":"v1","kind":"Pod"},"resource":{"group":"","version":"v1","resource":"pods"},"requestKind":{"group":"","version":"v1","kind":"Pod"},"requestResource":{"group":"","version":"v1","resource":"pods"},"namespace":"default","operation":"CREATE","userInfo":{"username":"system:serviceaccount:kube-system:job-controller","uid":"a","groups":["system:serviceaccounts","system:serviceaccounts:kube-system","system:authenticated"]},"object":%s,"oldObject":null,"dryRun":false,"options":{"kind":"CreateOptions","apiVersion":"meta.k8s.io/v1"}}}`, object)
}

// noop is the webhook to compare with: it decodes the review and allows.
func noop(tb testing.TB, s *site) string {
	tb.Helper()
	pair, err := tls.LoadX509KeyPair(filepath.Join(s.dir, "tls.crt"), filepath.Join(s.dir, "tls.key"))
	if err != nil {
		tb.Fatal(err)
	}
	ln, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12})
	if err != nil {
		tb.Fatal(err)
	}
	web := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var review admissionv1.AdmissionReview
		body, err := io.ReadAll(r.Body)
		if err == nil {
			err = json.Unmarshal(body, &review)
		}
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		review.Response = &admissionv1.AdmissionResponse{UID: review.Request.UID, Allowed: true}
		review.Request = nil
		answer, err := json.Marshal(review)
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write(answer)
	})}
	go func() { _ = web.Serve(ln) }()
	tb.Cleanup(func() { web.Close() })
	return "https://" + ln.Addr().String()
}

// post sends a review and returns how long the answer took.
func post(tb testing.TB, client *http.Client, url, body string, wants string) time.Duration {
	begin := time.Now()
	resp, err := client.Post(url+PathMutate, "application/json", strings.NewReader(body))
	if err != nil {
		tb.Error(err)
		return 0
	}
	data, err := io.ReadAll(resp.Body)
	resp.Body.Close()
	took := time.Since(begin)
	if err != nil || !bytes.Contains(data, []byte(wants)) {
		tb.Errorf("%s %v", data, err)
	}
	return took
}

const (
	patched = `"patchType":"JSONPatch"`
	allowed = `"allowed":true`
)

// latencies asks both in turns.
func latencies(b *testing.B, s *site, url, body string, rounds int) (plain, ours []time.Duration) {
	client := s.newClient()
	defer client.CloseIdleConnections()
	for i := range rounds {
		n, o := post(b, client, url, body, allowed), post(b, client, s.url, body, patched)
		if i >= rounds/10 { // the first tenth warms up
			plain, ours = append(plain, n), append(ours, o)
		}
	}
	slices.Sort(plain)
	slices.Sort(ours)
	return plain, ours
}

func at(sorted []time.Duration, part float64) float64 {
	return float64(sorted[int(part*float64(len(sorted)-1))]) / float64(time.Millisecond)
}

// throughput counts the answers to clients that do not wait.
func throughput(b *testing.B, s *site, url, body, wants string) float64 {
	const clients, span = 8, 3 * time.Second
	var count atomic.Int64
	var wg sync.WaitGroup
	end := time.Now().Add(span)
	for range clients {
		wg.Go(func() {
			client := s.newClient()
			defer client.CloseIdleConnections()
			for time.Now().Before(end) && !b.Failed() {
				post(b, client, url, body, wants)
				count.Add(1)
			}
		})
	}
	wg.Wait()
	return float64(count.Load()) / span.Seconds()
}

func BenchmarkAdmissions(b *testing.B) {
	for _, c := range []struct {
		types, nodes, churn int // churn: node updates per second
		tag                 string
	}{{25, 0, 0, "fom"}, {25, 0, 0, "random"}, {1000, 10_000, 50, "fom"}} {
		b.Run(fmt.Sprintf("types=%d/nodes=%d/model=%s", c.types, c.nodes, c.tag), func(b *testing.B) {
			s, fake := newCluster(b, c.types, c.nodes)
			url, body := noop(b, s), fullReview(s, c.tag)
			ctx, cancel := context.WithCancel(b.Context())
			defer cancel()
			if c.churn > 0 {
				go stir(ctx, fake, c.churn)
			}
			runtime.GC()
			for b.Loop() {
				plain, ours := latencies(b, s, url, body, 10_000)
				b.ReportMetric(at(plain, .5), "noop-p50-ms")
				b.ReportMetric(at(ours, .5), "p50-ms")
				b.ReportMetric(at(ours, .5)/at(plain, .5), "p50-ratio")
				b.ReportMetric(at(plain, .99), "noop-p99-ms")
				b.ReportMetric(at(ours, .99), "p99-ms")
				b.ReportMetric(throughput(b, s, url, body, allowed), "noop/s")
				b.ReportMetric(throughput(b, s, s.url, body, patched), "admissions/s")
				b.ReportMetric(0, "ns/op")
			}
		})
	}
}

// stir updates nodes: mostly their status, once in a while a label that makes the index reconsider.
func stir(ctx context.Context, c *cluster, perSecond int) {
	tick := time.NewTicker(time.Second / time.Duration(perSecond))
	defer tick.Stop()
	for i := 1; ; i++ {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		n := i * 7919 % c.nodes
		if i%perSecond == 0 {
			n = -n
		}
		select {
		case c.churn <- n:
		case <-ctx.Done():
			return
		}
	}
}

// The webhook of the memory benchmark runs in a process of its own: this test binary, told so by the environment.
const childEnv = "OCIFIT_BENCH_CHILD"

func TestMain(m *testing.M) {
	if dir := os.Getenv(childEnv); dir != "" {
		child(dir)
		return
	}
	os.Exit(m.Run())
}

func child(dir string) {
	client, err := Connect(&rest.Config{Host: os.Getenv(childEnv + "_API")})
	if err != nil {
		panic(err)
	}
	ctx, cancel := signal.NotifyContext(context.Background(), os.Interrupt)
	defer cancel()
	err = Run(ctx, Config{
		Listen: os.Getenv(childEnv + "_LISTEN"), CertFile: filepath.Join(dir, "tls.crt"), KeyFile: filepath.Join(dir, "tls.key"), FeaturesFile: filepath.Join(dir, "fleet.json"),
		Cluster: client, PlainHTTPRegistries: []string{os.Getenv(childEnv + "_REGISTRY")},
	})
	if err != nil {
		panic(err)
	}
}

// BenchmarkMemory tells the memory of a webhook over 1,000 types and 10,000 nodes after 2,000 admissions: of this package
// alone, also while 1,000 clients hold bodies of up to 8 MiB that they never finish (the limit of the deployed pod is 384 MiB), and of the
// whole program when OCIFIT_LAB_BIN names it. Anonymous memory is what the kernel cannot drop; the rest of the resident memory is the
// program's file.
func BenchmarkMemory(b *testing.B) {
	for _, slow := range []int{0, 1000} {
		b.Run(fmt.Sprintf("package/slow-clients=%d", slow), func(b *testing.B) {
			measureMemory(b, slow, func(s *site, api string) *exec.Cmd {
				cmd := exec.Command(os.Args[0])
				cmd.Env = append(os.Environ(), childEnv+"="+s.dir, childEnv+"_API="+api, childEnv+"_REGISTRY="+s.registry.Host, childEnv+"_LISTEN="+freeAddress(b),
					"GOMEMLIMIT=320MiB") // as deployed
				return cmd
			})
		})
	}
	bin := os.Getenv("OCIFIT_LAB_BIN")
	if bin == "" {
		return
	}
	b.Run("program", func(b *testing.B) {
		measureMemory(b, 0, func(s *site, api string) *exec.Cmd {
			config := fmt.Sprintf(`{"apiVersion":"v1","kind":"Config","clusters":[{"name":"c","cluster":{"server":%q}}],"contexts":[{"name":"c","context":{"cluster":"c"}}],"current-context":"c"}`, api)
			s.write(b, "kubeconfig", []byte(config))
			folder := filepath.Join(s.dir, "features")
			if err := os.MkdirAll(folder, 0o700); err != nil {
				b.Fatal(err)
			}
			if err := os.Rename(filepath.Join(s.dir, "fleet.json"), filepath.Join(folder, "fleet.json")); err != nil {
				b.Fatal(err)
			}
			return exec.Command(bin, "webhook", "serve", "--listen", freeAddress(b), "--kubeconfig", filepath.Join(s.dir, "kubeconfig"), "--features-dir", folder,
				"--tls-cert", filepath.Join(s.dir, "tls.crt"), "--tls-key", filepath.Join(s.dir, "tls.key"), "--plain-http", s.registry.Host, "--events=false")
		})
	})
}

func freeAddress(b *testing.B) string {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	defer ln.Close()
	return ln.Addr().String()
}

// hold has clients send bodies of 8 MiB that end in the middle; it returns how many were refused at once when all have sent what they
// could, and lets the rest go with the benchmark.
func hold(b *testing.B, s *site, clients int) (refused int) {
	ctx, cancel := context.WithCancel(context.Background())
	var done sync.WaitGroup
	b.Cleanup(func() { cancel(); done.Wait() })
	settled := make(chan bool, 2*clients) // true: refused
	for range clients {
		done.Go(func() {
			body, feed := io.Pipe()
			go func() {
				chunk := make([]byte, 64<<10)
				for range 64 { // 4 of 8 MiB
					if _, err := feed.Write(chunk); err != nil {
						return
					}
				}
				settled <- false
				<-ctx.Done()
				feed.CloseWithError(ctx.Err())
			}()
			req, err := http.NewRequestWithContext(ctx, http.MethodPost, s.url+PathMutate, body)
			if err != nil {
				panic(err)
			}
			req.ContentLength = 8 << 20
			req.Header.Set("Content-Type", "application/json")
			client := s.newClient()
			defer client.CloseIdleConnections()
			resp, err := client.Do(req)
			if err == nil {
				resp.Body.Close()
			}
			body.CloseWithError(io.ErrClosedPipe)
			if ctx.Err() == nil {
				settled <- true
			}
		})
	}
	for range clients {
		if <-settled {
			refused++
		}
	}
	return refused
}

func measureMemory(b *testing.B, slow int, command func(s *site, api string) *exec.Cmd) {
	const types, nodes = 1000, 10_000
	s := start(b, nil)
	study(b, s)
	rows := fleet(b, types)
	writeFleet(b, filepath.Join(s.dir, "fleet.json"), rows)
	cmd := command(s, serveCluster(b, &cluster{rows: rows, nodes: nodes, churn: make(chan int)}))
	address := ""
	for _, text := range slices.Concat(cmd.Args, cmd.Env) {
		if i := strings.LastIndex(text, "127.0.0.1:"); i >= 0 && (text[:i] == "" || strings.HasSuffix(text[:i], "_LISTEN=")) {
			address = text[i:]
			break
		}
	}
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	defer func() {
		_ = cmd.Process.Signal(os.Interrupt)
		_ = cmd.Wait()
	}()
	other := &site{url: "https://" + address, client: s.client, registry: s.registry}
	eventually(b, "ready", func() bool {
		resp, err := s.client.Get(other.url + PathReady)
		if err != nil {
			return false
		}
		resp.Body.Close()
		return resp.StatusCode == http.StatusOK
	})
	for b.Loop() {
		if slow > 0 {
			client := *s
			client.url = other.url
			b.ReportMetric(float64(hold(b, &client, slow)), "refused")
		}
		for range 2000 {
			post(b, s.client, other.url, fullReview(s, "fom"), patched)
		}
		reportMemory(b, cmd.Process.Pid)
		b.ReportMetric(0, "ns/op")
	}
}

func reportMemory(b *testing.B, pid int) {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		b.Skip("no /proc: ", err)
	}
	for line := range strings.Lines(string(status)) {
		var kib float64
		for key, unit := range map[string]string{"VmHWM:": "peak-MiB", "VmRSS:": "resident-MiB", "RssAnon:": "anonymous-MiB"} {
			if _, err := fmt.Sscanf(line, key+" %f kB", &kib); err == nil {
				b.ReportMetric(kib/1024, unit)
			}
		}
	}
}

// BenchmarkHandler is one admission without the network: what the webhook adds to a no-op.
func BenchmarkHandler(b *testing.B) {
	s, _ := newCluster(b, 25, 0)
	body := []byte(fullReview(s, "fom"))
	srv, _, err := prepare(Config{
		FeaturesFile: filepath.Join(s.dir, "fleet.json"), PlainHTTPRegistries: []string{s.registry.Host}, DecisionTimeout: time.Second, MaxBody: 1 << 20, MaxInFlight: 32 << 20,
		Models: published(b), Log: slog.New(slog.NewJSONHandler(io.Discard, nil)),
	})
	if err != nil {
		b.Fatal(err)
	}
	h := srv.handler()
	b.ReportAllocs()
	for b.Loop() {
		r := httptest.NewRequest(http.MethodPost, PathMutate, bytes.NewReader(body))
		r.Header.Set("Content-Type", "application/json")
		w := httptest.NewRecorder()
		if h.ServeHTTP(w, r); w.Code != http.StatusOK {
			b.Fatal(w.Body)
		}
	}
}

func published(tb testing.TB) []*predict.Model {
	tb.Helper()
	models, err := predict.Published()
	if err != nil {
		tb.Fatal(err)
	}
	return models
}
