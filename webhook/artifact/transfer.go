package artifact

import (
	"context"
	"encoding/json"
	"fmt"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"oras.land/oras-go/v2"
	"oras.land/oras-go/v2/content"

	"github.com/compspec/ocifit-lab/webhook/compat"
)

// titles of the layers, which tools that write artifacts to files use as file name.
var titles = map[string]string{
	compat.MediaTypeModels:   "compatibility-artifact.json",
	compat.MediaTypeFeatures: "compatibility-spec.json",
	compat.MediaTypeNFD:      "compatibility-spec.yaml",
}

// epoch is the creation time that artifacts carry: equal content must have equal digests.
const epoch = "1970-01-01T00:00:00Z"

// Push stores data as an artifact with one layer of the given media type and returns the manifest's digest.
// Data that does not decode as that media type is refused. Pushing the same data again changes nothing.
func Push(ctx context.Context, ref string, data []byte, mediaType string, opts Options) (manifestDigest string, err error) {
	return PushBundle(ctx, ref, Bundle{MediaType: mediaType, Data: data}, opts)
}

// PushBundle is Push with model layers.
func PushBundle(ctx context.Context, ref string, b Bundle, opts Options) (manifestDigest string, err error) {
	if err := b.check(); err != nil {
		return "", err
	}
	ctx, cancel := opts.within(ctx)
	defer cancel()
	p, err := opts.target(ctx, ref)
	if err != nil {
		return "", err
	}
	if p.pinned {
		return "", fmt.Errorf("%w: %q names a digest; push to a tag", ErrReference, ref)
	}
	failed := func(err error) error { return (&pull{opts: opts, sources: []*source{p}}).explain(err) }
	layers, err := pushLayers(ctx, p.store, b)
	if err != nil {
		return "", failed(err)
	}
	artifactType := b.MediaType
	if artifactType == compat.MediaTypeNFD {
		artifactType = compat.ArtifactTypeNFD
	}
	manifest, err := oras.PackManifest(ctx, p.store, oras.PackManifestVersion1_1, artifactType, oras.PackManifestOptions{
		Layers:              layers,
		ManifestAnnotations: map[string]string{ocispec.AnnotationCreated: epoch},
	})
	if err != nil {
		return "", failed(err)
	}
	if err := p.store.Tag(ctx, manifest, p.name); err != nil {
		return "", failed(err)
	}
	return manifest.Digest.String(), nil
}

func pushLayers(ctx context.Context, to store, b Bundle) ([]ocispec.Descriptor, error) {
	var layers []ocispec.Descriptor
	push := func(mediaType, title string, data []byte) error {
		d := content.NewDescriptorFromBytes(mediaType, data)
		there, err := to.Exists(ctx, d)
		if err == nil && !there {
			_, err = oras.PushBytes(ctx, to, mediaType, data)
		}
		d.Annotations = map[string]string{ocispec.AnnotationTitle: title}
		layers = append(layers, d)
		return err
	}
	if err := push(b.MediaType, titles[b.MediaType], b.Data); err != nil {
		return nil, err
	}
	for _, data := range b.Models {
		name, err := modelName(data)
		if err != nil {
			return nil, err
		}
		if err := push(compat.MediaTypeModel, name+".model.json", data); err != nil {
			return nil, err
		}
	}
	return layers, nil
}

func modelName(data []byte) (string, error) {
	var m struct{ Name string }
	err := json.Unmarshal(data, &m)
	return m.Name, err
}

// Pull fetches the artifact that ref names. Digests are verified; the manifest and each layer are limited to
// compat.MaxArtifactBytes.
func Pull(ctx context.Context, ref string, opts Options) (*Content, error) {
	ctx, cancel := opts.within(ctx)
	defer cancel()
	p, err := opts.open(ctx, ref)
	if err != nil {
		return nil, err
	}
	d, err := p.resolve(ctx)
	if err != nil {
		return nil, err
	}
	return p.fetch(ctx, d)
}

// Digest asks which manifest a reference names now.
func Digest(ctx context.Context, ref string, opts Options) (string, error) {
	ctx, cancel := opts.within(ctx)
	defer cancel()
	p, err := opts.open(ctx, ref)
	if err != nil {
		return "", err
	}
	d, err := p.resolve(ctx)
	return d.Digest.String(), err
}
