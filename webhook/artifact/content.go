package artifact

import (
	"fmt"

	"github.com/compspec/ocifit-lab/webhook/compat"
	"github.com/compspec/ocifit-lab/webhook/predict"
)

// Limits of an artifact; a layer's is compat.MaxArtifactBytes.
const (
	maxModelLayers = 64
	maxTotalBytes  = 8 << 20
)

// Content is an artifact as a registry holds it.
type Content struct {
	// Reference as it was asked for, with the tag or digest written out.
	Reference string
	// Digest of the manifest.
	Digest string
	// MediaType of Data: compat.MediaTypeModels, compat.MediaTypeFeatures or compat.MediaTypeNFD.
	MediaType string
	Data      []byte
	// Models are the layers of type compat.MediaTypeModel.
	Models [][]byte
	// Subject is the image that the artifact is attached to, by digest; empty when it is attached to none.
	Subject string
}

// Artifact is a decoded artifact, ready for a decision. It is shared and must not be changed.
type Artifact struct {
	Reference, Digest, MediaType string
	// Models is set for compat.MediaTypeModels.
	Models *compat.Models
	// Scorers are the formulas that a model artifact brings along, by name.
	Scorers map[string]*predict.Model
	// Features is set for compat.MediaTypeFeatures and compat.MediaTypeNFD.
	Features *compat.Features
	// Stale says that the registry could not be asked and that this is the last good copy: since when it could
	// not, and why. Empty normally.
	Stale string
}

// Decode turns content into an artifact by its media type.
func Decode(c *Content) (*Artifact, error) {
	a := &Artifact{Reference: c.Reference, Digest: c.Digest, MediaType: c.MediaType}
	var err error
	switch c.MediaType {
	case compat.MediaTypeModels:
		if a.Models, err = compat.DecodeModels(c.Data); err != nil {
			return nil, fmt.Errorf("%w: %s: %w", ErrContent, c.Reference, err)
		}
		if a.Scorers, err = decodeScorers(c); err != nil {
			return nil, err
		}
		return a, nil
	case compat.MediaTypeFeatures, compat.MediaTypeNFD:
		if len(c.Models) > 0 {
			return nil, fmt.Errorf("%w: %s is a feature specification with %d model layers", ErrContent, c.Reference, len(c.Models))
		}
		a.Features, err = decodeFeatures(c)
		return a, err
	}
	return nil, fmt.Errorf("%w: media type %q; known are %s, %s and %s", ErrContent, c.MediaType, compat.MediaTypeModels, compat.MediaTypeFeatures, compat.MediaTypeNFD)
}

// decodeFeatures reads a feature specification. Where an entry names no image, it speaks of the one that the
// artifact is attached to; NFD's tags are names of groups, so there the attachment counts whatever the tag says.
func decodeFeatures(c *Content) (*compat.Features, error) {
	f, err := compat.DecodeFeatures(c.Data)
	if err != nil {
		return nil, fmt.Errorf("%w: %s: %w", ErrContent, c.Reference, err)
	}
	for i := range f.Entries {
		e := &f.Entries[i]
		if c.Subject != "" && (e.Tag == "" || c.MediaType == compat.MediaTypeNFD) {
			e.Tag = c.Subject
		}
		if e.Tag == "" {
			return nil, fmt.Errorf("%w: %s: compatibilities[%d] names no image: give it a tag, or attach the artifact to an image", ErrContent, c.Reference, i)
		}
	}
	return f, nil
}
