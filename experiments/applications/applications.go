// Package applications finds an application by its name or its file, and reads and rehearses whatever it is.
package applications

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/compspec/ocifit-lab/experiments/application"
	"github.com/compspec/ocifit-lab/experiments/application/described"
	"github.com/compspec/ocifit-lab/experiments/application/hpcg"
	"github.com/compspec/ocifit-lab/experiments/application/stream"
	"github.com/compspec/ocifit-lab/templates"
)

// Application is one that was found.
type Application struct {
	*described.File
	Source string // of the file; "built in" for those that ship
	Text   string // of the file
}

// parsers are those that files name instead of patterns.
var parsers = map[string]struct {
	application.Parser
	read func(r io.Reader, iterations int) (*described.Reading, error)
}{"hpcg": {hpcg.Parser{}, readHPCG}}

// Find returns the application that ships under the name, or the one of a file: what ends in .yaml or has a slash is a file, which a
// relative path starts from dir.
func Find(nameOrFile, dir string) (*Application, error) {
	if !IsFile(nameOrFile) {
		data, err := templates.Application(nameOrFile)
		if err != nil {
			return nil, fmt.Errorf("%w; a file of your own is named by its path, such as ./%s.yaml", err, nameOrFile)
		}
		return load(data, nameOrFile+".yaml", "built in")
	}
	path := nameOrFile
	if !filepath.IsAbs(path) {
		path = filepath.Join(dir, path)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("application file: %w", err)
	}
	return load(data, path, path)
}

// IsFile tells the path of an application file from an application's name.
func IsFile(text string) bool {
	return strings.ContainsAny(text, `/\`) || strings.HasSuffix(text, ".yaml") || strings.HasSuffix(text, ".yml")
}

func load(data []byte, file, source string) (*Application, error) {
	f, err := described.Load(data, file)
	if err != nil {
		return nil, err
	}
	if name := f.Log.Parser; name != "" {
		if _, known := parsers[name]; !known {
			return nil, &described.Error{File: file, Field: "log.parser", Problem: fmt.Sprintf("no parser is named %q: there is hpcg; leave it out to read the log by patterns", name)}
		}
	}
	return &Application{File: f, Source: source, Text: string(data)}, nil
}

// Parse returns the application that the text of a file describes.
func Parse(text, file string) (*Application, error) { return load([]byte(text), file, file) }

// Rehearser returns what rehearses the application that the text of a file describes.
func Rehearser(text string) (application.Rehearser, error) {
	a, err := Parse(text, "application file")
	if err != nil {
		return nil, err
	}
	return described.Rehearser{File: a.File}, nil
}

// Rehearsers returns what rehearses each application that ships and whose file says how.
func Rehearsers() ([]application.Rehearser, error) {
	all, err := All()
	if err != nil {
		return nil, err
	}
	out := []application.Rehearser{hpcg.Rehearser{}, stream.Rehearser{}}
	for _, a := range all {
		if a.File.Rehearsal.Output != "" {
			out = append(out, described.Rehearser{File: a.File})
		}
	}
	return out, nil
}

// All returns the applications that ship, by name.
func All() ([]*Application, error) {
	var all []*Application
	for _, name := range templates.Applications() {
		a, err := Find(name, "")
		if err != nil {
			return nil, err
		}
		all = append(all, a)
	}
	return all, nil
}

// Parser returns what reads the application's log for a study.
func (a *Application) Parser() application.Parser {
	if p, own := parsers[a.Log.Parser]; own {
		return p.Parser
	}
	return described.Parser{File: a.File}
}

// Read reads a log of so many iterations (0: as many as it shows). A log that does not count gives an *application.Rejection, and beside
// it what was read.
func (a *Application) Read(r io.Reader, iterations int) (*described.Reading, error) {
	if p, own := parsers[a.Log.Parser]; own {
		return p.read(r, iterations)
	}
	return a.File.Read(r, iterations)
}

// Figures are the names of the figures that a log gives, with units and directions.
func (a *Application) Figures() []described.Figure {
	if a.Log.Parser == "hpcg" {
		return []described.Figure{{Name: hpcg.Metric.Key, Description: hpcg.Metric.Name, Unit: hpcg.Metric.Unit, Direction: described.Higher}}
	}
	return a.Log.Figures
}

// PrimaryNames are the figures of merit, in the order in which they are looked for.
func (a *Application) PrimaryNames() []string {
	if a.Log.Parser == "hpcg" {
		return []string{hpcg.Metric.Key}
	}
	return a.Log.Primary
}

func readHPCG(r io.Reader, iterations int) (*described.Reading, error) {
	log, err := hpcg.Parse(r, iterations)
	if log == nil {
		return nil, err
	}
	out := &described.Reading{Parameters: map[string]string{}, Tasks: log.Tasks, Cores: log.Cores(), Replayed: log.Replayed, ReplayText: log.ReplayText}
	for i := range log.Results {
		res := &log.Results[i]
		figures := map[string][]float64{hpcg.Metric.Key: {res.Rating}}
		for name, v := range res.Targets() {
			figures[name] = []float64{v}
		}
		out.Runs = append(out.Runs, described.Run{Figures: figures})
		if i == 0 {
			out.Parameters = map[string]string{
				"ranks": fmt.Sprint(res.Ranks), "threads": fmt.Sprint(res.Threads), "grid": fmt.Sprintf("%d x %d x %d", res.Local.X, res.Local.Y, res.Local.Z),
			}
		}
	}
	var rejection *hpcg.Rejection
	if errors.As(err, &rejection) && rejection.Err == nil {
		return out, &application.Rejection{Reason: string(rejection.Reason), Detail: fmt.Sprintf("%s (line %d)", rejection.Detail, rejection.Line), Err: err}
	}
	if err != nil {
		return out, err
	}
	out.Primary = hpcg.Metric.Key
	return out, nil
}

// ParserFor returns the parser of an application that ships.
func ParserFor(name string) (application.Parser, error) {
	if !slices.Contains(templates.Applications(), name) {
		return nil, fmt.Errorf("no parser is named %q: there are %s; name one in the study's field parser", name, strings.Join(templates.Applications(), ", "))
	}
	a, err := Find(name, "")
	if err != nil {
		return nil, err
	}
	return a.Parser(), nil
}
