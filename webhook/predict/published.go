package predict

import (
	"embed"
	"fmt"
	"io/fs"
	"slices"
	"strings"

	"github.com/compspec/ocifit-lab/webhook/compat"
)

// The models that the study published, each as the exact formula that its file computes, and rules to hold them against.
//
//go:embed published/*.json rules/*.json
var builtIn embed.FS

// BestMeasured is the rule that knows the mean rating of HPCG on each instance type in the study's published matrix.
const BestMeasured = "best-measured-hpcg"

// Published returns the study's models, sorted by name.
func Published() ([]*Model, error) { return embedded("published") }

// Rules returns what needs no model: the most cores, the lowest price, the best mean of what the study measured. Sorted by name.
func Rules() ([]*Model, error) { return embedded("rules") }

// IsRule tells whether a model of the program is a rule.
func IsRule(name string) bool {
	_, err := fs.Stat(builtIn, "rules/"+name+".json")
	return err == nil
}

// BuiltIn returns the study's models and the rules, sorted by name.
func BuiltIn() ([]*Model, error) {
	models, err := Published()
	if err != nil {
		return nil, err
	}
	rules, err := Rules()
	if err != nil {
		return nil, err
	}
	models = append(models, rules...)
	slices.SortFunc(models, func(a, b *Model) int { return strings.Compare(a.Name, b.Name) })
	return models, nil
}

func embedded(folder string) ([]*Model, error) {
	entries, err := builtIn.ReadDir(folder)
	if err != nil {
		return nil, fmt.Errorf("built-in models: %w", err)
	}
	models := make([]*Model, 0, len(entries))
	for _, e := range entries {
		data, err := builtIn.ReadFile(folder + "/" + e.Name())
		if err != nil {
			return nil, fmt.Errorf("built-in models: %w", err)
		}
		m, err := DecodeModel(data)
		if err != nil {
			return nil, fmt.Errorf("built-in models: %s: %w", e.Name(), err)
		}
		models = append(models, m)
	}
	return models, nil
}

// ArtifactModel describes the model in the terms of a compatibility artifact, without images.
func (m *Model) ArtifactModel() compat.Model {
	kind := "lasso"
	if len(m.Numbers) > 0 || m.Source.SHA256 == "" {
		kind = "formula"
	}
	return compat.Model{Type: kind, Name: m.Name, Direction: m.Direction, Filename: m.Source.File}
}

// RandomModel is the artifact's entry for a draw over all types, without images.
func RandomModel() compat.Model {
	return compat.Model{Name: compat.Random, Direction: compat.DrawRandom}
}
