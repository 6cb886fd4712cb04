package artifact

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"oras.land/oras-go/v2"
	"oras.land/oras-go/v2/content"
	"oras.land/oras-go/v2/errdef"
	"oras.land/oras-go/v2/registry/remote/auth"
	"oras.land/oras-go/v2/registry/remote/errcode"

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
	layers, err := pushLayers(ctx, p.store, b)
	if err != nil {
		return "", unavailable(ref, err)
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
		return "", unavailable(ref, err)
	}
	if err := p.store.Tag(ctx, manifest, p.name); err != nil {
		return "", unavailable(ref, err)
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
	d, p, err := resolve(ctx, ref, opts)
	if err != nil {
		return nil, err
	}
	ctx, cancel := opts.within(ctx)
	defer cancel()
	return fetch(ctx, p, d)
}

// Digest asks which manifest a reference names now.
func Digest(ctx context.Context, ref string, opts Options) (string, error) {
	d, _, err := resolve(ctx, ref, opts)
	return d.Digest.String(), err
}

// resolve asks one source after the other which manifest the reference names.
func resolve(ctx context.Context, ref string, opts Options) (ocispec.Descriptor, source, error) {
	ctx, cancel := opts.within(ctx)
	defer cancel()
	sources, err := opts.sources(ctx, ref)
	if err != nil {
		return ocispec.Descriptor{}, source{}, err
	}
	var failed []error
	for _, p := range sources {
		d, err := p.store.Resolve(ctx, p.name)
		if err == nil {
			return d, p, nil
		}
		failed = append(failed, err)
	}
	return ocispec.Descriptor{}, source{}, unavailable(ref, errors.Join(failed...))
}

// fetch reads manifest and layers of a resolved artifact.
func fetch(ctx context.Context, p source, d ocispec.Descriptor) (*Content, error) {
	if d.MediaType != ocispec.MediaTypeImageManifest {
		return nil, fmt.Errorf("%w: %s is a %s", ErrContent, p.full, d.MediaType)
	}
	raw, err := fetchAll(ctx, p, d)
	if err != nil {
		return nil, err
	}
	var m ocispec.Manifest
	if err := json.Unmarshal(raw, &m); err != nil {
		return nil, fmt.Errorf("%w: the manifest of %s: %w", ErrContent, p.full, err)
	}
	c := &Content{Reference: p.full, Digest: d.Digest.String()}
	if m.Subject != nil && p.repository != "" && m.Subject.Digest.Validate() == nil {
		c.Subject = p.repository + "@" + m.Subject.Digest.String()
	}
	if err := fetchLayers(ctx, p, m.Layers, c); err != nil {
		return nil, err
	}
	return c, nil
}

func fetchLayers(ctx context.Context, p source, layers []ocispec.Descriptor, c *Content) error {
	found := make([]string, 0, len(layers))
	total := int64(0)
	for _, l := range layers {
		_, spec := titles[l.MediaType]
		switch {
		case spec && c.MediaType != "":
			return fmt.Errorf("%w: %s has two specifications, %s and %s", ErrContent, p.full, c.MediaType, l.MediaType)
		case l.MediaType == compat.MediaTypeModel && len(c.Models) == maxModelLayers:
			return fmt.Errorf("%w: %s has more than %d models", ErrContent, p.full, maxModelLayers)
		case !spec && l.MediaType != compat.MediaTypeModel:
			found = append(found, l.MediaType)
			continue
		}
		if total += l.Size; total > maxTotalBytes {
			return fmt.Errorf("%w: %s has more than %d bytes in all", ErrContent, p.full, maxTotalBytes)
		}
		data, err := fetchAll(ctx, p, l)
		if err != nil {
			return err
		}
		if spec {
			c.MediaType, c.Data = l.MediaType, data
		} else {
			c.Models = append(c.Models, data)
		}
	}
	if c.MediaType == "" {
		return fmt.Errorf("%w: %s has no layer of type %s, %s or %s, only %q",
			ErrContent, p.full, compat.MediaTypeModels, compat.MediaTypeFeatures, compat.MediaTypeNFD, found)
	}
	return nil
}

func fetchAll(ctx context.Context, p source, d ocispec.Descriptor) ([]byte, error) {
	if d.Size > compat.MaxArtifactBytes {
		return nil, fmt.Errorf("%w: %s holds %d bytes in one part, the limit is %d", ErrContent, p.full, d.Size, compat.MaxArtifactBytes)
	}
	if err := d.Digest.Validate(); err != nil {
		return nil, fmt.Errorf("%w: %s: %w", ErrContent, p.full, err)
	}
	data, err := content.FetchAll(ctx, p.store, d)
	switch {
	case err == nil:
		return data, nil
	case errors.Is(err, content.ErrMismatchedDigest), errors.Is(err, content.ErrTrailingData):
		return nil, fmt.Errorf("%w: %s: what the registry sent is not what %s names: %w", ErrContent, p.full, short(d.Digest), err)
	}
	return nil, unavailable(p.full, err)
}

func short(d digest.Digest) string {
	if s := d.String(); len(s) > 19 {
		return s[:19]
	}
	return d.String()
}

// unavailable wraps what a registry, or the way to it, answered.
func unavailable(ref string, err error) error {
	try := "check that the registry is up and reachable from the webhook"
	var resp *errcode.ErrorResponse
	switch {
	case errors.Is(err, auth.ErrBasicCredentialNotFound), errors.As(err, &resp) && (resp.StatusCode == http.StatusUnauthorized || resp.StatusCode == http.StatusForbidden):
		try = "the registry asks for credentials that the webhook does not have"
	case errors.Is(err, errdef.ErrNotFound):
		try = "check the name, or push it first"
	}
	return fmt.Errorf("%w: %s: %w; %s", ErrUnavailable, ref, err, try)
}
