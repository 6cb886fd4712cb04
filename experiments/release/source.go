package release

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"helm.sh/helm/v3/pkg/action"
	"helm.sh/helm/v3/pkg/chart"
	"helm.sh/helm/v3/pkg/chart/loader"
	"oras.land/oras-go/v2/registry/remote/auth"

	"github.com/compspec/ocifit-lab/provision/step"
)

const (
	// fetchTime is the deadline of a chart's download whose context has none.
	fetchTime = 2 * time.Minute
	// maxArchive and maxIndex bound what a server may send.
	maxArchive = 32 << 20
	maxIndex   = 64 << 20
)

// Options say how charts are fetched.
type Options struct {
	// Dir is the folder that relative paths start at; empty is the working folder.
	Dir string
	// PlainHTTP lists the registries (host:port) that are spoken to without TLS.
	PlainHTTP []string
	// Credential returns what a registry is asked with; nil asks without credentials.
	Credential auth.CredentialFunc
	// HTTPClient does the requests; nil means http.DefaultClient.
	HTTPClient *http.Client
}

// Loaded is a chart and what identifies its content.
type Loaded struct {
	*chart.Chart
	// Digest is "sha256:" and hex digits: of the manifest of a chart from a registry, of the archive of one from a chart
	// repository or a file, and of all files of one from a folder or the program itself.
	Digest string
}

// LoadFrom reads a chart from where a study says it is:
//
//	./folder or ./file.tgz
//	oci://registry/repository/name:version, or with @sha256:... at the end
//	https://repository.example/path/name@version
//
// A chart must bring its dependencies along, and be pinned to a version, so that a study means the same tomorrow.
func LoadFrom(ctx context.Context, source string, o Options) (*Loaded, error) {
	if _, ok := ctx.Deadline(); !ok {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, fetchTime)
		defer cancel()
	}
	var ch *Loaded
	var err error
	switch scheme, _, _ := strings.Cut(source, "://"); {
	case source == "":
		err = errors.New("no source is given")
	case scheme == "oci":
		ch, err = fromRegistry(ctx, strings.TrimPrefix(source, "oci://"), o)
	case scheme == "https", scheme == "http":
		ch, err = fromRepository(ctx, source, o)
	case scheme != source:
		err = step.Try(fmt.Errorf("%s:// is no source of charts", scheme), "name a folder, oci://registry/repository/name:version or https://repository/name@version")
	default:
		ch, err = fromPath(source, o)
	}
	if err == nil {
		err = complete(ch.Chart)
	}
	if err != nil {
		return nil, fmt.Errorf("chart %s: %w", source, err)
	}
	return ch, nil
}

// LoadFS is Load with the digest of the files.
func LoadFS(fsys fs.FS) (*Loaded, error) {
	ch, err := Load(fsys)
	if err != nil {
		return nil, err
	}
	return &Loaded{ch, filesDigest(ch.Raw)}, complete(ch)
}

func fromPath(path string, o Options) (*Loaded, error) {
	if !filepath.IsAbs(path) {
		path = filepath.Join(o.Dir, path)
	}
	info, err := os.Stat(path)
	if err != nil {
		return nil, step.Try(err, "name a folder with a Chart.yaml; a path in a study starts at the study file's folder")
	}
	if info.IsDir() {
		ch, err := loader.LoadDir(path)
		if err != nil {
			return nil, err
		}
		return &Loaded{ch, filesDigest(ch.Raw)}, nil
	}
	if info.Size() > maxArchive {
		return nil, fmt.Errorf("%s has %d bytes, a chart at most %d", path, info.Size(), maxArchive)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	return fromArchive(data)
}

// fromArchive reads a packed chart; its digest is that of the archive.
func fromArchive(data []byte) (*Loaded, error) {
	ch, err := loader.LoadArchive(bytes.NewReader(data))
	if err != nil {
		return nil, fmt.Errorf("read archive: %w", err)
	}
	return &Loaded{ch, fmt.Sprintf("sha256:%x", sha256.Sum256(data))}, nil
}

// complete refuses a chart that cannot be installed as it is.
func complete(ch *chart.Chart) error {
	if err := ch.Validate(); err != nil {
		return err
	}
	if t := ch.Metadata.Type; t != "" && t != "application" {
		return fmt.Errorf("%s is a %s chart, which installs nothing", ch.Name(), t)
	}
	if err := action.CheckDependencies(ch, ch.Metadata.Dependencies); err != nil {
		return step.Try(fmt.Errorf("its dependencies did not come with it: %w", err), "run `helm dependency build` before it is packed or used")
	}
	return nil
}

// filesDigest does not depend on the order of files, nor on times and modes.
func filesDigest(files []*chart.File) string {
	files = slices.Clone(files)
	slices.SortFunc(files, func(a, b *chart.File) int { return strings.Compare(a.Name, b.Name) })
	h := sha256.New()
	for _, f := range files {
		fmt.Fprintf(h, "%s\x00%d\x00", f.Name, len(f.Data))
		h.Write(f.Data)
	}
	return fmt.Sprintf("sha256:%x", h.Sum(nil))
}
