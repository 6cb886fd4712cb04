package ecr

import (
	"context"
	"encoding/base64"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"oras.land/oras-go/v2/registry/remote/auth"

	"github.com/compspec/ocifit-lab/webhook/artifact"
	"github.com/compspec/ocifit-lab/webhook/artifact/artifacttest"
	"github.com/compspec/ocifit-lab/webhook/compat"
)

// A study of 40 hours on a registry that answers 403 to a token past its 12 hours: no admission fails, not even where
// the registry ends a token's life early.
func TestFortyHours(t *testing.T) {
	var mu sync.Mutex
	now := time.Unix(1_750_000_000, 0)
	clock := func() time.Time { mu.Lock(); defer mu.Unlock(); return now }
	issued := map[string]time.Time{} // token to its end
	api := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		token := fmt.Sprint("token", len(issued))
		issued[token] = now.Add(12 * time.Hour)
		fmt.Fprintf(w, `{"authorizationData":[{"authorizationToken":%q,"expiresAt":%d}]}`, base64.StdEncoding.EncodeToString([]byte("AWS:"+token)), now.Add(12*time.Hour).Unix())
	}))
	defer api.Close()
	t.Setenv("AWS_ENDPOINT_URL", api.URL)
	t.Setenv("AWS_ACCESS_KEY_ID", "AKID")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "key")

	r := artifacttest.New(t)
	front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		_, token, ok := q.BasicAuth()
		mu.Lock()
		end, known := issued[token]
		valid := known && now.Before(end)
		mu.Unlock()
		switch {
		case !ok:
			w.Header().Set("Www-Authenticate", `Basic realm="ecr"`)
			w.WriteHeader(http.StatusUnauthorized)
		case !valid:
			http.Error(w, `{"errors":[{"code":"DENIED","message":"Your authorization token has expired. Reauthenticate and try again."}]}`, http.StatusForbidden)
		default:
			r.ServeHTTP(w, q)
		}
	}))
	defer front.Close()
	local := strings.TrimPrefix(front.URL, "http://")

	src := &Source{Now: clock}
	ask := src.Credential(nil)
	options := artifact.Options{
		PlainHTTP: []string{local}, Timeout: 20 * time.Second,
		Credential: func(ctx context.Context, _ string) (auth.Credential, error) { return ask(ctx, host) },
		Forget:     func(string) { src.Forget(host) },
	}
	data, err := artifact.Build([]compat.Model{{Name: "random", Direction: compat.DrawRandom}}, map[string]string{"amd64": "i:v1"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := artifact.Push(t.Context(), local+"/a:v1", data, compat.MediaTypeModels, options); err != nil {
		t.Fatal(err)
	}
	cache := artifact.NewCache(artifact.CacheOptions{Options: options, Fresh: 10 * time.Second, MaxStale: -1, Now: clock})
	for minute := 0; minute <= 40*60; minute += 10 {
		mu.Lock()
		now = now.Add(10 * time.Minute)
		if minute == 5*60 { // the account's key was changed
			for token := range issued {
				issued[token] = now
			}
		}
		mu.Unlock()
		if a, err := cache.Get(t.Context(), local+"/a:v1"); err != nil || a.Stale != "" {
			t.Fatalf("minute %d: %+v, %v", minute, a, err)
		}
	}
	if n := len(issued); n < 4 || n > 6 {
		t.Errorf("%d tokens in 40 hours", n)
	}
}
