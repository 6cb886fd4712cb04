package trial_test

import (
	"strings"
	"testing"

	"github.com/compspec/ocifit-lab/experiments/study"
	"github.com/compspec/ocifit-lab/provision/chart"
	"github.com/compspec/ocifit-lab/templates"
)

// TestChartForAnyApplication renders the chart with what the file of each application brings that has no chart of its own.
func TestChartForAnyApplication(t *testing.T) {
	for _, name := range templates.Applications() {
		if templates.HasChart(name) {
			continue
		}
		t.Run(name, func(t *testing.T) {
			s, err := study.Load([]byte("apiVersion: ocifit-lab/v1alpha1\nname: s\napplication: "+name+"\narms: [{name: random, model: random}]\n"), "study.yaml")
			if err != nil {
				t.Fatal(err)
			}
			text := rendered(t, s)
			for _, want := range []string{
				"OCIFIT_APP: " + name + "\n", "OCIFIT_APPLICATION_FILE: ", `echo "FLUX-RUN START ` + name + `-iter-$i"`,
				"--job-name=" + name + "-iter-$i -N2 -n 8 ", "for i in {1..4}",
			} {
				if !strings.Contains(text, want) {
					t.Errorf("no %q in\n%s", want, text)
				}
			}
			if strings.Contains(text, "--exclusive \n") {
				t.Error("flux run starts nothing")
			}
		})
	}
}

func rendered(t *testing.T, s *study.Study) string {
	t.Helper()
	files, err := templates.Chart(s.BuiltInChart())
	if err != nil {
		t.Fatal(err)
	}
	c, err := chart.FromFS(files)
	if err != nil {
		t.Fatal(err)
	}
	values := map[string]any{"experiment": map[string]any{"nodes": 2, "tasks": "8", "iterations": 4, "exclusive": true}}
	brought, err := s.ApplicationValues()
	if err != nil {
		t.Fatal(err)
	}
	for _, of := range brought {
		values = chart.Merge(values, of)
	}
	text, err := c.Render(values, chart.Target{Release: s.Application + "-1", Namespace: "study"})
	if err != nil {
		t.Fatal(err)
	}
	return text
}
