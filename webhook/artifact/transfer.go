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
	"oras.land/oras-go/v2/registry/remote"
	"oras.land/oras-go/v2/registry/remote/errcode"

	"github.com/compspec/ocifit-lab/webhook/compat"
)

// Titles of the layer, which tools that write artifacts to files use as file name.
const (
	titleModels   = "compatibility-artifact.json"
	titleFeatures = "compatibility-spec.json"
)

// epoch is the creation time that artifacts carry: equal content must have equal digests.
const epoch = "1970-01-01T00:00:00Z"

// Content is an artifact as a registry holds it.
type Content struct {
	// Reference as it was asked for, with the tag or digest written out.
	Reference string
	// Digest of the manifest.
	Digest string
	// MediaType of Data: compat.MediaTypeModels or compat.MediaTypeFeatures.
	MediaType string
	Data      []byte
}

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

// Push stores data as an artifact with one layer of the given media type and returns the manifest's digest.
// Data that does not decode as that media type is refused. Pushing the same data again changes nothing.
func Push(ctx context.Context, ref string, data []byte, mediaType string, opts Options) (manifestDigest string, err error) {
	if err := check(mediaType, data); err != nil {
		return "", err
	}
	repo, r, err := opts.repository(ref)
	if err != nil {
		return "", err
	}
	if pinned(r) {
		return "", fmt.Errorf("%w: %q names a digest; push to a tag", ErrReference, ref)
	}
	ctx, cancel := opts.within(ctx)
	defer cancel()

	title := titleModels
	if mediaType == compat.MediaTypeFeatures {
		title = titleFeatures
	}
	layer := content.NewDescriptorFromBytes(mediaType, data)
	if err := pushBlob(ctx, repo, layer, data); err != nil {
		return "", unavailable(ref, err)
	}
	layer.Annotations = map[string]string{ocispec.AnnotationTitle: title}
	manifest, err := oras.PackManifest(ctx, repo, oras.PackManifestVersion1_1, mediaType, oras.PackManifestOptions{
		Layers:              []ocispec.Descriptor{layer},
		ManifestAnnotations: map[string]string{ocispec.AnnotationCreated: epoch},
	})
	if err != nil {
		return "", unavailable(ref, err)
	}
	if err := repo.Tag(ctx, manifest, r.Reference); err != nil {
		return "", unavailable(ref, err)
	}
	return manifest.Digest.String(), nil
}

func pushBlob(ctx context.Context, repo *remote.Repository, d ocispec.Descriptor, data []byte) error {
	there, err := repo.Blobs().Exists(ctx, d)
	if err != nil || there {
		return err
	}
	_, err = oras.PushBytes(ctx, repo, d.MediaType, data)
	return err
}

// check refuses data that the webhook could not read back.
func check(mediaType string, data []byte) error {
	switch mediaType {
	case compat.MediaTypeModels:
		_, err := compat.DecodeModels(data)
		return err
	case compat.MediaTypeFeatures:
		if len(data) > compat.MaxArtifactBytes || !json.Valid(data) {
			return fmt.Errorf("%w: the feature specification is not JSON of at most %d bytes", ErrContent, compat.MaxArtifactBytes)
		}
		return nil
	}
	return fmt.Errorf("%w: media type %q; known are %s and %s", ErrContent, mediaType, compat.MediaTypeModels, compat.MediaTypeFeatures)
}

// Pull fetches the artifact that ref names. Digests are verified; manifest and layer are limited to
// compat.MaxArtifactBytes.
func Pull(ctx context.Context, ref string, opts Options) (*Content, error) {
	d, repo, full, err := resolve(ctx, ref, opts)
	if err != nil {
		return nil, err
	}
	ctx, cancel := opts.within(ctx)
	defer cancel()
	return fetch(ctx, repo, full, d)
}

// Digest asks which manifest a reference names now.
func Digest(ctx context.Context, ref string, opts Options) (string, error) {
	d, _, _, err := resolve(ctx, ref, opts)
	return d.Digest.String(), err
}

func resolve(ctx context.Context, ref string, opts Options) (d ocispec.Descriptor, repo *remote.Repository, full string, err error) {
	repo, r, err := opts.repository(ref)
	if err != nil {
		return d, nil, "", err
	}
	ctx, cancel := opts.within(ctx)
	defer cancel()
	if d, err = repo.Resolve(ctx, r.Reference); err != nil {
		return d, nil, "", unavailable(ref, err)
	}
	return d, repo, r.String(), nil
}

// fetch reads manifest and layer of a resolved artifact.
func fetch(ctx context.Context, repo *remote.Repository, ref string, d ocispec.Descriptor) (*Content, error) {
	if d.MediaType != ocispec.MediaTypeImageManifest {
		return nil, fmt.Errorf("%w: %s is a %s", ErrContent, ref, d.MediaType)
	}
	raw, err := fetchAll(ctx, repo.Manifests(), ref, d)
	if err != nil {
		return nil, err
	}
	var m ocispec.Manifest
	if err := json.Unmarshal(raw, &m); err != nil {
		return nil, fmt.Errorf("%w: the manifest of %s: %w", ErrContent, ref, err)
	}
	found := make([]string, 0, len(m.Layers))
	for _, l := range m.Layers {
		if l.MediaType != compat.MediaTypeModels && l.MediaType != compat.MediaTypeFeatures {
			found = append(found, l.MediaType)
			continue
		}
		data, err := fetchAll(ctx, repo.Blobs(), ref, l)
		if err != nil {
			return nil, err
		}
		return &Content{Reference: ref, Digest: d.Digest.String(), MediaType: l.MediaType, Data: data}, nil
	}
	return nil, fmt.Errorf("%w: %s has no layer of type %s or %s, only %q", ErrContent, ref, compat.MediaTypeModels, compat.MediaTypeFeatures, found)
}

func fetchAll(ctx context.Context, from content.Fetcher, ref string, d ocispec.Descriptor) ([]byte, error) {
	if d.Size > compat.MaxArtifactBytes {
		return nil, fmt.Errorf("%w: %s holds %d bytes in one part, the limit is %d", ErrContent, ref, d.Size, compat.MaxArtifactBytes)
	}
	if err := d.Digest.Validate(); err != nil {
		return nil, fmt.Errorf("%w: %s: %w", ErrContent, ref, err)
	}
	data, err := content.FetchAll(ctx, from, d)
	switch {
	case err == nil:
		return data, nil
	case errors.Is(err, content.ErrMismatchedDigest), errors.Is(err, content.ErrTrailingData):
		return nil, fmt.Errorf("%w: %s: what the registry sent is not what %s names: %w", ErrContent, ref, short(d.Digest), err)
	}
	return nil, unavailable(ref, err)
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
	case errors.Is(err, errdef.ErrNotFound):
		try = "check the name, or push it first"
	case errors.As(err, &resp) && (resp.StatusCode == http.StatusUnauthorized || resp.StatusCode == http.StatusForbidden):
		try = "the registry asks for credentials that the webhook does not have"
	}
	return fmt.Errorf("%w: %s: %w; %s", ErrUnavailable, ref, err, try)
}
