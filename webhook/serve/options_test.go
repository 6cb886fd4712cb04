package serve

import (
	"context"
	"encoding/json"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes/fake"

	"github.com/compspec/ocifit-lab/webhook/predict"
)

// predictor is a webhook that answers predictions, too.
func newPredictAPI(t *testing.T, edit func(*Config)) (*site, *predict.Client) {
	t.Helper()
	listening := make(chan string, 1)
	s := start(t, func(c *Config) {
		c.PredictListen, c.OnPredictListen = "127.0.0.1:0", func(addr string) { listening <- addr }
		if edit != nil {
			edit(c)
		}
	})
	return s, &predict.Client{URL: "http://" + <-listening, HTTPClient: &http.Client{Timeout: patience}}
}

func TestPredictAPI(t *testing.T) {
	s, api := newPredictAPI(t, func(c *Config) { c.MaxBody = 10_000 })
	for name, c := range map[string]struct {
		body string
		code int
		says string
	}{
		"model":       {`{"metric_name":"speed","features":[{"node.kubernetes.io/instance-type":"a","feature.node.kubernetes.io/k":"1"},{"node.kubernetes.io/instance-type":"b","kubernetes.io/arch":"arm64","feature.node.kubernetes.io/k":"2"}]}`, 200, `"instance":"b","instance-selector":"node.kubernetes.io/instance-type","arch":"arm64","score":5`},
		"random":      {`{"metric_name":"random","features":[{"kubernetes.io/hostname":"h"}]}`, 200, `"score":null`},
		"unknown":     {`{"metric_name":"x","features":[{}]}`, 404, `"error":"Model 'x' not found`},
		"missing":     {`{"metric_name":"speed","features":[{}]}`, 400, `"missing_features":["feature.node.kubernetes.io/k"]`},
		"not JSON":    {`hello`, 400, `"error":"Invalid JSON input`},
		"a number":    {`{"metric_name":"speed","features":[{"feature.node.kubernetes.io/k":1}]}`, 400, `Invalid JSON input`},
		"no features": {`{}`, 400, `metric_name`},
		"too large":   {`{"metric_name":"` + strings.Repeat("x", 20_000) + `"}`, 413, "larger"},
	} {
		resp, err := http.Post(api.URL+PathPredict, "application/json", strings.NewReader(c.body))
		if err != nil {
			t.Fatal(err)
		}
		var b strings.Builder
		if err := resp.Write(&b); err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != c.code || !strings.Contains(b.String(), c.says) {
			t.Errorf("%s: %s", name, b.String())
		}
	}
	if _, text := s.get(t, PathMetrics); !strings.Contains(text, `ocifit_predictions_total{code="400"} 4`) {
		t.Error("predictions are not counted")
	}
}

// One webhook asks another one, over the study's protocol.
func TestModelServerURL(t *testing.T) {
	_, api := newPredictAPI(t, nil)
	s := start(t, func(c *Config) { c.ModelServerURL, c.Models = api.URL, []*predict.Model{} })
	if code, text := s.get(t, PathReady); code != 200 {
		t.Error(text)
	}
	resp := s.admit(t, s.pod("speed"))
	if !resp.Allowed || !strings.Contains(string(resp.Patch), `\"server\":\"`+api.URL) || !strings.Contains(string(resp.Patch), `"slow"`) {
		t.Errorf("%+v %s", resp.Result, resp.Patch)
	}
	gone := start(t, func(c *Config) { c.ModelServerURL = "http://127.0.0.1:1" })
	if resp := gone.admit(t, gone.pod("speed")); resp.Allowed || resp.Result.Code != 503 || !strings.Contains(resp.Result.Message, "MODEL_SERVER_URL") {
		t.Errorf("%+v", resp)
	}
	if resp := gone.admit(t, gone.pod("random")); !resp.Allowed {
		t.Errorf("a draw needs no model server: %+v", resp)
	}
	hanging := start(t, func(c *Config) {
		c.ModelServerURL, c.DecisionTimeout = "http://"+hang(t), 300*time.Millisecond
	})
	begin := time.Now()
	if resp := hanging.admit(t, hanging.pod("speed")); resp.Allowed || !strings.Contains(resp.Result.Message, "deadline") {
		t.Errorf("%+v", resp)
	}
	if took := time.Since(begin); took > patience/2 {
		t.Errorf("the admission's time was not kept: %s", took)
	}
}

// hang is a server that accepts and says nothing.
func hang(t *testing.T) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ln.Close() })
	return ln.Addr().String()
}

func TestEvents(t *testing.T) {
	client := fake.NewClientset()
	s := start(t, func(c *Config) { c.Cluster, c.Events = clusterOf(client), true })
	dry := strings.Replace(reviewOf(s.pod("nope")), `"uid":"u1"`, `"uid":"u1","dryRun":true`, 1)
	if code, text := s.ask(t, s.client, dry); code != 200 || strings.Contains(text, `"allowed":true`) {
		t.Fatal(text)
	}
	s.admit(t, s.pod("speed"))
	s.admit(t, s.pod("random"))
	generated := strings.Replace(s.pod("nope"), `"name":"p"`, `"generateName":"p-","ownerReferences":[{"apiVersion":"batch/v1","kind":"Job","name":"j","uid":"7","controller":true}]`, 1)
	s.admit(t, generated)
	s.admit(t, strings.Replace(s.pod("nope"), `"name":"p"`, `"generateName":"q-"`, 1))
	var list *corev1.EventList
	eventually(t, "four events", func() bool {
		var err error
		if list, err = client.CoreV1().Events("ns").List(t.Context(), metav1.ListOptions{}); err != nil {
			t.Fatal(err)
		}
		return len(list.Items) >= 4
	})
	var got []string
	for _, e := range list.Items {
		got = append(got, strings.Join([]string{e.Type, e.Reason, e.InvolvedObject.Kind, e.InvolvedObject.Name, string(e.InvolvedObject.UID), e.Message}, " "))
	}
	text := strings.Join(got, "\n")
	for _, want := range []string{
		"Normal InstanceSelected Pod p  Pod: image i:amd on slow, chosen by model speed among 1 types, score 0",
		"Normal InstanceSelected Pod p  Pod: image i:amd on slow, drawn from 1 types with seed ",
		"Warning SelectionDenied Job j 7 artifact ", "Warning SelectionDenied Pod q  artifact ",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("no event %q in\n%s", want, text)
		}
	}
	if len(list.Items) != 4 {
		t.Errorf("a dry run left an event:\n%s", text)
	}
}

func TestFeaturesFolder(t *testing.T) {
	var folder string
	s := start(t, func(c *Config) {
		folder = filepath.Join(filepath.Dir(c.FeaturesFile), "folder")
		if err := os.Mkdir(folder, 0o700); err != nil {
			t.Fatal(err)
		}
		c.FeaturesFile = folder
		for name, typ := range map[string]string{"a.json": "one", "b.json": "two"} {
			row := `[{"node.kubernetes.io/instance-type":"` + typ + `","kubernetes.io/arch":"amd64","feature.node.kubernetes.io/k":"1"}]`
			if err := os.WriteFile(filepath.Join(folder, name), []byte(row), 0o600); err != nil {
				t.Fatal(err)
			}
		}
	})
	if _, text := s.get(t, PathMetrics); !strings.Contains(text, "ocifit_catalogue_types 2") {
		t.Error("both files make up the catalogue")
	}
	row := `[{"node.kubernetes.io/instance-type":"three","kubernetes.io/arch":"amd64","feature.node.kubernetes.io/k":"2"}]`
	if err := os.WriteFile(filepath.Join(folder, "c.json"), []byte(row), 0o600); err != nil {
		t.Fatal(err)
	}
	eventually(t, "a new file counts", func() bool { return strings.Contains(string(s.admit(t, s.pod("speed")).Patch), `"three"`) })

	cfg := Config{Listen: "127.0.0.1:0", CertFile: filepath.Join(s.dir, "tls.crt"), KeyFile: filepath.Join(s.dir, "tls.key"), FeaturesFile: t.TempDir()}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	if err := Run(ctx, cfg); err == nil || !strings.Contains(err.Error(), "no *.json") {
		t.Error(err)
	}
	if err := os.WriteFile(filepath.Join(cfg.FeaturesFile, "a.json"), []byte(row), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(cfg.FeaturesFile, "b.json"), []byte(row), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := Run(ctx, cfg); err == nil || !strings.Contains(err.Error(), "repeats") {
		t.Error(err)
	}
}

// 100 MB are refused after the limit's worth of reading, not after all of it.
func TestHugeBody(t *testing.T) {
	s := start(t, nil)
	body := &zeros{}
	body.left.Store(100 << 20)
	resp, err := s.client.Post(s.url+PathMutate, "application/json", body)
	if err == nil {
		resp.Body.Close()
		if resp.StatusCode != http.StatusRequestEntityTooLarge {
			t.Error(resp.StatusCode)
		}
	}
	if read := int64(100<<20) - body.left.Load(); read > 40<<20 {
		t.Errorf("%d bytes were sent before the answer", read)
	}
	if resp := s.admit(t, s.pod("speed")); !resp.Allowed {
		t.Errorf("%+v", resp)
	}
}

// zeros is read by the transport while the test looks at it.
type zeros struct{ left atomic.Int64 }

func (z *zeros) Read(p []byte) (int, error) {
	n := min(int64(len(p)), z.left.Load())
	z.left.Add(-n)
	for i := range p[:n] {
		p[i] = '0'
	}
	if n == 0 {
		return 0, os.ErrDeadlineExceeded
	}
	return int(n), nil
}

func FuzzPredictAPI(f *testing.F) {
	m := model(f)
	f.Add([]byte(`{"metric_name":"speed","features":[{"feature.node.kubernetes.io/k":"1"}]}`))
	f.Add([]byte(`{"metric_name":"random","features":[{},{"node-role.kubernetes.io/control-plane":""}]}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		var q predict.Request
		if json.Unmarshal(body, &q) != nil {
			return
		}
		answer, refusal, code := predict.Answer(map[string]*predict.Model{m.Name: m}, q, 1)
		if (answer == nil) == (refusal == nil) || code < 200 || code >= 500 {
			t.Fatal(answer, refusal, code)
		}
	})
}
