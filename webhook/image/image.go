// Package image builds a container image from static binaries, for one or more architectures, without a container
// engine: into an OCI layout, an archive that docker and containerd load, or a registry.
package image

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/specs-go"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"oras.land/oras-go/v2/content"
	"oras.land/oras-go/v2/content/oci"
)

// User is the user and group that the image runs as: nobody that exists on a node.
const User = "65532:65532"

// Options say what goes into an image.
type Options struct {
	// Binaries are static Linux executables, one per architecture; the image's program is called Name.
	Binaries []string
	Name     string
	// Cmd are the arguments when none are given.
	Cmd []string
	// Certificates is a PEM file with the authorities that TLS connections trust; empty: the first of the usual
	// places that exists on this machine, if any.
	Certificates string
	// Labels are put into the image's configuration.
	Labels map[string]string
}

// Image is a built image in an OCI layout folder.
type Image struct {
	// Dir is the folder, Tag the name inside it.
	Dir, Tag string
	// Digest of the manifest, or of the index when there are several architectures.
	Digest string
	// Platforms, e.g. linux/amd64, in the order of the binaries.
	Platforms []string
	// Size of all layers in bytes, compressed.
	Size int64

	store     *oci.Store
	root      ocispec.Descriptor
	manifests []ocispec.Descriptor
}

// tag is what an image is called inside its layout.
const tag = "latest"

// Build writes the image into a layout in the folder dir, which it makes. Equal binaries give equal digests.
func Build(ctx context.Context, dir string, o Options) (*Image, error) {
	if len(o.Binaries) == 0 || o.Name == "" || strings.ContainsAny(o.Name, "/\x00") {
		return nil, errors.New("an image needs a binary and a name for it")
	}
	store, err := oci.NewWithContext(ctx, dir)
	if err != nil {
		return nil, fmt.Errorf("image: %w", err)
	}
	img := &Image{Dir: dir, Tag: tag, store: store}
	for _, file := range o.Binaries {
		p, err := Inspect(file)
		if err != nil {
			return nil, err
		}
		platform := p.OS + "/" + p.Architecture
		for _, have := range img.Platforms {
			if have == platform {
				return nil, fmt.Errorf("two binaries are for %s; %s is the second", platform, file)
			}
		}
		d, err := img.add(ctx, file, p, o)
		if err != nil {
			return nil, fmt.Errorf("image for %s: %w", platform, err)
		}
		img.Platforms = append(img.Platforms, platform)
		img.manifests = append(img.manifests, d)
	}
	if img.root, err = img.join(ctx); err != nil {
		return nil, fmt.Errorf("image: %w", err)
	}
	img.Digest = img.root.Digest.String()
	if err := store.Tag(ctx, img.root, tag); err != nil {
		return nil, fmt.Errorf("image: %w", err)
	}
	return img, nil
}

// add writes layer, configuration and manifest of one architecture.
func (i *Image) add(ctx context.Context, file string, p ocispec.Platform, o Options) (ocispec.Descriptor, error) {
	layer, diffID, err := i.layer(ctx, file, o)
	if err != nil {
		return layer, err
	}
	i.Size += layer.Size
	config := ocispec.Image{
		Platform: p,
		Config: ocispec.ImageConfig{
			User: User, Entrypoint: []string{"/" + o.Name}, Cmd: o.Cmd, WorkingDir: "/", Labels: o.Labels,
			Env: []string{"PATH=/", "SSL_CERT_FILE=/" + certificatesPath},
		},
		RootFS: ocispec.RootFS{Type: "layers", DiffIDs: []digest.Digest{diffID}},
	}
	configDesc, err := i.pushJSON(ctx, ocispec.MediaTypeImageConfig, config)
	if err != nil {
		return configDesc, err
	}
	d, err := i.pushJSON(ctx, ocispec.MediaTypeImageManifest, ocispec.Manifest{
		Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: ocispec.MediaTypeImageManifest,
		Config: configDesc, Layers: []ocispec.Descriptor{layer},
	})
	d.Platform = &p
	return d, err
}

// layer writes the one layer to a temporary file first: its digest is its name.
func (i *Image) layer(ctx context.Context, file string, o Options) (ocispec.Descriptor, digest.Digest, error) {
	tmp, err := os.CreateTemp(i.Dir, ".layer-")
	if err != nil {
		return ocispec.Descriptor{}, "", err
	}
	defer os.Remove(tmp.Name())
	defer tmp.Close()
	d, diffID, err := writeLayer(ctx, tmp, file, o)
	if err != nil {
		return d, "", err
	}
	if _, err := tmp.Seek(0, 0); err != nil {
		return d, "", err
	}
	if there, err := i.store.Exists(ctx, d); err != nil || there {
		return d, diffID, err
	}
	return d, diffID, i.store.Push(ctx, d, tmp)
}

// join returns the manifest, or an index over several.
func (i *Image) join(ctx context.Context) (ocispec.Descriptor, error) {
	if len(i.manifests) == 1 {
		return i.manifests[0], nil
	}
	return i.pushJSON(ctx, ocispec.MediaTypeImageIndex, ocispec.Index{
		Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: ocispec.MediaTypeImageIndex, Manifests: i.manifests,
	})
}

func (i *Image) pushJSON(ctx context.Context, mediaType string, v any) (ocispec.Descriptor, error) {
	data, err := json.Marshal(v)
	if err != nil {
		return ocispec.Descriptor{}, err
	}
	d := content.NewDescriptorFromBytes(mediaType, data)
	there, err := i.store.Exists(ctx, d)
	if err != nil || there {
		return d, err
	}
	return d, i.store.Push(ctx, d, strings.NewReader(string(data)))
}

// blob is the path of a blob inside a layout.
func blob(d digest.Digest) string {
	return filepath.Join("blobs", d.Algorithm().String(), d.Encoded())
}
