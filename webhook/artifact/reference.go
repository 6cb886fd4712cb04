// Package artifact builds compatibility artifacts and carries them to and from OCI registries and layout folders:
// references parsed by a library, content pinned by digest, a cache that answers admissions without a registry.
package artifact

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"oras.land/oras-go/v2/content"
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

// defaultTimeout bounds a push or pull whose context and options say nothing shorter.
const defaultTimeout = 30 * time.Second

// Options say how registries are reached.
type Options struct {
	// PlainHTTP lists the registries (host or host:port) that are reached over HTTP without TLS.
	PlainHTTP []string
	// Mirrors lists, by registry, what is asked before it: host[:port], with a prefix of the repository if it has
	// one. Only pulls use mirrors.
	Mirrors map[string][]string
	// Timeout bounds one push or pull; 0 means DefaultTimeout.
	Timeout time.Duration
	// Credential returns what a registry is asked with; nil asks without credentials. When it fails the registry is asked
	// without, for what is public needs none.
	Credential auth.CredentialFunc
	// Forget, if set, makes Credential ask anew for a registry that has just refused its credentials.
	Forget func(host string)
	// Warn, if set, is told of what went wrong on the way to a success.
	Warn func(error)
	// Guard, if set, limits which registries are asked, and where they may send their clients.
	Guard *Guard
	// HTTPClient does the requests; nil means a client of http.DefaultTransport.
	HTTPClient *http.Client
	// Layouts allows references to folders ("oci:DIR:TAG"). Only for references that the user of this process
	// wrote: an annotation must never make the webhook read a file.
	Layouts bool

	health *health // shared by the pulls of a Cache
}

// parseReference reads registry/repository[:tag][@digest]. Without tag and digest it means the tag latest;
// a digest makes the tag irrelevant.
func parseReference(ref string) (registry.Reference, error) {
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

// store is what artifacts are in: a registry's repository or a layout folder.
type store interface {
	content.Storage
	content.Resolver
	content.Tagger
}

// source is where a reference points to.
type source struct {
	store store
	// name is the tag or digest inside the store.
	name string
	// full is the reference with the tag or digest written out.
	full string
	// repository is host/repository, which images beside the artifact are named by; empty for a folder.
	repository string
	pinned     bool

	repo *remote.Repository // nil for a folder
	// login tells how the registry was asked.
	login *login
}

// sources lists where the artifact can be had, the best first: mirrors, then what the reference says.
func (o Options) sources(ctx context.Context, ref string) ([]*source, error) {
	if o.Layouts {
		if l, ok := parseLayout(ref); ok {
			s, err := l.open(ctx, false)
			return []*source{s}, err
		}
	}
	r, err := parseReference(ref)
	if err != nil {
		return nil, err
	}
	if err := o.Guard.permits(r.Registry); err != nil {
		return nil, err
	}
	var list []*source
	for _, m := range append(slices.Clone(o.Mirrors[r.Registry]), r.Registry) {
		s, err := o.remote(m, r)
		if err != nil {
			return nil, err
		}
		list = append(list, s)
	}
	return list, nil
}

// target is the one source that an artifact is pushed to.
func (o Options) target(ctx context.Context, ref string) (*source, error) {
	if o.Layouts {
		if l, ok := parseLayout(ref); ok {
			return l.open(ctx, true)
		}
	}
	r, err := parseReference(ref)
	if err != nil {
		return nil, err
	}
	return o.remote(r.Registry, r)
}

// remote opens the repository of a reference at its registry or at a mirror.
func (o Options) remote(base string, r registry.Reference) (*source, error) {
	repo, err := remote.NewRepository(strings.TrimSuffix(base, "/") + "/" + r.Repository)
	if err != nil {
		return nil, fmt.Errorf("%w: %q at %q: %w", ErrReference, r.Repository, base, err)
	}
	repo.PlainHTTP = slices.Contains(o.PlainHTTP, repo.Reference.Registry)
	repo.MaxMetadataBytes = compat.MaxArtifactBytes
	s := &source{store: repo, repo: repo, name: r.Reference, full: r.String(), repository: r.Registry + "/" + r.Repository, pinned: pinned(r)}
	s.login = newLogin(o)
	repo.Client = s.login.client()
	return s, nil
}

// within applies the timeout.
func (o Options) within(ctx context.Context) (context.Context, context.CancelFunc) {
	if o.Timeout > 0 {
		return context.WithTimeout(ctx, o.Timeout)
	}
	return context.WithTimeout(ctx, defaultTimeout)
}
