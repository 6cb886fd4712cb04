package templates

import (
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"
)

// GenericChart is the chart that runs any application that a file describes.
const GenericChart = "generic"

// HasChart tells whether an application has a chart of its own.
func HasChart(application string) bool {
	_, err := fs.Stat(files, path.Join("charts", application, "Chart.yaml"))
	return err == nil
}

// Chart returns the files of the Helm chart that runs one trial of the named application, with the library chart that all of
// them depend on in place, so that it can be loaded as it is.
func Chart(application string) (fs.FS, error) {
	if _, err := fs.Stat(files, path.Join("charts", application, "Chart.yaml")); err != nil {
		return nil, fmt.Errorf("no chart for application %q; known: %s", application, strings.Join(names("charts", ""), ", "))
	}
	chart, err := fs.Sub(files, path.Join("charts", application))
	if err != nil {
		return nil, err
	}
	libraries, err := fs.Sub(files, "library")
	if err != nil {
		return nil, err
	}
	return vendored{chart, libraries}, nil
}

// vendored is a chart whose folder charts holds its libraries.
type vendored struct{ chart, libraries fs.FS }

const vendor = "charts"

// Open implements fs.FS.
func (v vendored) Open(name string) (fs.File, error) {
	if name == vendor {
		return v.libraries.Open(".")
	}
	if rest, ok := strings.CutPrefix(name, vendor+"/"); ok {
		return v.libraries.Open(rest)
	}
	return v.chart.Open(name)
}

// ReadDir implements fs.ReadDirFS.
func (v vendored) ReadDir(name string) ([]fs.DirEntry, error) {
	if name == vendor {
		return fs.ReadDir(v.libraries, ".")
	}
	if rest, ok := strings.CutPrefix(name, vendor+"/"); ok {
		return fs.ReadDir(v.libraries, rest)
	}
	entries, err := fs.ReadDir(v.chart, name)
	if err != nil || name != "." {
		return entries, err
	}
	info, err := fs.Stat(v.libraries, ".")
	if err != nil {
		return nil, err
	}
	entries = append(entries, renamed{fs.FileInfoToDirEntry(info)})
	slices.SortFunc(entries, func(a, b fs.DirEntry) int { return strings.Compare(a.Name(), b.Name()) })
	return entries, nil
}

// renamed is the libraries' folder under the name that Helm expects.
type renamed struct{ fs.DirEntry }

func (renamed) Name() string { return vendor }
