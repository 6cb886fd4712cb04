package registry

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"github.com/sirupsen/logrus"
	"oras.land/oras-go/v2"
	"oras.land/oras-go/v2/content"
	"oras.land/oras-go/v2/content/memory"
	"oras.land/oras-go/v2/errdef"
	"oras.land/oras-go/v2/registry/remote"
	"oras.land/oras-go/v2/registry/remote/auth"

	"github.com/compspec/ocifit-lab/provision/registry/login"
)

func start(t *testing.T, opts Options) *Registry {
	t.Helper()
	r, err := Start(t.Context(), opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := r.Stop(); err != nil {
			t.Error(err)
		}
	})
	return r
}

func repository(t *testing.T, addr, name string) *remote.Repository {
	t.Helper()
	repo, err := remote.NewRepository(addr + "/" + name)
	if err != nil {
		t.Fatal(err)
	}
	repo.PlainHTTP = true
	return repo
}

const layerType = "application/vnd.example.layer.v1+json"

// push stores one artifact with one layer and returns its manifest.
func push(t *testing.T, target oras.Target, tag, body string) ocispec.Descriptor {
	t.Helper()
	ctx := t.Context()
	store := memory.New()
	layer, err := oras.PushBytes(ctx, store, layerType, []byte(body))
	if err != nil {
		t.Fatal(err)
	}
	root, err := oras.PackManifest(ctx, store, oras.PackManifestVersion1_1, "application/vnd.example.v1", oras.PackManifestOptions{Layers: []ocispec.Descriptor{layer}})
	if err != nil {
		t.Fatal(err)
	}
	if err := store.Tag(ctx, root, tag); err != nil {
		t.Fatal(err)
	}
	if _, err := oras.Copy(ctx, store, tag, target, tag, oras.DefaultCopyOptions); err != nil {
		t.Fatal(err)
	}
	return root
}

// layerOf copies an artifact out of source and returns its one layer.
func layerOf(t *testing.T, source oras.ReadOnlyTarget, tag string) string {
	t.Helper()
	store := memory.New()
	root, err := oras.Copy(t.Context(), source, tag, store, tag, oras.DefaultCopyOptions)
	if err != nil {
		t.Fatal(err)
	}
	children, err := content.Successors(t.Context(), store, root)
	if err != nil {
		t.Fatal(err)
	}
	for _, child := range children {
		if child.MediaType == layerType {
			b, err := content.FetchAll(t.Context(), store, child)
			if err != nil {
				t.Fatal(err)
			}
			return string(b)
		}
	}
	t.Fatalf("no layer of type %s in %v", layerType, children)
	return ""
}

func TestPushPullDelete(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "blobs")
	r := start(t, Options{Dir: dir})
	repo := repository(t, r.Addr(), "study/artifact")
	root := push(t, repo, "v1", `{"a":1}`)
	if got := layerOf(t, repo, "v1"); got != `{"a":1}` {
		t.Errorf("layer %q", got)
	}
	if err := repo.Delete(t.Context(), root); err != nil {
		t.Fatalf("delete: %v", err)
	}
	if _, err := repo.Resolve(t.Context(), root.Digest.String()); !errors.Is(err, errdef.ErrNotFound) {
		t.Errorf("after delete: %v", err)
	}
}

func TestContentOutlivesTheRegistry(t *testing.T) {
	dir := t.TempDir()
	first := start(t, Options{Dir: dir})
	push(t, repository(t, first.Addr(), "study/artifact"), "v1", `{"a":1}`)
	if err := first.Stop(); err != nil {
		t.Fatal(err)
	}
	second := start(t, Options{Dir: dir, Addr: first.Addr()})
	layerOf(t, repository(t, second.Addr(), "study/artifact"), "v1")
}

func TestManyClients(t *testing.T) {
	r := start(t, Options{Dir: t.TempDir()})
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			repo := repository(t, r.Addr(), fmt.Sprintf("study/n%d", i))
			push(t, repo, "v1", fmt.Sprintf(`{"n":%d}`, i))
			layerOf(t, repo, "v1")
		})
	}
	wg.Wait()
}

func TestStopsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	r, err := Start(ctx, Options{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	cancel()
	<-r.Done()
	if err := r.Stop(); err != nil {
		t.Errorf("Stop after the end: %v", err)
	}
	l, err := net.Listen("tcp", r.Addr())
	if err != nil {
		t.Fatalf("the port is not free: %v", err)
	}
	l.Close()
}

func TestQuiet(t *testing.T) {
	std := logrus.StandardLogger()
	before := std.Out
	var global bytes.Buffer
	std.SetOutput(&global)
	t.Cleanup(func() { std.SetOutput(before) })
	var own lockedBuffer
	r := start(t, Options{Dir: t.TempDir(), Log: &own})
	repo := repository(t, r.Addr(), "study/artifact")
	if _, err := repo.Resolve(t.Context(), "absent"); !errors.Is(err, errdef.ErrNotFound) {
		t.Errorf("absent tag: %v", err)
	}
	if err := r.Stop(); err != nil {
		t.Fatal(err)
	}
	if global.Len() > 0 {
		t.Errorf("the process's logger was written to: %s", global.String())
	}
	if own.Len() == 0 {
		t.Error("nothing was written to Options.Log")
	}
}

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) Len() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Len()
}

func TestTLS(t *testing.T) {
	certFile, keyFile, pool := certificate(t)
	r := start(t, Options{Dir: t.TempDir(), CertFile: certFile, KeyFile: keyFile})
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}}
	defer transport.CloseIdleConnections()
	resp, err := (&http.Client{Transport: transport}).Get("https://" + r.Addr() + "/v2/")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if _, err := io.Copy(io.Discard, resp.Body); err != nil || resp.StatusCode != http.StatusOK {
		t.Errorf("GET /v2/: %s, %v", resp.Status, err)
	}
}

func TestBadOptions(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for name, tc := range map[string]struct {
		opts Options
		want string
	}{
		"no folder":      {Options{}, "no folder"},
		"folder is file": {Options{Dir: file}, "registry folder"},
		"port taken":     {Options{Dir: t.TempDir(), Addr: taken.Addr().String()}, "another address"},
		"key alone":      {Options{Dir: t.TempDir(), KeyFile: file}, "registry certificate"},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := Start(t.Context(), tc.opts); err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("got %v, want %q", err, tc.want)
			}
		})
	}
}

func certificate(t *testing.T) (certFile, keyFile string, pool *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	keyDER, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	certFile, keyFile = filepath.Join(dir, "tls.crt"), filepath.Join(dir, "tls.key")
	certPEM := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	for file, b := range map[string][]byte{certFile: certPEM, keyFile: pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: keyDER})} {
		if err := os.WriteFile(file, b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	pool = x509.NewCertPool()
	pool.AppendCertsFromPEM(certPEM)
	return certFile, keyFile, pool
}

func TestLogin(t *testing.T) {
	key, err := login.Load(filepath.Join(t.TempDir(), "password"))
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		readable       bool
		user, password string
		reads, writes  int // status of a question and of the begin of an upload
	}{
		"nobody":             {false, "", "", http.StatusUnauthorized, http.StatusUnauthorized},
		"a wrong password":   {false, login.User, "x", http.StatusUnauthorized, http.StatusUnauthorized},
		"another user":       {false, "root", key.Password, http.StatusUnauthorized, http.StatusUnauthorized},
		"the lab":            {false, login.User, key.Password, http.StatusOK, http.StatusAccepted},
		"nobody, readable":   {true, "", "", http.StatusOK, http.StatusUnauthorized},
		"the lab, readable":  {true, login.User, key.Password, http.StatusOK, http.StatusAccepted},
		"no password at all": {false, login.User, "", http.StatusUnauthorized, http.StatusUnauthorized},
	} {
		t.Run(name, func(t *testing.T) {
			r := start(t, Options{Dir: t.TempDir(), Login: key, Readable: c.readable})
			ask := func(method, path string) int {
				req, err := http.NewRequestWithContext(t.Context(), method, "http://"+r.Addr()+path, nil)
				if err != nil {
					t.Fatal(err)
				}
				if c.user != "" {
					req.SetBasicAuth(c.user, c.password)
				}
				resp, err := http.DefaultClient.Do(req)
				if err != nil {
					t.Fatal(err)
				}
				resp.Body.Close()
				if resp.StatusCode == http.StatusUnauthorized && resp.Header.Get("WWW-Authenticate") == "" {
					t.Errorf("%s %s: clients are not told how to log in", method, path)
				}
				return resp.StatusCode
			}
			if got := ask(http.MethodGet, "/v2/"); got != c.reads {
				t.Errorf("reading: %d, want %d", got, c.reads)
			}
			if got := ask(http.MethodPost, "/v2/study/artifact/blobs/uploads/"); got != c.writes {
				t.Errorf("writing: %d, want %d", got, c.writes)
			}
			if got := ask(http.MethodDelete, "/v2/study/artifact/manifests/sha256:"+strings.Repeat("0", 64)); (got == http.StatusUnauthorized) != (c.writes == http.StatusUnauthorized) {
				t.Errorf("deleting: %d", got)
			}
		})
	}
}

// A stock client gets in with the credentials that the lab keeps.
func TestClientsLogIn(t *testing.T) {
	file := filepath.Join(t.TempDir(), "password")
	key, err := login.Load(file)
	if err != nil {
		t.Fatal(err)
	}
	r := start(t, Options{Dir: t.TempDir(), Login: key})
	again, err := login.Load(file) // as another program of the lab does
	if err != nil || again != key {
		t.Fatalf("%+v, %v", again, err)
	}
	for host, want := range map[string]int{r.Addr(): http.StatusAccepted, "another.host:5000": http.StatusUnauthorized} {
		client := &auth.Client{Client: http.DefaultClient, Credential: again.Credential(host, nil)}
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+r.Addr()+"/v2/study/artifact/blobs/uploads/", nil)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := client.Do(req)
		got := http.StatusUnauthorized
		if err == nil {
			resp.Body.Close()
			got = resp.StatusCode
		} else if !errors.Is(err, auth.ErrBasicCredentialNotFound) {
			t.Fatal(err)
		}
		if got != want {
			t.Errorf("credentials for %s: %d, want %d", host, got, want)
		}
	}
	if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info, err)
	}
	if oras, helm := again.Commands(r.Addr()); !strings.HasPrefix(oras, "oras login "+r.Addr()+" --plain-http ") || !strings.HasPrefix(helm, "helm registry login ") || strings.Contains(oras+helm, key.Password) {
		t.Errorf("%s\n%s", oras, helm)
	}
}
