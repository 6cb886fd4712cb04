// Package features knows which instance types a pod could run on and what their nodes look like: the cached
// catalogue, the live nodes, and one row per type merged from both.
package features

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"

	"github.com/hashicorp/go-multierror"
	corev1 "k8s.io/api/core/v1"
	kjson "sigs.k8s.io/json"

	"github.com/compspec/ocifit-lab/webhook/compat"
)

// Limits of a catalogue file.
const (
	MaxCatalogueBytes = 64 << 20
	maxTypes          = 20000
)

// Candidate is one instance type that a selection may choose, with the labels that describe its nodes.
type Candidate struct {
	InstanceType string
	// Architecture is the Kubernetes name (amd64, arm64); empty when no label tells it.
	Architecture string
	// Labels must not be changed: they are shared.
	Labels map[string]string
	// Live says that Labels are those of a running node; otherwise they are the catalogue's.
	Live bool
	// Note says why the catalogue's labels were used although a node of the type runs; empty otherwise.
	Note string
	// Taints are those that nodes of the type keep, as far as one is live; Allocatable is what a live node can give, nil
	// when none is live. Both are shared.
	Taints      []corev1.Taint
	Allocatable corev1.ResourceList
}

// Catalogue is the cached description of instance types, in the order of its file.
type Catalogue struct {
	rows []Candidate
	hash string
}

// Rows returns the rows in their order. They are shared and must not be changed.
func (c *Catalogue) Rows() []Candidate {
	if c == nil {
		return nil
	}
	return c.rows
}

// Hash identifies the content and the order of the rows: "sha256:" and hex digits. It does not depend on how
// the file was formatted.
func (c *Catalogue) Hash() string {
	if c == nil {
		return ""
	}
	return c.hash
}

// ParseCatalogue reads a JSON list of label maps, one per instance type, and keeps its order. A row without
// the instance type label, a type that occurs twice and a value that is not a string are errors that name
// the row.
func ParseCatalogue(data []byte) ([]Candidate, error) {
	c, err := LoadCatalogue(data, compat.LabelInstanceType)
	if err != nil {
		return nil, err
	}
	return c.rows, nil
}

// LoadCatalogue is ParseCatalogue for the label that identifies a type (empty: the instance type label). It
// keeps the hash beside the rows.
func LoadCatalogue(data []byte, identity string) (*Catalogue, error) {
	if len(data) > MaxCatalogueBytes {
		return nil, fmt.Errorf("node features: %d bytes, the limit is %d", len(data), MaxCatalogueBytes)
	}
	if identity == "" {
		identity = compat.LabelInstanceType
	}
	data = bytes.TrimPrefix(data, []byte("\ufeff"))
	if rows, err := nodeRows(data, identity); rows != nil || err != nil {
		return rows, err
	}
	var raw []map[string]string
	strict, err := kjson.UnmarshalStrict(data, &raw, kjson.DisallowDuplicateFields)
	if err == nil && len(strict) > 0 {
		err = multierror.Append(nil, strict...)
	}
	if err != nil {
		return nil, fmt.Errorf("node features: expected a JSON list of objects whose values are strings: %w", err)
	}
	if len(raw) > maxTypes {
		return nil, fmt.Errorf("node features: %d rows, the limit is %d", len(raw), maxTypes)
	}
	c := &Catalogue{rows: make([]Candidate, 0, len(raw))}
	seen := make(map[string]int, len(raw))
	for i, labels := range raw {
		name := labels[identity]
		if name == "" {
			return nil, fmt.Errorf("node features: row %d has no label %s", i+1, identity)
		}
		if first, twice := seen[name]; twice {
			return nil, fmt.Errorf("node features: row %d repeats %s of row %d; keep one of them", i+1, name, first)
		}
		seen[name] = i + 1
		c.rows = append(c.rows, Candidate{InstanceType: name, Architecture: labels[compat.LabelArch], Labels: labels})
	}
	c.hash = hashRows(c.rows)
	return c, nil
}

// nodeRows reads the nodes of a cluster, as kubectl get nodes -o json writes them: a row per type, that of its first node.
// nil without error is for data that is no list of nodes.
func nodeRows(data []byte, identity string) (*Catalogue, error) {
	var list struct {
		Kind  string        `json:"kind"`
		Items []corev1.Node `json:"items"`
	}
	if trimmed := bytes.TrimSpace(data); len(trimmed) == 0 || trimmed[0] != '{' {
		return nil, nil
	}
	if err := json.Unmarshal(data, &list); err != nil || list.Kind != "List" && list.Kind != "NodeList" {
		return nil, errors.New("node features: expected a JSON list of objects whose values are strings, or the nodes of a cluster (kubectl get nodes -o json)")
	}
	c := &Catalogue{}
	seen := map[string]bool{}
	for i := range list.Items {
		labels := list.Items[i].Labels
		name := labels[identity]
		if name == "" || seen[name] {
			continue
		}
		if len(c.rows) == maxTypes {
			return nil, fmt.Errorf("node features: more than %d types", maxTypes)
		}
		seen[name] = true
		c.rows = append(c.rows, Candidate{InstanceType: name, Architecture: labels[compat.LabelArch], Labels: labels})
	}
	if len(c.rows) == 0 {
		return nil, fmt.Errorf("node features: none of the %d nodes has the label %s", len(list.Items), identity)
	}
	c.hash = hashRows(c.rows)
	return c, nil
}

// hashRows digests rows with their lengths written before them, so that no two contents look alike.
func hashRows(rows []Candidate) string {
	h := sha256.New()
	field := func(s string) {
		_, _ = io.WriteString(h, strconv.Itoa(len(s)))
		_, _ = io.WriteString(h, ":"+s)
	}
	field(strconv.Itoa(len(rows)))
	for _, r := range rows {
		field(strconv.Itoa(len(r.Labels)))
		for _, k := range slices.Sorted(maps.Keys(r.Labels)) {
			field(k)
			field(r.Labels[k])
		}
	}
	return "sha256:" + hex.EncodeToString(h.Sum(nil))
}

// EncodeCatalogue writes candidates in the format that ParseCatalogue reads.
func EncodeCatalogue(rows []Candidate) ([]byte, error) {
	raw := make([]map[string]string, len(rows))
	for i, r := range rows {
		raw[i] = r.Labels
	}
	data, err := json.MarshalIndent(raw, "", " ")
	if err != nil {
		return nil, fmt.Errorf("node features: %w", err)
	}
	return append(data, '\n'), nil
}
