// Package templates carries the files that a lab is made from: the instance-type catalogue, the trials'
// Helm charts and the studies.
package templates

import (
	"embed"
	"fmt"
	"path"
	"sort"
	"strings"
)

//go:embed catalogue.yaml studies/*.yaml applications/*.yaml all:charts all:library
var files embed.FS

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

// Applications names the applications that ship with the program.
func Applications() []string { return names("applications", ".yaml") }

// Application returns the YAML of a shipped application.
func Application(name string) ([]byte, error) {
	data, err := files.ReadFile(path.Join("applications", name+".yaml"))
	if err != nil {
		return nil, fmt.Errorf("no application %q; known: %s", name, strings.Join(Applications(), ", "))
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
