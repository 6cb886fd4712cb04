// Package artifacttest has a registry for tests: just enough of the OCI distribution protocol, in memory, with
// faults on demand.
package artifacttest

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/opencontainers/go-digest"
)

// Registry is an OCI registry in memory, reached over plain HTTP.
type Registry struct {
	// Host is host:port.
	Host string

	mu       sync.Mutex
	blobs    map[string][]byte // by digest
	tags     map[string]string // repository:tag to digest
	types    map[string]string // manifest digest to media type
	requests int
	down     bool
	corrupt  bool
	delay    time.Duration
}

// New starts a registry that ends with the test.
func New(t testing.TB) *Registry {
	r := &Registry{blobs: map[string][]byte{}, tags: map[string]string{}, types: map[string]string{}}
	s := httptest.NewServer(r)
	t.Cleanup(s.Close)
	r.Host = strings.TrimPrefix(s.URL, "http://")
	return r
}

// Ref returns a reference into the registry: "/repository:tag" after the host.
func (r *Registry) Ref(path string) string { return r.Host + "/" + strings.TrimPrefix(path, "/") }

// SetDown makes every request fail with 503, or not.
func (r *Registry) SetDown(down bool) { r.set(func() { r.down = down }) }

// SetCorrupt makes the registry send other bytes than were stored, or not.
func (r *Registry) SetCorrupt(corrupt bool) { r.set(func() { r.corrupt = corrupt }) }

// SetDelay makes every request wait.
func (r *Registry) SetDelay(d time.Duration) { r.set(func() { r.delay = d }) }

// Requests counts the requests that have arrived so far.
func (r *Registry) Requests() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.requests
}

// Put stores a manifest under a tag as it is, for tests of unusual ones.
func (r *Registry) Put(repository, tag, mediaType string, manifest []byte) {
	r.set(func() { r.put(repository, tag, mediaType, manifest) })
}

// PutBlob stores a blob.
func (r *Registry) PutBlob(data []byte) digest.Digest {
	d := digest.FromBytes(data)
	r.set(func() { r.blobs[d.String()] = data })
	return d
}

func (r *Registry) set(f func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	f()
}

func (r *Registry) put(repository, reference, mediaType string, manifest []byte) digest.Digest {
	d := digest.FromBytes(manifest)
	r.blobs[d.String()], r.types[d.String()] = manifest, mediaType
	r.tags[repository+":"+reference] = d.String()
	return d
}

var paths = regexp.MustCompile(`^/v2/(.+)/(manifests|blobs)/([^/]+)/?$`)

// ServeHTTP answers as a registry does.
func (r *Registry) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	body, err := io.ReadAll(req.Body)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	r.mu.Lock()
	delay := r.delay
	r.requests++
	r.mu.Unlock()
	select {
	case <-time.After(delay):
	case <-req.Context().Done():
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	m := paths.FindStringSubmatch(req.URL.Path)
	switch {
	case r.down:
		http.Error(w, `{"errors":[{"code":"UNAVAILABLE","message":"down for the test"}]}`, http.StatusServiceUnavailable)
	case m == nil:
		w.WriteHeader(http.StatusOK)
	case m[2] == "blobs" && m[3] == "uploads":
		r.upload(w, req, m[1], body)
	case req.Method == http.MethodPut:
		d := r.put(m[1], m[3], req.Header.Get("Content-Type"), body)
		w.Header().Set("Docker-Content-Digest", d.String())
		w.WriteHeader(http.StatusCreated)
	default:
		r.serve(w, req, m[1], m[2], m[3])
	}
}

func (r *Registry) upload(w http.ResponseWriter, req *http.Request, repository string, body []byte) {
	if req.Method == http.MethodPost {
		w.Header().Set("Location", fmt.Sprintf("/v2/%s/blobs/uploads/?id=1", repository))
		w.WriteHeader(http.StatusAccepted)
		return
	}
	if want := req.URL.Query().Get("digest"); digest.FromBytes(body).String() != want {
		http.Error(w, "digest mismatch", http.StatusBadRequest)
		return
	}
	r.blobs[digest.FromBytes(body).String()] = body
	w.WriteHeader(http.StatusCreated)
}

func (r *Registry) serve(w http.ResponseWriter, req *http.Request, repository, kind, reference string) {
	d := reference
	if kind == "manifests" && !strings.Contains(reference, ":") {
		d = r.tags[repository+":"+reference]
	}
	data, ok := r.blobs[d]
	if !ok {
		http.Error(w, `{"errors":[{"code":"NAME_UNKNOWN","message":"not here"}]}`, http.StatusNotFound)
		return
	}
	if r.corrupt && len(data) > 0 {
		data = append([]byte{data[0] ^ 1}, data[1:]...)
	}
	mediaType := "application/octet-stream"
	if kind == "manifests" {
		mediaType = r.types[d]
	}
	w.Header().Set("Content-Type", mediaType)
	w.Header().Set("Docker-Content-Digest", d)
	w.Header().Set("Content-Length", fmt.Sprint(len(data)))
	if req.Method != http.MethodHead {
		_, _ = w.Write(data)
	}
}
