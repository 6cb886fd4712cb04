package ecr

import (
	"context"
	"testing"
	"time"

	"oras.land/oras-go/v2/registry/remote/auth"

	"github.com/compspec/ocifit-lab/webhook/artifact"
	"github.com/compspec/ocifit-lab/webhook/artifact/ecr/ecrtest"
	"github.com/compspec/ocifit-lab/webhook/compat"
)

// A study of 40 hours on a registry that answers 403 to a token past its 12 hours: no pull fails, not even where the registry ends a token's
// life early.
func TestFortyHours(t *testing.T) {
	r := ecrtest.New(t)
	src := &Source{Now: r.Now}
	ask := src.Credential(nil)
	options := artifact.Options{
		PlainHTTP: []string{r.Host}, Timeout: 20 * time.Second,
		Credential: func(ctx context.Context, _ string) (auth.Credential, error) { return ask(ctx, host) },
		Forget:     func(string) { src.Forget(host) },
	}
	data, err := artifact.Build([]compat.Model{{Name: "random", Direction: compat.DrawRandom}}, map[string]string{"amd64": "i:v1"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := artifact.Push(t.Context(), r.Host+"/a:v1", data, compat.MediaTypeModels, options); err != nil {
		t.Fatal(err)
	}
	cache := artifact.NewCache(artifact.CacheOptions{Options: options, Fresh: 10 * time.Second, MaxStale: -1, Now: r.Now})
	for minute := 0; minute <= 40*60; minute += 10 {
		r.Advance(10 * time.Minute)
		if minute == 5*60 {
			r.EndTokens()
		}
		if a, err := cache.Get(t.Context(), r.Host+"/a:v1"); err != nil || a.Stale != "" {
			t.Fatalf("minute %d: %+v, %v", minute, a, err)
		}
	}
	if n := r.Issued(); n < 4 || n > 6 {
		t.Errorf("%d tokens in 40 hours", n)
	}
}
