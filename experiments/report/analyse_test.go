package report_test

import (
	"bytes"
	"context"
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/compspec/ocifit-lab/experiments/report"
	"github.com/compspec/ocifit-lab/experiments/report/reporttest"
)

func analysis(t testing.TB, studyName string, repeats int, opt reporttest.Options) *report.Analysis {
	t.Helper()
	r := reporttest.Run(t, t.TempDir(), reporttest.Study(studyName), repeats, opt)
	a, err := report.Analyse(context.Background(), r, report.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func text(t testing.TB, a *report.Analysis) string {
	t.Helper()
	var b bytes.Buffer
	if err := report.WriteText(&b, a); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestProcedureIsRefusedAsConfounded(t *testing.T) {
	a := analysis(t, "procedure", 10, reporttest.Options{Simulated: true, NodeLife: 3})
	for _, c := range a.Comparisons {
		if c.Comparable || c.Claim != report.Refused || c.MannWhitney != nil || c.PHolm != nil || !strings.Contains(c.Reason, "rank counts differ") {
			t.Errorf("%s: %+v", c.Arm, c)
		}
		if c.Primary == nil || c.Primary.P != nil || !strings.Contains(c.Sentence, "no effect of the model") {
			t.Errorf("%s: %s", c.Arm, c.Sentence)
		}
	}
	if !strings.HasPrefix(a.Answer, "These figures are simulated. This run cannot tell: in 5 of 5 comparisons the arms were not launched alike (random: 1 rank)") {
		t.Error(a.Answer)
	}
	out := text(t, a)
	if !strings.HasPrefix(out, "SIMULATED.") || strings.Count(out, "(simulated)") != 2 {
		t.Error(out)
	}
}

func TestControlledIsAccepted(t *testing.T) {
	a := analysis(t, "controlled", 30, reporttest.Options{Simulated: true, NodeLife: 3})
	for _, c := range a.Comparisons {
		want := report.NotShown
		if *c.PHolm < 0.05 {
			want = report.Supported
		}
		if !c.Comparable || c.Claim != want || c.Primary.CI95 == nil || c.Primary.Ratio < 1 {
			t.Errorf("%s: %s %s", c.Arm, c.Claim, c.Sentence)
		}
		if excludes := c.Primary.CI95[0] > 1 || c.Primary.CI95[1] < 1; excludes != (*c.Primary.P < 0.05) {
			t.Errorf("%s: interval %v and p %v contradict each other", c.Arm, *c.Primary.CI95, *c.Primary.P)
		}
	}
	if !strings.Contains(a.Answer, "two choices: arm64-large (3 models), amd64-wide (2 models)") {
		t.Error(a.Answer)
	}
	fom, bandwidth := a.Comparisons[0], a.Comparisons[3]
	if fom.Endpoint.Key != "fom" || bandwidth.Endpoint.Key != "memory_bandwidth_across_kernels_total" || !bandwidth.Endpoint.Own {
		t.Errorf("%+v, %+v", fom.Endpoint, bandwidth.Endpoint)
	}
	if len(fom.ChoiceArms) != 3 || fom.Primary.NodesX <= a.Arms[1].Nodes {
		t.Errorf("the trials of one choice do not stand together: %v, %d machines", fom.ChoiceArms, fom.Primary.NodesX)
	}
	if a.Forecast == nil || a.Forecast.Trials != 180 || a.Forecast.Hours <= 0 {
		t.Errorf("%+v", a.Forecast)
	}
	t.Log("\n" + text(t, a))
}

func TestOneMachineLimitsTheClaim(t *testing.T) {
	a := analysis(t, "controlled", 10, reporttest.Options{})
	if a.Simulated || a.Simulation != "" || a.Forecast != nil {
		t.Errorf("a real run is called simulated: %+v", a.Simulation)
	}
	for _, c := range a.Comparisons {
		if c.Claim != report.Limited || !c.Comparable || !strings.Contains(c.Sentence, "on one machine") {
			t.Errorf("%s: %s %s", c.Arm, c.Claim, c.Sentence)
		}
	}
	if !strings.Contains(a.Answer, "few machines stand for all") {
		t.Error(a.Answer)
	}
}

func TestIncompleteArms(t *testing.T) {
	a := analysis(t, "controlled", 6, reporttest.Options{NodeLife: 2, Skip: func(arm string, n int) bool {
		return arm == "fom-model" && n > 4 || arm == "gflops-per-second-spmv" && n > 1 || strings.HasPrefix(arm, "memory")
	}})
	claims := map[string]report.Claim{}
	for _, c := range a.Comparisons {
		claims[c.Arm] = c.Claim
		if i := slices.IndexFunc(c.Checks, func(c report.Check) bool { return c.Name == "complete" }); i < 0 {
			t.Errorf("%s has no check of completeness", c.Arm)
		}
	}
	if claims["fom-model"] != report.Limited || claims["gflops-per-second-spmv"] != report.Refused || claims["memory-bandwidth-across-kernels-total"] != report.Refused {
		t.Errorf("%v\n%s", claims, text(t, a))
	}
}

// TestResultsJSON pins the field names that other programs read.
func TestResultsJSON(t *testing.T) {
	a := analysis(t, "controlled", 4, reporttest.Options{Simulated: true, NodeLife: 2})
	data, err := json.Marshal(a)
	if err != nil {
		t.Fatal(err)
	}
	var got struct {
		Simulated *bool
		Arms      []struct {
			Name, Model              string
			Trials, Complete, Failed *int
			GFLOPS                   struct {
				Mean, Median, SD *float64
				CI95             []float64
			} `json:"gflops"`
			GFLOPSPerRank struct{ Mean *float64 } `json:"gflopsPerRank"`
			Ranks         []int
			InstanceTypes map[string]int
			Nodes         *int
			CostUSD       *float64 `json:"costUSD"`
		}
		Comparisons []struct {
			Arm, Baseline, Reason string
			Comparable            *bool
			Checks                []struct{ Name, Status, Text string }
			RatioOfMedians        *float64
		}
	}
	if err := json.Unmarshal(data, &got); err != nil {
		t.Fatal(err)
	}
	if got.Simulated == nil || !*got.Simulated || len(got.Arms) != 6 || len(got.Comparisons) != 5 {
		t.Fatalf("%s", data)
	}
	for _, arm := range got.Arms {
		if arm.Trials == nil || *arm.Trials != 4 || *arm.Complete != 4 || *arm.Failed != 0 || arm.GFLOPS.Mean == nil || len(arm.GFLOPS.CI95) != 2 ||
			arm.GFLOPSPerRank.Mean == nil || len(arm.Ranks) == 0 || len(arm.InstanceTypes) == 0 || arm.Nodes == nil || arm.CostUSD == nil {
			t.Errorf("%+v", arm)
		}
	}
	for _, c := range got.Comparisons {
		if c.Baseline != "random" || c.Comparable == nil || c.Reason == "" || len(c.Checks) < 8 || c.RatioOfMedians == nil {
			t.Errorf("%+v", c)
		}
	}
}

func TestTheSameFolderGivesTheSameAnalysis(t *testing.T) {
	r := reporttest.Run(t, t.TempDir(), reporttest.Study("controlled"), 5, reporttest.Options{NodeLife: 2})
	var first []byte
	for range 2 {
		a, err := report.Analyse(context.Background(), r, report.Options{})
		if err != nil {
			t.Fatal(err)
		}
		data, _ := json.Marshal(a)
		if first == nil {
			first = data
		} else if !bytes.Equal(first, data) {
			t.Error("two analyses of one folder differ")
		}
	}
}

func TestNothingRan(t *testing.T) {
	a := analysis(t, "controlled", 3, reporttest.Options{Skip: func(string, int) bool { return true }})
	if len(a.Arms) != 6 || a.Arms[0].GFLOPS != nil || !strings.Contains(a.Answer, "not run yet") {
		t.Errorf("%+v", a.Answer)
	}
	if _, err := json.Marshal(a); err != nil {
		t.Error(err)
	}
	text(t, a)
}
