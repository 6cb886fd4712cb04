package store

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"sort"
	"strings"

	"github.com/compspec/ocifit-lab/experiments/application/hpcg"
)

// MetricGFLOPS is the key of HPCG's figure of merit.
const MetricGFLOPS = "gflops"

// Metric is an application's figure of merit.
type Metric struct {
	Key            string `json:"key"`
	Name           string `json:"name"`
	Unit           string `json:"unit"`
	HigherIsBetter bool   `json:"higherIsBetter"`
}

// Outcome is what a parser makes of a complete log.
type Outcome struct {
	Metric     Metric
	Figures    []float64 // the metric, one per iteration
	Ranks      int
	Threads    int // per rank
	Cores      int // physical cores that the launcher saw, 0 when unknown
	Local      [3]int
	Tasks      string // the task count in the launch command, as written
	Replayed   bool
	ReplayText string
	Remarks    []string           // the application's own remarks on its figures
	Others     map[string]float64 // further figures by the names that the models use, means over the iterations
}

// Parser reads the log of one application. A log that does not count gives a *Rejection.
type Parser interface {
	Name() string
	Metric() Metric
	Parse(r io.Reader, iterations int) (*Outcome, error)
}

// Rejection says why a log does not count.
type Rejection struct {
	Reason string // stable name, such as truncated
	Detail string
	Err    error
}

func (r *Rejection) Error() string { return "the log does not count: " + r.Reason + ": " + r.Detail }

// Unwrap returns the parser's own error.
func (r *Rejection) Unwrap() error { return r.Err }

// ParserFor returns the parser of that name.
func ParserFor(name string) (Parser, error) {
	for _, p := range parsers() {
		if p.Name() == name {
			return p, nil
		}
	}
	var known []string
	for _, p := range parsers() {
		known = append(known, p.Name())
	}
	sort.Strings(known)
	return nil, fmt.Errorf("no parser is named %q: there are %s; name one in the study's field parser", name, strings.Join(known, ", "))
}

// parsers lists the applications whose logs can be read. A new one is added here.
func parsers() []Parser { return []Parser{hpcgParser{}, streamParser{}} }

// ParseFile parses a log file.
func ParseFile(p Parser, file string, iterations int) (*Outcome, error) {
	f, err := os.Open(file)
	if errors.Is(err, os.ErrNotExist) {
		return nil, &Rejection{Reason: "no-log", Detail: "there is no log", Err: err}
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return p.Parse(bufio.NewReaderSize(f, 64<<10), iterations)
}

type hpcgParser struct{}

func (hpcgParser) Name() string { return "hpcg" }

func (hpcgParser) Metric() Metric {
	return Metric{Key: MetricGFLOPS, Name: "HPCG rating", Unit: "GFLOP/s", HigherIsBetter: true}
}

func (p hpcgParser) Parse(r io.Reader, iterations int) (*Outcome, error) {
	log, err := hpcg.Parse(r, iterations)
	if err != nil {
		var rej *hpcg.Rejection
		if errors.As(err, &rej) && rej.Err == nil {
			return nil, &Rejection{Reason: string(rej.Reason), Detail: fmt.Sprintf("%s (line %d)", rej.Detail, rej.Line), Err: err}
		}
		return nil, err
	}
	first := &log.Results[0]
	o := &Outcome{
		Metric: p.Metric(), Figures: log.Ratings(), Ranks: first.Ranks, Threads: first.Threads, Cores: log.Cores(),
		Local: [3]int{first.Local.X, first.Local.Y, first.Local.Z}, Tasks: log.Tasks,
		Replayed: log.Replayed, ReplayText: log.ReplayText, Others: map[string]float64{},
	}
	for _, n := range log.Notes() {
		o.Remarks = append(o.Remarks, n.Key+": "+n.Text)
	}
	for name, of := range hpcgOthers {
		for i := range log.Results {
			o.Others[name] += of(&log.Results[i]) / float64(len(log.Results))
		}
	}
	return o, nil
}

// hpcgOthers are the figures of a result file that published models predict, by the models' names.
var hpcgOthers = map[string]func(*hpcg.Result) float64{
	"duration":                              func(r *hpcg.Result) float64 { return r.Times.Total },
	"gflops_per_second_ddot":                func(r *hpcg.Result) float64 { return r.Rates.DDOT },
	"gflops_per_second_mg":                  func(r *hpcg.Result) float64 { return r.Rates.MG },
	"gflops_per_second_spmv":                func(r *hpcg.Result) float64 { return r.Rates.SpMV },
	"gflops_per_second_waxpby":              func(r *hpcg.Result) float64 { return r.Rates.WAXPBY },
	"memory_bandwidth_across_kernels_read":  func(r *hpcg.Result) float64 { return r.Bandwidth.Read },
	"memory_bandwidth_across_kernels_total": func(r *hpcg.Result) float64 { return r.Bandwidth.Total },
	"memory_bandwidth_across_kernels_write": func(r *hpcg.Result) float64 { return r.Bandwidth.Write },
	"memory_used_data_total_gbytes":         func(r *hpcg.Result) float64 { return r.Memory.TotalGB },
	"mpi_allreduce_avg":                     func(r *hpcg.Result) float64 { return r.Allreduce.Avg },
	"mpi_allreduce_max":                     func(r *hpcg.Result) float64 { return r.Allreduce.Max },
	"total_cg_iterations":                   func(r *hpcg.Result) float64 { return float64(r.Iterations.OptimizedTotal) },
}
