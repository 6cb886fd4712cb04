package eks_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"math"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"k8s.io/client-go/tools/clientcmd"

	"github.com/compspec/ocifit-lab/provision/eks"
	"github.com/compspec/ocifit-lab/provision/eks/awstest"
)

func TestToken(t *testing.T) {
	newBench(t, awstest.Options{}) // for its credentials
	out, err := eks.Token(context.Background(), "study", "us-east-1", "")
	if err != nil {
		t.Fatal(err)
	}
	var cred struct {
		APIVersion, Kind string
		Status           struct {
			Token               string
			ExpirationTimestamp time.Time
		}
	}
	if err := json.Unmarshal(out, &cred); err != nil {
		t.Fatal(err)
	}
	if cred.APIVersion != "client.authentication.k8s.io/v1" || cred.Kind != "ExecCredential" {
		t.Errorf("it is a %s of %s", cred.Kind, cred.APIVersion)
	}
	if left := time.Until(cred.Status.ExpirationTimestamp); left < 10*time.Minute || left > 15*time.Minute {
		t.Errorf("it lives for %s", left)
	}
	raw, err := base64.RawURLEncoding.DecodeString(strings.TrimPrefix(cred.Status.Token, "k8s-aws-v1."))
	if err != nil {
		t.Fatal(err)
	}
	u, err := url.Parse(string(raw))
	if err != nil {
		t.Fatal(err)
	}
	q := u.Query()
	if q.Get("Action") != "GetCallerIdentity" || q.Get("X-Amz-Expires") != "60" || !slices.Contains(strings.Split(q.Get("X-Amz-SignedHeaders"), ";"), "x-k8s-aws-id") {
		t.Errorf("the request in the token is %s", u)
	}
	// EKS sends the request with the cluster's name; STS answers who signed it.
	req, err := http.NewRequest(http.MethodGet, u.String(), nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("x-k8s-aws-id", "study")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		t.Errorf("STS answers %s", resp.Status)
	}
}

func TestMergeKeepsTheUsersContext(t *testing.T) {
	b := newBench(t, awstest.Options{})
	b.mustUp()
	file := filepath.Join(t.TempDir(), "config")
	theirs := "apiVersion: v1\nkind: Config\ncurrent-context: mine\nclusters: [{name: mine, cluster: {server: 'https://example.invalid'}}]\n" +
		"contexts: [{name: mine, context: {cluster: mine, user: me}}]\nusers: [{name: me, user: {}}]\n"
	if err := os.WriteFile(file, []byte(theirs), 0o600); err != nil {
		t.Fatal(err)
	}
	ctx := context.Background()
	for range 2 {
		if _, err := b.provider().Merge(ctx, file); err != nil {
			t.Fatal(err)
		}
	}
	cfg, err := clientcmd.LoadFromFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if cfg.CurrentContext != "mine" || cfg.Clusters["study"] == nil || len(cfg.Contexts) != 2 {
		t.Errorf("merged: current %s, contexts %v", cfg.CurrentContext, cfg.Contexts)
	}
	s, err := b.provider().Status(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if err := b.provider().Unmerge(file, "https://another.invalid"); err != nil {
		t.Fatal(err)
	}
	if cfg, err = clientcmd.LoadFromFile(file); err != nil || cfg.Clusters["study"] == nil {
		t.Errorf("another cluster's entry was removed: %v", err)
	}
	if err := b.provider().Unmerge(file, s.Endpoint); err != nil {
		t.Fatal(err)
	}
	if cfg, err = clientcmd.LoadFromFile(file); err != nil || len(cfg.Clusters) != 1 || cfg.CurrentContext != "mine" {
		t.Errorf("unmerged: %v, %v", cfg, err)
	}
	b.mustDown()
}

func TestEstimate(t *testing.T) {
	b := newBench(t, awstest.Options{})
	b.opts.Prices = map[string]float64{"t3.2xlarge": 0.3328, "c7a.12xlarge": 2.4634}
	b.opts.PricesNote = "the dated table"
	e, err := b.provider().Estimate(context.Background(), false)
	if err != nil {
		t.Fatal(err)
	}
	if n := len(b.aws.Calls()); n != 0 {
		t.Errorf("an offline estimate made %d calls", n)
	}
	node := 0.005 + 80*0.08/730
	if want := 0.10 + 0.3328 + node; math.Abs(e.Idle-want) > 1e-9 {
		t.Errorf("idle %v, want %v", e.Idle, want)
	}
	if want := 0.10 + 0.3328 + 2.4634 + 3*node; math.Abs(e.Worst-want) > 1e-9 {
		t.Errorf("worst %v, want %v", e.Worst, want)
	}
	if !slices.Equal(e.Unpriced, []string{"hpc7g.16xlarge"}) || !slices.Contains(e.Sources, "the dated table") {
		t.Errorf("unpriced %v, sources %v", e.Unpriced, e.Sources)
	}

	online, err := b.provider().Estimate(context.Background(), true)
	if err != nil {
		t.Fatal(err)
	}
	if want := 0.10 + awstest.Price("t3.2xlarge") + node; math.Abs(online.Idle-want) > 1e-9 || len(online.Unpriced) != 0 {
		t.Errorf("online: idle %v, want %v; unpriced %v", online.Idle, want, online.Unpriced)
	}

	b.aws.Inject(awstest.Fault{Service: "pricing", Status: 403, Code: "AccessDeniedException", Message: "no"})
	denied, err := b.provider().Estimate(context.Background(), true)
	if err != nil || denied.Idle != e.Idle {
		t.Errorf("without the Pricing service: %v, %v", denied, err)
	}
}

// Plans need neither network nor credentials.
func TestStepsTouchNothing(t *testing.T) {
	b := newBench(t, awstest.Options{})
	t.Setenv("AWS_ACCESS_KEY_ID", "")
	b.opts.NodeGroups = append(b.opts.NodeGroups, eks.NodeGroup{Name: "x", InstanceType: "bogus.large", Max: 1})
	var names []string
	for _, s := range b.provider().Steps() {
		names = append(names, s.Name)
		if s.Plan == "" || s.Timeout <= 0 || s.Run == nil {
			t.Errorf("step %s: plan %q, timeout %s", s.Name, s.Plan, s.Timeout)
		}
	}
	want := []string{eks.StepPreflight, eks.StepControlPlane, eks.StepKubeconfig, eks.StepSticky, eks.StepGroups, eks.StepIdentity}
	if !slices.Equal(names, want) {
		t.Errorf("steps %v", names)
	}
	file, err := b.provider().Preview()
	if err != nil || !strings.Contains(string(file), "instanceType: hpc7g.16xlarge") {
		t.Errorf("preview: %v\n%s", err, file)
	}
	if n := len(b.aws.Calls()); n != 0 {
		t.Errorf("planning made %d calls", n)
	}
}
