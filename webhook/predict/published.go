package predict

import (
	"embed"
	"fmt"

	"github.com/compspec/ocifit-lab/webhook/compat"
)

// The models that the study published, each as the exact formula that its file computes.
//
//go:embed published/*.json
var published embed.FS

// Published returns the study's models, sorted by name.
func Published() ([]*Model, error) {
	entries, err := published.ReadDir("published")
	if err != nil {
		return nil, fmt.Errorf("published models: %w", err)
	}
	models := make([]*Model, 0, len(entries))
	for _, e := range entries {
		data, err := published.ReadFile("published/" + e.Name())
		if err != nil {
			return nil, fmt.Errorf("published models: %w", err)
		}
		m, err := DecodeModel(data)
		if err != nil {
			return nil, fmt.Errorf("published models: %s: %w", e.Name(), err)
		}
		models = append(models, m)
	}
	return models, nil
}

// ArtifactModel describes the model in the terms of a compatibility artifact, without images.
func (m *Model) ArtifactModel() compat.Model {
	return compat.Model{Type: "lasso", Name: m.Name, Direction: m.Direction, Filename: m.Source.File}
}

// RandomModel is the artifact's entry for a draw over all types, without images.
func RandomModel() compat.Model {
	return compat.Model{Name: compat.Random, Direction: compat.DrawRandom}
}
