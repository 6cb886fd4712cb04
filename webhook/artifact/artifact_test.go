package artifact

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/compspec/ocifit-lab/webhook/artifact/artifacttest"
	"github.com/compspec/ocifit-lab/webhook/compat"
)

const manifestType = "application/vnd.oci.image.manifest.v1+json"

func study(t *testing.T) []byte {
	t.Helper()
	data, err := Build([]compat.Model{
		{Name: compat.Random, Direction: compat.DrawRandom},
		{Type: "lasso", Name: "fom", Direction: compat.Maximize, Filename: "f.joblib"},
	}, map[string]string{"amd64": "r/i:x", "arm64": "r/i:a"})
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func plain(r *artifacttest.Registry) Options {
	return Options{PlainHTTP: []string{r.Host}, Timeout: 5 * time.Second}
}

func TestPushPullInspect(t *testing.T) {
	r, data := artifacttest.New(t), study(t)
	ref := r.Ref("org/compat:v1")
	d1, err := Push(t.Context(), ref, data, compat.MediaTypeModels, plain(r))
	if err != nil {
		t.Fatal(err)
	}
	d2, err := Push(t.Context(), ref, data, compat.MediaTypeModels, plain(r))
	if err != nil || d1 != d2 {
		t.Errorf("pushed again: %s, %v; first %s", d2, err, d1)
	}
	for _, ask := range []string{ref, r.Ref("org/compat@" + d1), r.Ref("org/compat:other@" + d1)} {
		c, err := Pull(t.Context(), ask, plain(r))
		if err != nil {
			t.Fatal(err)
		}
		if c.Digest != d1 || c.MediaType != compat.MediaTypeModels || string(c.Data) != string(data) {
			t.Errorf("%s: got %+v", ask, c)
		}
	}
	s, err := Inspect(t.Context(), ref, plain(r))
	if err != nil {
		t.Fatal(err)
	}
	want := &Summary{Reference: ref, Digest: d1, MediaType: compat.MediaTypeModels, Size: len(data), Models: []ModelSummary{
		{"random", "random", "random", map[string]string{"amd64": "r/i:x", "arm64": "r/i:a"}},
		{"fom", "fom", "maximize", map[string]string{"amd64": "r/i:x", "arm64": "r/i:a"}},
	}}
	if diff := cmp.Diff(want, s); diff != "" {
		t.Error(diff)
	}
	if d, err := Digest(t.Context(), ref, plain(r)); err != nil || d != d1 {
		t.Error(d, err)
	}
}

func TestParseReference(t *testing.T) {
	for in, want := range map[string]string{
		"localhost:5000/a/b":      "localhost:5000/a/b:latest",
		"ghcr.io/a/b:t":           "ghcr.io/a/b:t",
		"127.0.0.1:5000/a:v1":     "127.0.0.1:5000/a:v1",
		"ghcr.io/a/b-c.d_e:1.2":   "ghcr.io/a/b-c.d_e:1.2",
		"[::1]:5000/a:t":          "[::1]:5000/a:t",
		"r/a@sha256:" + hex64:     "r/a@sha256:" + hex64,
		"r/a:tag@sha256:" + hex64: "r/a@sha256:" + hex64,
	} {
		r, err := parseReference(in)
		if err != nil || r.String() != want {
			t.Errorf("%s: %s, %v; want %s", in, r, err, want)
		}
	}
	for _, bad := range []string{"", "a", "a:b", "ghcr.io/", "ghcr.io/A/b", "ghcr.io/a:b:c", "ghcr.io/a@sha256:12", "https://ghcr.io/a/b", "ghcr.io/a b"} {
		if r, err := parseReference(bad); !errors.Is(err, ErrReference) {
			t.Errorf("%q was read as %s, %v", bad, r, err)
		}
	}
}

const hex64 = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

func TestPullFailures(t *testing.T) {
	r := artifacttest.New(t)
	d := r.PutBlob([]byte("hello"))
	layer := func(mediaType string, size int) []byte {
		return fmt.Appendf(nil, `{"schemaVersion":2,"layers":[{"mediaType":%q,"digest":%q,"size":%d}]}`, mediaType, d, size)
	}
	r.Put("a", "index", "application/vnd.oci.image.index.v1+json", []byte(`{}`))
	r.Put("a", "text", manifestType, []byte(`hello`))
	r.Put("a", "wrong", manifestType, layer("text/plain", 5))
	r.Put("a", "large", manifestType, layer(compat.MediaTypeModels, compat.MaxArtifactBytes+1))
	r.Put("a", "short", manifestType, layer(compat.MediaTypeModels, 4))
	r.Put("a", "digest", manifestType, []byte(`{"layers":[{"mediaType":"`+compat.MediaTypeModels+`","digest":"../..","size":1}]}`))
	for ref, want := range map[string]struct {
		is   error
		says string
	}{
		r.Ref("a:index"):  {ErrContent, "index"},
		r.Ref("a:text"):   {ErrContent, "manifest"},
		r.Ref("a:wrong"):  {ErrContent, "text/plain"},
		r.Ref("a:large"):  {ErrContent, "limit"},
		r.Ref("a:short"):  {nil, ""},
		r.Ref("a:digest"): {ErrContent, "digest"},
		r.Ref("a:none"):   {ErrUnavailable, "push it first"},
		"nonsense":        {ErrReference, "registry/repository:tag"},
	} {
		_, err := Pull(t.Context(), ref, plain(r))
		if err == nil || want.is != nil && !errors.Is(err, want.is) || !strings.Contains(err.Error(), want.says) {
			t.Errorf("%s: %v", ref, err)
		}
	}
	if _, err := Pull(t.Context(), r.Ref("a:wrong"), Options{Timeout: 5 * time.Second}); !errors.Is(err, ErrUnavailable) {
		t.Errorf("plain HTTP was used without being configured: %v", err)
	}
}

func TestPullVerifiesDigests(t *testing.T) {
	r := artifacttest.New(t)
	ref := r.Ref("a:v1")
	if _, err := Push(t.Context(), ref, study(t), compat.MediaTypeModels, plain(r)); err != nil {
		t.Fatal(err)
	}
	r.SetCorrupt(true)
	if _, err := Pull(t.Context(), ref, plain(r)); err == nil {
		t.Error("corrupt content was accepted")
	}
}

func TestPullKeepsItsDeadline(t *testing.T) {
	r := artifacttest.New(t)
	r.SetDelay(time.Hour)
	opts := plain(r)
	opts.Timeout = 50 * time.Millisecond
	if _, err := Pull(t.Context(), r.Ref("a:v1"), opts); !errors.Is(err, ErrUnavailable) || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("%v", err)
	}
}

func TestPushRefuses(t *testing.T) {
	r := artifacttest.New(t)
	for name, c := range map[string]struct{ ref, mediaType, data string }{
		"wrong content":    {r.Ref("a:v"), compat.MediaTypeModels, `{}`},
		"not JSON":         {r.Ref("a:v"), compat.MediaTypeFeatures, `x`},
		"wrong media type": {r.Ref("a:v"), "text/plain", `{}`},
		"to a digest":      {r.Ref("a@sha256:" + hex64), compat.MediaTypeFeatures, `{}`},
	} {
		if d, err := Push(t.Context(), c.ref, []byte(c.data), c.mediaType, plain(r)); err == nil {
			t.Errorf("%s: pushed %s", name, d)
		}
	}
}

func TestCredentialsHint(t *testing.T) {
	opts := Options{PlainHTTP: []string{"r:5000"}, HTTPClient: &http.Client{Transport: answer(http.StatusUnauthorized)}}
	if _, err := Pull(t.Context(), "r:5000/a:v", opts); err == nil || !strings.Contains(err.Error(), "credentials") {
		t.Errorf("%v", err)
	}
}

type answer int

func (a answer) RoundTrip(req *http.Request) (*http.Response, error) {
	return &http.Response{StatusCode: int(a), Body: http.NoBody, Request: req, Header: http.Header{}}, nil
}

func TestCache(t *testing.T) {
	r := artifacttest.New(t)
	ref := r.Ref("a:v1")
	d, err := Push(t.Context(), ref, study(t), compat.MediaTypeModels, plain(r))
	if err != nil {
		t.Fatal(err)
	}
	now := time.Unix(1e9, 0)
	c := NewCache(CacheOptions{Options: plain(r), Fresh: time.Second, MaxStale: time.Minute, Now: func() time.Time { return now }})
	get := func(ref string) *Artifact {
		t.Helper()
		a, err := c.Get(t.Context(), ref)
		if err != nil {
			t.Fatal(err)
		}
		return a
	}
	a := get(ref)
	if _, ok := a.Models.Find("fom"); !ok || a.Digest != d || a.Stale != "" {
		t.Errorf("%+v", a)
	}
	asked := r.Requests()
	get(ref)
	if r.Requests() != asked {
		t.Error("a fresh tag was asked for again")
	}
	now = now.Add(2 * time.Second)
	if get(ref) != a || r.Requests() != asked+1 {
		t.Error("an old tag must be confirmed by one request, and the content not fetched again")
	}
	pin := r.Ref("a@" + d)
	get(pin)
	asked = r.Requests()
	now = now.Add(time.Hour)
	if get(pin); r.Requests() != asked {
		t.Error("a digest was asked for again")
	}

	get(ref)
	r.SetDown(true)
	now = now.Add(30 * time.Second)
	if old := get(ref); old.Digest != d || !strings.Contains(old.Stale, "30s ago") {
		t.Errorf("while the registry is down: %+v", old)
	}
	now = now.Add(time.Hour)
	if _, err := c.Get(t.Context(), ref); !errors.Is(err, ErrUnavailable) {
		t.Errorf("too old a copy was served: %v", err)
	}
	r.SetDown(false)
	other, err := Build([]compat.Model{{Name: "fom", Direction: compat.Maximize}}, map[string]string{"amd64": "r/i:new"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Push(t.Context(), ref, other, compat.MediaTypeModels, plain(r)); err != nil {
		t.Fatal(err)
	}
	if moved := get(ref); moved.Digest == d || len(moved.Models.Tags()) != 1 {
		t.Errorf("the tag moved, but not in the cache: %+v", moved)
	}
	if s := c.Stats(); s.Hits == 0 || s.Stale != 1 || s.Failures != 1 {
		t.Errorf("%+v", s)
	}
}

// What is missing may have been pushed a moment ago: the registry is asked, but not by everybody who misses something.
func TestCacheConfirms(t *testing.T) {
	r := artifacttest.New(t)
	ref := r.Ref("a:v1")
	if _, err := Push(t.Context(), ref, study(t), compat.MediaTypeModels, plain(r)); err != nil {
		t.Fatal(err)
	}
	now := time.Unix(1e9, 0)
	c := NewCache(CacheOptions{Options: plain(r), Fresh: time.Hour, MaxStale: 2 * time.Hour, Now: func() time.Time { return now }})
	old, err := c.Get(t.Context(), ref)
	if err != nil {
		t.Fatal(err)
	}
	other, err := Build([]compat.Model{{Name: "speed", Direction: compat.Maximize}}, map[string]string{"amd64": "r/i:new"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Push(t.Context(), ref, other, compat.MediaTypeModels, plain(r)); err != nil {
		t.Fatal(err)
	}
	confirm := func() *Artifact {
		t.Helper()
		a, err := c.Confirm(t.Context(), ref)
		if err != nil {
			t.Fatal(err)
		}
		return a
	}
	asked := r.Requests()
	if confirm() != old || r.Requests() != asked {
		t.Error("the registry was asked within the second")
	}
	now = now.Add(time.Second)
	if a := confirm(); a == old || r.Requests() == asked {
		t.Errorf("the tag moved, and the cache has %v", a.Models.Tags())
	}
	asked = r.Requests()
	if a, err := c.Get(t.Context(), ref); err != nil || a == old || r.Requests() != asked {
		t.Error("what was confirmed is fresh")
	}
	now = now.Add(time.Minute)
	r.SetDown(true)
	if a := confirm(); a.Stale == "" {
		t.Error("while the registry is down, the last good copy serves")
	}
	if _, err := c.Confirm(t.Context(), "no reference"); !errors.Is(err, ErrReference) {
		t.Error(err)
	}
}

func TestCacheIsBounded(t *testing.T) {
	r := artifacttest.New(t)
	c := NewCache(CacheOptions{Options: plain(r), Size: 3})
	for i := range 10 {
		ref := r.Ref(fmt.Sprintf("a:v%d", i))
		if _, err := Push(t.Context(), ref, study(t), compat.MediaTypeModels, plain(r)); err != nil {
			t.Fatal(err)
		}
		if _, err := c.Get(t.Context(), ref); err != nil {
			t.Fatal(err)
		}
	}
	if len(c.byRef) != 3 || len(c.byDigest) != 3 {
		t.Errorf("%d references, %d artifacts", len(c.byRef), len(c.byDigest))
	}
}

func TestCacheAsksOnceForMany(t *testing.T) {
	r := artifacttest.New(t)
	ref := r.Ref("a:v1")
	if _, err := Push(t.Context(), ref, study(t), compat.MediaTypeModels, plain(r)); err != nil {
		t.Fatal(err)
	}
	r.SetDelay(20 * time.Millisecond)
	asked := r.Requests()
	c := NewCache(CacheOptions{Options: plain(r), Fresh: time.Hour})
	var wg sync.WaitGroup
	for range 50 {
		wg.Go(func() {
			if _, err := c.Get(context.Background(), ref); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if n := r.Requests() - asked; n != 3 {
		t.Errorf("%d requests, want 3: tag, manifest, layer", n)
	}
}
