package report

import (
	"encoding/csv"
	"encoding/json"
	"io"
	"strconv"
	"strings"
	"time"
)

// csvHeader names the columns of WriteCSV; units are in the names.
var csvHeader = []string{
	"arm", "model", "trial", "attempt", "figure", "unit", "iterations", "ranks", "threads", "cores", "instance_type", "node", "image", "source",
	"created", "started", "finished", "total_seconds", "node_start_seconds", "price_usd_per_hour", "cost_usd", "simulated",
}

// WriteCSV writes the complete trials, one a row. The iterations' figures are in one column, separated by blanks.
func WriteCSV(w io.Writer, a *Analysis) error {
	out := csv.NewWriter(w)
	if err := out.Write(csvHeader); err != nil {
		return err
	}
	f := func(v float64) string { return strconv.FormatFloat(v, 'g', -1, 64) }
	for i := range a.Trials {
		t := &a.Trials[i]
		iterations := make([]string, len(t.Iterations))
		for k, v := range t.Iterations {
			iterations[k] = f(v)
		}
		err := out.Write([]string{
			t.Arm, t.Model, strconv.Itoa(t.Trial), strconv.Itoa(t.Attempt), f(t.Figure), a.Metric.Unit, strings.Join(iterations, " "),
			strconv.Itoa(t.Ranks), strconv.Itoa(t.Threads), strconv.Itoa(t.Cores), t.InstanceType, t.Node, t.Image, t.Source,
			stamp(t.Created), stamp(t.Started), stamp(t.Finished), f(t.TotalSeconds), known(t.NodeStart), f(t.PriceUSDPerHr), f(t.CostUSD),
			strconv.FormatBool(t.Source == sourceReplayed || t.Source == sourceEstimated),
		})
		if err != nil {
			return err
		}
	}
	out.Flush()
	return out.Error()
}

// known leaves a column empty where the value is not known.
func known(v *float64) string {
	if v == nil {
		return ""
	}
	return strconv.FormatFloat(*v, 'g', -1, 64)
}

func stamp(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.RFC3339Nano)
}

// WriteJSON writes the analysis together with the complete trials.
func WriteJSON(w io.Writer, a *Analysis) error {
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	return enc.Encode(struct {
		*Analysis
		Trials []TrialRow `json:"trials"`
	}{a, a.Trials})
}
