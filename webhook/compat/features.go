package compat

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"sigs.k8s.io/yaml"
)

// Media types of feature specifications as Node Feature Discovery attaches them to images.
const (
	MediaTypeNFD    = "application/vnd.nfd.image-compatibility.spec.v1alpha1+yaml"
	ArtifactTypeNFD = "application/vnd.nfd.image-compatibility.v1alpha1"
)

// Limits of a feature specification.
const (
	maxEntries     = 1024
	maxExpressions = 8192
	maxValues      = 1024
	maxPattern     = 1024
)

// Features is the content of a feature artifact (MediaTypeFeatures, MediaTypeNFD): images, each with what it needs
// of a node.
type Features struct {
	Version string
	Entries []FeatureEntry
}

// FeatureEntry is one image and its rules, all of which must hold.
type FeatureEntry struct {
	// Tag names the image. A specification that is attached to an image may leave it empty: Image is then set by
	// whoever read the manifest.
	Tag         string
	Description string
	// Weight decides between several entries that fit a node: the highest wins, then the first.
	Weight int
	Rules  []FeatureRule
}

// FeatureRule holds when all its expressions hold and, if it has groups in Any, all expressions of at least one.
type FeatureRule struct {
	Name string
	All  []Expression
	Any  [][]Expression
}

// DecodeFeatures reads a feature specification strictly, in either of the two shapes that are in use: expressions
// as a list with a node label as key, or as a map below the name of an NFD feature. YAML is accepted too.
func DecodeFeatures(data []byte) (*Features, error) {
	f, err := decodeFeatures(data)
	if err != nil {
		return nil, fmt.Errorf("feature specification: %w", err)
	}
	return f, nil
}

func decodeFeatures(data []byte) (*Features, error) {
	if len(data) > MaxArtifactBytes {
		return nil, fmt.Errorf("is %d bytes, the limit is %d", len(data), MaxArtifactBytes)
	}
	if !json.Valid(data) {
		var err error
		if data, err = yaml.YAMLToJSONStrict(data); err != nil {
			return nil, fmt.Errorf("is neither JSON nor YAML: %w", err)
		}
	}
	var raw fileFeatures
	if err := decodeStrict(data, &raw); err != nil {
		return nil, err
	}
	if raw.Version != VersionModels {
		return nil, fmt.Errorf("version is %q, this program reads %q", raw.Version, VersionModels)
	}
	if n := len(raw.Compatibilities); n == 0 || n > maxEntries {
		return nil, fmt.Errorf("has %d compatibilities, must be 1 to %d", n, maxEntries)
	}
	f := &Features{Version: raw.Version}
	count := 0
	for i, c := range raw.Compatibilities {
		e := FeatureEntry{Tag: c.Tag, Description: c.Description, Weight: c.Weight}
		if strings.ContainsAny(c.Tag, " \t\r\n") {
			return nil, fmt.Errorf("compatibilities[%d].tag %q has spaces", i, c.Tag)
		}
		if len(c.Rules) == 0 {
			return nil, fmt.Errorf("compatibilities[%d] (tag %q) has no rules: it would fit any node; say so with an Exists on a label that all have", i, c.Tag)
		}
		for j, r := range c.Rules {
			rule, n, err := r.rule()
			if err != nil {
				return nil, fmt.Errorf("compatibilities[%d].rules[%d]: %w", i, j, err)
			}
			if count += n; count > maxExpressions {
				return nil, fmt.Errorf("more than %d expressions", maxExpressions)
			}
			e.Rules = append(e.Rules, rule)
		}
		f.Entries = append(f.Entries, e)
	}
	return f, nil
}

// The shape of the file.
type fileFeatures struct {
	Version         string      `json:"version"`
	Compatibilities []fileEntry `json:"compatibilities"`
}

type fileEntry struct {
	Tag         string     `json:"tag,omitempty"`
	Description string     `json:"description,omitempty"`
	Weight      int        `json:"weight,omitempty"`
	Rules       []fileRule `json:"rules"`
}

type fileRule struct {
	Name          string        `json:"name,omitempty"`
	MatchFeatures []fileMatcher `json:"matchFeatures,omitempty"`
	MatchAny      []fileAny     `json:"matchAny,omitempty"`
}

type fileAny struct {
	MatchFeatures []fileMatcher `json:"matchFeatures"`
}

type fileMatcher struct {
	// Feature is set in NFD's shape.
	Feature          string          `json:"feature,omitempty"`
	MatchExpressions json.RawMessage `json:"matchExpressions,omitempty"`
	MatchName        *fileExpression `json:"matchName,omitempty"`
}

type fileExpression struct {
	Op    Op         `json:"op"`
	Key   string     `json:"key,omitempty"`
	Value stringList `json:"value,omitempty"`
}

// stringList is a list of strings, or one string.
type stringList []string

// UnmarshalJSON implements json.Unmarshaler.
func (s *stringList) UnmarshalJSON(data []byte) error {
	if len(data) > 0 && data[0] == '"' {
		var one string
		if err := json.Unmarshal(data, &one); err != nil {
			return err
		}
		*s = stringList{one}
		return nil
	}
	return json.Unmarshal(data, (*[]string)(s))
}

func (r fileRule) rule() (FeatureRule, int, error) {
	out := FeatureRule{Name: r.Name}
	if len(r.MatchFeatures) == 0 && len(r.MatchAny) == 0 {
		return out, 0, errors.New("has neither matchFeatures nor matchAny")
	}
	var err error
	if out.All, err = matchers(r.MatchFeatures); err != nil {
		return out, 0, fmt.Errorf("matchFeatures: %w", err)
	}
	n := len(out.All)
	for i, a := range r.MatchAny {
		group, err := matchers(a.MatchFeatures)
		if err != nil {
			return out, 0, fmt.Errorf("matchAny[%d]: %w", i, err)
		}
		if len(group) == 0 {
			return out, 0, fmt.Errorf("matchAny[%d] is empty", i)
		}
		out.Any = append(out.Any, group)
		n += len(group)
	}
	if n == 0 {
		return out, 0, errors.New("has no expressions")
	}
	return out, n, nil
}

func matchers(list []fileMatcher) ([]Expression, error) {
	var out []Expression
	for i, m := range list {
		var got []Expression
		var err error
		if m.Feature == "" {
			got, err = m.byLabel()
		} else {
			got, err = m.byFeature()
		}
		if err != nil {
			return nil, fmt.Errorf("[%d]: %w", i, err)
		}
		out = append(out, got...)
	}
	return out, nil
}

// byLabel reads a list of expressions over node labels.
func (m fileMatcher) byLabel() ([]Expression, error) {
	if m.MatchName != nil {
		return nil, errors.New("matchName needs a feature")
	}
	var list []fileExpression
	if err := decodeStrict(m.MatchExpressions, &list); err != nil {
		return nil, fmt.Errorf("matchExpressions (a list, for there is no feature) %w", err)
	}
	out := make([]Expression, 0, len(list))
	for i, e := range list {
		if e.Key == "" {
			return nil, fmt.Errorf("matchExpressions[%d] has no key", i)
		}
		x, err := newExpression(e.Key, e.Op, e.Value)
		if err != nil {
			return nil, fmt.Errorf("matchExpressions[%d]: %w", i, err)
		}
		x.absentIsNotIn = true
		out = append(out, x)
	}
	return out, nil
}

// byFeature reads a map of expressions over the elements of an NFD feature.
func (m fileMatcher) byFeature() ([]Expression, error) {
	named := map[string]fileExpression{}
	if len(m.MatchExpressions) > 0 {
		if err := decodeStrict(m.MatchExpressions, &named); err != nil {
			return nil, fmt.Errorf("matchExpressions (a map, for there is a feature) %w", err)
		}
	}
	if m.MatchName != nil {
		return nil, fmt.Errorf("feature %s: matchName looks at names that node labels do not list", m.Feature)
	}
	if len(named) == 0 {
		return nil, fmt.Errorf("feature %s: no matchExpressions", m.Feature)
	}
	if labels, ok, err := deviceLabels(m.Feature, named); ok || err != nil {
		return labels, err
	}
	names := make([]string, 0, len(named))
	for n := range named {
		names = append(names, n)
	}
	slices.Sort(names)
	out := make([]Expression, 0, len(names))
	for _, n := range names {
		e := named[n]
		if e.Key != "" {
			return nil, fmt.Errorf("feature %s: %s has a key of its own", m.Feature, n)
		}
		label, err := nfdLabel(m.Feature, n)
		if err != nil {
			return nil, err
		}
		x, err := newExpression(label, e.Op, e.Value)
		if err != nil {
			return nil, fmt.Errorf("feature %s, %s: %w", m.Feature, n, err)
		}
		out = append(out, x)
	}
	return out, nil
}
