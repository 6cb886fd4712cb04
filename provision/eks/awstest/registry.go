package awstest

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"strings"
)

// serveRegistry answers the distribution API for the repositories of ECR: push and pull of blobs and manifests.
func (s *Server) serveRegistry(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Docker-Distribution-Api-Version", "registry/2.0")
	if user, password, ok := r.BasicAuth(); !ok || user != "AWS" || password != RegistryPassword {
		w.Header().Set("WWW-Authenticate", `Basic realm="awstest"`)
		registryError(w, 401, "UNAUTHORIZED")
		return
	}
	if r.URL.Path == "/v2/" {
		w.WriteHeader(200)
		return
	}
	body, err := io.ReadAll(io.LimitReader(r.Body, 512<<20))
	if err != nil {
		registryError(w, 400, "BLOB_UPLOAD_INVALID")
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, part := range []string{"/blobs/uploads/", "/blobs/", "/manifests/"} {
		at := strings.LastIndex(r.URL.Path, part)
		if at < 0 {
			continue
		}
		repo := s.acct.repos[strings.TrimPrefix(r.URL.Path[:at], "/v2/")]
		if repo == nil {
			registryError(w, 404, "NAME_UNKNOWN")
			return
		}
		rest := r.URL.Path[at+len(part):]
		switch part {
		case "/blobs/uploads/":
			s.upload(w, r, repo, rest, body)
		case "/blobs/":
			blob(w, r, repo, rest)
		default:
			manifests(w, r, repo, rest, body)
		}
		return
	}
	registryError(w, 404, "UNSUPPORTED")
}

func (s *Server) upload(w http.ResponseWriter, r *http.Request, repo *repository, id string, body []byte) {
	here := func() string { return "/v2/" + repo.name + "/blobs/uploads/" + id }
	if r.Method == "POST" {
		id = s.id("upload")
		repo.uploads[id] = nil
	}
	repo.uploads[id] = append(repo.uploads[id], body...)
	want := r.URL.Query().Get("digest")
	if want == "" {
		w.Header().Set("Location", here())
		w.Header().Set("Range", fmt.Sprintf("0-%d", max(len(repo.uploads[id])-1, 0)))
		w.WriteHeader(202)
		return
	}
	data := repo.uploads[id]
	delete(repo.uploads, id)
	if digest(data) != want {
		registryError(w, 400, "DIGEST_INVALID")
		return
	}
	repo.blobs[want] = data
	w.Header().Set("Location", "/v2/"+repo.name+"/blobs/"+want)
	w.Header().Set("Docker-Content-Digest", want)
	w.WriteHeader(201)
}

func blob(w http.ResponseWriter, r *http.Request, repo *repository, id string) {
	data, ok := repo.blobs[id]
	if !ok {
		registryError(w, 404, "BLOB_UNKNOWN")
		return
	}
	give(w, r, "application/octet-stream", id, data)
}

func manifests(w http.ResponseWriter, r *http.Request, repo *repository, ref string, body []byte) {
	if r.Method == "PUT" {
		m := manifest{r.Header.Get("Content-Type"), body}
		d := digest(body)
		repo.manifests[ref], repo.manifests[d] = m, m
		w.Header().Set("Location", r.URL.Path)
		w.Header().Set("Docker-Content-Digest", d)
		w.WriteHeader(201)
		return
	}
	m, ok := repo.manifests[ref]
	if !ok {
		registryError(w, 404, "MANIFEST_UNKNOWN")
		return
	}
	give(w, r, m.mediaType, digest(m.data), m.data)
}

func give(w http.ResponseWriter, r *http.Request, mediaType, id string, data []byte) {
	w.Header().Set("Content-Type", mediaType)
	w.Header().Set("Docker-Content-Digest", id)
	w.Header().Set("Content-Length", fmt.Sprint(len(data)))
	w.WriteHeader(200)
	if r.Method == "GET" {
		_, _ = w.Write(data)
	}
}

func digest(data []byte) string {
	sum := sha256.Sum256(data)
	return "sha256:" + hex.EncodeToString(sum[:])
}

func registryError(w http.ResponseWriter, code int, name string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	fmt.Fprintf(w, `{"errors":[{"code":%q,"message":%q}]}`, name, strings.ToLower(name))
}
