package chart

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"net/url"
	"path"
	"strings"

	"helm.sh/helm/v3/pkg/repo"
	"sigs.k8s.io/yaml"

	"github.com/compspec/ocifit-lab/provision/step"
)

// fromRepository reads a chart from a repository with an index.yaml, by URL/name@version.
func fromRepository(ctx context.Context, source string, o Options) (*Chart, error) {
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
		return fromRegistry(ctx, archive, o)
	}
	if data, err = o.get(ctx, archive, maxSize); err != nil {
		return nil, fmt.Errorf("archive: %w", err)
	}
	if want := strings.TrimPrefix(entry.Digest, "sha256:"); want != "" && want != fmt.Sprintf("%x", sha256.Sum256(data)) {
		return nil, fmt.Errorf("archive %s has the digest %x, the repository's index says %s", archive, sha256.Sum256(data), want)
	}
	return FromArchive(data)
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
