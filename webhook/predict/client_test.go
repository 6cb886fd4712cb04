package predict

import (
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/compspec/ocifit-lab/webhook/compat"
	"github.com/compspec/ocifit-lab/webhook/features"
)

// server answers by Answer, as the study's server does by its own code.
func server(t *testing.T, edit func(*Response)) *Client {
	t.Helper()
	ms := models(t)
	h := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var q Request
		if err := json.NewDecoder(r.Body).Decode(&q); err != nil || r.URL.Path != "/predict" || r.Method != http.MethodPost {
			http.Error(w, "bad question", http.StatusBadRequest)
			return
		}
		for _, l := range q.Features {
			if _, ok := l[compat.FeaturePrefix+"cpu-model.id"]; !ok && q.MetricName != compat.Random {
				w.WriteHeader(http.StatusBadRequest)
				_ = json.NewEncoder(w).Encode(Refusal{Error: "Input data is missing required feature values.", MissingFeatures: []string{compat.FeaturePrefix + "cpu-model.id"}})
				return
			}
		}
		answer, refusal, code := Answer(ms, q, 1)
		w.WriteHeader(code)
		if refusal != nil {
			_ = json.NewEncoder(w).Encode(refusal)
			return
		}
		if edit != nil {
			edit(answer)
		}
		_ = json.NewEncoder(w).Encode(answer)
	}))
	t.Cleanup(h.Close)
	return &Client{URL: h.URL + "/"}
}

// Through the protocol, every selection of the study comes out as with the formulas themselves.
func TestClientSelectsTheSame(t *testing.T) {
	s, srv := loadStudy(t), server(t, nil)
	for _, b := range s.best {
		opts := Options{TieBreak: TieBreakFirst}
		if b.set == "skip" {
			opts.Skip = []string{"t3.2xlarge"}
		}
		table, err := srv.Rank(t.Context(), b.model, b.direction, s.types, opts)
		if err != nil {
			t.Fatal(err)
		}
		if table.Selected != b.selected {
			t.Errorf("%s %s: %s, want %s", b.model, b.direction, table.Selected, b.selected)
		}
		if c, _ := table.Chosen(); c.Labels[compat.LabelInstanceType] != b.selected {
			t.Errorf("chosen %+v", c)
		}
	}
}

func TestClientLeavesOutWhatTheServerMisses(t *testing.T) {
	s, srv := loadStudy(t), server(t, nil)
	bare := features.Candidate{InstanceType: "new.large", Architecture: "amd64", Labels: map[string]string{compat.LabelInstanceType: "new.large"}}
	table, err := srv.Rank(t.Context(), "fom", compat.Maximize, append([]features.Candidate{bare}, s.types...), Options{})
	if err != nil {
		t.Fatal(err)
	}
	if table.Selected != "hpc7g.16xlarge" || len(table.Scores[0].OutOfDomain) != 1 || table.Taking() != 22 {
		t.Errorf("%s of %d; %+v", table.Selected, table.Taking(), table.Scores[0])
	}
	if _, err := srv.Rank(t.Context(), "fom", compat.Maximize, []features.Candidate{bare}, Options{}); !errors.Is(err, ErrNoCandidate) {
		t.Error(err)
	}
}

func TestClientFailures(t *testing.T) {
	s := loadStudy(t)
	down := httptest.NewServer(http.NotFoundHandler())
	down.Close()
	text := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("hello")) }))
	defer text.Close()
	for name, c := range map[string]struct {
		srv   *Client
		model string
		says  string
	}{
		"down":          {&Client{URL: down.URL}, "fom", "MODEL_SERVER_URL"},
		"not JSON":      {&Client{URL: text.URL}, "fom", "JSON"},
		"unknown model": {server(t, nil), "speed", "404"},
		"not offered":   {server(t, func(r *Response) { r.SelectedInstance = map[string]string{compat.LabelInstanceType: "x"} }), "fom", "none of the 22"},
		"out of range":  {server(t, func(r *Response) { r.SelectedInstance, r.InstanceIndex = nil, 22 }), "fom", "none of the 22"},
		"bad URL":       {&Client{URL: "http://[::1"}, "fom", "model server"},
	} {
		if _, err := c.srv.Rank(t.Context(), c.model, compat.Maximize, s.types, Options{}); !errors.Is(err, ErrServer) || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestAnswer(t *testing.T) {
	s, ms := loadStudy(t), models(t)
	var rows []map[string]string
	for _, c := range s.types {
		rows = append(rows, c.Labels)
	}
	cp := clone(rows[0])
	cp["node-role.kubernetes.io/control-plane"] = ""
	foreign := clone(rows[1])
	foreign[compat.FeaturePrefix+"kernel-version.full"] = "9"
	with := append([]map[string]string{cp, foreign}, rows...)
	answer, refusal, code := Answer(ms, Request{MetricName: "fom", Features: with}, 1)
	if refusal != nil || code != 200 {
		t.Fatal(refusal, code)
	}
	if answer.Instance != "hpc7g.16xlarge" || answer.InstanceIndex != 1 || answer.InstanceSelector != compat.LabelInstanceType || answer.Arch != "arm64" || *answer.Score != 31.227516417709687 {
		t.Errorf("%+v", answer)
	}
	if len(answer.OutOfDomain) != 1 {
		t.Errorf("%+v", answer.OutOfDomain)
	}
	host := []map[string]string{{"kubernetes.io/hostname": "n1"}}
	if answer, _, code := Answer(ms, Request{MetricName: compat.Random, Features: host}, 1); code != 200 || answer.Instance != "n1" || answer.InstanceSelector != "kubernetes.io/hostname" || answer.Score != nil || answer.Arch != "unknown" {
		t.Errorf("%d %+v", code, answer)
	}
	for name, c := range map[string]struct {
		q    Request
		code int
		says string
	}{
		"no name":       {Request{Features: rows}, 400, "metric_name"},
		"no features":   {Request{MetricName: "fom"}, 400, "features"},
		"unknown model": {Request{MetricName: "speed", Features: rows}, 404, "Available models: duration"},
		"direction":     {Request{MetricName: "fom", Directionality: "up", Features: rows}, 400, "directionality"},
		"missing":       {Request{MetricName: "fom", Features: host}, 400, "missing required"},
		"control plane": {Request{MetricName: compat.Random, Features: []map[string]string{cp}}, 400, "No computable"},
	} {
		answer, refusal, code := Answer(ms, c.q, 1)
		if answer != nil || code != c.code || !strings.Contains(refusal.Error, c.says) {
			t.Errorf("%s: %d %+v", name, code, refusal)
		}
	}
	_, refusal, _ = Answer(ms, Request{MetricName: "fom", Features: host}, 1)
	if diff := cmp.Diff(ms["fom"].Labels(), refusal.MissingFeatures); diff != "" {
		t.Error(diff)
	}
}
