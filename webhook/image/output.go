package image

import (
	"archive/tar"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"path"
	"path/filepath"
	"slices"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"oras.land/oras-go/v2"
	"oras.land/oras-go/v2/content/oci"
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
	store, err := oci.NewWithContext(ctx, i.dir)
	if err != nil {
		return "", fmt.Errorf("push %s: %w", ref, err)
	}
	d, err := oras.Copy(ctx, store, i.Digest, repo, r.ReferenceOrDefault(), oras.DefaultCopyOptions)
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
// the given name: the layout with docker's description beside it. Docker without containerd's store reads the first
// architecture only. The file appears when complete.
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
	if err := i.write(name); err != nil {
		return err
	}
	t := tar.NewWriter(tmp)
	if err := i.addAll(ctx, t, name); err != nil {
		return errors.Join(err, tmp.Close())
	}
	if err := errors.Join(t.Close(), tmp.Chmod(0o644), tmp.Close()); err != nil {
		return err
	}
	return os.Rename(tmp.Name(), file)
}

// addAll adds docker's description, then the files of the layout.
func (i *Image) addAll(ctx context.Context, t *tar.Writer, name string) error {
	list, err := i.describe(name)
	if err != nil {
		return err
	}
	if err := add(t, "manifest.json", list); err != nil {
		return err
	}
	return fs.WalkDir(os.DirFS(i.dir), ".", func(p string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		return addFile(ctx, t, p, filepath.Join(i.dir, filepath.FromSlash(p)))
	})
}

// describe is docker's description of the first architecture.
func (i *Image) describe(name string) ([]byte, error) {
	m, err := i.images[0].Manifest()
	if err != nil {
		return nil, err
	}
	d := dockerManifest{Config: blob(m.Config.Digest), RepoTags: []string{name}}
	for _, l := range m.Layers {
		d.Layers = append(d.Layers, blob(l.Digest))
	}
	return json.Marshal([]dockerManifest{d})
}

// blob is the path of a blob inside a layout.
func blob(h v1.Hash) string { return path.Join("blobs", h.Algorithm, h.Hex) }
