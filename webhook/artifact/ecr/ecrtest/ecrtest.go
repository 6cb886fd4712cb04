// Package ecrtest is a registry that answers as Amazon's does to tokens past their life, on a clock that tests move.
package ecrtest

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/compspec/ocifit-lab/webhook/artifact/artifacttest"
)

// life is that of a token.
const life = 12 * time.Hour

// Registry issues tokens through the API that AWS_ENDPOINT_URL then names, takes them with basic authentication, and answers 403 to one that
// has ended.
type Registry struct {
	Host string // on loopback, without TLS

	mu     sync.Mutex
	now    time.Time
	issued map[string]time.Time // token to its end
}

// New starts a registry that ends with the test, and gives the environment an AWS account.
func New(t *testing.T) *Registry {
	t.Helper()
	r := &Registry{now: time.Unix(1_750_000_000, 0), issued: map[string]time.Time{}}
	api := httptest.NewServer(http.HandlerFunc(r.issue))
	t.Cleanup(api.Close)
	t.Setenv("AWS_ENDPOINT_URL", api.URL)
	t.Setenv("AWS_ACCESS_KEY_ID", "AKID")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "key")
	content := artifacttest.New(t)
	front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		switch _, token, ok := q.BasicAuth(); {
		case !ok:
			w.Header().Set("Www-Authenticate", `Basic realm="ecr"`)
			w.WriteHeader(http.StatusUnauthorized)
		case !r.valid(token):
			http.Error(w, `{"errors":[{"code":"DENIED","message":"Your authorization token has expired. Reauthenticate and try again."}]}`, http.StatusForbidden)
		default:
			content.ServeHTTP(w, q)
		}
	}))
	t.Cleanup(front.Close)
	r.Host = strings.TrimPrefix(front.URL, "http://")
	return r
}

func (r *Registry) issue(w http.ResponseWriter, _ *http.Request) {
	r.mu.Lock()
	defer r.mu.Unlock()
	token := fmt.Sprint("token", len(r.issued))
	end := r.now.Add(life)
	r.issued[token] = end
	fmt.Fprintf(w, `{"authorizationData":[{"authorizationToken":%q,"expiresAt":%d}]}`, base64.StdEncoding.EncodeToString([]byte("AWS:"+token)), end.Unix())
}

func (r *Registry) valid(token string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	end, known := r.issued[token]
	return known && r.now.Before(end)
}

// Now is the registry's time.
func (r *Registry) Now() time.Time {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.now
}

// Advance moves the registry's time.
func (r *Registry) Advance(d time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.now = r.now.Add(d)
}

// EndTokens ends all tokens early, as when the account's key was changed.
func (r *Registry) EndTokens() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for token := range r.issued {
		r.issued[token] = r.now
	}
}

// Issued is how many tokens were asked for.
func (r *Registry) Issued() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.issued)
}
