package training

import (
	"math"
	"testing"

	"github.com/compspec/ocifit-lab/templates"
	"github.com/compspec/ocifit-lab/webhook/features"
)

func TestPublishedModelsOnTheMatrix(t *testing.T) {
	rows, err := features.ParseCatalogue(templates.NodeFeatures(nil))
	if err != nil {
		t.Fatal(err)
	}
	if m, err := OnMatrix(t.Context(), []string{"random", "my-own", "cheapest"}, rows); m != nil || err != nil {
		t.Errorf("without a published model: %+v, %v", m, err)
	}
	m, err := OnMatrix(t.Context(), []string{"random", "fom", "gflops_per_second_spmv"}, rows)
	if err != nil {
		t.Fatal(err)
	}
	if m.Types != 20 || len(m.Models) != 2 || m.Models[0].Name != "fom" {
		t.Fatalf("%d types, models %+v", m.Types, m.Models)
	}
	fom := m.Models[0]
	if !fom.Published.SawTypes || fom.Unseen.SawTypes {
		t.Error("who saw the types is mixed up")
	}
	// fom predicts the same of c7g, hpc7g and m7g: a pick among them loses (0 + 32.0916-31.8348 + 32.0916-29.7922)/3 of 32.0916.
	if fom.Published.Picked != "" || math.Abs(*fom.Published.Regret-2.5562/3/32.0916) > 1e-9 {
		t.Errorf("fom picks %q, regret %v", fom.Published.Picked, *fom.Published.Regret)
	}
	if *fom.Unseen.RankCorrelation >= *fom.Published.RankCorrelation {
		t.Errorf("fom orders types that it did not see (%v) no worse than those that it saw (%v)", *fom.Unseen.RankCorrelation, *fom.Published.RankCorrelation)
	}
}
