package chart

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"

	"helm.sh/helm/v3/pkg/action"
	"helm.sh/helm/v3/pkg/chart"
	"helm.sh/helm/v3/pkg/chart/loader"
	"helm.sh/helm/v3/pkg/chartutil"
)

// Chart is a Helm chart and what identifies its content.
type Chart struct {
	*chart.Chart
	// Digest is "sha256:" and hex digits: of the manifest of a chart from a registry, of the archive of one from a chart
	// repository or a file, and of all files of one from a folder or the program itself.
	Digest string
}

// FromFS reads a chart from a file system whose root holds its Chart.yaml.
func FromFS(fsys fs.FS) (*Chart, error) {
	var files []*loader.BufferedFile
	err := fs.WalkDir(fsys, ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := fs.ReadFile(fsys, path)
		if err != nil {
			return err
		}
		files = append(files, &loader.BufferedFile{Name: path, Data: data})
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read chart: %w", err)
	}
	ch, err := loader.LoadFiles(files)
	if err == nil {
		err = ch.Validate()
	}
	if err != nil {
		return nil, fmt.Errorf("load chart: %w", err)
	}
	return &Chart{ch, filesDigest(ch.Raw)}, nil
}

// FromArchive reads a packed chart; its digest is that of the archive.
func FromArchive(data []byte) (*Chart, error) {
	ch, err := loader.LoadArchive(bytes.NewReader(data))
	if err != nil {
		return nil, fmt.Errorf("read archive: %w", err)
	}
	return &Chart{ch, fmt.Sprintf("sha256:%x", sha256.Sum256(data))}, nil
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

// Target says what a chart is rendered for.
type Target struct {
	Release, Namespace string
	// KubeVersion is the version of the cluster, such as v1.34.2; empty is the one that the Helm library was made with.
	KubeVersion string
	// Definitions adds the chart's definitions of custom resources.
	Definitions bool
}

// Render gives the manifests that an installation would apply, without a cluster and without the chart's hooks. Values that
// the chart's schema refuses are an error. The chart and the values are not changed.
func (c *Chart) Render(values map[string]any, to Target) (string, error) {
	if c == nil {
		return "", errors.New("render: there is no chart")
	}
	install := action.NewInstall(&action.Configuration{Log: func(string, ...any) {}})
	install.ReleaseName, install.Namespace = to.Release, to.Namespace
	install.ClientOnly, install.DryRun, install.IncludeCRDs = true, true, to.Definitions
	if to.KubeVersion != "" {
		version, err := chartutil.ParseKubeVersion(to.KubeVersion)
		if err != nil {
			return "", fmt.Errorf("render chart %s: version of the cluster: %w", c.Name(), err)
		}
		install.KubeVersion = version
	}
	rel, err := install.Run(c.Copy(), Plain(values))
	if err != nil {
		return "", fmt.Errorf("render chart %s as release %s: %w", c.Name(), to.Release, err)
	}
	return rel.Manifest, nil
}
