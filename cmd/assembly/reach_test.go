package assembly

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/compspec/ocifit-lab/provision"
	"github.com/compspec/ocifit-lab/webhook/artifact/artifacttest"
)

// What up brings from elsewhere is asked for before anything costs money: what this program fetches must be there, what the nodes pull may
// be out of this machine's reach.
func TestReach(t *testing.T) {
	registry := artifacttest.New(t)
	files := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/operator.yaml" {
			http.NotFound(w, r)
			return
		}
		_, _ = w.Write([]byte("{apiVersion: v1, kind: Namespace, metadata: {name: x}}"))
	}))
	defer files.Close()
	charts := func(flux string) string {
		return "components: {certificates: lab, miniclusters: flux-operator, cachedFeaturesOnly: true, charts: {flux-operator: {chart: " + files.URL + flux +
			"}, cluster-autoscaler: {chart: " + files.URL + "/operator.yaml}}}\n"
	}
	for _, c := range []struct {
		name, lab, check string
		text, err        string
	}{
		{"charts", charts("/operator.yaml"), "charts and manifests", "can be fetched: cluster-autoscaler", ""},
		{"a chart that is not there", charts("/gone.yaml"), "charts and manifests", "", "/gone.yaml"},
		{"no artifact yet", "artifact: {repository: " + registry.Host + "/new}\n", "artifact repository", registry.Host + "/new:study will be made", ""},
		{"a registry that is down", "artifact: {repository: 127.0.0.1:1/x}\n", "artifact repository", "", "127.0.0.1:1/x:study"},
		{
			"images out of reach", "artifact: {images: {amd64: 127.0.0.1:1/a:b, arm64: 127.0.0.1:1/a:b}}\n" + charts("/operator.yaml"),
			"images", "", "127.0.0.1:1/a:b",
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			l := assembled(t, "eks", c.lab)
			checks := map[string]provision.NamedCheck{}
			for _, check := range l.checks() {
				checks[check.Name] = check
			}
			check, ok := checks[c.check]
			if !ok {
				t.Fatalf("no check of the %s among %d", c.check, len(checks))
			}
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			text, err := check.Look(ctx)
			switch {
			case c.err == "" && (err != nil || !strings.Contains(text, c.text)):
				t.Errorf("%q, %v", text, err)
			case c.err != "" && (err == nil || !strings.Contains(err.Error(), c.err) || strings.Contains(err.Error(), "webhook")):
				t.Errorf("%q, %v", text, err)
			}
			if check.Elsewhere != (c.check == "images") {
				t.Error("what the nodes pull is asked of them, and the rest of this machine")
			}
		})
	}
	for _, check := range assembled(t, "eks", "").checks() {
		if check.Name == "artifact repository" {
			t.Error("the account's own registry is the provider's question")
		}
	}
}
