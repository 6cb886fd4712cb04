package measurements

import (
	"fmt"
	"maps"

	"gonum.org/v1/gonum/stat"

	"github.com/compspec/ocifit-lab/experiments/store"
)

// Figures that every trial has, whatever its application.
const (
	// figureSeconds is the time to solution: from the request until the container ended.
	figureSeconds = "time_to_solution_seconds"
	// figureRunSeconds is how long the container ran.
	figureRunSeconds = "run_seconds"
)

// Replayed starts the source of a trial whose figures were not measured in its run.
const Replayed = "replayed "

// OfRun makes a row of every complete trial: the means of its figures over the iterations that count. The source of a replayed or
// simulated trial says so.
func OfRun(info store.Info, records []store.Record) []Row {
	var out []Row
	for i := range records {
		r := &records[i]
		t := &r.Trial
		if !r.Complete() || r.Warmup || t.Node.InstanceType == "" {
			continue
		}
		row := Row{
			Application: info.Study.Application, InstanceType: t.Node.InstanceType, Image: t.Image, Ranks: r.Outcome.Ranks, Node: t.Node.Name,
			Time: t.Phases.Created, Source: fmt.Sprintf("%s %s %d", t.Run, r.Arm, r.N), Figures: map[string]float64{},
		}
		if t.Simulated {
			row.Source = Replayed + row.Source
		}
		maps.Copy(row.Figures, r.Outcome.Others)
		for name, each := range r.Outcome.Each {
			row.Figures[name] = stat.Mean(info.Study.Counts(each), nil)
		}
		row.Figures[r.Outcome.Metric.Key] = stat.Mean(info.Study.Counts(r.Outcome.Figures), nil)
		if t.Seconds.Total > 0 {
			row.Figures[figureSeconds] = t.Seconds.Total
		}
		if t.Seconds.Run > 0 {
			row.Figures[figureRunSeconds] = t.Seconds.Run
		}
		out = append(out, row)
	}
	return out
}
