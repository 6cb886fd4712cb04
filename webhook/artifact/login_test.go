package artifact

import (
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/compspec/ocifit-lab/webhook/artifact/artifacttest"
	"github.com/compspec/ocifit-lab/webhook/compat"
)

// Credentials that cannot be had stop nothing that is public, and are the reason where they are needed.
func TestWithoutCredentials(t *testing.T) {
	r := artifacttest.New(t)
	if _, err := Push(t.Context(), r.Ref("a:v1"), study(t), compat.MediaTypeModels, plain(r)); err != nil {
		t.Fatal(err)
	}
	// Like public registries: nobody is asked for a name, but everybody for a token.
	public := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		switch {
		case q.URL.Path == "/token":
			_, _ = w.Write([]byte(`{"token":"anonymous"}`))
		case q.Header.Get("Authorization") != "Bearer anonymous":
			w.Header().Set("Www-Authenticate", `Bearer realm="http://`+q.Host+`/token",service="x",scope="repository:a:pull"`)
			w.WriteHeader(http.StatusUnauthorized)
		default:
			r.ServeHTTP(w, q)
		}
	}))
	defer public.Close()
	private := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		w.Header().Set("Www-Authenticate", `Basic realm="x"`)
		w.WriteHeader(http.StatusUnauthorized)
	}))
	defer private.Close()
	for name, config := range map[string]string{
		"no such helper": `{"auths":{},"credsStore":"desktop.exe"}`, "malformed": `{"auths":{`, "a helper per registry": `{"credHelpers":{"HOST":"nosuch"}}`, "not base64": `{"auths":{"HOST":{"auth":"###"}}}`,
	} {
		t.Run(name, func(t *testing.T) {
			for _, s := range []*httptest.Server{public, private} {
				host := strings.TrimPrefix(s.URL, "http://")
				dir := t.TempDir()
				if err := os.WriteFile(filepath.Join(dir, "config.json"), []byte(strings.ReplaceAll(config, "HOST", host)), 0o600); err != nil {
					t.Fatal(err)
				}
				t.Setenv("DOCKER_CONFIG", dir)
				var warned []error
				_, err := Pull(t.Context(), host+"/a:v1", Options{PlainHTTP: []string{host}, Timeout: 5 * time.Second, Credential: DockerCredentials(), Warn: func(err error) { warned = append(warned, err) }})
				if s == public && (err != nil || len(warned) == 0 || !strings.Contains(warned[0].Error(), "without credentials")) {
					t.Errorf("public: %v, warned %v", err, warned)
				}
				if s == private && (err == nil || strings.Contains(err.Error(), "registry is up") || !strings.Contains(err.Error(), "there are none: ")) {
					t.Errorf("private: %v", err)
				}
			}
		})
	}
}
