// Package source brings charts and manifests from OCI registries, from HTTP, from files and from bundles, and checks that they are
// what was pinned.
package source

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"oras.land/oras-go/v2/content"
	"oras.land/oras-go/v2/errdef"
	"oras.land/oras-go/v2/registry/remote"
	"oras.land/oras-go/v2/registry/remote/auth"
	"oras.land/oras-go/v2/registry/remote/errcode"

	"github.com/compspec/ocifit-lab/provision/step"
)

const (
	// maxSize bounds a chart or manifest; the largest that is pinned has 1 MB.
	maxSize = 16 << 20
	// chartLayer is the media type of a chart's archive in a registry.
	chartLayer = "application/vnd.cncf.helm.chart.content.v1.tar+gzip"
	// attempts is how often something is asked for that a server or the network refuses for the moment.
	attempts = 4
)

// ErrDigest says that a source holds something else than what was pinned.
var ErrDigest = errors.New("the digest is not the pinned one")

// Ref names a chart or a manifest.
type Ref struct {
	// Location is an oci:// reference without tag, an http(s):// address, or a file.
	Location string
	// Version is the tag at an oci:// reference.
	Version string
	// Digest pins the content; empty accepts what is there, and the caller has to remember it.
	Digest string
}

// Options say how sources are reached. The zero value goes to the internet.
type Options struct {
	// Mirrors lists, by host, what is asked before it: host[:port] with a path if it has one.
	Mirrors map[string][]string
	// PlainHTTP lists the hosts that are spoken to without TLS.
	PlainHTTP []string
	// BundleFile, when given, is a bundle that is asked instead of all of them.
	BundleFile string
	// Pause is the time before something is tried again; 0 is a second. It doubles each time.
	Pause time.Duration
	// TLS is for servers with certificates of their own.
	TLS *tls.Config
}

// Content is what a source holds.
type Content struct {
	Data   []byte
	Digest string
	// From is the place that gave it.
	From string
}

// Chart tells whether the content is a chart's archive; otherwise it is a manifest.
func (c Content) Chart() bool { return len(c.Data) > 2 && c.Data[0] == 0x1f && c.Data[1] == 0x8b }

// Fetch brings the content of a reference and checks its digest.
func Fetch(ctx context.Context, ref Ref, o Options) (Content, error) {
	if o.BundleFile != "" {
		bundle, err := OpenBundle(ctx, o.BundleFile)
		if err != nil {
			return Content{}, err
		}
		data, err := bundle.Chart(ctx, ref)
		if err != nil {
			return Content{}, err
		}
		return check(ref, data, o.BundleFile)
	}
	var errs []error
	for _, place := range o.places(ref.Location) {
		data, err := o.patiently(ctx, func() ([]byte, error) { return o.fetch(ctx, place, ref.Version) })
		if err == nil {
			return check(ref, data, place)
		}
		errs = append(errs, fmt.Errorf("%s: %w", place, err))
		if ctx.Err() != nil {
			break
		}
	}
	return Content{}, step.Try(errors.Join(errs...), "check the network, name a mirror (--chart-mirror HOST=MIRROR), or bring it along (--bundle, see `ocifit-lab bundle create`)")
}

func check(ref Ref, data []byte, from string) (Content, error) {
	got := digest.FromBytes(data).String()
	if ref.Digest != "" && got != ref.Digest {
		return Content{}, step.Try(fmt.Errorf("%w: %s %s has %s, pinned is %s; nothing was installed", ErrDigest, from, ref.Version, got, ref.Digest),
			"find out why it changed; to accept it, name the new digest as components.charts in lab.yaml")
	}
	return Content{Data: data, Digest: got, From: from}, nil
}

// places are the location at the mirrors of its host, and then itself.
func (o Options) places(location string) []string {
	u, err := url.Parse(location)
	if err != nil || u.Host == "" {
		return []string{location}
	}
	var list []string
	for _, m := range o.Mirrors[u.Host] {
		scheme := u.Scheme
		if s, rest, ok := strings.Cut(m, "://"); ok {
			m = rest
			if scheme != "oci" {
				scheme = s
			}
		}
		host, prefix, _ := strings.Cut(m, "/")
		list = append(list, (&url.URL{Scheme: scheme, Host: host, Path: path.Join("/", prefix, u.Path), RawQuery: u.RawQuery}).String())
	}
	return append(list, location)
}

// patiently tries again what a server or the network refuses for the moment.
func (o Options) patiently(ctx context.Context, do func() ([]byte, error)) ([]byte, error) {
	pause := o.Pause
	if pause == 0 {
		pause = time.Second
	}
	for try := 1; ; try++ {
		data, err := do()
		var final permanent
		if err == nil || try == attempts || errors.As(err, &final) || ctx.Err() != nil {
			return data, err
		}
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("%w; last seen: %w", ctx.Err(), err)
		case <-time.After(pause):
			pause *= 2
		}
	}
}

// permanent is an answer that does not change by asking again.
type permanent struct{ error }

func (p permanent) Unwrap() error { return p.error }

func (o Options) fetch(ctx context.Context, place, version string) ([]byte, error) {
	switch scheme, rest, _ := strings.Cut(place, "://"); scheme {
	case "oci":
		return o.oci(ctx, rest, version)
	case "http", "https":
		return o.http(ctx, place)
	}
	data, err := os.ReadFile(place)
	if err != nil {
		return nil, permanent{err}
	}
	return data, nil
}

func (o Options) client() *http.Client {
	t := http.DefaultTransport.(*http.Transport).Clone()
	t.TLSClientConfig = o.TLS
	return &http.Client{Transport: t, Timeout: 2 * time.Minute}
}

func (o Options) http(ctx context.Context, address string) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return nil, permanent{err}
	}
	resp, err := o.client().Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		err := fmt.Errorf("the server answers %s", resp.Status)
		if resp.StatusCode >= 400 && resp.StatusCode < 500 && resp.StatusCode != http.StatusTooManyRequests {
			return nil, permanent{err}
		}
		return nil, err
	}
	data, err := io.ReadAll(io.LimitReader(resp.Body, maxSize+1))
	if err == nil && len(data) > maxSize {
		err = permanent{fmt.Errorf("it is larger than %d MiB", maxSize>>20)}
	}
	return data, err
}

func (o Options) oci(ctx context.Context, name, version string) ([]byte, error) {
	repo, err := remote.NewRepository(name)
	if err != nil {
		return nil, permanent{err}
	}
	repo.PlainHTTP = slices.Contains(o.PlainHTTP, repo.Reference.Registry)
	repo.Client = &auth.Client{Client: o.client(), Cache: auth.NewCache()}
	// Tags know no plus sign; Helm writes an underscore for it.
	manifest, err := repo.Resolve(ctx, strings.ReplaceAll(version, "+", "_"))
	if err != nil {
		return nil, refused(err)
	}
	text, err := content.FetchAll(ctx, repo, manifest)
	if err != nil {
		return nil, refused(err)
	}
	var m ocispec.Manifest
	if err := json.Unmarshal(text, &m); err != nil {
		return nil, permanent{fmt.Errorf("its manifest: %w", err)}
	}
	i := slices.IndexFunc(m.Layers, func(d ocispec.Descriptor) bool { return d.MediaType == chartLayer })
	if i < 0 {
		return nil, permanent{errors.New("it is no Helm chart: no layer of type " + chartLayer)}
	}
	if m.Layers[i].Size > maxSize {
		return nil, permanent{fmt.Errorf("it is larger than %d MiB", maxSize>>20)}
	}
	data, err := content.FetchAll(ctx, repo, m.Layers[i])
	return data, refused(err)
}

// refused tells a registry's final answer from one that may change.
func refused(err error) error {
	var answer *errcode.ErrorResponse
	if errors.Is(err, errdef.ErrNotFound) || errors.As(err, &answer) && answer.StatusCode < 500 && answer.StatusCode != http.StatusTooManyRequests {
		return permanent{err}
	}
	return err
}
