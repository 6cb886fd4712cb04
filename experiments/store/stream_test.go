package store_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/compspec/ocifit-lab/experiments/application/stream/streamtest"
	"github.com/compspec/ocifit-lab/experiments/store"
)

// TestSecondApplication runs a trial of an application whose parser is chosen by name.
func TestSecondApplication(t *testing.T) {
	s := twoArms(t)
	s.Application = "stream"
	r, err := store.Create(t.TempDir(), store.Info{Study: s})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	a, err := r.Begin("random", 1, false)
	if err != nil {
		t.Fatal(err)
	}
	if err := a.WriteFile("stream.out", streamtest.Log(streamtest.Spec{Triad: []float64{180000, 182000}, Threads: 48, Cores: 48, Size: 4e8})); err != nil {
		t.Fatal(err)
	}
	if err := a.Commit(a.Record()); err != nil {
		t.Fatal(err)
	}
	recs, err := r.Records(t.Context())
	if err != nil || !recs[0].Complete() {
		t.Fatalf("%+v, %v", recs, err)
	}
	if d := cmp.Diff([]float64{180000, 182000}, recs[0].Trial.Figures); d != "" || recs[0].Trial.Unit != "MB/s" || recs[0].Trial.GFLOPS != nil {
		t.Errorf("%+v %s", recs[0].Trial, d)
	}
}
