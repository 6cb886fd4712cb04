// Package image builds a container image from static binaries, for one or more architectures, without a container
// engine: into an OCI layout, an archive that docker and containerd load, or a registry.
package image

import (
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/types"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// user is the user and group that the image runs as: nobody that exists on a node.
const user = "65532:65532"

// Options say what goes into an image.
type Options struct {
	// Binaries are static Linux executables, one per architecture; the image's program is called Name.
	Binaries []string
	Name     string
	// Cmd are the arguments when none are given.
	Cmd []string
	// Certificates is a PEM file with the authorities that TLS connections trust; empty: the first of the usual
	// files that exists on this machine, if any.
	Certificates string
	// Labels are put into the image's configuration.
	Labels map[string]string
}

// Image is a built image in an OCI layout folder.
type Image struct {
	// Digest of the manifest, or of the index when there are several architectures.
	Digest string
	// Platforms, e.g. linux/amd64, in the order of the binaries.
	Platforms []string
	// Size of all layers in bytes, compressed.
	Size int64

	dir  string // of the layout
	root mutate.Appendable
	// images has one image per platform.
	images []v1.Image
}

// Build writes the image into a layout in the folder dir, which it makes. Equal binaries give equal digests.
func Build(ctx context.Context, dir string, o Options) (*Image, error) {
	if len(o.Binaries) == 0 || o.Name == "" || strings.ContainsAny(o.Name, "/\x00") {
		return nil, errors.New("an image needs a binary and a name for it")
	}
	img := &Image{dir: dir}
	index := mutate.IndexMediaType(empty.Index, types.OCIImageIndex)
	for _, file := range o.Binaries {
		p, err := Inspect(file)
		if err != nil {
			return nil, err
		}
		platform := p.String()
		if slices.Contains(img.Platforms, platform) {
			return nil, fmt.Errorf("two binaries are for %s; %s is the second", platform, file)
		}
		one, err := o.image(ctx, file, p)
		if err != nil {
			return nil, fmt.Errorf("image for %s: %w", platform, err)
		}
		layers, err := one.Layers()
		if err != nil {
			return nil, fmt.Errorf("image for %s: %w", platform, err)
		}
		for _, l := range layers {
			n, err := l.Size()
			if err != nil {
				return nil, fmt.Errorf("image for %s: %w", platform, err)
			}
			img.Size += n
		}
		img.Platforms, img.images = append(img.Platforms, platform), append(img.images, one)
		index = mutate.AppendManifests(index, mutate.IndexAddendum{Add: one, Descriptor: v1.Descriptor{Platform: &p}})
	}
	if img.root = index; len(img.images) == 1 {
		img.root = img.images[0]
	}
	digest, err := img.root.Digest()
	if err != nil {
		return nil, fmt.Errorf("image: %w", err)
	}
	img.Digest = digest.String()
	return img, img.write("latest")
}

// image describes the image of one architecture. Its layer is made from the binary whenever it is read.
func (o Options) image(ctx context.Context, file string, p v1.Platform) (v1.Image, error) {
	layer, err := tarball.LayerFromOpener(func() (io.ReadCloser, error) { return o.contents(ctx, file), nil },
		tarball.WithMediaType(types.OCILayer), tarball.WithCompressionLevel(gzip.BestSpeed))
	if err != nil {
		return nil, err
	}
	base := mutate.ConfigMediaType(mutate.MediaType(empty.Image, types.OCIManifestSchema1), types.OCIConfigJSON)
	img, err := mutate.ConfigFile(base, &v1.ConfigFile{
		OS: p.OS, Architecture: p.Architecture, Created: v1.Time{Time: epoch},
		Config: v1.Config{
			User: user, Entrypoint: []string{"/" + o.Name}, Cmd: o.Cmd, WorkingDir: "/", Labels: o.Labels,
			Env: []string{"PATH=/", "SSL_CERT_FILE=/" + certificatesPath},
		},
		RootFS: v1.RootFS{Type: "layers"},
	})
	if err != nil {
		return nil, err
	}
	return mutate.AppendLayers(img, layer)
}

// write puts the image into the layout, under a name.
func (i *Image) write(name string) error {
	index := mutate.AppendManifests(mutate.IndexMediaType(empty.Index, types.OCIImageIndex), mutate.IndexAddendum{
		Add:        i.root,
		Descriptor: v1.Descriptor{Annotations: map[string]string{ocispec.AnnotationRefName: name, "io.containerd.image.name": name}},
	})
	if _, err := layout.Write(i.dir, index); err != nil {
		return fmt.Errorf("image: %w", err)
	}
	return nil
}
