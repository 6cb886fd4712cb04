package predict

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"

	"github.com/compspec/ocifit-lab/webhook/compat"
	"github.com/compspec/ocifit-lab/webhook/features"
)

// ErrServer is wrapped by the errors of a model server that cannot be asked or answers nonsense.
var ErrServer = errors.New("model server")

// Request is what a model server is asked at POST /predict.
type Request struct {
	MetricName     string              `json:"metric_name"`
	Directionality string              `json:"directionality,omitempty"`
	Features       []map[string]string `json:"features"`
}

// Response is its answer.
type Response struct {
	SelectedInstance map[string]string `json:"selected_instance"`
	InstanceIndex    int               `json:"instance_index"`
	Instance         string            `json:"instance"`
	InstanceSelector string            `json:"instance-selector"`
	Arch             string            `json:"arch"`
	// Score is null for a random choice.
	Score *float64 `json:"score"`
	// OutOfDomain lists the instances that were left out; only this project's server tells.
	OutOfDomain []compat.LeftOut `json:"out_of_domain,omitempty"`
}

// Refusal is its answer when it cannot choose.
type Refusal struct {
	Error           string   `json:"error"`
	MissingFeatures []string `json:"missing_features,omitempty"`
}

// maxAnswer bounds what is read of a model server's answer.
const maxAnswer = 4 << 20

// Client asks a model server that speaks the study's protocol: POST /predict below URL.
type Client struct {
	URL string
	// HTTPClient does the requests; nil means http.DefaultClient.
	HTTPClient *http.Client
}

// Rank lets the server choose among the candidates that may be chosen. Candidates that lack a label which the server
// misses are out of its domain, and it is asked once more without them. The server does not tell the scores of the
// others, so there are no ties and no runner-up.
func (c *Client) Rank(ctx context.Context, model string, direction compat.Direction, candidates []features.Candidate, opts Options) (*Table, error) {
	t, left, err := open(model, direction, candidates, opts)
	if err != nil {
		return nil, err
	}
	t.TieBreak = ""
	if len(left) == 0 {
		return t, t.nothing()
	}
	answer, refusal, err := c.ask(ctx, model, direction, left)
	if refusal != nil && len(refusal.MissingFeatures) > 0 {
		left = t.dropIncomplete(left, refusal.MissingFeatures)
		if len(left) == 0 {
			return t, t.nothing()
		}
		answer, _, err = c.ask(ctx, model, direction, left)
	}
	if err != nil {
		return t, err
	}
	return t, c.read(t, answer, left)
}

// dropIncomplete marks the candidates without one of the labels as out of domain and returns the others.
func (t *Table) dropIncomplete(left []features.Candidate, labels []string) []features.Candidate {
	return slices.DeleteFunc(slices.Clone(left), func(c features.Candidate) bool {
		for i := range t.Scores {
			if t.Scores[i].InstanceType != c.InstanceType {
				continue
			}
			for _, l := range labels {
				if _, ok := c.Labels[l]; !ok {
					t.Scores[i].OutOfDomain = append(t.Scores[i].OutOfDomain, l+" is absent")
				}
			}
			return len(t.Scores[i].OutOfDomain) > 0
		}
		return true
	})
}

// read takes over the server's choice.
func (c *Client) read(t *Table, answer *Response, left []features.Candidate) error {
	i := answer.InstanceIndex
	if name := answer.SelectedInstance[compat.LabelInstanceType]; name != "" {
		i = slices.IndexFunc(left, func(l features.Candidate) bool { return l.Labels[compat.LabelInstanceType] == name })
	}
	if i < 0 || i >= len(left) {
		return fmt.Errorf("%w %s: it chose %q (number %d), which is none of the %d candidates", ErrServer, c.URL, answer.Instance, answer.InstanceIndex, len(left))
	}
	for n := range t.Scores {
		if t.Scores[n].InstanceType == left[i].InstanceType {
			t.Scores[n].Score = answer.Score
		}
	}
	t.choose(left[i])
	return nil
}

// ask sends one question. A refusal comes with an error.
func (c *Client) ask(ctx context.Context, model string, direction compat.Direction, left []features.Candidate) (*Response, *Refusal, error) {
	q := Request{MetricName: model, Directionality: string(direction), Features: make([]map[string]string, len(left))}
	for i, l := range left {
		q.Features[i] = l.Labels
	}
	data, err := json.Marshal(q)
	if err != nil {
		return nil, nil, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, strings.TrimSuffix(c.URL, "/")+"/predict", bytes.NewReader(data))
	if err != nil {
		return nil, nil, fmt.Errorf("%w: %w", ErrServer, err)
	}
	req.Header.Set("Content-Type", "application/json")
	client := c.HTTPClient
	if client == nil {
		client = http.DefaultClient
	}
	resp, err := client.Do(req)
	if err != nil {
		return nil, nil, fmt.Errorf("%w: %w; check that it runs at MODEL_SERVER_URL", ErrServer, err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		return nil, nil, fmt.Errorf("%w %s: %w", ErrServer, c.URL, err)
	}
	if resp.StatusCode != http.StatusOK {
		var r Refusal
		if err := json.Unmarshal(body, &r); err != nil || r.Error == "" {
			r.Error = strings.TrimSpace(string(body[:min(len(body), 200)]))
		}
		return nil, &r, fmt.Errorf("%w %s answers %s: %s", ErrServer, c.URL, resp.Status, r.Error)
	}
	var answer Response
	if err := json.Unmarshal(body, &answer); err != nil {
		return nil, nil, fmt.Errorf("%w %s: the answer is not the expected JSON: %w", ErrServer, c.URL, err)
	}
	return &answer, nil, nil
}
