package report_test

import (
	"bytes"
	"context"
	"strings"
	"testing"

	"github.com/compspec/ocifit-lab/experiments/report"
	"github.com/compspec/ocifit-lab/experiments/report/reporttest"
)

func TestCompareRuns(t *testing.T) {
	first := reporttest.Run(t, t.TempDir(), reporttest.Study("controlled"), 12, reporttest.Options{NodeLife: 2, Seed: 1})
	second := reporttest.Run(t, t.TempDir(), reporttest.Study("controlled"), 12, reporttest.Options{NodeLife: 2, Seed: 2, Simulated: true})
	launched := reporttest.Run(t, t.TempDir(), reporttest.Study("procedure"), 12, reporttest.Options{NodeLife: 2, Seed: 3})
	x, err := report.Compare(context.Background(), first, second, report.Options{})
	if err != nil || len(x.Comparisons) != 6 || !x.Simulated {
		t.Fatalf("%+v, %v", x, err)
	}
	for _, c := range x.Comparisons {
		if c.Claim == report.Supported || !c.Comparable {
			t.Errorf("two runs of the same kind: %s: %s", c.Arm, c.Sentence)
		}
	}
	var out bytes.Buffer
	if err := report.WriteAcross(&out, x); err != nil || !strings.HasPrefix(out.String(), "SIMULATED.") {
		t.Errorf("%s %v", out.String(), err)
	}
	x, err = report.Compare(context.Background(), first, launched, report.Options{})
	if err != nil || x.Comparisons[0].Comparable || !strings.Contains(x.Comparisons[0].Reason, "not launched alike") {
		t.Errorf("%+v %v", x.Comparisons[0], err)
	}
}

func TestAnotherBaseline(t *testing.T) {
	r := reporttest.Run(t, t.TempDir(), reporttest.Study("controlled"), 4, reporttest.Options{NodeLife: 2})
	a, err := report.Analyse(context.Background(), r, report.Options{Baseline: "fom-model"})
	if err != nil || a.Baseline != "fom-model" || len(a.Comparisons) != 5 || a.Comparisons[0].Arm != "random" || !strings.Contains(a.Question, "as fom-model does") {
		t.Errorf("%v %+v", err, a.Question)
	}
	if _, err := report.Analyse(context.Background(), r, report.Options{Baseline: "fom"}); err == nil || !strings.Contains(err.Error(), "it has random, fom-model") {
		t.Errorf("got %v", err)
	}
}
