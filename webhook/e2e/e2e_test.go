package e2e_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"flag"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	admissionregistration "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/yaml"

	"github.com/compspec/ocifit-lab/addons/builtin/minicluster"
	"github.com/compspec/ocifit-lab/provision/sim/controlplane"
	"github.com/compspec/ocifit-lab/webhook/artifact"
	"github.com/compspec/ocifit-lab/webhook/artifact/artifacttest"
	"github.com/compspec/ocifit-lab/webhook/compat"
	"github.com/compspec/ocifit-lab/webhook/deploy"
	"github.com/compspec/ocifit-lab/webhook/features"
	"github.com/compspec/ocifit-lab/webhook/predict"
	"github.com/compspec/ocifit-lab/webhook/serve"
)

const (
	namespace = "ocifit-system" // the webhook's own
	patience  = 60 * time.Second
)

// cluster is the one control plane that this process can have.
var cluster *rest.Config

func TestMain(m *testing.M) {
	flag.Parse()
	if testing.Short() {
		fmt.Println("skipped: these tests start a control plane")
		return
	}
	os.Exit(run(m))
}

func run(m *testing.M) int {
	dir, err := os.MkdirTemp("", "webhook-e2e-")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	log, err := os.Create(filepath.Join(dir, "log"))
	if err != nil {
		panic(err)
	}
	defer log.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Minute)
	defer cancel()
	cp, err := controlplane.Start(ctx, controlplane.Options{Dir: filepath.Join(dir, "cp"), Log: log, Prepare: minicluster.Install})
	if err != nil {
		fmt.Println(err)
		return 1
	}
	cluster = cp.RESTConfig()
	code := m.Run()
	stop, cancelStop := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancelStop()
	if err := cp.Stop(stop); err != nil {
		fmt.Println(err)
		return 1
	}
	return code
}

// authority signs the webhook's certificates.
type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	pem  []byte
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	tmpl := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return &authority{cert, key, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})}
}

// issue writes a new certificate for loopback, the key first, as a careless rotation would.
func (a *authority) issue(t *testing.T, dir string, serial int64) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	tmpl := &x509.Certificate{
		SerialNumber: big.NewInt(serial), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, a.cert, &key.PublicKey, a.key)
	if err != nil {
		t.Fatal(err)
	}
	keyDER, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(dir, "tls.key"), pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: keyDER}))
	write(t, filepath.Join(dir, "tls.crt"), pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
}

func write(t *testing.T, file string, data []byte) {
	t.Helper()
	if err := os.WriteFile(file+".tmp", data, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(file+".tmp", file); err != nil {
		t.Fatal(err)
	}
}

// site is a registered webhook with its registry.
type site struct {
	dir      string
	client   kubernetes.Interface
	cluster  serve.Cluster
	registry *artifacttest.Registry
	ca       *authority
	addr     string
	ref      string
	cancel   context.CancelFunc
	done     chan error
	// configure, if set, changes how the webhook is started.
	configure func(*serve.Config)
	choices   []choice // of the matrix
}

// newSite starts and registers a webhook over a small catalogue; everything ends with the test.
func newSite(t *testing.T) *site {
	t.Helper()
	client, err := kubernetes.NewForConfig(cluster)
	if err != nil {
		t.Fatal(err)
	}
	own, err := serve.Connect(cluster)
	if err != nil {
		t.Fatal(err)
	}
	s := &site{dir: t.TempDir(), client: client, cluster: own, registry: artifacttest.New(t), ca: newAuthority(t), addr: "127.0.0.1:0"}
	s.ref = s.registry.Ref("study:v1")
	s.ca.issue(t, s.dir, 2)
	s.catalogue(t)
	s.push(t, "study:v1", compat.MediaTypeModels, string(models(t)))
	s.start(t)
	t.Cleanup(func() { s.stop(t) })
	s.register(t)
	return s
}

func (s *site) catalogue(t *testing.T) {
	var rows []features.Candidate
	for _, r := range types {
		rows = append(rows, features.Candidate{Labels: r})
	}
	data, err := features.EncodeCatalogue(rows)
	if err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(s.dir, "features.json"), data)
}

func (s *site) push(t *testing.T, name, mediaType, data string) {
	t.Helper()
	if _, err := artifact.Push(t.Context(), s.registry.Ref(name), []byte(data), mediaType, artifact.Options{PlainHTTP: []string{s.registry.Host}}); err != nil {
		t.Fatal(err)
	}
}

func models(t *testing.T) []byte {
	t.Helper()
	list, err := predict.Published()
	if err != nil {
		t.Fatal(err)
	}
	entries := []compat.Model{predict.RandomModel()}
	for _, m := range list {
		entries = append(entries, m.ArtifactModel())
	}
	data, err := artifact.Build(entries, map[string]string{"amd64": "example.org/hpcg:amd64", "arm64": "example.org/hpcg:arm64"})
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// start runs the webhook, at the address it had before.
func (s *site) start(t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	s.cancel, s.done = cancel, make(chan error, 1)
	listening := make(chan string, 1)
	cfg := serve.Config{
		Listen: s.addr, CertFile: filepath.Join(s.dir, "tls.crt"), KeyFile: filepath.Join(s.dir, "tls.key"), FeaturesFile: filepath.Join(s.dir, "features.json"),
		Cluster: s.cluster, Events: true, Seed: 1, Skip: []string{"t3.2xlarge"}, PlainHTTPRegistries: []string{s.registry.Host},
		ArtifactFresh: time.Nanosecond, OnListen: func(addr string) { listening <- addr },
	}
	if s.configure != nil {
		s.configure(&cfg)
	}
	go func() { s.done <- serve.Run(ctx, cfg) }()
	select {
	case s.addr = <-listening:
	case err := <-s.done:
		t.Fatal(err)
	case <-time.After(patience):
		t.Fatal("the webhook does not listen")
	}
}

func (s *site) stop(t *testing.T) {
	s.cancel()
	select {
	case err := <-s.done:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(patience):
		t.Error("the webhook does not end")
	}
}

// register applies the registration of the deployment, with this webhook's address, and waits until it counts.
func (s *site) register(t *testing.T) {
	t.Helper()
	values, err := deploy.Defaults()
	if err != nil {
		t.Fatal(err)
	}
	manifests, err := deploy.Render(values, namespace)
	if err != nil {
		t.Fatal(err)
	}
	var config admissionregistration.MutatingWebhookConfiguration
	for _, doc := range strings.Split(string(manifests), "\n---\n") {
		if strings.Contains(doc, "kind: MutatingWebhookConfiguration") {
			if err := yaml.UnmarshalStrict([]byte(doc), &config); err != nil {
				t.Fatal(err)
			}
		}
	}
	url := "https://" + s.addr + serve.PathMutate
	config.Webhooks[0].ClientConfig = admissionregistration.WebhookClientConfig{URL: &url, CABundle: s.ca.pem}
	hooks := s.client.AdmissionregistrationV1().MutatingWebhookConfigurations()
	if _, err := hooks.Create(t.Context(), &config, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := hooks.Delete(context.Background(), config.Name, metav1.DeleteOptions{}); err != nil {
			t.Error(err)
		}
	})
	eventually(t, "the registration counts", func() bool {
		got, err := s.create(t, pod("probe-", s.ref, "fom"), true)
		return err == nil && got.Spec.NodeSelector[compat.LabelInstanceType] != ""
	})
}

// pod is a labelled pod.
func pod(generateName, ref, model string) *corev1.Pod {
	p := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{
			GenerateName: generateName, Namespace: metav1.NamespaceDefault, Labels: map[string]string{compat.LabelEnabled: "true"},
			Annotations: map[string]string{compat.AnnotationImageRef: ref},
		},
		Spec: corev1.PodSpec{
			RestartPolicy:  corev1.RestartPolicyNever,
			InitContainers: []corev1.Container{{Name: "init", Image: compat.DefaultTargetImage}},
			Containers:     []corev1.Container{{Name: "main", Image: compat.DefaultTargetImage}, {Name: "side", Image: "example.org/side:v1"}},
		},
	}
	if model != "" {
		p.Annotations[compat.AnnotationModel] = model
	}
	return p
}

func (s *site) create(t *testing.T, p *corev1.Pod, dryRun bool) (*corev1.Pod, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	opts := metav1.CreateOptions{}
	if dryRun {
		opts.DryRun = []string{metav1.DryRunAll}
	}
	got, err := s.client.CoreV1().Pods(p.Namespace).Create(ctx, p, opts)
	if err == nil && !dryRun {
		now := int64(0)
		t.Cleanup(func() {
			_ = s.client.CoreV1().Pods(got.Namespace).Delete(context.Background(), got.Name, metav1.DeleteOptions{GracePeriodSeconds: &now})
		})
	}
	return got, err
}

func eventually(t *testing.T, what string, cond func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !cond(); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("it never happened: %s", what)
		}
	}
}

// types are four of the study's instance types.
var types = []map[string]string{
	labels("hpc7g.16xlarge", "arm64", "false", "31", "54273", "ARM"),
	labels("t3.2xlarge", "amd64", "true", "6", "85", "Intel"),
	labels("c7a.12xlarge", "amd64", "false", "25", "17", "AMD"),
	labels("m7g.16xlarge", "arm64", "false", "31", "54273", "ARM"),
}

func labels(name, arch, smt, family, cpu, vendor string) map[string]string {
	kernel := map[string]string{"arm64": "aarch64", "amd64": "x86_64"}[arch]
	m := map[string]string{compat.LabelInstanceType: name, compat.LabelArch: arch}
	for k, v := range map[string]string{
		"cpu-hardware_multithreading": smt, "cpu-model.family": family, "cpu-model.id": cpu, "cpu-model.vendor_id": vendor,
		"kernel-version.full": "6.1.134-152.225.amzn2023." + kernel, "kernel-version.major": "6", "kernel-version.minor": "1",
		"kernel-version.revision": "134", "system-os_release.ID": "amzn", "system-os_release.VERSION_ID": "2023",
		"system-os_release.VERSION_ID.major": "2023",
	} {
		m[compat.FeaturePrefix+k] = v
	}
	return m
}
