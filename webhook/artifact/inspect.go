package artifact

import (
	"context"

	"github.com/compspec/ocifit-lab/webhook/compat"
)

// Summary is what Inspect tells about an artifact.
type Summary struct {
	Reference string         `json:"reference"`
	Digest    string         `json:"digest"`
	MediaType string         `json:"mediaType"`
	Size      int            `json:"size"`
	Models    []ModelSummary `json:"models,omitempty"`
}

// ModelSummary is one entry of a model artifact.
type ModelSummary struct {
	Tag       string            `json:"tag"`
	Model     string            `json:"model"`
	Direction compat.Direction  `json:"direction"`
	Platforms map[string]string `json:"platforms"`
}

// Inspect pulls an artifact and summarises it.
func Inspect(ctx context.Context, ref string, opts Options) (*Summary, error) {
	c, err := Pull(ctx, ref, opts)
	if err != nil {
		return nil, err
	}
	a, err := Decode(c)
	if err != nil {
		return nil, err
	}
	s := &Summary{Reference: c.Reference, Digest: c.Digest, MediaType: c.MediaType, Size: len(c.Data)}
	if a.Models == nil {
		return s, nil
	}
	for _, tag := range a.Models.Tags() {
		m, _ := a.Models.Find(tag)
		s.Models = append(s.Models, ModelSummary{Tag: tag, Model: m.Name, Direction: m.Direction, Platforms: m.Platforms})
	}
	return s, nil
}
