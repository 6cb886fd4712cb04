// Package templates carries the files that a lab is made from: the instance-type catalogue, the trial's Helm
// chart and the studies.
package templates

import (
	"embed"
	"fmt"
	"io/fs"
	"path"
	"sort"
	"strings"
)

//go:embed catalogue.yaml studies/*.yaml all:charts
var files embed.FS

// Chart returns the files of the Helm chart that runs one trial of the named application.
func Chart(application string) (fs.FS, error) {
	if _, err := fs.Stat(files, path.Join("charts", application, "Chart.yaml")); err != nil {
		return nil, fmt.Errorf("no chart for application %q; known: %s", application, strings.Join(names("charts", ""), ", "))
	}
	return fs.Sub(files, path.Join("charts", application))
}

// Studies names the studies that ship with the program.
func Studies() []string { return names("studies", ".yaml") }

// Study returns the YAML of a shipped study.
func Study(name string) ([]byte, error) {
	data, err := files.ReadFile(path.Join("studies", name+".yaml"))
	if err != nil {
		return nil, fmt.Errorf("no study %q; known: %s", name, strings.Join(Studies(), ", "))
	}
	return data, nil
}

func names(dir, suffix string) []string {
	entries, err := files.ReadDir(dir)
	if err != nil {
		panic(err) // the folder is embedded; only a build without it gets here
	}
	var out []string
	for _, e := range entries {
		if name, ok := strings.CutSuffix(e.Name(), suffix); ok {
			out = append(out, name)
		}
	}
	sort.Strings(out)
	return out
}
