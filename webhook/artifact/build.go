package artifact

import (
	"fmt"

	"github.com/compspec/ocifit-lab/webhook/compat"
	"github.com/compspec/ocifit-lab/webhook/predict"
)

// Build writes a model artifact with one entry per model, tagged with the model's name, all with the given
// image per architecture.
func Build(models []compat.Model, platforms map[string]string) ([]byte, error) {
	a := compat.Models{Version: compat.VersionModels}
	for _, m := range models {
		m.Platforms = platforms
		entry := compat.ModelEntry{Tag: m.Name, Rules: []compat.ModelRule{{MatchModel: compat.MatchModel{Model: m}}}}
		if m.Direction == compat.DrawRandom {
			entry.Description = "any instance type, drawn at random"
		} else {
			entry.Description = fmt.Sprintf("the instance type for which model %s predicts the best value (%s)", m.Name, m.Direction)
		}
		a.Compatibilities = append(a.Compatibilities, entry)
	}
	return compat.EncodeModels(&a)
}

// Bundle is what a push stores: the specification and, for a model artifact, the formulas that go with it.
type Bundle struct {
	// MediaType of Data: compat.MediaTypeModels, MediaTypeFeatures or MediaTypeNFD.
	MediaType string
	Data      []byte
	// Models are model files (predict.DecodeModel reads them), each a layer of its own. The webhook scores with
	// them instead of the ones it has built in.
	Models [][]byte
}

// check refuses what the webhook could not read back.
func (b Bundle) check() error {
	c := &Content{Reference: "the content", MediaType: b.MediaType, Data: b.Data, Models: b.Models, Subject: "-"}
	a, err := Decode(c)
	if err != nil {
		return err
	}
	if b.MediaType != compat.MediaTypeFeatures {
		return nil
	}
	for i := range a.Features.Entries {
		if a.Features.Entries[i].Tag == c.Subject {
			return fmt.Errorf("%w: compatibilities[%d] has no tag, which names the image", ErrContent, i)
		}
	}
	return nil
}

// decodeScorers reads the model layers.
func decodeScorers(c *Content) (map[string]*predict.Model, error) {
	if len(c.Models) == 0 {
		return nil, nil
	}
	scorers := make(map[string]*predict.Model, len(c.Models))
	for i, data := range c.Models {
		m, err := predict.DecodeModel(data)
		if err != nil {
			return nil, fmt.Errorf("%w: %s: model layer %d: %w", ErrContent, c.Reference, i+1, err)
		}
		if scorers[m.Name] != nil {
			return nil, fmt.Errorf("%w: %s: two model layers are called %q", ErrContent, c.Reference, m.Name)
		}
		scorers[m.Name] = m
	}
	return scorers, nil
}
