package hpcg

import (
	"errors"
	"fmt"
	"io"

	"github.com/compspec/ocifit-lab/experiments/application"
)

// Metric is HPCG's figure of merit.
var Metric = application.Metric{Key: application.MetricGFLOPS, Name: "HPCG rating", Unit: "GFLOP/s", HigherIsBetter: true}

// Parser reads HPCG's log as application.Parser asks for it.
type Parser struct{}

// Name implements application.Parser.
func (Parser) Name() string { return "hpcg" }

// Metric implements application.Parser.
func (Parser) Metric() application.Metric { return Metric }

// Parse implements application.Parser.
func (Parser) Parse(r io.Reader, iterations int) (*application.Outcome, error) {
	log, err := Parse(r, iterations)
	if err != nil {
		var rej *Rejection
		if errors.As(err, &rej) && rej.Err == nil {
			return nil, &application.Rejection{Reason: string(rej.Reason), Detail: fmt.Sprintf("%s (line %d)", rej.Detail, rej.Line), Err: err}
		}
		return nil, err
	}
	first := &log.Results[0]
	o := &application.Outcome{
		Metric: Metric, Figures: log.Ratings(), Ranks: first.Ranks, Threads: first.Threads, Cores: log.Cores(),
		Local: [3]int{first.Local.X, first.Local.Y, first.Local.Z}, Tasks: log.Tasks,
		Replayed: log.Replayed, ReplayText: log.ReplayText, Others: map[string]float64{}, Each: map[string][]float64{}, Jobs: len(log.Jobs),
	}
	for _, n := range log.Notes() {
		o.Remarks = append(o.Remarks, n.Key+": "+n.Text)
	}
	if log.Local != [3]int{} && log.Local != o.Local {
		o.Remarks = append(o.Remarks, fmt.Sprintf("the grid %v is not that of hpcg.dat, %v: options of the command line go before the file", o.Local, log.Local))
	}
	for name, of := range modelTargets {
		for i := range log.Results {
			v := of(&log.Results[i])
			o.Others[name] += v / float64(len(log.Results))
			o.Each[name] = append(o.Each[name], v)
		}
	}
	return o, nil
}

// Targets are the figures that published models predict, by the models' names.
func (r *Result) Targets() map[string]float64 {
	out := make(map[string]float64, len(modelTargets))
	for name, of := range modelTargets {
		out[name] = of(r)
	}
	return out
}

// modelTargets are the figures of a result file that published models predict, by the models' names.
var modelTargets = map[string]func(*Result) float64{
	"duration":                              func(r *Result) float64 { return r.Times.Total },
	"gflops_per_second_ddot":                func(r *Result) float64 { return r.Rates.DDOT },
	"gflops_per_second_mg":                  func(r *Result) float64 { return r.Rates.MG },
	"gflops_per_second_spmv":                func(r *Result) float64 { return r.Rates.SpMV },
	"gflops_per_second_waxpby":              func(r *Result) float64 { return r.Rates.WAXPBY },
	"memory_bandwidth_across_kernels_read":  func(r *Result) float64 { return r.Bandwidth.Read },
	"memory_bandwidth_across_kernels_total": func(r *Result) float64 { return r.Bandwidth.Total },
	"memory_bandwidth_across_kernels_write": func(r *Result) float64 { return r.Bandwidth.Write },
	"memory_used_data_total_gbytes":         func(r *Result) float64 { return r.Memory.TotalGB },
	"mpi_allreduce_avg":                     func(r *Result) float64 { return r.Allreduce.Avg },
	"mpi_allreduce_max":                     func(r *Result) float64 { return r.Allreduce.Max },
	"total_cg_iterations":                   func(r *Result) float64 { return float64(r.Iterations.OptimizedTotal) },
}
