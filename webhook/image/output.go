package image

import (
	"archive/tar"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"

	"github.com/opencontainers/image-spec/specs-go"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"oras.land/oras-go/v2"
	"oras.land/oras-go/v2/registry"
	"oras.land/oras-go/v2/registry/remote"
	"oras.land/oras-go/v2/registry/remote/auth"
)

// Registry says how a registry is reached.
type Registry struct {
	// PlainHTTP lists the registries (host or host:port) that are reached without TLS.
	PlainHTTP  []string
	Credential auth.CredentialFunc
}

// Push copies the image to a registry and returns the digest it has there, which is the same.
func (i *Image) Push(ctx context.Context, ref string, o Registry) (string, error) {
	r, err := registry.ParseReference(ref)
	if err != nil {
		return "", fmt.Errorf("%q is not an image reference: %w; write registry/repository:tag", ref, err)
	}
	if _, err := r.Digest(); err == nil {
		return "", fmt.Errorf("%q names a digest; push to a tag", ref)
	}
	repo, err := remote.NewRepository(r.Registry + "/" + r.Repository)
	if err != nil {
		return "", err
	}
	repo.PlainHTTP = slices.Contains(o.PlainHTTP, r.Registry)
	repo.Client = &auth.Client{Client: &http.Client{}, Cache: auth.NewCache(), Credential: o.Credential, ClientID: "ocifit-lab"}
	d, err := oras.Copy(ctx, i.store, i.Tag, repo, r.ReferenceOrDefault(), oras.DefaultCopyOptions)
	if err != nil {
		return "", fmt.Errorf("push %s: %w", ref, err)
	}
	return d.Digest.String(), nil
}

// dockerManifest is docker's own description inside an archive.
type dockerManifest struct {
	Config   string
	RepoTags []string
	Layers   []string
}

// Archive writes the image to a tar file that `docker load`, `ctr image import` and `kind load image-archive` read, under
// the given name. Docker without containerd's store reads the first architecture only. The file appears when complete.
func (i *Image) Archive(ctx context.Context, file, name string) (err error) {
	tmp, err := os.CreateTemp(filepath.Dir(file), "."+filepath.Base(file)+"-")
	if err != nil {
		return fmt.Errorf("image archive: %w", err)
	}
	defer func() {
		if err != nil {
			err = fmt.Errorf("image archive: %w", err)
			os.Remove(tmp.Name())
		}
	}()
	if err := errors.Join(i.writeArchive(ctx, tmp, name), tmp.Chmod(0o644), tmp.Close()); err != nil {
		return err
	}
	return os.Rename(tmp.Name(), file)
}

func (i *Image) writeArchive(ctx context.Context, to io.Writer, name string) error {
	root := i.root
	root.Annotations = map[string]string{ocispec.AnnotationRefName: name, "io.containerd.image.name": name}
	index, err := json.Marshal(ocispec.Index{
		Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: ocispec.MediaTypeImageIndex, Manifests: []ocispec.Descriptor{root},
	})
	if err != nil {
		return err
	}
	blobs := []ocispec.Descriptor{i.root}
	var docker []dockerManifest
	for n, d := range i.manifests {
		m, err := i.manifest(ctx, d)
		if err != nil {
			return err
		}
		blobs = append(append(blobs, d, m.Config), m.Layers...)
		if n == 0 {
			docker = append(docker, dockerManifest{Config: blob(m.Config.Digest), RepoTags: []string{name}, Layers: []string{blob(m.Layers[0].Digest)}})
		}
	}
	list, err := json.Marshal(docker)
	if err != nil {
		return err
	}
	t := tar.NewWriter(to)
	for _, f := range []struct {
		name string
		data []byte
	}{{"oci-layout", []byte(`{"imageLayoutVersion":"1.0.0"}`)}, {"index.json", index}, {"manifest.json", list}} {
		if err := add(t, f.name, 0o644, f.data); err != nil {
			return err
		}
	}
	seen := map[string]bool{}
	for _, d := range blobs {
		path := blob(d.Digest)
		if seen[path] {
			continue
		}
		seen[path] = true
		if err := addFile(ctx, t, path, filepath.Join(i.Dir, path)); err != nil {
			return err
		}
	}
	return t.Close()
}

func (i *Image) manifest(ctx context.Context, d ocispec.Descriptor) (ocispec.Manifest, error) {
	var m ocispec.Manifest
	r, err := i.store.Fetch(ctx, d)
	if err != nil {
		return m, err
	}
	defer r.Close()
	return m, json.NewDecoder(r).Decode(&m)
}
