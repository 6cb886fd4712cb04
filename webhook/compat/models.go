package compat

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sort"
	"strings"

	kjson "sigs.k8s.io/json"
)

// VersionModels is the version that model artifacts declare.
const VersionModels = "v1alpha1"

// Direction says which end of a model's scores is the better one.
type Direction string

// The directions an artifact may ask for.
const (
	Maximize   Direction = "maximize"
	Minimize   Direction = "minimize"
	DrawRandom Direction = Random
)

// ByFeatures is the direction of a decision that a feature specification made, in records only.
const ByFeatures Direction = "features"

// Valid reports whether d is a direction of the contract.
func (d Direction) Valid() bool {
	return d == Maximize || d == Minimize || d == DrawRandom
}

// Better reports whether score a is strictly better than b.
func (d Direction) Better(a, b float64) bool {
	if d == Minimize {
		return a < b
	}
	return a > b
}

// Models is the content of a model artifact (MediaTypeModels).
type Models struct {
	Version         string       `json:"version"`
	Compatibilities []ModelEntry `json:"compatibilities"`
}

// ModelEntry is one choice of a model artifact; objects name its Tag in AnnotationModel.
type ModelEntry struct {
	Tag         string      `json:"tag"`
	Description string      `json:"description,omitempty"`
	Weight      int         `json:"weight,omitempty"`
	Rules       []ModelRule `json:"rules"`
}

// ModelRule points to a model.
type ModelRule struct {
	MatchModel MatchModel `json:"matchModel"`
}

// MatchModel wraps the model of a rule.
type MatchModel struct {
	Model Model `json:"model"`
}

// Model says which model scores the nodes and which image each architecture runs.
type Model struct {
	Type      string            `json:"type,omitempty"`
	Platforms map[string]string `json:"platforms"`
	Direction Direction         `json:"direction"`
	Name      string            `json:"name"`
	Filename  string            `json:"filename,omitempty"`
}

// DecodeModels reads a model artifact strictly: unknown and repeated fields, another version, an entry
// without exactly one model, an unknown direction and an empty image are errors that name the place.
func DecodeModels(data []byte) (*Models, error) {
	var m Models
	if err := decodeStrict(data, &m); err != nil {
		return nil, fmt.Errorf("model artifact: %w", err)
	}
	if err := m.Validate(); err != nil {
		return nil, fmt.Errorf("model artifact: %w", err)
	}
	return &m, nil
}

// EncodeModels writes a valid model artifact as indented JSON; equal content gives equal bytes.
func EncodeModels(m *Models) ([]byte, error) {
	if err := m.Validate(); err != nil {
		return nil, fmt.Errorf("model artifact: %w", err)
	}
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	if err := enc.Encode(m); err != nil {
		return nil, fmt.Errorf("model artifact: %w", err)
	}
	return b.Bytes(), nil
}

// Validate checks what the JSON shape cannot.
func (m *Models) Validate() error {
	if m.Version != VersionModels {
		return fmt.Errorf("version is %q, this webhook reads %q", m.Version, VersionModels)
	}
	if n := len(m.Compatibilities); n == 0 || n > maxEntries {
		return fmt.Errorf("compatibilities has %d entries: an artifact needs at least one, and at most %d", n, maxEntries)
	}
	seen := make(map[string]int, len(m.Compatibilities))
	for i := range m.Compatibilities {
		e := &m.Compatibilities[i]
		if first, twice := seen[e.Tag]; twice {
			return fmt.Errorf("compatibilities[%d] repeats the tag %q of compatibilities[%d]", i, e.Tag, first)
		}
		seen[e.Tag] = i
		if err := e.validate(); err != nil {
			return fmt.Errorf("compatibilities[%d] (tag %q): %w", i, e.Tag, err)
		}
	}
	return nil
}

func (e *ModelEntry) validate() error {
	if e.Tag == "" {
		return errors.New("tag is empty")
	}
	if len(e.Rules) != 1 {
		return fmt.Errorf("has %d rules: a tag names exactly one model", len(e.Rules))
	}
	model := &e.Rules[0].MatchModel.Model
	if model.Name == "" {
		return errors.New("model.name is empty")
	}
	if !model.Direction.Valid() {
		return fmt.Errorf("model.direction is %q, must be maximize, minimize or random", model.Direction)
	}
	if len(model.Platforms) == 0 {
		return errors.New("model.platforms is empty: give an image per architecture")
	}
	for arch, image := range model.Platforms {
		if arch == "" || image == "" || strings.ContainsAny(image, " \t\r\n") {
			return fmt.Errorf("model.platforms[%q] is %q: give an image reference per architecture", arch, image)
		}
	}
	return nil
}

// Find returns the model that a tag names.
func (m *Models) Find(tag string) (*Model, bool) {
	for i := range m.Compatibilities {
		if m.Compatibilities[i].Tag == tag {
			return &m.Compatibilities[i].Rules[0].MatchModel.Model, true
		}
	}
	return nil, false
}

// Tags lists the artifact's tags in their order.
func (m *Models) Tags() []string {
	tags := make([]string, len(m.Compatibilities))
	for i := range m.Compatibilities {
		tags[i] = m.Compatibilities[i].Tag
	}
	return tags
}

// Architectures lists the architectures that the model has an image for, sorted.
func (m *Model) Architectures() []string {
	archs := make([]string, 0, len(m.Platforms))
	for a := range m.Platforms {
		archs = append(archs, a)
	}
	sort.Strings(archs)
	return archs
}

// decodeStrict decodes exactly one JSON value with case-sensitive, known and unrepeated fields only.
func decodeStrict(data []byte, into any) error {
	if len(data) > MaxArtifactBytes {
		return fmt.Errorf("is %d bytes, the limit is %d", len(data), MaxArtifactBytes)
	}
	if tooDeep(data) {
		return fmt.Errorf("is nested deeper than %d levels", maxDepth)
	}
	strict, err := kjson.UnmarshalStrict(data, into, kjson.DisallowDuplicateFields, kjson.DisallowUnknownFields)
	if err != nil {
		return fmt.Errorf("is not the expected JSON: %w", err)
	}
	if len(strict) > 0 {
		texts := make([]string, 0, len(strict))
		for _, e := range strict {
			texts = append(texts, e.Error())
		}
		slices.Sort(texts)
		return fmt.Errorf("does not fit the format: %s", strings.Join(slices.Compact(texts), "; "))
	}
	return nil
}

// maxDepth bounds the nesting of an artifact's JSON; real ones have less than a dozen levels.
const maxDepth = 64

func tooDeep(data []byte) bool {
	depth, inString := 0, false
	for i := 0; i < len(data); i++ {
		switch c := data[i]; {
		case inString && c == '\\':
			i++
		case c == '"':
			inString = !inString
		case inString:
		case c == '{' || c == '[':
			if depth++; depth > maxDepth {
				return true
			}
		case c == '}' || c == ']':
			depth--
		}
	}
	return false
}
