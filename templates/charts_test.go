package templates

import (
	"io/fs"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"
)

// TestChartsAreWhole checks that what a chart depends on comes with it, in the version that it names.
func TestChartsAreWhole(t *testing.T) {
	apps := names("charts", "")
	if len(apps) < 2 {
		t.Fatalf("charts: %v", apps)
	}
	for _, app := range apps {
		chart, err := Chart(app)
		if err != nil {
			t.Fatal(err)
		}
		var meta struct {
			Name         string
			Dependencies []struct{ Name, Version, Repository string }
		}
		read(t, chart, "Chart.yaml", &meta)
		if meta.Name != app || len(meta.Dependencies) == 0 {
			t.Errorf("%s: %+v", app, meta)
		}
		for _, d := range meta.Dependencies {
			var library struct{ Name, Version, Type string }
			read(t, chart, "charts/"+d.Name+"/Chart.yaml", &library)
			if library.Name != d.Name || library.Version != d.Version || library.Type != "library" || d.Repository != "file://../../library/"+d.Name {
				t.Errorf("%s depends on %+v and has %+v", app, d, library)
			}
		}
		var files []string
		if err := fs.WalkDir(chart, ".", func(path string, d fs.DirEntry, err error) error {
			files = append(files, path)
			return err
		}); err != nil {
			t.Error(err)
		}
		for _, want := range []string{"values.yaml", "values.schema.json", "templates/minicluster.yaml", "charts/trial/templates/_minicluster.tpl"} {
			if !strings.Contains(strings.Join(files, "\n"), want) {
				t.Errorf("%s: no %s in %v", app, want, files)
			}
		}
	}
	if _, err := Chart("lammps"); err == nil || !strings.Contains(err.Error(), "known: generic, hpcg, stream") {
		t.Errorf("unknown application: %v", err)
	}
}

func read(t *testing.T, chart fs.FS, file string, into any) {
	t.Helper()
	data, err := fs.ReadFile(chart, file)
	if err == nil {
		err = yaml.Unmarshal(data, into)
	}
	if err != nil {
		t.Fatalf("%s: %v", file, err)
	}
}
