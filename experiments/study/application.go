package study

import (
	"path/filepath"
	"slices"

	"github.com/compspec/ocifit-lab/experiments/application"
	"github.com/compspec/ocifit-lab/experiments/applications"
	"github.com/compspec/ocifit-lab/templates"
)

// describe reads the application file of a study whose application is one, or one of those that ship without a chart of their own.
func (s *Study) describe() error {
	isFile := applications.IsFile(s.Application)
	if !isFile && (!slices.Contains(templates.Applications(), s.Application) || templates.HasChart(s.Application)) {
		return nil
	}
	a, err := applications.Find(s.Application, s.Dir())
	if err != nil {
		return s.fault("application", "%v", err)
	}
	s.Application, s.ApplicationFile = a.Name, a.Text
	if s.Chart == "" {
		s.Chart = a.Launch.Chart
		if isFile && a.Launch.Chart != "" && filepath.Dir(a.Source) != s.Dir() && applications.IsFile(a.Launch.Chart) && !filepath.IsAbs(a.Launch.Chart) {
			s.Chart = filepath.Join(filepath.Dir(a.Source), a.Launch.Chart)
		}
	}
	return nil
}

// LogParser returns what reads the logs of the study's trials.
func (s *Study) LogParser() (application.Parser, error) {
	if s.ApplicationFile == "" || s.Parser != "" {
		return applications.ParserFor(s.ParserName())
	}
	a, err := applications.Parse(s.ApplicationFile, s.Application+".yaml")
	if err != nil {
		return nil, err
	}
	return a.Parser(), nil
}

// BuiltInChart names the chart that ships for the study's application.
func (s *Study) BuiltInChart() string {
	if s.ApplicationFile != "" {
		return templates.GenericChart
	}
	return s.Application
}

// ApplicationValues are the chart values that an application file brings, the later over the earlier. A chart that is not the one for any
// application gets only those that the file names.
func (s *Study) ApplicationValues() ([]map[string]any, error) {
	if s.ApplicationFile == "" {
		return nil, nil
	}
	a, err := applications.Parse(s.ApplicationFile, s.Application+".yaml")
	if err != nil {
		return nil, err
	}
	if s.Chart != "" {
		return []map[string]any{a.Launch.Values}, nil
	}
	return []map[string]any{a.Launch.Values, {
		"experiment":  map[string]any{"command": a.Launch.Command},
		"application": map[string]any{"name": a.Name, "setup": a.Launch.Setup, "file": s.ApplicationFile},
	}}, nil
}
