package artifact

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"sync"
	"time"

	"github.com/hashicorp/go-multierror"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"oras.land/oras-go/v2/content"
	"oras.land/oras-go/v2/errdef"
	"oras.land/oras-go/v2/registry/remote/auth"
	"oras.land/oras-go/v2/registry/remote/errcode"

	"github.com/compspec/ocifit-lab/webhook/compat"
)

// pull fetches one artifact from its sources. Each source has its share of the time, and one that fails at anything is
// left for the next.
type pull struct {
	opts    Options
	ref     string
	sources []*source
	// manifests are those that came with the answer to which one a tag names.
	manifests map[digest.Digest][]byte
}

// open finds the sources of an artifact; those that failed lately come last.
func (o Options) open(ctx context.Context, ref string) (*pull, error) {
	sources, err := o.sources(ctx, ref)
	if err != nil {
		return nil, err
	}
	o.health.order(sources)
	return &pull{opts: o, ref: ref, sources: sources, manifests: map[digest.Digest][]byte{}}, nil
}

// full is the reference with the tag or digest written out.
func (p *pull) full() string { return p.sources[0].full }

// try asks one source after the other, each for its share of the time that is left. A source that fails goes to the end.
func (p *pull) try(ctx context.Context, ask func(ctx context.Context, s *source) error) error {
	failed := &multierror.Error{ErrorFormat: inOneLine}
	order := slices.Clone(p.sources)
	for i, s := range order {
		share, cancel := shareOf(ctx, len(order)-i)
		err := s.with(share, func() error { return ask(share, s) })
		cancel()
		if err == nil {
			p.warn(s, i > 0)
			return nil
		}
		p.opts.health.failed(s, err)
		p.sources = append(slices.DeleteFunc(p.sources, func(have *source) bool { return have == s }), s)
		failed = multierror.Append(failed, err)
		failed.ErrorFormat = inOneLine
		if ctx.Err() != nil {
			break
		}
	}
	if len(failed.Errors) == 1 {
		return p.explain(failed.Errors[0])
	}
	return p.explain(failed)
}

// shareOf divides the time that is left among so many sources.
func shareOf(ctx context.Context, sources int) (context.Context, context.CancelFunc) {
	end, ok := ctx.Deadline()
	if !ok || sources < 2 {
		return context.WithCancel(ctx)
	}
	return context.WithTimeout(ctx, time.Until(end)/time.Duration(sources))
}

// warn tells what went wrong beside a success.
func (p *pull) warn(s *source, fellBack bool) {
	if err := s.login.trouble(); err != nil && !fellBack && p.opts.Warn != nil {
		p.opts.Warn(fmt.Errorf("%s is asked without credentials: %w", s.full, err))
	}
}

// explain turns what the sources answered into an error with advice.
func (p *pull) explain(err error) error {
	if errors.Is(err, ErrContent) {
		return err
	}
	for _, s := range p.sources {
		if trouble := s.login.trouble(); trouble != nil && wantsCredentials(err) {
			return &failure{ErrUnavailable, fmt.Sprintf("%s: %s; it asks for credentials, and there are none: %s", p.full(), describe(err), trouble), errors.Join(err, trouble)}
		}
	}
	return unavailable(p.full(), err)
}

// resolve asks which manifest the reference names.
func (p *pull) resolve(ctx context.Context) (d ocispec.Descriptor, err error) {
	err = p.try(ctx, func(ctx context.Context, s *source) (err error) {
		d, err = s.store.Resolve(ctx, s.name)
		if err == nil || s.repo == nil || !oddHead(err) || ctx.Err() != nil {
			return err
		}
		var manifest []byte
		if d, manifest, err = s.get(ctx); err == nil {
			p.manifests[d.Digest] = manifest
		}
		return err
	})
	return d, err
}

// oddHead reports whether GET may answer what HEAD did not: some registries refuse it, or leave out the digest.
func oddHead(err error) bool {
	var way *url.Error
	if errors.As(err, &way) || errors.Is(err, errdef.ErrNotFound) || refused(err) || errors.Is(err, auth.ErrBasicCredentialNotFound) {
		return false
	}
	var resp *errcode.ErrorResponse
	return !errors.As(err, &resp) || resp.StatusCode < http.StatusInternalServerError && resp.StatusCode != http.StatusTooManyRequests || resp.StatusCode == http.StatusNotImplemented
}

// get fetches the manifest by its name.
func (s *source) get(ctx context.Context) (ocispec.Descriptor, []byte, error) {
	ref := s.repo.Reference
	ctx = auth.AppendRepositoryScope(ctx, ref, auth.ActionPull)
	scheme := "https"
	if s.repo.PlainHTTP {
		scheme = "http"
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, fmt.Sprintf("%s://%s/v2/%s/manifests/%s", scheme, ref.Host(), ref.Repository, s.name), nil)
	if err != nil {
		return ocispec.Descriptor{}, nil, err
	}
	req.Header.Set("Accept", ocispec.MediaTypeImageManifest+", "+ocispec.MediaTypeImageIndex)
	resp, err := s.repo.Client.Do(req)
	if err != nil {
		return ocispec.Descriptor{}, nil, err
	}
	defer resp.Body.Close()
	switch resp.StatusCode {
	case http.StatusOK:
	case http.StatusNotFound:
		return ocispec.Descriptor{}, nil, fmt.Errorf("%s: %w", s.full, errdef.ErrNotFound)
	default:
		return ocispec.Descriptor{}, nil, &errcode.ErrorResponse{Method: http.MethodGet, URL: req.URL, StatusCode: resp.StatusCode}
	}
	data, err := io.ReadAll(io.LimitReader(resp.Body, compat.MaxArtifactBytes+1))
	if err != nil {
		return ocispec.Descriptor{}, nil, err
	}
	if len(data) > compat.MaxArtifactBytes {
		return ocispec.Descriptor{}, nil, fmt.Errorf("%w: the manifest of %s has more than %d bytes", ErrContent, s.full, compat.MaxArtifactBytes)
	}
	d := content.NewDescriptorFromBytes(resp.Header.Get("Content-Type"), data)
	if s.pinned && d.Digest.String() != s.name {
		return ocispec.Descriptor{}, nil, fmt.Errorf("%w: %s: what the registry sent is not what the reference names", ErrContent, s.full)
	}
	return d, data, nil
}

// fetch reads manifest and layers of a resolved artifact.
func (p *pull) fetch(ctx context.Context, d ocispec.Descriptor) (*Content, error) {
	if d.MediaType != ocispec.MediaTypeImageManifest {
		return nil, fmt.Errorf("%w: %s is a %.100s", ErrContent, p.full(), d.MediaType)
	}
	raw, ok := p.manifests[d.Digest]
	if !ok {
		var err error
		if raw, err = p.fetchAll(ctx, d); err != nil {
			return nil, err
		}
	}
	var m ocispec.Manifest
	if err := json.Unmarshal(raw, &m); err != nil {
		return nil, fmt.Errorf("%w: the manifest of %s: %w", ErrContent, p.full(), err)
	}
	c := &Content{Reference: p.full(), Digest: d.Digest.String()}
	if repository := p.sources[0].repository; m.Subject != nil && repository != "" && m.Subject.Digest.Validate() == nil {
		c.Subject = repository + "@" + m.Subject.Digest.String()
	}
	if err := p.fetchLayers(ctx, m.Layers, c); err != nil {
		return nil, err
	}
	return c, nil
}

func (p *pull) fetchLayers(ctx context.Context, layers []ocispec.Descriptor, c *Content) error {
	found := make([]string, 0, len(layers))
	total := int64(0)
	for _, l := range layers {
		_, spec := titles[l.MediaType]
		switch {
		case spec && c.MediaType != "":
			return fmt.Errorf("%w: %s has two specifications, %s and %s", ErrContent, p.full(), c.MediaType, l.MediaType)
		case l.MediaType == compat.MediaTypeModel && len(c.Models) == maxModelLayers:
			return fmt.Errorf("%w: %s has more than %d models", ErrContent, p.full(), maxModelLayers)
		case !spec && l.MediaType != compat.MediaTypeModel:
			found = append(found, l.MediaType)
			continue
		}
		if total += l.Size; total > maxTotalBytes {
			return fmt.Errorf("%w: %s has more than %d bytes in all", ErrContent, p.full(), maxTotalBytes)
		}
		data, err := p.fetchAll(ctx, l)
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
		return fmt.Errorf("%w: %s has no layer of type %s, %s or %s, only %.400q",
			ErrContent, p.full(), compat.MediaTypeModels, compat.MediaTypeFeatures, compat.MediaTypeNFD, found)
	}
	return nil
}

// fetchAll reads one part and verifies its digest.
func (p *pull) fetchAll(ctx context.Context, d ocispec.Descriptor) (data []byte, err error) {
	if d.Size > compat.MaxArtifactBytes {
		return nil, fmt.Errorf("%w: %s holds %d bytes in one part, the limit is %d", ErrContent, p.full(), d.Size, compat.MaxArtifactBytes)
	}
	if err := d.Digest.Validate(); err != nil {
		return nil, fmt.Errorf("%w: %s: %w", ErrContent, p.full(), err)
	}
	err = p.try(ctx, func(ctx context.Context, s *source) (err error) {
		data, err = content.FetchAll(ctx, s.store, d)
		if errors.Is(err, content.ErrMismatchedDigest) || errors.Is(err, content.ErrTrailingData) {
			return fmt.Errorf("%w: %s: what the registry sent is not what %s names: %w", ErrContent, s.full, short(d.Digest), err)
		}
		return err
	})
	return data, err
}

func short(d digest.Digest) string {
	if s := d.String(); len(s) > 19 {
		return s[:19]
	}
	return d.String()
}

// rest is how long a source that failed is asked after the others.
const rest = 30 * time.Second

// health remembers which registries failed. nil remembers nothing.
type health struct {
	mu   sync.Mutex
	last map[string]time.Time // by host
}

// order puts those sources last that failed lately.
func (h *health) order(sources []*source) {
	if h == nil {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	ill := func(s *source) int {
		if s.repo != nil && time.Since(h.last[s.repo.Reference.Registry]) < rest {
			return 1
		}
		return 0
	}
	slices.SortStableFunc(sources, func(a, b *source) int { return ill(a) - ill(b) })
}

// failed notes a source that did not answer at all.
func (h *health) failed(s *source, err error) {
	var resp *errcode.ErrorResponse
	if h == nil || s.repo == nil || errors.As(err, &resp) && resp.StatusCode < http.StatusInternalServerError || errors.Is(err, errdef.ErrNotFound) {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.last == nil {
		h.last = map[string]time.Time{}
	}
	h.last[s.repo.Reference.Registry] = time.Now()
}
