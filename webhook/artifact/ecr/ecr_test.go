package ecr

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"oras.land/oras-go/v2/registry/remote/auth"
)

const host = "123456789012.dkr.ecr.eu-west-1.amazonaws.com"

func TestCredential(t *testing.T) {
	asked := 0
	until := time.Now().Add(12 * time.Hour)
	api := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked++
		a := r.Header.Get("Authorization")
		if r.Header.Get("X-Amz-Target") != action || !strings.Contains(a, "Credential=AKID/") || !strings.Contains(a, "/eu-west-1/ecr/aws4_request") || !strings.Contains(a, "x-amz-target") {
			http.Error(w, "not signed: "+a, http.StatusForbidden)
			return
		}
		fmt.Fprintf(w, `{"authorizationData":[{"authorizationToken":%q,"expiresAt":%f,"proxyEndpoint":"x"}]}`,
			base64.StdEncoding.EncodeToString([]byte("AWS:secret")), float64(until.UnixMilli())/1000)
	}))
	defer api.Close()
	t.Setenv("AWS_ENDPOINT_URL", api.URL)
	t.Setenv("AWS_ACCESS_KEY_ID", "AKID")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "key")
	var s Source
	ask := s.Credential(nil)
	for range 3 {
		got, err := ask(t.Context(), host)
		if err != nil || got != (auth.Credential{Username: "AWS", Password: "secret"}) {
			t.Fatalf("%+v, %v", got, err)
		}
	}
	if asked != 1 {
		t.Errorf("asked %d times; a token lasts", asked)
	}
	until = time.Now().Add(time.Minute)
	s = Source{}
	for range 2 {
		if _, err := ask(t.Context(), host); err != nil {
			t.Fatal(err)
		}
	}
	if asked != 3 {
		t.Errorf("asked %d times; a token near its end is replaced", asked)
	}
	if got, err := ask(t.Context(), "ghcr.io"); err != nil || got != auth.EmptyCredential || asked != 3 {
		t.Errorf("%+v, %v: another registry is none of ours", got, err)
	}
}

func TestFirstWins(t *testing.T) {
	var s Source
	mine := auth.Credential{Username: "me", Password: "mine"}
	if got, err := s.Credential(func(context.Context, string) (auth.Credential, error) { return mine, nil })(t.Context(), host); err != nil || got != mine {
		t.Errorf("%+v, %v", got, err)
	}
	broken := errors.New("broken")
	if _, err := s.Credential(func(context.Context, string) (auth.Credential, error) { return auth.EmptyCredential, broken })(t.Context(), host); !errors.Is(err, broken) {
		t.Error(err)
	}
}

func TestRefusal(t *testing.T) {
	api := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		http.Error(w, `{"__type":"AccessDeniedException"}`, http.StatusBadRequest)
	}))
	defer api.Close()
	t.Setenv("AWS_ENDPOINT_URL_ECR", api.URL)
	t.Setenv("AWS_ACCESS_KEY_ID", "AKID")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "key")
	var s Source
	if _, err := s.Credential(nil)(t.Context(), host); err == nil || !strings.Contains(err.Error(), "AccessDenied") || !strings.Contains(err.Error(), "ecr:GetAuthorizationToken") {
		t.Error(err)
	}
	for _, body := range []string{``, `{}`, `{"authorizationData":[{"authorizationToken":"!"}]}`, `{"authorizationData":[{"authorizationToken":"eA=="}]}`} {
		if _, err := parse([]byte(body)); err == nil {
			t.Errorf("%q was accepted", body)
		}
	}
}
