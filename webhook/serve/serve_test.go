package serve

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	admissionv1 "k8s.io/api/admission/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes/fake"

	"github.com/compspec/ocifit-lab/webhook/admit"
	"github.com/compspec/ocifit-lab/webhook/artifact"
	"github.com/compspec/ocifit-lab/webhook/artifact/artifacttest"
	"github.com/compspec/ocifit-lab/webhook/compat"
	"github.com/compspec/ocifit-lab/webhook/predict"
)

// patience bounds waits that normally take milliseconds.
const patience = 20 * time.Second

// model knows the kernels of the tests and likes the second one.
func model(t testing.TB) *predict.Model {
	t.Helper()
	m, err := predict.NewModel(predict.Model{
		Name: "speed", Direction: compat.Maximize, KnownValues: map[string][]string{"feature.node.kubernetes.io/k": {"1", "2"}},
		Terms: []predict.Term{{Coefficient: 5, When: []predict.Condition{{Label: "feature.node.kubernetes.io/k", Equals: "2"}}}},
	})
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// site is a running webhook with what it needs.
type site struct {
	url      string
	dir      string
	registry *artifacttest.Registry
	client   *http.Client
	pool     *x509.CertPool
	cancel   context.CancelFunc
	done     chan error
}

func start(t testing.TB, edit func(*Config)) *site {
	t.Helper()
	s := &site{dir: t.TempDir(), registry: artifacttest.New(t), pool: x509.NewCertPool(), done: make(chan error, 1)}
	s.rotate(t, 1)
	s.catalogue(t, `{"node.kubernetes.io/instance-type":"slow","kubernetes.io/arch":"amd64","feature.node.kubernetes.io/k":"1"}`)
	entry := model(t).ArtifactModel()
	data, err := artifact.Build([]compat.Model{predict.RandomModel(), entry}, map[string]string{"amd64": "i:amd"})
	if err != nil {
		t.Fatal(err)
	}
	plain := artifact.Options{PlainHTTP: []string{s.registry.Host}}
	if _, err := artifact.Push(t.Context(), s.registry.Ref("study:v1"), data, compat.MediaTypeModels, plain); err != nil {
		t.Fatal(err)
	}
	listening := make(chan string, 1)
	cfg := Config{
		Listen: "127.0.0.1:0", CertFile: filepath.Join(s.dir, "tls.crt"), KeyFile: filepath.Join(s.dir, "tls.key"),
		FeaturesFile: filepath.Join(s.dir, "features.json"), Models: []*predict.Model{model(t)}, ShutdownTimeout: 15 * time.Second,
		PlainHTTPRegistries: []string{s.registry.Host}, OnListen: func(addr string) { listening <- addr },
	}
	if edit != nil {
		edit(&cfg)
	}
	ctx, cancel := context.WithCancel(context.Background())
	s.cancel = cancel
	go func() { s.done <- Run(ctx, cfg) }()
	t.Cleanup(func() { s.stop(t) })
	select {
	case addr := <-listening:
		s.url = "https://" + addr
	case err := <-s.done:
		s.done <- err
		t.Fatal(err)
	case <-time.After(patience):
		t.Fatal("the webhook does not listen")
	}
	s.client = s.newClient()
	return s
}

func (s *site) newClient() *http.Client {
	return &http.Client{Timeout: patience, Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: s.pool, ServerName: "webhook.test"}}}
}

// stop ends the webhook and checks that it ended well.
func (s *site) stop(t testing.TB) {
	// A connection that was dialled and never used counts as busy for its first five seconds.
	if s.client != nil {
		s.client.CloseIdleConnections()
	}
	s.cancel()
	select {
	case err := <-s.done:
		s.done <- nil
		if err != nil {
			t.Errorf("the webhook ended with %v", err)
		}
	case <-time.After(patience):
		t.Error("the webhook does not end")
	}
}

// rotate writes a new certificate with the given serial number.
func (s *site) rotate(t testing.TB, serial int64) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	tmpl := &x509.Certificate{
		SerialNumber: big.NewInt(serial), DNSNames: []string{"webhook.test"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	s.pool.AddCert(cert)
	keyDER, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	s.write(t, "tls.crt", pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
	s.write(t, "tls.key", pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: keyDER}))
}

func (s *site) catalogue(t testing.TB, rows ...string) {
	s.write(t, "features.json", []byte("["+strings.Join(rows, ",")+"]"))
}

func (s *site) write(t testing.TB, name string, data []byte) {
	t.Helper()
	tmp := filepath.Join(s.dir, name+".tmp")
	if err := os.WriteFile(tmp, data, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(tmp, filepath.Join(s.dir, name)); err != nil {
		t.Fatal(err)
	}
}

func (s *site) pod(tag string) string {
	return fmt.Sprintf(`{"kind":"Pod","metadata":{"name":"p","labels":{%q:"true"},"annotations":{%q:%q,%q:%q}},"spec":{"containers":[{"name":"a","image":"placeholder:latest"}]}}`,
		compat.LabelEnabled, compat.AnnotationImageRef, s.registry.Ref("study:v1"), compat.AnnotationModel, tag)
}

func reviewOf(object string) string {
	return fmt.Sprintf(`{"apiVersion":"admission.k8s.io/v1","kind":"AdmissionReview","request":{"uid":"u1","kind":{"version":"v1","kind":"Pod"},"namespace":"ns","operation":"CREATE","object":%s}}`, object)
}

// ask posts a body and returns status and answer.
func (s *site) ask(t testing.TB, client *http.Client, body string) (int, string) {
	t.Helper()
	resp, err := client.Post(s.url+PathMutate, "application/json", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(data)
}

// admit sends a pod and returns the response.
func (s *site) admit(t testing.TB, object string) *admissionv1.AdmissionResponse {
	t.Helper()
	code, text := s.ask(t, s.client, reviewOf(object))
	var review admissionv1.AdmissionReview
	if err := json.Unmarshal([]byte(text), &review); err != nil || code != http.StatusOK {
		t.Fatalf("%d %s: %v", code, text, err)
	}
	if review.Response.UID != "u1" || review.Kind != "AdmissionReview" {
		t.Fatalf("%s", text)
	}
	return review.Response
}

func (s *site) get(t testing.TB, path string) (int, string) {
	t.Helper()
	resp, err := s.client.Get(s.url + path)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(data)
}

// eventually waits for a condition.
func eventually(t testing.TB, what string, cond func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !cond(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("it never happened: %s", what)
		}
	}
}

func TestServe(t *testing.T) {
	var reviews atomic.Int64
	s := start(t, func(c *Config) { c.OnReview = func(admit.Report) { reviews.Add(1) } })
	if code, text := s.get(t, PathHealth); code != 200 || text != "ok\n" {
		t.Error(code, text)
	}
	if code, text := s.get(t, PathReady); code != 200 {
		t.Error(code, text)
	}
	resp := s.admit(t, s.pod("speed"))
	if !resp.Allowed || !strings.Contains(string(resp.Patch), `"i:amd"`) || *resp.PatchType != admissionv1.PatchTypeJSONPatch {
		t.Errorf("%+v", resp)
	}
	if resp := s.admit(t, s.pod("nope")); resp.Allowed || resp.Result.Code != 422 {
		t.Errorf("%+v", resp)
	}
	_, text := s.get(t, PathMetrics)
	for _, want := range []string{
		`ocifit_admissions_total{kind="Pod",reason="",result="selected"} 1`, `ocifit_admissions_total{kind="Pod",reason="unknown-model",result="denied"} 1`,
		`ocifit_catalogue_types 1`, `ocifit_admission_seconds_count 2`,
	} {
		if !strings.Contains(text, want) {
			t.Errorf("metrics lack %s", want)
		}
	}
	// A model that the artifact lacks makes the cache look again: how often it hits depends on the time that has passed.
	for _, result := range []string{"hit", "miss"} {
		line := `ocifit_artifact_cache_total{result="` + result + `"} `
		if !strings.Contains(text, line) || strings.Contains(text, line+"0\n") {
			t.Errorf("metrics count no %s", result)
		}
	}
	if reviews.Load() != 2 {
		t.Errorf("%d reviews seen", reviews.Load())
	}
}

func TestBadRequests(t *testing.T) {
	s := start(t, func(c *Config) { c.MaxBody = 10_000 })
	for name, c := range map[string]struct {
		body string
		code int
	}{
		"not JSON":      {"hello", 400},
		"empty":         {"", 400},
		"no request":    {`{"apiVersion":"admission.k8s.io/v1","kind":"AdmissionReview"}`, 400},
		"null request":  {`{"apiVersion":"admission.k8s.io/v1","kind":"AdmissionReview","request":null}`, 400},
		"other version": {`{"apiVersion":"admission.k8s.io/v1beta1","kind":"AdmissionReview","request":{}}`, 400},
		"other kind":    {`{"apiVersion":"v1","kind":"Pod"}`, 400},
		"too large":     {`{"x":"` + strings.Repeat("a", 20_000) + `"}`, 413},
	} {
		if code, text := s.ask(t, s.client, c.body); code != c.code {
			t.Errorf("%s: %d %s", name, code, text)
		}
	}
	resp, err := s.client.Post(s.url+PathMutate, "text/plain", strings.NewReader("{}"))
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusUnsupportedMediaType {
		t.Error(resp.StatusCode)
	}
	if code, _ := s.get(t, PathMutate); code != http.StatusMethodNotAllowed {
		t.Error(code)
	}
	if code, _ := s.get(t, "/nope"); code != http.StatusNotFound {
		t.Error(code)
	}
	if resp := s.admit(t, s.pod("speed")); !resp.Allowed {
		t.Errorf("after bad requests a good one fails: %+v", resp)
	}
}

func TestRegistryDownAndBudget(t *testing.T) {
	s := start(t, func(c *Config) { c.ArtifactFresh, c.DecisionTimeout = time.Nanosecond, 2*time.Second })
	s.registry.SetDown(true)
	if resp := s.admit(t, s.pod("speed")); resp.Allowed || resp.Result.Code != 503 {
		t.Errorf("%+v", resp)
	}
	s.registry.SetDown(false)
	if resp := s.admit(t, s.pod("speed")); !resp.Allowed {
		t.Errorf("%+v", resp)
	}
	s.registry.SetDown(true)
	if resp := s.admit(t, s.pod("speed")); !resp.Allowed || len(resp.Warnings) != 1 {
		t.Errorf("the last good copy must serve, and say so: %+v", resp)
	}
	s.registry.SetDown(false)
	s.registry.SetDelay(patience)
	req, err := http.NewRequest(http.MethodPost, s.url+PathMutate+"?timeout=200ms", strings.NewReader(reviewOf(strings.Replace(s.pod("speed"), "study:v1", "other:v1", 1))))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	begin := time.Now()
	resp, err := s.client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	if err != nil || !strings.Contains(string(data), "deadline") {
		t.Errorf("%s %v", data, err)
	}
	if took := time.Since(begin); took > patience/2 {
		t.Errorf("the API server's timeout was not kept: %s", took)
	}
	s.registry.SetDelay(0)
}

func TestCertificateRotates(t *testing.T) {
	s := start(t, nil)
	serial := func() string {
		c := s.newClient()
		defer c.CloseIdleConnections()
		resp, err := c.Get(s.url + PathHealth)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		return resp.TLS.PeerCertificates[0].SerialNumber.String()
	}
	if got := serial(); got != "1" {
		t.Fatal(got)
	}
	s.write(t, "tls.crt", []byte("half written"))
	time.Sleep(checkEvery)
	if got := serial(); got != "1" {
		t.Errorf("a broken certificate replaced the good one: %s", got)
	}
	s.rotate(t, 2)
	s.client = s.newClient() // the pool has the new certificate now
	eventually(t, "the new certificate is used", func() bool { return serial() == "2" })
}

func TestOldTLSIsRefused(t *testing.T) {
	s := start(t, nil)
	conn, err := tls.Dial("tcp", strings.TrimPrefix(s.url, "https://"), &tls.Config{RootCAs: s.pool, ServerName: "webhook.test", MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS11})
	if err == nil {
		conn.Close()
		t.Error("TLS 1.1 was accepted")
	}
}

func TestCatalogueReloads(t *testing.T) {
	s := start(t, nil)
	s.write(t, "features.json", []byte("broken"))
	s.catalogue(t, `{"node.kubernetes.io/instance-type":"quick","kubernetes.io/arch":"amd64","feature.node.kubernetes.io/k":"2"}`)
	eventually(t, "the new type is chosen", func() bool {
		return strings.Contains(string(s.admit(t, s.pod("speed")).Patch), `"quick"`)
	})
	s.write(t, "features.json", []byte("broken"))
	eventually(t, "the failed reload is counted", func() bool {
		_, text := s.get(t, PathMetrics)
		return !strings.Contains(text, "ocifit_catalogue_reload_errors_total 0")
	})
	if resp := s.admit(t, s.pod("speed")); !resp.Allowed {
		t.Errorf("the last good catalogue must stay: %+v", resp)
	}
}

func node(name, typ, k string) *corev1.Node {
	return &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{
		compat.LabelInstanceType: typ, compat.LabelArch: "amd64", compat.FeaturePrefix + "k": k,
	}}}
}

func TestNodesAreWatched(t *testing.T) {
	client := fake.NewClientset(node("n1", "live", "2"))
	s := start(t, func(c *Config) { c.Cluster = clusterOf(client) })
	eventually(t, "ready", func() bool { code, _ := s.get(t, PathReady); return code == 200 })
	chosen := func(name string) func() bool {
		return func() bool { return strings.Contains(string(s.admit(t, s.pod("speed")).Patch), `"`+name+`"`) }
	}
	eventually(t, "the live type is chosen", chosen("live"))
	if _, err := client.CoreV1().Nodes().Update(t.Context(), node("n1", "live", "9"), metav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
	eventually(t, "a live type out of the domain is left out", chosen("slow"))
	if _, err := client.CoreV1().Nodes().Create(t.Context(), node("n2", "other", "2"), metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	eventually(t, "a new node counts", chosen("other"))
	if err := client.CoreV1().Nodes().Delete(t.Context(), "n2", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	eventually(t, "a deleted node does not count", chosen("slow"))
}

func TestPanicIsOneRequest(t *testing.T) {
	s := start(t, func(c *Config) {
		c.OnReview = func(r admit.Report) {
			if r.Reason == admit.ReasonUnknownModel {
				panic("for the test")
			}
		}
	})
	if code, text := s.ask(t, s.client, reviewOf(s.pod("nope"))); code != http.StatusInternalServerError {
		t.Errorf("%d %s", code, text)
	}
	if resp := s.admit(t, s.pod("speed")); !resp.Allowed {
		t.Errorf("%+v", resp)
	}
	if _, text := s.get(t, PathMetrics); !strings.Contains(text, "ocifit_panics_total 1") {
		t.Error("the panic was not counted")
	}
}

// A request that runs when the end comes is answered.
func TestStopsGracefully(t *testing.T) {
	s := start(t, nil)
	s.registry.SetDelay(200 * time.Millisecond)
	asked := s.registry.Requests()
	var wg sync.WaitGroup
	wg.Go(func() {
		if code, text := s.ask(t, s.client, reviewOf(s.pod("speed"))); code != 200 || !strings.Contains(text, `"allowed":true`) {
			t.Errorf("%d %s", code, text)
		}
	})
	eventually(t, "the request runs", func() bool { return s.registry.Requests() > asked })
	s.stop(t)
	wg.Wait()
	if conn, err := net.Dial("tcp", strings.TrimPrefix(s.url, "https://")); err == nil {
		conn.Close()
		t.Error("the port is still open")
	}
}

func TestManyAtOnce(t *testing.T) {
	s := start(t, nil)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 50 {
				if code, text := s.ask(t, s.client, reviewOf(s.pod("random"))); code != 200 || !strings.Contains(text, `"allowed":true`) {
					t.Errorf("%d %s", code, text)
				}
			}
		})
	}
	wg.Wait()
}

func TestRunRefuses(t *testing.T) {
	s := start(t, nil)
	good := Config{
		Listen: "127.0.0.1:0", CertFile: filepath.Join(s.dir, "tls.crt"), KeyFile: filepath.Join(s.dir, "tls.key"), FeaturesFile: filepath.Join(s.dir, "features.json"),
	}
	bad := filepath.Join(s.dir, "bad.json")
	if err := os.WriteFile(bad, []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		edit func(*Config)
		says string
	}{
		"no certificate":      {func(c *Config) { c.CertFile = "" }, "certificate"},
		"certificate missing": {func(c *Config) { c.CertFile = "/nonexistent" }, "nonexistent"},
		"no address":          {func(c *Config) { c.Listen = "" }, "address"},
		"port taken":          {func(c *Config) { c.Listen = strings.TrimPrefix(s.url, "https://") }, "in use"},
		"no features":         {func(c *Config) { c.FeaturesFile = "" }, "instance types"},
		"features missing":    {func(c *Config) { c.FeaturesFile = "/nonexistent" }, "features file"},
		"features broken":     {func(c *Config) { c.FeaturesFile = bad }, "bad.json"},
		"tie-break":           {func(c *Config) { c.TieBreak = "dice" }, "tie-break"},
		"negative":            {func(c *Config) { c.DecisionTimeout = -1 }, "negative"},
	} {
		cfg := good
		c.edit(&cfg)
		if err := Run(t.Context(), cfg); err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func FuzzHandler(f *testing.F) {
	s := start(f, nil)
	f.Add([]byte(reviewOf(s.pod("speed"))))
	f.Add([]byte(`{"apiVersion":"admission.k8s.io/v1","kind":"AdmissionReview","request":{"object":null}}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		resp, err := s.client.Post(s.url+PathMutate, "application/json", bytes.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode >= 500 {
			t.Fatalf("status %d", resp.StatusCode)
		}
	})
}

func BenchmarkAdmission(b *testing.B) {
	s := start(b, nil)
	body := reviewOf(s.pod("speed"))
	for b.Loop() {
		s.ask(b, s.client, body)
	}
}
