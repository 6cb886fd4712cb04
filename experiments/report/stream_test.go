package report_test

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/compspec/ocifit-lab/experiments/application/stream/streamtest"
	"github.com/compspec/ocifit-lab/experiments/report"
	"github.com/compspec/ocifit-lab/experiments/store"
	"github.com/compspec/ocifit-lab/experiments/store/storetest"
	"github.com/compspec/ocifit-lab/experiments/study"
)

// TestAnotherApplication reports a run whose figure of merit is not HPCG's.
func TestAnotherApplication(t *testing.T) {
	s := storetest.Study(t, 5, 2, study.Arm{Name: "random", Model: "random", Tasks: "1"}, study.Arm{Name: "bandwidth", Model: "m", Tasks: "1"})
	s.Application = "stream"
	r, err := store.Create(t.TempDir(), store.Info{Study: s})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	for n := 1; n <= 5; n++ {
		for i, arm := range s.ArmNames() {
			a, err := r.Begin(arm, n, false)
			if err != nil {
				t.Fatal(err)
			}
			rate := 100_000 + 80_000*float64(i) + 1000*float64(n)
			spec := streamtest.Spec{Triad: []float64{rate, rate + 500}, Threads: 16 + 32*i, Cores: 16 + 32*i, Size: 4e8}
			if err := a.WriteFile(r.LogName(), streamtest.Log(spec)); err != nil {
				t.Fatal(err)
			}
			rec := storetest.Describe(a, storetest.Trial{Node: fmt.Sprint(arm, n), InstanceType: "x"})
			if err := a.Commit(rec); err != nil {
				t.Fatal(err)
			}
		}
	}
	a, err := report.Analyse(context.Background(), r, report.Options{})
	if err != nil {
		t.Fatal(err)
	}
	data, _ := json.Marshal(a)
	if a.Arms[0].GFLOPS != nil || a.Arms[1].Figure == nil || a.Metric.Unit != "MB/s" || strings.Contains(string(data), "gflops") {
		t.Errorf("%s", data)
	}
	if c := a.Comparisons[0]; !c.Comparable || c.RatioOfMedians == nil || *c.RatioOfMedians < 1.5 {
		t.Errorf("%+v", c)
	}
	if page := htmlOf(t, a); !strings.Contains(page, "STREAM triad bandwidth") || strings.Contains(page, "HPCG") {
		t.Error("the page speaks of another application")
	}
}
