package report_test

import (
	"math"
	"testing"

	"github.com/compspec/ocifit-lab/experiments/report"
	"github.com/compspec/ocifit-lab/experiments/report/reporttest"
)

// Regret is 1 minus the ratio of the geometric means; types hold the trials of all arms; what was measured stands beside what was predicted.
func TestRegretTypesAndPredictions(t *testing.T) {
	a := analysis(t, "controlled", 8, reporttest.Options{Seed: 7})
	arms := map[string]report.Arm{}
	for _, arm := range a.Arms {
		arms[arm.Name] = arm
	}
	best, ok := arms[a.Best]
	if !ok || *best.Regret != 0 {
		t.Fatalf("the best arm is %q", a.Best)
	}
	for _, arm := range a.Arms {
		if want := 1 - arm.FOM().GeometricMean/best.FOM().GeometricMean; arm.Regret == nil || math.Abs(*arm.Regret-want) > 1e-12 || want < 0 {
			t.Errorf("%s: regret %v, want %v", arm.Name, arm.Regret, want)
		}
	}
	trials, last := 0, math.Inf(1)
	for _, g := range a.Types {
		trials += g.Trials
		if g.Figure.GeometricMean > last {
			t.Errorf("%s stands behind a worse type", g.InstanceType)
		}
		last = g.Figure.GeometricMean
	}
	if trials != len(a.Trials) {
		t.Errorf("%d trials by type, %d in all", trials, len(a.Trials))
	}
	for _, arm := range a.Arms {
		for _, d := range arm.Decisions {
			if (d.Measured != nil) != (arm.Model != "random") {
				t.Errorf("%s: measured %v", arm.Name, d.Measured)
			}
		}
	}
	fomArm := arms["fom-model"]
	if d := fomArm.Decisions[0]; d.MeasuredBy != "GFLOP/s" || math.Abs(*d.Measured-fomArm.FOM().Mean) > 1e-9 {
		t.Errorf("%+v", d)
	}
}

// Where arms were not launched alike, their gap is not their choice's.
func TestNoRegretAcrossLaunches(t *testing.T) {
	a := analysis(t, "procedure", 4, reporttest.Options{Seed: 7})
	for _, arm := range a.Arms {
		other := arm.Name == "random" || arm.Name == "gflops-per-second-spmv" // one rank, and four
		if (arm.Regret == nil) != other {
			t.Errorf("%s (%s): regret %v", arm.Name, arm.Launch, arm.Regret)
		}
	}
}
