package report

import (
	"strings"
	"testing"

	"github.com/compspec/ocifit-lab/experiments/store"
	"github.com/compspec/ocifit-lab/experiments/study"
)

func checkText(checks []Check, name string) string {
	for _, c := range checks {
		if c.Name == name {
			return c.Text
		}
	}
	return ""
}

func TestAnotherGridOrPretendedNodesAreSaid(t *testing.T) {
	a := &Analysis{Metric: store.Metric{Key: store.MetricGFLOPS}, Arms: []Arm{{Complete: 1, Trials: 1, Attempts: 1}}}
	row := func(n int) map[string][]TrialRow { return map[string][]TrialRow{"fom": {{local: [3]int{n, n, n}}}} }
	if got := checkText(a.runChecks(&study.Study{}, row(32)), "study-size"); got != "" {
		t.Errorf("the study's own size is said to be another: %s", got)
	}
	if got := checkText(a.runChecks(&study.Study{}, row(0)), "study-size"); got != "" {
		t.Errorf("a size that is not known is said to be another: %s", got)
	}
	if got := checkText(a.runChecks(&study.Study{}, row(16)), "study-size"); !strings.Contains(got, "16 x 16 x 16") || !strings.Contains(got, "not comparable") {
		t.Errorf("another size: %q", got)
	}
	if got := checkText(a.runChecks(&study.Study{}, row(32)), "real-nodes"); got != "" {
		t.Errorf("real nodes are said to be pretended: %s", got)
	}
	a.Run.Facts = map[string]string{"nodes": "containers of this machine"}
	if got := checkText(a.runChecks(&study.Study{}, row(32)), "real-nodes"); !strings.Contains(got, "containers of this machine") {
		t.Errorf("pretended nodes: %q", got)
	}
}

func TestDifferencesFromTheStudysClusterAreSaid(t *testing.T) {
	a := &Analysis{Metric: store.Metric{Key: store.MetricGFLOPS}, Arms: []Arm{{Complete: 1, Trials: 1, Attempts: 1}}}
	if got := checkText(a.runChecks(&study.Study{}, nil), "like-study"); got != "" {
		t.Errorf("a cluster like the study's: %q", got)
	}
	a.deviations = []string{"live labels will not decide", "disks are gp3"}
	checks := a.runChecks(&study.Study{}, nil)
	if got := checkText(checks, "like-study"); got != "Live labels will not decide. Disks are gp3." || checks[1].Name != "like-study" {
		t.Errorf("%q, at the top are %s and %s", got, checks[0].Name, checks[1].Name)
	}
}
