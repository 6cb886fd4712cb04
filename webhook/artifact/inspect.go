package artifact

import (
	"context"
	"slices"

	"github.com/compspec/ocifit-lab/webhook/compat"
)

// Summary is what Inspect tells about an artifact.
type Summary struct {
	Reference string         `json:"reference"`
	Digest    string         `json:"digest"`
	MediaType string         `json:"mediaType"`
	Size      int            `json:"size"`
	Subject   string         `json:"subject,omitempty"`
	Models    []ModelSummary `json:"models,omitempty"`
	// Formulas are the model layers.
	Formulas []FormulaSummary `json:"formulas,omitempty"`
	Features []FeatureSummary `json:"features,omitempty"`
}

// ModelSummary is one entry of a model artifact.
type ModelSummary struct {
	Tag       string            `json:"tag"`
	Model     string            `json:"model"`
	Direction compat.Direction  `json:"direction"`
	Platforms map[string]string `json:"platforms"`
}

// FormulaSummary is one model layer.
type FormulaSummary struct {
	Model     string           `json:"model"`
	Direction compat.Direction `json:"direction"`
	Labels    int              `json:"labels"`
	Terms     int              `json:"terms"`
}

// FeatureSummary is one entry of a feature specification.
type FeatureSummary struct {
	Image       string `json:"image"`
	Weight      int    `json:"weight"`
	Rules       int    `json:"rules"`
	Description string `json:"description,omitempty"`
}

// Inspect pulls an artifact and summarises it.
func Inspect(ctx context.Context, ref string, opts Options) (*Summary, error) {
	c, err := Pull(ctx, ref, opts)
	if err != nil {
		return nil, err
	}
	return summarise(c)
}

// summarise is Inspect for content that is there already.
func summarise(c *Content) (*Summary, error) {
	a, err := Decode(c)
	if err != nil {
		return nil, err
	}
	s := &Summary{Reference: c.Reference, Digest: c.Digest, MediaType: c.MediaType, Size: len(c.Data), Subject: c.Subject}
	if a.Models != nil {
		for _, tag := range a.Models.Tags() {
			m, _ := a.Models.Find(tag)
			s.Models = append(s.Models, ModelSummary{Tag: tag, Model: m.Name, Direction: m.Direction, Platforms: m.Platforms})
		}
	}
	names := make([]string, 0, len(a.Scorers))
	for n := range a.Scorers {
		names = append(names, n)
	}
	slices.Sort(names)
	for _, n := range names {
		m := a.Scorers[n]
		s.Formulas = append(s.Formulas, FormulaSummary{Model: n, Direction: m.Direction, Labels: len(m.Labels()), Terms: len(m.Terms)})
	}
	if a.Features != nil {
		for _, e := range a.Features.Entries {
			s.Features = append(s.Features, FeatureSummary{Image: e.Tag, Weight: e.Weight, Rules: len(e.Rules), Description: e.Description})
		}
	}
	return s, nil
}
