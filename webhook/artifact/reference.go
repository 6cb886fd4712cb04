// Package artifact builds compatibility artifacts and carries them to and from OCI registries: references
// parsed by a library, content pinned by digest, a cache that answers admissions without a registry.
package artifact

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"time"

	"oras.land/oras-go/v2/registry"
	"oras.land/oras-go/v2/registry/remote"
	"oras.land/oras-go/v2/registry/remote/auth"

	"github.com/compspec/ocifit-lab/webhook/compat"
)

// Errors that callers tell apart.
var (
	// ErrReference: the text is not a full reference to an artifact.
	ErrReference = errors.New("not a full artifact reference")
	// ErrContent: the registry answered, but what is there is no compatibility artifact.
	ErrContent = errors.New("not a compatibility artifact")
	// ErrUnavailable: the registry could not be asked, or did not give the artifact out.
	ErrUnavailable = errors.New("artifact not available")
)

// DefaultTimeout bounds a push or pull whose context and options say nothing shorter.
const DefaultTimeout = 30 * time.Second

// Options say how registries are reached.
type Options struct {
	// PlainHTTP lists the registries (host or host:port) that are reached over HTTP without TLS.
	PlainHTTP []string
	// Timeout bounds one push or pull; 0 means DefaultTimeout.
	Timeout time.Duration
	// Credential returns what a registry is asked with; nil asks without credentials.
	Credential auth.CredentialFunc
	// HTTPClient does the requests; nil means a client of http.DefaultTransport.
	HTTPClient *http.Client
}

// ParseReference reads registry/repository[:tag][@digest]. Without tag and digest it means the tag latest;
// a digest makes the tag irrelevant.
func ParseReference(ref string) (registry.Reference, error) {
	r, err := registry.ParseReference(ref)
	if err != nil {
		return registry.Reference{}, fmt.Errorf("%w: %q (%w); write registry/repository:tag or registry/repository@sha256:...", ErrReference, ref, err)
	}
	r.Reference = r.ReferenceOrDefault()
	return r, nil
}

// pinned reports whether the reference names content rather than a tag.
func pinned(r registry.Reference) bool {
	_, err := r.Digest()
	return err == nil
}

// repository opens the repository of a reference.
func (o Options) repository(ref string) (*remote.Repository, registry.Reference, error) {
	r, err := ParseReference(ref)
	if err != nil {
		return nil, r, err
	}
	repo, err := remote.NewRepository(r.Registry + "/" + r.Repository)
	if err != nil {
		return nil, r, fmt.Errorf("%w: %q: %w", ErrReference, ref, err)
	}
	client := o.HTTPClient
	if client == nil {
		client = &http.Client{}
	}
	repo.Client = &auth.Client{Client: client, Cache: auth.NewCache(), Credential: o.Credential}
	repo.PlainHTTP = slices.Contains(o.PlainHTTP, r.Registry)
	repo.MaxMetadataBytes = compat.MaxArtifactBytes
	return repo, r, nil
}

// within applies the timeout.
func (o Options) within(ctx context.Context) (context.Context, context.CancelFunc) {
	if o.Timeout > 0 {
		return context.WithTimeout(ctx, o.Timeout)
	}
	return context.WithTimeout(ctx, DefaultTimeout)
}
