package release

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"path"
	"slices"
	"strings"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"helm.sh/helm/v3/pkg/registry"
	"helm.sh/helm/v3/pkg/repo"
	"oras.land/oras-go/v2/content"
	"oras.land/oras-go/v2/errdef"
	"oras.land/oras-go/v2/registry/remote"
	"oras.land/oras-go/v2/registry/remote/auth"
	"sigs.k8s.io/yaml"

	"github.com/compspec/ocifit-lab/provision/step"
)

// fromRegistry reads a chart that is stored in an OCI registry as `helm push` does it.
func fromRegistry(ctx context.Context, ref string, o Options) (*Loaded, error) {
	r, err := remote.NewRepository(ref)
	if err != nil {
		return nil, step.Try(err, "write oci://registry/repository/name:version")
	}
	if r.Reference.Reference == "" {
		return nil, step.Try(errors.New("it names no version"), "write oci://%s:VERSION", ref)
	}
	// Tags have no plus sign, so Helm stores versions with an underscore in its place.
	r.PlainHTTP = slices.Contains(o.PlainHTTP, r.Reference.Registry)
	r.Client = &auth.Client{Client: cmp.Or(o.HTTPClient, http.DefaultClient), Cache: auth.NewCache(), Credential: o.Credential, ClientID: "ocifit-lab"}
	d, err := r.Resolve(ctx, strings.ReplaceAll(r.Reference.Reference, "+", "_"))
	if errors.Is(err, errdef.ErrNotFound) {
		return nil, fmt.Errorf("the registry has no such chart or version: %w", err)
	}
	if err != nil {
		return nil, step.Try(fmt.Errorf("ask the registry: %w", err), "check the address, and log in with `helm registry login` or `docker login` if it is not public")
	}
	if d.MediaType != ocispec.MediaTypeImageManifest {
		return nil, fmt.Errorf("it is a %s, not a chart", d.MediaType)
	}
	var manifest ocispec.Manifest
	data, err := fetch(ctx, r, d)
	if err == nil {
		err = json.Unmarshal(data, &manifest)
	}
	if err != nil {
		return nil, fmt.Errorf("manifest: %w", err)
	}
	i := slices.IndexFunc(manifest.Layers, func(l ocispec.Descriptor) bool {
		return l.MediaType == registry.ChartLayerMediaType || l.MediaType == registry.LegacyChartLayerMediaType
	})
	if manifest.Config.MediaType != registry.ConfigMediaType || i < 0 {
		return nil, fmt.Errorf("it is an artifact of type %q, not a chart", cmp.Or(manifest.ArtifactType, manifest.Config.MediaType))
	}
	if data, err = fetch(ctx, r, manifest.Layers[i]); err != nil {
		return nil, fmt.Errorf("archive: %w", err)
	}
	ch, err := fromArchive(data)
	if err != nil {
		return nil, err
	}
	ch.Digest = d.Digest.String()
	return ch, nil
}

// fetch reads content of limited size and checks its digest.
func fetch(ctx context.Context, from content.Fetcher, d ocispec.Descriptor) ([]byte, error) {
	if d.Size > maxArchive {
		return nil, fmt.Errorf("%d bytes are more than the %d that a chart may have", d.Size, maxArchive)
	}
	return content.FetchAll(ctx, from, d)
}

// fromRepository reads a chart from a repository with an index.yaml, by URL/name@version.
func fromRepository(ctx context.Context, source string, o Options) (*Loaded, error) {
	u, err := url.Parse(source)
	if err != nil {
		return nil, err
	}
	if u.User != nil {
		return nil, errors.New("the address has a password in it, which would end up in the results; only public repositories can be used")
	}
	name, version, ok := strings.Cut(path.Base(u.Path), "@")
	if !ok || name == "" || version == "" {
		return nil, step.Try(errors.New("it names no version"), "write REPOSITORY/NAME@VERSION")
	}
	u.Path = path.Dir(u.Path)
	base := u.String()
	data, err := o.get(ctx, strings.TrimSuffix(base, "/")+"/index.yaml", maxIndex)
	if err != nil {
		return nil, fmt.Errorf("index of the repository: %w", err)
	}
	var index repo.IndexFile
	if err := yaml.Unmarshal(data, &index); err != nil {
		return nil, fmt.Errorf("index of the repository: %w", err)
	}
	entry, err := find(index, name, version)
	if err != nil {
		return nil, err
	}
	archive, err := repo.ResolveReferenceURL(base, entry.URLs[0])
	if err != nil {
		return nil, err
	}
	if strings.HasPrefix(archive, "oci://") {
		return fromRegistry(ctx, strings.TrimPrefix(archive, "oci://"), o)
	}
	if data, err = o.get(ctx, archive, maxArchive); err != nil {
		return nil, fmt.Errorf("archive: %w", err)
	}
	if want := strings.TrimPrefix(entry.Digest, "sha256:"); want != "" && want != fmt.Sprintf("%x", sha256.Sum256(data)) {
		return nil, fmt.Errorf("archive %s has the digest %x, the repository's index says %s", archive, sha256.Sum256(data), want)
	}
	return fromArchive(data)
}

func find(index repo.IndexFile, name, version string) (*repo.ChartVersion, error) {
	var known []string
	for _, v := range index.Entries[name] {
		if v == nil || v.Metadata == nil || len(v.URLs) == 0 {
			continue
		}
		if v.Version == version {
			return v, nil
		}
		known = append(known, v.Version)
	}
	if len(known) == 0 {
		return nil, fmt.Errorf("the repository has no chart %q", name)
	}
	return nil, fmt.Errorf("the repository has no version %q of %s; it has %s", version, name, strings.Join(known[:min(len(known), 8)], ", "))
}

func (o Options) get(ctx context.Context, address string, limit int64) ([]byte, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return nil, err
	}
	request.Header.Set("User-Agent", "ocifit-lab")
	response, err := cmp.Or(o.HTTPClient, http.DefaultClient).Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s answers %s", address, response.Status)
	}
	data, err := io.ReadAll(io.LimitReader(response.Body, limit+1))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", address, err)
	}
	if int64(len(data)) > limit {
		return nil, fmt.Errorf("%s has more than %d bytes", address, limit)
	}
	return data, nil
}
