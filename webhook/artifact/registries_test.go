package artifact

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/compspec/ocifit-lab/webhook/artifact/artifacttest"
	"github.com/compspec/ocifit-lab/webhook/compat"
)

const formula = `{"format":"ocifit-lab.model/v1","name":"speed","direction":"maximize","labels":{"k":{"label":"feature.node.kubernetes.io/k","known":["1","2"]}},"intercept":1,"terms":[{"when":{"k":"2"},"add":5}]}`

const spec = `{"version":"v1alpha1","compatibilities":[{"tag":"r/i:a","rules":[{"matchFeatures":[{"matchExpressions":[{"op":"In","key":"k","value":"1"}]}]}]}]}`

const nfdSpec = "version: v1alpha1\ncompatibilities:\n- rules:\n  - matchFeatures:\n    - feature: cpu.model\n      matchExpressions:\n        vendor_id: {op: In, value: [AMD]}\n"

func TestModelLayers(t *testing.T) {
	r := artifacttest.New(t)
	ref := r.Ref("org/compat:v1")
	b := Bundle{MediaType: compat.MediaTypeModels, Data: study(t), Models: [][]byte{[]byte(formula)}}
	if _, err := PushBundle(t.Context(), ref, b, plain(r)); err != nil {
		t.Fatal(err)
	}
	a, err := NewCache(CacheOptions{Options: plain(r)}).Get(t.Context(), ref)
	if err != nil {
		t.Fatal(err)
	}
	m := a.Scorers["speed"]
	if m == nil {
		t.Fatal("the formula is gone")
	}
	if score, out := m.Score(map[string]string{"feature.node.kubernetes.io/k": "2"}); score != 6 || out != nil {
		t.Error(score, out)
	}
	s, err := Inspect(t.Context(), ref, plain(r))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]FormulaSummary{{"speed", "maximize", 1, 1}}, s.Formulas); diff != "" {
		t.Error(diff)
	}
	for name, bad := range map[string]Bundle{
		"no formula":            {MediaType: compat.MediaTypeModels, Data: study(t), Models: [][]byte{[]byte(`{}`)}},
		"twice":                 {MediaType: compat.MediaTypeModels, Data: study(t), Models: [][]byte{[]byte(formula), []byte(formula)}},
		"with a feature spec":   {MediaType: compat.MediaTypeFeatures, Data: []byte(spec), Models: [][]byte{[]byte(formula)}},
		"feature spec, no tag":  {MediaType: compat.MediaTypeFeatures, Data: []byte(strings.Replace(spec, `"tag":"r/i:a",`, "", 1))},
		"model spec as feature": {MediaType: compat.MediaTypeFeatures, Data: study(t)},
	} {
		if _, err := PushBundle(t.Context(), ref, bad, plain(r)); !errors.Is(err, ErrContent) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestFeatureArtifacts(t *testing.T) {
	r := artifacttest.New(t)
	if _, err := Push(t.Context(), r.Ref("a:list"), []byte(spec), compat.MediaTypeFeatures, plain(r)); err != nil {
		t.Fatal(err)
	}
	if _, err := Push(t.Context(), r.Ref("a:loose"), []byte(nfdSpec), compat.MediaTypeNFD, plain(r)); err != nil {
		t.Fatal(err)
	}
	d := r.PutBlob([]byte(nfdSpec))
	subject := "sha256:" + hex64
	r.Put("a", "attached", manifestType, fmt.Appendf(nil, `{"schemaVersion":2,"mediaType":%q,"artifactType":%q,"layers":[{"mediaType":%q,"digest":%q,"size":%d}],"subject":{"mediaType":%q,"digest":%q,"size":7}}`,
		manifestType, compat.ArtifactTypeNFD, compat.MediaTypeNFD, d, len(nfdSpec), manifestType, subject))
	r.Put("a", "two", manifestType, fmt.Appendf(nil, `{"layers":[{"mediaType":%q,"digest":%q,"size":%d},{"mediaType":%q,"digest":%q,"size":%d}]}`,
		compat.MediaTypeNFD, d, len(nfdSpec), compat.MediaTypeFeatures, d, len(nfdSpec)))
	c := NewCache(CacheOptions{Options: plain(r)})
	amd := map[string]string{"feature.node.kubernetes.io/cpu-model.vendor_id": "AMD", "k": "1"}
	for ref, want := range map[string]string{"a:list": "r/i:a", "a:attached": r.Ref("a@" + subject)} {
		a, err := c.Get(t.Context(), r.Ref(ref))
		if err != nil {
			t.Fatal(err)
		}
		if best, ok := a.Features.Best(amd); !ok || best.Tag != want {
			t.Errorf("%s: %+v, want %s", ref, best, want)
		}
	}
	for ref, says := range map[string]string{"a:loose": "names no image", "a:two": "two specifications"} {
		if _, err := c.Get(t.Context(), r.Ref(ref)); !errors.Is(err, ErrContent) || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: %v", ref, err)
		}
	}
	s, err := Inspect(t.Context(), r.Ref("a:list"), plain(r))
	if err != nil || len(s.Features) != 1 || s.Features[0].Image != "r/i:a" || s.Features[0].Rules != 1 {
		t.Errorf("%+v, %v", s, err)
	}
}

func TestLayoutFolder(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a:b", "layout")
	opts := Options{Layouts: true}
	if _, err := Pull(t.Context(), "oci:"+dir+":v1", opts); !errors.Is(err, ErrUnavailable) || !strings.Contains(err.Error(), "oci-layout") {
		t.Errorf("%v", err)
	}
	if _, err := os.Stat(dir); err == nil {
		t.Error("a pull made the folder")
	}
	data := study(t)
	d, err := Push(t.Context(), "oci:"+dir+":v1", data, compat.MediaTypeModels, opts)
	if err != nil {
		t.Fatal(err)
	}
	for _, ref := range []string{"oci:" + dir + ":v1", dir + ":v1", "oci:" + dir + "@" + d} {
		c, err := Pull(t.Context(), ref, opts)
		if err != nil {
			t.Fatal(err)
		}
		if c.Digest != d || string(c.Data) != string(data) {
			t.Errorf("%s: %s", ref, c.Digest)
		}
	}
	r := artifacttest.New(t)
	if again, err := Push(t.Context(), r.Ref("a:v1"), data, compat.MediaTypeModels, plain(r)); err != nil || again != d {
		t.Errorf("the registry's digest is another one: %s, %v", again, err)
	}
	if _, err := Pull(t.Context(), dir+":v2", opts); !errors.Is(err, ErrUnavailable) {
		t.Error(err)
	}
	if _, err := NewCache(CacheOptions{}).Get(t.Context(), "oci:"+dir+":v1"); !errors.Is(err, ErrReference) {
		t.Errorf("a reference made the webhook read a folder: %v", err)
	}
	if a, err := NewCache(CacheOptions{Options: opts}).Get(t.Context(), "oci:"+dir+":v1"); err != nil || a.Digest != d {
		t.Error(a, err)
	}
	blob := filepath.Join(dir, "blobs", "sha256", strings.TrimPrefix(d, "sha256:"))
	if err := os.Chmod(blob, 0o600); err != nil {
		t.Fatal(err)
	}
	raw, err := os.ReadFile(blob)
	if err != nil {
		t.Fatal(err)
	}
	raw[len(raw)-2] ^= 1
	if err := os.WriteFile(blob, raw, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Pull(t.Context(), dir+":v1", opts); !errors.Is(err, ErrContent) {
		t.Errorf("corrupt content was accepted: %v", err)
	}
}

func TestMirrors(t *testing.T) {
	origin, mirror := artifacttest.New(t), artifacttest.New(t)
	opts := Options{
		PlainHTTP: []string{origin.Host, mirror.Host}, Timeout: 5 * time.Second,
		Mirrors: map[string][]string{origin.Host: {mirror.Host + "/cache"}},
	}
	ref := origin.Ref("org/a:v1")
	if _, err := Push(t.Context(), ref, study(t), compat.MediaTypeModels, opts); err != nil {
		t.Fatal(err)
	}
	if n := mirror.Requests(); n != 0 {
		t.Errorf("a push asked the mirror %d times", n)
	}
	if c, err := Pull(t.Context(), ref, opts); err != nil || c.Reference != ref {
		t.Fatalf("the mirror has nothing, the origin has: %v", err)
	}
	if _, err := Push(t.Context(), mirror.Ref("cache/org/a:v1"), study(t), compat.MediaTypeModels, opts); err != nil {
		t.Fatal(err)
	}
	origin.SetDown(true)
	if c, err := Pull(t.Context(), ref, opts); err != nil || c.Reference != ref {
		t.Errorf("the mirror has it: %+v, %v", c, err)
	}
	mirror.SetDown(true)
	if _, err := Pull(t.Context(), ref, opts); !errors.Is(err, ErrUnavailable) {
		t.Error(err)
	}
}

// A registry that does not answer must not slow down what can be answered from memory.
func TestSlowRegistryDoesNotDelayStaleCopies(t *testing.T) {
	r := artifacttest.New(t)
	ref := r.Ref("a:v1")
	if _, err := Push(t.Context(), ref, study(t), compat.MediaTypeModels, plain(r)); err != nil {
		t.Fatal(err)
	}
	now := time.Unix(1e9, 0)
	c := NewCache(CacheOptions{Options: plain(r), Fresh: time.Second, Patience: 20 * time.Millisecond, Now: func() time.Time { return now }})
	if _, err := c.Get(t.Context(), ref); err != nil {
		t.Fatal(err)
	}
	r.SetDelay(time.Second)
	now = now.Add(time.Minute)
	begin := time.Now()
	for range 50 {
		if a, err := c.Get(t.Context(), ref); err != nil || a.Stale == "" {
			t.Fatalf("%+v, %v", a, err)
		}
	}
	if took := time.Since(begin); took > 20*time.Second {
		t.Errorf("50 answers took %s", took)
	}
}

func TestDockerCredentials(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("DOCKER_CONFIG", dir)
	ask := DockerCredentials()
	if got, err := ask(t.Context(), "r:5000"); err != nil || got.Username != "" {
		t.Errorf("no file: %+v, %v", got, err)
	}
	helper := "#!/bin/sh\nread host\necho '{\"ServerURL\":\"'$host'\",\"Username\":\"helped\",\"Secret\":\"s\"}'\n"
	if err := os.WriteFile(filepath.Join(dir, "docker-credential-test"), []byte(helper), 0o700); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", dir+string(os.PathListSeparator)+os.Getenv("PATH"))
	config := `{"auths":{"r:5000":{"auth":"bWU6bWluZQ=="}},"credHelpers":{"h.example":"test"}}`
	if err := os.WriteFile(filepath.Join(dir, "config.json"), []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	for host, want := range map[string]string{"r:5000": "me", "h.example": "helped", "other": ""} {
		if got, err := ask(t.Context(), host); err != nil || got.Username != want {
			t.Errorf("%s: %+v, %v", host, got, err)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "config.json"), []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := ask(t.Context(), "r:5000"); err == nil || !strings.Contains(err.Error(), "config.json") {
		t.Error(err)
	}
	t.Setenv("DOCKER_CONFIG", "")
	t.Setenv("HOME", "")
	if _, err := ask(t.Context(), "r:5000"); err != nil {
		t.Errorf("without a home: %v", err)
	}
}

// The credentials reach the registry.
func TestCredentialsAreSent(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("DOCKER_CONFIG", dir)
	r := artifacttest.New(t)
	guarded := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if user, password, ok := req.BasicAuth(); !ok || user != "me" || password != "mine" {
			w.Header().Set("WWW-Authenticate", `Basic realm="test"`)
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		r.ServeHTTP(w, req)
	}))
	defer guarded.Close()
	host := strings.TrimPrefix(guarded.URL, "http://")
	opts := Options{PlainHTTP: []string{host}, Credential: DockerCredentials()}
	if _, err := Push(t.Context(), host+"/a:v1", study(t), compat.MediaTypeModels, opts); !errors.Is(err, ErrUnavailable) || !strings.Contains(err.Error(), "credentials") {
		t.Errorf("%v", err)
	}
	config, err := json.Marshal(map[string]any{"auths": map[string]any{host: map[string]string{"auth": "bWU6bWluZQ=="}}})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "config.json"), config, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Push(t.Context(), host+"/a:v1", study(t), compat.MediaTypeModels, opts); err != nil {
		t.Error(err)
	}
}

func TestDiff(t *testing.T) {
	a := &Content{Reference: "a", MediaType: compat.MediaTypeModels, Data: study(t)}
	if got, err := Diff(a, a); err != nil || len(got) != 0 {
		t.Errorf("%v, %v", got, err)
	}
	b := &Content{
		Reference: "b", MediaType: compat.MediaTypeModels, Models: [][]byte{[]byte(formula)},
		Data: []byte(strings.Replace(string(study(t)), `"r/i:x"`, `"r/i:y"`, 1)),
	}
	got, err := Diff(a, b)
	if err != nil {
		t.Fatal(err)
	}
	want := Difference{"compatibilities[random].rules[0].matchModel.model.platforms.amd64", "r/i:x", "r/i:y"}
	if len(got) < 5 || got[0] != want || !strings.HasPrefix(got[1].Path, "model[speed].") {
		t.Errorf("%+v", got)
	}
	if _, err := Diff(a, &Content{MediaType: "text/plain"}); !errors.Is(err, ErrContent) {
		t.Error(err)
	}
}
