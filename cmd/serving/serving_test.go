package serving

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"oras.land/oras-go/v2/registry/remote/auth"

	"github.com/compspec/ocifit-lab/provision/pki"
	"github.com/compspec/ocifit-lab/webhook/artifact"
	"github.com/compspec/ocifit-lab/webhook/artifact/ecr"
	"github.com/compspec/ocifit-lab/webhook/artifact/ecr/ecrtest"
	"github.com/compspec/ocifit-lab/webhook/compat"
	"github.com/compspec/ocifit-lab/webhook/serve"
)

// Who may create a pod must not choose what the webhook connects to, unless whoever runs it says so.
func TestRegistriesThatMayBeNamed(t *testing.T) {
	for name, tc := range map[string]struct {
		env  string
		args []string
		want []string // nil: all with public addresses
	}{
		"by default the study's":    {"", nil, []string{compat.PublishedRegistry}},
		"of the environment":        {"r.example,*.site.example", nil, []string{"r.example", "*.site.example"}},
		"of flags, not both":        {"r.example", []string{"--allow-registry", "other.example"}, []string{"other.example"}},
		"what has a mirror besides": {"", []string{"--mirror", "up.example=mirror.example/x"}, []string{"up.example", compat.PublishedRegistry}},
		"all":                       {"", []string{"--allow-registry", "*"}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Setenv("ALLOW_REGISTRIES", tc.env)
			cmd, o := command()
			if err := cmd.ParseFlags(tc.args); err != nil {
				t.Fatal(err)
			}
			c, err := o.settings()
			if err != nil || !slices.Equal(c.AllowRegistries, tc.want) || (c.AllowRegistries == nil) != (tc.want == nil) {
				t.Errorf("%v, %v; want %v", c.AllowRegistries, err, tc.want)
			}
		})
	}
}

// A study of 40 hours whose artifact is in Amazon's registry, where a token lives 12: the webhook that is served denies no admission, and goes
// on when the account's key is changed in the middle.
func TestFortyHoursOfAdmissions(t *testing.T) {
	r := ecrtest.New(t)
	const amazons = "123456789012.dkr.ecr.us-east-1.amazonaws.com"
	tokens := &ecr.Source{Now: r.Now}
	ask := tokens.Credential(nil)
	credential := func(ctx context.Context, _ string) (auth.Credential, error) { return ask(ctx, amazons) }
	data, err := artifact.Build([]compat.Model{{Name: "random", Direction: compat.DrawRandom}}, map[string]string{"amd64": "i:v1"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := artifact.Push(t.Context(), r.Host+"/a:v1", data, compat.MediaTypeModels, artifact.Options{PlainHTTP: []string{r.Host}, Credential: credential}); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	authority, err := pki.New("test", time.Now())
	if err != nil {
		t.Fatal(err)
	}
	certFile, keyFile, err := authority.IssueTo(dir, "tls", pki.Request{CommonName: "webhook.test", DNSNames: []string{"webhook.test"}})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "features.json"), []byte(`[{"node.kubernetes.io/instance-type":"a","kubernetes.io/arch":"amd64"}]`), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd, o := command()
	if err := cmd.ParseFlags([]string{
		"--listen", "127.0.0.1:0", "--tls-cert", certFile, "--tls-key", keyFile,
		"--features-dir", dir, "--plain-http", r.Host, "--artifact-max-stale", "-1s",
	}); err != nil {
		t.Fatal(err)
	}
	c, err := o.settings()
	if err != nil {
		t.Fatal(err)
	}
	listening := make(chan string, 1)
	c.OnListen = func(addr string) { listening <- addr }
	c.Log, c.Now = slog.New(slog.DiscardHandler), r.Now
	c.Credential, c.Forget = credential, func(string) { tokens.Forget(amazons) }
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- serve.Run(ctx, c) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	var url string
	select {
	case addr := <-listening:
		url = "https://" + addr + serve.PathMutate
	case err := <-done:
		done <- nil
		t.Fatal(err)
	}
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: authority.Pool(), ServerName: "webhook.test"}}
	defer transport.CloseIdleConnections()
	client := &http.Client{Transport: transport, Timeout: time.Minute}
	for minute := 0; minute <= 40*60; minute += 10 {
		r.Advance(10 * time.Minute)
		if minute == 5*60 {
			r.EndTokens()
		}
		review := fmt.Sprintf(`{"apiVersion":"admission.k8s.io/v1","kind":"AdmissionReview","request":{"uid":"%d","kind":{"version":"v1","kind":"Pod"},"resource":{"version":"v1","resource":"pods"},"namespace":"default","operation":"CREATE","object":{"apiVersion":"v1","kind":"Pod","metadata":{"name":"p","labels":{"%s":"true"},"annotations":{"%s":"%s/a:v1","%s":"random"}},"spec":{"containers":[{"name":"a","image":"%s"}]}}}}`,
			minute, compat.LabelEnabled, compat.AnnotationImageRef, r.Host, compat.AnnotationModel, compat.DefaultTargetImage)
		resp, err := client.Post(url, "application/json", bytes.NewReader([]byte(review)))
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if err != nil {
			t.Fatal(err)
		}
		var answer struct {
			Response struct {
				Allowed  bool
				Warnings []string
				Patch    []byte
			}
		}
		if err := json.Unmarshal(body, &answer); err != nil || !answer.Response.Allowed || len(answer.Response.Patch) == 0 || len(answer.Response.Warnings) > 0 {
			t.Fatalf("minute %d: %s, %v", minute, body, err)
		}
	}
	if n := r.Issued(); n < 4 || n > 6 {
		t.Errorf("%d tokens in 40 hours", n)
	}
}
