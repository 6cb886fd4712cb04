package report

import (
	"testing"

	"github.com/compspec/ocifit-lab/experiments/store"
	"github.com/compspec/ocifit-lab/experiments/study"
)

// An arm is judged by what its choice makes best: by the objective where it has one, else by the model.
func TestOwnEndpoint(t *testing.T) {
	metric := store.Metric{Key: "gflops", Unit: "GFLOP/s", HigherIsBetter: true}
	row := TrialRow{Figure: 10, PriceUSDPerHr: 2, SharedSeconds: 60, others: map[string]float64{"gflops_per_second_spmv": 3}}
	for _, c := range []struct {
		model, objective, key string
		own                   bool
	}{
		{"fom", "", study.EndpointFOM, true},
		{"gflops", "", study.EndpointFOM, true},
		{"fom", "usd-per-hour<=2", study.EndpointFOM, true},
		{"fom", "per-dollar", study.EndpointPerDollar, true},
		{"fom_per_dollar", "", study.EndpointPerDollar, true},
		{"gflops_per_second_spmv", "", "gflops_per_second_spmv", true},
		{"gflops_per_second_spmv", "time", study.EndpointTime, true},
		{"random", "", study.EndpointFOM, false},
		{"most-cores", "", study.EndpointFOM, false},
	} {
		p := pair{arm: &Arm{Model: c.model, Objective: c.objective}, a: []TrialRow{row}, b: []TrialRow{row}}
		if e := endpointOf(study.EndpointOwn, metric, p); e.Key != c.key || e.Own != c.own {
			t.Errorf("%s, objective %q: %+v", c.model, c.objective, e)
		}
	}
}
