package chart

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"helm.sh/helm/v3/pkg/registry"
	"oras.land/oras-go/v2/content"
	"oras.land/oras-go/v2/errdef"
	"oras.land/oras-go/v2/registry/remote"
	"oras.land/oras-go/v2/registry/remote/auth"
	"oras.land/oras-go/v2/registry/remote/errcode"

	"github.com/compspec/ocifit-lab/provision/step"
)

// get reads what an address holds.
func (o Options) get(ctx context.Context, address string, limit int64) (data []byte, err error) {
	err = o.retry(ctx, func() error {
		data, err = o.getOnce(ctx, address, limit)
		return err
	})
	return data, err
}

func (o Options) getOnce(ctx context.Context, address string, limit int64) ([]byte, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return nil, finalError{err}
	}
	request.Header.Set("User-Agent", "ocifit-lab")
	response, err := o.client().Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		err := fmt.Errorf("%s answers %s", address, response.Status)
		if final(response.StatusCode) {
			err = finalError{err}
		}
		return nil, err
	}
	data, err := io.ReadAll(io.LimitReader(response.Body, limit+1))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", address, err)
	}
	if int64(len(data)) > limit {
		return nil, finalError{fmt.Errorf("%s has more than %d MiB", address, limit>>20)}
	}
	return data, nil
}

// final tells whether a server would answer the same again.
func final(status int) bool {
	return status >= 400 && status < 500 && status != http.StatusTooManyRequests && status != http.StatusRequestTimeout
}

// pulled is a chart out of a registry.
type pulled struct {
	archive []byte
	// manifest is the digest of what the archive is stored under.
	manifest string
}

// pull reads a chart that is stored in an OCI registry as `helm push` does it. The version may be in the name instead.
func (o Options) pull(ctx context.Context, name, version string) (p pulled, err error) {
	r, err := remote.NewRepository(name)
	if err != nil {
		return p, step.Try(err, "write oci://registry/repository/name:version")
	}
	version = cmp.Or(version, r.Reference.Reference)
	if version == "" {
		return p, step.Try(errors.New("it names no version"), "write oci://%s:VERSION", name)
	}
	r.PlainHTTP = slices.Contains(o.PlainHTTP, r.Reference.Registry)
	r.Client = &auth.Client{Client: o.client(), Cache: auth.NewCache(), Credential: o.Credential, ClientID: "ocifit-lab"}
	err = o.retry(ctx, func() error {
		p, err = pullOnce(ctx, r, version)
		return refused(err)
	})
	return p, err
}

func pullOnce(ctx context.Context, r *remote.Repository, version string) (p pulled, err error) {
	// Tags have no plus sign, so Helm stores versions with an underscore in its place.
	d, err := r.Resolve(ctx, strings.ReplaceAll(version, "+", "_"))
	if errors.Is(err, errdef.ErrNotFound) {
		return p, fmt.Errorf("the registry has no such chart or version: %w", err)
	}
	if err != nil {
		return p, step.Try(fmt.Errorf("ask the registry: %w", err), "check the address, and log in with `helm registry login` or `docker login` if it is not public")
	}
	if d.MediaType != ocispec.MediaTypeImageManifest {
		return p, finalError{fmt.Errorf("it is a %s, not a chart", d.MediaType)}
	}
	data, err := limited(ctx, r, d)
	if err != nil {
		return p, fmt.Errorf("manifest: %w", err)
	}
	var m ocispec.Manifest
	if err := json.Unmarshal(data, &m); err != nil {
		return p, finalError{fmt.Errorf("manifest: %w", err)}
	}
	i := slices.IndexFunc(m.Layers, func(l ocispec.Descriptor) bool {
		return l.MediaType == registry.ChartLayerMediaType || l.MediaType == registry.LegacyChartLayerMediaType
	})
	if m.Config.MediaType != registry.ConfigMediaType || i < 0 {
		return p, finalError{fmt.Errorf("it is an artifact of type %q, not a chart", cmp.Or(m.ArtifactType, m.Config.MediaType))}
	}
	if data, err = limited(ctx, r, m.Layers[i]); err != nil {
		return p, fmt.Errorf("archive: %w", err)
	}
	return pulled{data, d.Digest.String()}, nil
}

// limited reads content of limited size and checks its digest.
func limited(ctx context.Context, from content.Fetcher, d ocispec.Descriptor) ([]byte, error) {
	if d.Size > maxSize {
		return nil, finalError{fmt.Errorf("%d bytes are more than the %d MiB that a chart may have", d.Size, maxSize>>20)}
	}
	return content.FetchAll(ctx, from, d)
}

// refused tells a registry's final answer from one that may change.
func refused(err error) error {
	answer, answered := errors.AsType[*errcode.ErrorResponse](err)
	if errors.Is(err, errdef.ErrNotFound) || answered && final(answer.StatusCode) {
		return finalError{err}
	}
	return err
}
