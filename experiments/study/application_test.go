package study_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/compspec/ocifit-lab/experiments/study"
)

const ownFile = `apiVersion: ocifit-lab/v1alpha1
name: mine
description: a program of one's own
launch: {command: /opt/mine, setup: export X=1}
log:
  figures: [{name: rate, unit: GB/s, direction: higher, pattern: 'Rate: {number}'}]
  primary: [rate]
`

func TestApplicationFile(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "mine.yaml"), []byte(ownFile), 0o600); err != nil {
		t.Fatal(err)
	}
	load := func(application string) (*study.Study, error) {
		return study.Load([]byte("apiVersion: ocifit-lab/v1alpha1\nname: s\napplication: "+application+"\narms: [{name: random, model: random}]\n"), filepath.Join(dir, "study.yaml"))
	}
	s, err := load("./mine.yaml")
	if err != nil {
		t.Fatal(err)
	}
	if s.Application != "mine" || s.BuiltInChart() != "generic" {
		t.Errorf("%s, chart %s", s.Application, s.BuiltInChart())
	}
	parser, err := s.LogParser()
	if err != nil || parser.Metric().Unit != "GB/s" {
		t.Fatalf("%v, %v", parser, err)
	}
	values, err := s.ApplicationValues()
	if err != nil {
		t.Fatal(err)
	}
	last := values[len(values)-1]
	if last["experiment"].(map[string]any)["command"] != "/opt/mine" || last["application"].(map[string]any)["file"] != ownFile {
		t.Errorf("%v", values)
	}
	for application, want := range map[string]string{
		"./other.yaml": "study.yaml:3: application: ", "lammps": "", "hpcg": "",
	} {
		s, err := load(application)
		if want == "" {
			if err != nil || s.Application != application || (s.ApplicationFile != "") != (application == "lammps") {
				t.Errorf("%s: %+v, %v", application, s, err)
			}
		} else if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", application, err)
		}
	}
}
