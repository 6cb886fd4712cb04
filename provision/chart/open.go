package chart

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"helm.sh/helm/v3/pkg/action"
	"helm.sh/helm/v3/pkg/chart"
	"helm.sh/helm/v3/pkg/chart/loader"
	"helm.sh/helm/v3/pkg/chartutil"

	"github.com/compspec/ocifit-lab/provision/step"
)

// fetchTime is the deadline of a chart's download whose context has none.
const fetchTime = 5 * time.Minute

// Open reads a chart from where a study says it is:
//
//	./folder or ./file.tgz
//	oci://registry/repository/name:version, or with @sha256:... at the end
//	https://repository.example/path/name@version
//
// A chart must bring its dependencies along, and be pinned to a version, so that a study means the same tomorrow.
func Open(ctx context.Context, source string, o Options) (*Chart, error) {
	if _, ok := ctx.Deadline(); !ok {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, fetchTime)
		defer cancel()
	}
	var ch *Chart
	var err error
	switch scheme, _, _ := strings.Cut(source, "://"); {
	case source == "":
		err = errors.New("no source is given")
	case scheme == "oci":
		ch, err = fromRegistry(ctx, source, o)
	case scheme == "https", scheme == "http":
		ch, err = fromRepository(ctx, source, o)
	case scheme != source:
		err = step.Try(fmt.Errorf("%s:// is no source of charts", scheme), "name a folder, oci://registry/repository/name:version or https://repository/name@version")
	default:
		ch, err = fromPath(source, o)
	}
	if err == nil {
		err = ch.complete()
	}
	if err != nil {
		return nil, fmt.Errorf("chart %s: %w", source, err)
	}
	return ch, nil
}

// fromRegistry reads a chart by its oci:// reference.
func fromRegistry(ctx context.Context, source string, o Options) (*Chart, error) {
	p, err := o.pull(ctx, strings.TrimPrefix(source, "oci://"), "")
	if err != nil {
		return nil, err
	}
	ch, err := FromArchive(p.archive)
	if err != nil {
		return nil, err
	}
	ch.Digest = p.manifest
	return ch, nil
}

func fromPath(path string, o Options) (*Chart, error) {
	if !filepath.IsAbs(path) {
		path = filepath.Join(o.Dir, path)
	}
	info, err := os.Stat(path)
	if err != nil {
		return nil, step.Try(err, "name a folder with a Chart.yaml; a path in a study starts at the study file's folder")
	}
	if info.IsDir() {
		ch, files, err := loadFolder(path)
		if err != nil {
			return nil, err
		}
		return &Chart{ch, filesDigest(files)}, nil
	}
	if info.Size() > maxSize {
		return nil, fmt.Errorf("%s has %d bytes, a chart at most %d", path, info.Size(), maxSize)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	return FromArchive(data)
}

// loadFolder reads a chart's folder, and from the folders beside it the dependencies that it names by file:// and that were not put into
// its charts folder, as `helm dependency build` would: these come as they are, without dependencies of their own. The files are those of all.
func loadFolder(path string) (*chart.Chart, []*chart.File, error) {
	ch, err := loader.LoadDir(path) // heeds .helmignore, which FromFS need not
	if err != nil {
		return nil, nil, err
	}
	files := slices.Clone(ch.Raw)
	if ch.Metadata == nil {
		return ch, files, nil
	}
	for _, d := range ch.Metadata.Dependencies {
		folder, beside := strings.CutPrefix(d.Repository, "file://")
		if !beside || slices.ContainsFunc(ch.Dependencies(), func(have *chart.Chart) bool { return have.Name() == d.Name }) {
			continue
		}
		if !filepath.IsAbs(folder) {
			folder = filepath.Join(path, folder)
		}
		sub, err := loader.LoadDir(folder)
		if err != nil {
			return nil, nil, step.Try(fmt.Errorf("dependency %s in %s: %w", d.Name, folder, err), "put its folder there, or run `helm dependency build`")
		}
		if sub.Name() != d.Name || !chartutil.IsCompatibleRange(d.Version, sub.Metadata.Version) {
			return nil, nil, fmt.Errorf("dependency %s %s: in %s is %s %s", d.Name, d.Version, folder, sub.Name(), sub.Metadata.Version)
		}
		ch.AddDependency(sub)
		for _, f := range sub.Raw {
			files = append(files, &chart.File{Name: "charts/" + d.Name + "/" + f.Name, Data: f.Data})
		}
	}
	return ch, files, nil
}

// complete refuses a chart that cannot be installed as it is.
func (c *Chart) complete() error {
	if err := c.Validate(); err != nil {
		return err
	}
	if t := c.Metadata.Type; t != "" && t != "application" {
		return fmt.Errorf("%s is a %s chart, which installs nothing", c.Name(), t)
	}
	if err := action.CheckDependencies(c.Chart, c.Metadata.Dependencies); err != nil {
		return step.Try(fmt.Errorf("its dependencies did not come with it: %w", err), "run `helm dependency build` before it is packed or used")
	}
	return nil
}
