// Package chart brings Helm charts and manifests from registries, repositories, files and bundles, checks that they are what was
// pinned, and renders them with merged values.
package chart

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path"
	"strings"
	"time"

	"github.com/hashicorp/go-multierror"
	"github.com/opencontainers/go-digest"
	"k8s.io/apimachinery/pkg/util/wait"
	"oras.land/oras-go/v2/registry/remote/auth"

	"github.com/compspec/ocifit-lab/provision/step"
)

const (
	// maxSize bounds a chart or manifest; the largest that is pinned has 1 MB.
	maxSize = 32 << 20
	// maxIndex bounds the index of a repository; those of some have many thousand versions.
	maxIndex = 64 << 20
	// attempts is how often something is asked for that a server or the network refuses for the moment.
	attempts = 4
	// answerTime is how long a server may take for one answer.
	answerTime = 2 * time.Minute
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
	// Dir is the folder that relative paths start at; empty is the working folder.
	Dir string
	// Mirrors lists, by host, what is asked before it: host[:port] with a path if it has one.
	Mirrors map[string][]string
	// PlainHTTP lists the registries (host[:port]) that are spoken to without TLS.
	PlainHTTP []string
	// Credential returns what a registry is asked with; nil asks without credentials.
	Credential auth.CredentialFunc
	// BundleFile, when given, is a bundle that Fetch asks instead of all of them.
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
	var errs *multierror.Error
	for _, place := range o.places(ref.Location) {
		data, err := o.fetch(ctx, place, ref.Version)
		if err == nil {
			return check(ref, data, place)
		}
		errs = multierror.Append(errs, fmt.Errorf("%s: %w", place, err))
		if ctx.Err() != nil {
			break
		}
	}
	return Content{}, step.Try(step.Listed(errs), "check the network, name a mirror (--chart-mirror HOST=MIRROR), or bring it along (--bundle, see `ocifit-lab bundle create`)")
}

func check(ref Ref, data []byte, from string) (Content, error) {
	got := digest.FromBytes(data).String()
	if ref.Digest != "" && got != ref.Digest {
		return Content{}, step.Try(fmt.Errorf("%w: %s %s has %s, pinned is %s; nothing was installed", ErrDigest, from, ref.Version, got, ref.Digest),
			"find out why it changed; to accept it, name the new digest as components.charts in lab.yaml")
	}
	return Content{Data: data, Digest: got, From: from}, nil
}

func (o Options) fetch(ctx context.Context, place, version string) ([]byte, error) {
	switch scheme, rest, _ := strings.Cut(place, "://"); scheme {
	case "oci":
		pulled, err := o.pull(ctx, rest, version)
		return pulled.archive, err
	case "http", "https":
		return o.get(ctx, place, maxSize)
	}
	return os.ReadFile(place)
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

// retry asks again for what a server or the network refuses for the moment.
func (o Options) retry(ctx context.Context, ask func() error) error {
	backoff := wait.Backoff{Duration: cmp.Or(o.Pause, time.Second), Factor: 2, Steps: attempts}
	var seen error
	err := wait.ExponentialBackoffWithContext(ctx, backoff, func(context.Context) (bool, error) {
		seen = ask()
		if _, final := errors.AsType[finalError](seen); final {
			return false, seen
		}
		return seen == nil, nil
	})
	switch {
	case err == nil, seen == nil:
		return err
	case ctx.Err() != nil && !errors.Is(seen, ctx.Err()):
		return fmt.Errorf("%w; last seen: %w", ctx.Err(), seen)
	}
	return seen
}

// finalError is an answer that does not change by asking again.
type finalError struct{ error }

func (e finalError) Unwrap() error { return e.error }

func (o Options) client() *http.Client {
	t := http.DefaultTransport.(*http.Transport).Clone()
	t.TLSClientConfig = o.TLS
	return &http.Client{Transport: t, Timeout: answerTime}
}
