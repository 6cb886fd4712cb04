package predict

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/compspec/ocifit-lab/webhook/compat"
	"github.com/compspec/ocifit-lab/webhook/features"
)

const (
	labelControlPlane = "node-role.kubernetes.io/control-plane"
	labelHostname     = "kubernetes.io/hostname"
)

// Answer is the server behind Client: it answers a question with this process's models. The status is that of the
// HTTP answer, whose body is the first of the two that is set. Nodes are told apart as upstream's server does: control
// planes do not count, the first of several best ones wins, and the instance is a type, or else a host. Unlike there,
// a node that the model cannot judge is left out instead of being scored.
func Answer(models map[string]*Model, q Request, seed uint64) (*Response, *Refusal, int) {
	if q.MetricName == "" || len(q.Features) == 0 {
		return nil, &Refusal{Error: "Missing 'metric_name' or 'features' in the request"}, http.StatusBadRequest
	}
	nodes := slices.DeleteFunc(slices.Clone(q.Features), func(l map[string]string) bool { _, is := l[labelControlPlane]; return is })
	// The number takes the place of the name: several nodes may be of one type.
	rows := make([]features.Candidate, len(nodes))
	for i, l := range nodes {
		rows[i] = features.Candidate{InstanceType: fmt.Sprintf("%09d", i), Architecture: l[compat.LabelArch], Labels: l}
	}
	if q.MetricName == compat.Random {
		t, err := Draw(seed, rows, Options{})
		if err != nil {
			return nil, &Refusal{Error: "No computable nodes available for random selection."}, http.StatusBadRequest
		}
		return respond(t, rows, labelHostname, compat.LabelInstanceType), nil, http.StatusOK
	}
	m := models[q.MetricName]
	if m == nil {
		names := make([]string, 0, len(models)+1)
		for n := range models {
			names = append(names, n)
		}
		slices.Sort(names)
		return nil, &Refusal{Error: fmt.Sprintf("Model '%s' not found. Available models: %s", q.MetricName, strings.Join(append(names, compat.Random), ", "))}, http.StatusNotFound
	}
	direction := compat.Direction(q.Directionality)
	if direction == "" {
		direction = compat.Maximize
	}
	if direction != compat.Maximize && direction != compat.Minimize {
		return nil, &Refusal{Error: "Invalid 'directionality'. Choose 'minimize' or 'maximize'"}, http.StatusBadRequest
	}
	t, err := Rank(m, direction, rows, Options{TieBreak: TieBreakFirst})
	if errors.Is(err, ErrNoCandidate) {
		return nil, &Refusal{Error: "Input data is missing required feature values, or has ones that the model does not know: " + err.Error(), MissingFeatures: missing(m, nodes)}, http.StatusBadRequest
	}
	if err != nil {
		return nil, &Refusal{Error: err.Error()}, http.StatusBadRequest
	}
	return respond(t, rows, compat.LabelInstanceType, labelHostname), nil, http.StatusOK
}

// respond describes the chosen row; selector is the label it is selected by, other the one used in its absence.
func respond(t *Table, rows []features.Candidate, selector, other string) *Response {
	i := slices.IndexFunc(rows, func(c features.Candidate) bool { return c.InstanceType == t.Selected })
	labels := rows[i].Labels
	r := &Response{SelectedInstance: labels, InstanceIndex: i, InstanceSelector: selector, Arch: labels[compat.LabelArch], Instance: name(labels, i)}
	if _, ok := labels[selector]; !ok {
		r.InstanceSelector = other
	}
	if r.Arch == "" {
		r.Arch = "unknown"
	}
	for n, l := range t.Scores {
		if l.InstanceType == t.Selected {
			r.Score = l.Score
		}
		if len(l.OutOfDomain) > 0 {
			r.OutOfDomain = append(r.OutOfDomain, compat.LeftOut{InstanceType: name(rows[n].Labels, n), Reason: strings.Join(l.OutOfDomain, "; ")})
		}
	}
	return r
}

// name identifies a node: its type, else its host, else its number.
func name(labels map[string]string, i int) string {
	for _, l := range []string{compat.LabelInstanceType, labelHostname} {
		if v := labels[l]; v != "" {
			return v
		}
	}
	return fmt.Sprint(i)
}

// missing lists the labels of the model that some node lacks.
func missing(m *Model, nodes []map[string]string) []string {
	var out []string
	for _, l := range m.Labels() {
		if slices.ContainsFunc(nodes, func(n map[string]string) bool { _, ok := n[l]; return !ok }) {
			out = append(out, l)
		}
	}
	return out
}
