package chart

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"slices"

	"github.com/hashicorp/go-multierror"
	"github.com/opencontainers/image-spec/specs-go"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	helmregistry "helm.sh/helm/v3/pkg/registry"
	"oras.land/oras-go/v2"
	"oras.land/oras-go/v2/content"
	"oras.land/oras-go/v2/content/oci"
	"oras.land/oras-go/v2/registry"
	"oras.land/oras-go/v2/registry/remote"
	"oras.land/oras-go/v2/registry/remote/auth"

	"github.com/compspec/ocifit-lab/provision/step"
)

// What marks entries of a bundle's index: charts and manifests by where they come from, images by their name.
const (
	annotationChart   = "ocifit-lab.chart"
	annotationVersion = "ocifit-lab.version"
	annotationImage   = "io.containerd.image.name"
	mediaManifest     = "application/yaml"
	artifactChart     = "application/vnd.ocifit-lab.source.v1"
)

// Bundle is a tar file with an OCI layout that holds charts, manifests and images.
type Bundle struct {
	file  string
	store *oci.ReadOnlyStore
	index ocispec.Index
}

// Entry is one thing in a bundle.
type Entry struct {
	Name    string `json:"name"`
	Version string `json:"version,omitempty"`
	Image   bool   `json:"image"`
	Digest  string `json:"digest"`
}

// OpenBundle reads the index of a bundle.
func OpenBundle(ctx context.Context, file string) (*Bundle, error) {
	store, err := oci.NewFromTar(ctx, file)
	if err != nil {
		return nil, step.Try(fmt.Errorf("bundle %s: %w", file, err), "make it with `ocifit-lab bundle create --file %s`", file)
	}
	b := &Bundle{file: file, store: store}
	data, err := readFromTar(file, ocispec.ImageIndexFile)
	if err != nil {
		return nil, fmt.Errorf("bundle %s: %w", file, err)
	}
	if err := json.Unmarshal(data, &b.index); err != nil {
		return nil, fmt.Errorf("bundle %s: its index: %w", file, err)
	}
	return b, nil
}

// Entries lists what the bundle holds, in its order.
func (b *Bundle) Entries() []Entry {
	var list []Entry
	for _, d := range b.index.Manifests {
		switch {
		case d.Annotations[annotationImage] != "":
			list = append(list, Entry{Name: d.Annotations[annotationImage], Image: true, Digest: d.Digest.String()})
		case d.Annotations[annotationChart] != "":
			list = append(list, Entry{Name: d.Annotations[annotationChart], Version: d.Annotations[annotationVersion], Digest: d.Digest.String()})
		}
	}
	return list
}

// Chart returns a chart or manifest. Its blobs are verified by their digests.
func (b *Bundle) Chart(ctx context.Context, ref Ref) ([]byte, error) {
	i := slices.IndexFunc(b.index.Manifests, func(d ocispec.Descriptor) bool {
		return d.Annotations[annotationChart] == ref.Location && d.Annotations[annotationVersion] == ref.Version
	})
	if i < 0 {
		return nil, step.Try(fmt.Errorf("bundle %s has no %s %s", b.file, ref.Location, ref.Version), "make the bundle with the same lab.yaml")
	}
	text, err := content.FetchAll(ctx, b.store, b.index.Manifests[i])
	if err != nil {
		return nil, fmt.Errorf("bundle %s: %s: %w", b.file, ref.Location, err)
	}
	var m ocispec.Manifest
	if err := json.Unmarshal(text, &m); err != nil || len(m.Layers) != 1 {
		return nil, fmt.Errorf("bundle %s: %s is damaged", b.file, ref.Location)
	}
	data, err := content.FetchAll(ctx, b.store, m.Layers[0])
	if err != nil {
		return nil, fmt.Errorf("bundle %s: %s: %w", b.file, ref.Location, err)
	}
	return data, nil
}

// Writer collects charts, manifests and images into a bundle.
type Writer struct {
	dir   string
	store *oci.Store
	index ocispec.Index
}

// NewWriter begins a bundle in a folder, which the caller removes.
func NewWriter(dir string) (*Writer, error) {
	store, err := oci.New(dir)
	if err != nil {
		return nil, err
	}
	store.AutoSaveIndex = false
	return &Writer{dir: dir, store: store, index: ocispec.Index{Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: ocispec.MediaTypeImageIndex}}, nil
}

// AddChart puts a chart or manifest into the bundle.
func (w *Writer) AddChart(ctx context.Context, ref Ref, c Content) error {
	kind := mediaManifest
	if c.Chart() {
		kind = helmregistry.ChartLayerMediaType
	}
	layer := content.NewDescriptorFromBytes(kind, c.Data)
	there, err := w.store.Exists(ctx, layer)
	if err == nil && !there {
		layer, err = oras.PushBytes(ctx, w.store, kind, c.Data)
	}
	if err != nil {
		return err
	}
	manifest, err := oras.PackManifest(ctx, w.store, oras.PackManifestVersion1_1, artifactChart, oras.PackManifestOptions{
		Layers: []ocispec.Descriptor{layer}, ManifestAnnotations: map[string]string{ocispec.AnnotationCreated: "1970-01-01T00:00:00Z", annotationChart: ref.Location},
	})
	if err != nil {
		return err
	}
	manifest.Annotations = map[string]string{annotationChart: ref.Location, annotationVersion: ref.Version}
	w.index.Manifests = append(w.index.Manifests, manifest)
	return nil
}

// AddImage copies an image with the given platforms into the bundle and returns its digest. wanted, when given, has to be it.
func (w *Writer) AddImage(ctx context.Context, name, wanted string, o Options) (string, error) {
	ref, err := registry.ParseReference(name)
	if err != nil {
		return "", fmt.Errorf("image %s: %w", name, err)
	}
	var errs *multierror.Error
	for _, place := range o.imagePlaces(ref) {
		repo, err := remote.NewRepository(place.Registry + "/" + place.Repository)
		if err != nil {
			return "", err
		}
		repo.PlainHTTP = slices.Contains(o.PlainHTTP, place.Registry)
		repo.Client = &auth.Client{Client: o.client(), Cache: auth.NewCache()}
		from := place.Reference
		if wanted != "" {
			from = wanted
		}
		d, err := oras.Copy(ctx, repo, from, w.store, name, oras.DefaultCopyOptions)
		if err != nil {
			errs = multierror.Append(errs, fmt.Errorf("image %s from %s: %w", name, place.Registry, err))
			continue
		}
		d.Annotations = map[string]string{annotationImage: name, ocispec.AnnotationRefName: name}
		w.index.Manifests = append(w.index.Manifests, d)
		return d.Digest.String(), nil
	}
	return "", step.Try(step.Listed(errs), "check the network, or name a mirror (--registry-mirror REGISTRY=MIRROR)")
}

// imagePlaces are the image at the mirrors of its registry, and then itself.
func (o Options) imagePlaces(ref registry.Reference) []registry.Reference {
	var list []registry.Reference
	for _, place := range o.places("oci://" + ref.Registry + "/" + ref.Repository) {
		if r, err := registry.ParseReference(place[len("oci://"):]); err == nil {
			r.Reference = ref.ReferenceOrDefault()
			list = append(list, r)
		}
	}
	return list
}

// Save writes the bundle to a tar file, which appears when it is complete.
func (w *Writer) Save(file string) error {
	data, err := json.MarshalIndent(w.index, "", "  ")
	if err != nil {
		return err
	}
	if err := os.WriteFile(w.dir+"/"+ocispec.ImageIndexFile, data, 0o644); err != nil {
		return err
	}
	return packFolder(w.dir, file)
}

// Images writes the images of the bundle as an OCI layout that containerd imports, charts left out.
func (b *Bundle) Images(w io.Writer) error {
	index := b.index
	index.Manifests = nil
	for _, d := range b.index.Manifests {
		if d.Annotations[annotationImage] != "" {
			index.Manifests = append(index.Manifests, d)
		}
	}
	data, err := json.Marshal(index)
	if err != nil {
		return err
	}
	return copyTar(b.file, w, map[string][]byte{ocispec.ImageIndexFile: data})
}
