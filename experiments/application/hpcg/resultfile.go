package hpcg

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"
)

// stdout is what HPCG writes to its hpcg*.txt file.
func (b *benchmark) stdout(out *bytes.Buffer) {
	for k, r := range b.unpreconditioned {
		fmt.Fprintf(out, "WARNING: PERFORMING UNPRECONDITIONED ITERATIONS\nCall [%d] Number of Iterations [11] Scaled Residual [%s]\n", k, number(r))
	}
	for k, r := range b.preconditioned {
		fmt.Fprintf(out, "Call [%d] Number of Iterations [%d] Scaled Residual [%s]\n", k, b.preconditionedSteps, number(r))
	}
	fmt.Fprintf(out, "Departure from symmetry (scaled) for SpMV abs(x'*A*y - y'*A*x) = %s\n", number(b.departureSpMV))
	fmt.Fprintf(out, "Departure from symmetry (scaled) for MG abs(x'*Minv*y - y'*Minv*x) = %s\n", number(b.departureMG))
	out.WriteString("SpMV call [0] Residual [0]\nSpMV call [1] Residual [0]\n")
	for k, r := range b.residuals {
		fmt.Fprintf(out, "Call [%d] Scaled Residual [%s]\n", k, number(r))
	}
}

// result is what the run's HPCG-Benchmark*.txt file says.
func (b *benchmark) result() Result {
	r := Result{
		Version: "3.1", ReleaseDate: "March 28, 2019", Ranks: b.ranks, Threads: b.threads,
		Global: dim(b.global), Processors: dim(b.procs), Local: dim(b.local), UpperIPZ: b.procs[2] - 1,
		SetupTime: b.setup, Equations: int64(b.rows[0]), Nonzeros: int64(b.nonzeros[0]), CoarseLevels: mgLevels - 1,
		Spectral: Spectral{Result: passed, UnpreconditionedMax: 11, UnpreconditionedLimit: 12, PreconditionedMax: b.preconditionedSteps, PreconditionedLimit: 2},
		Symmetry: Symmetry{Result: passed, SpMV: b.departureSpMV, MG: b.departureMG},
		Iterations: Iterations{
			Result: passed, ReferencePerSet: referenceIterations, OptimizedPerSet: b.iterationsPerSet,
			ReferenceTotal: b.sets * referenceIterations, OptimizedTotal: b.sets * b.iterationsPerSet,
		},
		OptimizationSeconds: b.optimise, OptimizationRatio: b.optimise / b.reference,
		Allreduce: Allreduce{Min: b.allreduce[0], Max: b.allreduce[1], Avg: b.allreduce[2]},
		Rating:    b.rating, Rating24: b.counted(b.sets) / (b.total + float64(b.sets)*b.optimise/10) / 1e9,
		ExecutionSeconds: b.total, OfficialSeconds: 1800,
	}
	b.addMemory(&r)
	b.addPerformance(&r)
	b.addNotes(&r)
	return r
}

const passed = "PASSED"

func dim(d [3]int) Dim { return Dim{d[0], d[1], d[2]} }

func (b *benchmark) addMemory(r *Result) {
	system, coarse := b.memory(float64(b.sets))
	all := system
	for i, bytes := range coarse {
		all += bytes
		level := i + 1
		r.Coarse = append(r.Coarse, CoarseGrid{
			Level: level, Equations: int64(b.rows[level]), Nonzeros: int64(b.nonzeros[level]), Presmoother: 1, Postsmoother: 1, MemoryGB: bytes / 1e9,
		})
	}
	r.Memory = Memory{TotalGB: all / 1e9, BytesPerEquation: all / b.rows[0], LinearSystemGB: system / 1e9}
	r.Reproducibility.Result = passed
	r.Reproducibility.ResidualMean, r.Reproducibility.Variance = b.spread()
}

func (b *benchmark) addPerformance(r *Result) {
	work := b.work(float64(b.sets), float64(b.sets*b.iterationsPerSet))
	needed := referenceIterations / float64(b.iterationsPerSet)
	charged := b.total + float64(b.sets)*(b.setup+b.optimise)/10
	flops, traffic := work.flops(), work.reads+work.writes
	r.Times = Times{Optimization: b.optimise, DDOT: b.ddot, WAXPBY: b.waxpby, SpMV: b.spmv, MG: b.mg, Total: b.total}
	r.Operations = Operations{DDOT: work.ddot, WAXPBY: work.waxpby, SpMV: work.spmv, MG: work.mg, Total: flops, WithConvergence: flops * needed}
	r.Bandwidth = Bandwidth{
		Read: work.reads / b.total / 1e9, Write: work.writes / b.total / 1e9, Total: traffic / b.total / 1e9, WithOverheads: traffic * needed / charged / 1e9,
	}
	r.Rates = Rates{
		DDOT: work.ddot / b.ddot / 1e9, WAXPBY: work.waxpby / b.waxpby / 1e9, SpMV: work.spmv / b.spmv / 1e9, MG: work.mg / b.mg / 1e9,
		Total: flops / b.total / 1e9, WithConvergence: flops * needed / b.total / 1e9, WithOverheads: b.rating,
	}
}

func (b *benchmark) addNotes(r *Result) {
	const suboptimal = "Performance results are most likely suboptimal"
	smoother := Note{Key: "Reference version of ComputeMG used", Text: suboptimal}
	if b.threads > 1 {
		smoother = Note{Key: smoother.Key + " and number of threads greater than 1", Text: "Performance results are severely suboptimal"}
	}
	r.Notes = []Note{
		{Key: "Reference version of ComputeDotProduct used", Text: suboptimal},
		{Key: "Reference version of ComputeSPMV used", Text: suboptimal},
		smoother,
		{Key: "Reference version of ComputeWAXPBY used", Text: suboptimal},
	}
}

// Write prints the result as HPCG 3.1 prints its HPCG-Benchmark*.txt file.
func (r *Result) Write(out *bytes.Buffer) {
	out.WriteString("HPCG-Benchmark\n")
	w := &lineWriter{out: out}
	for i := 0; i < len(table); i++ {
		f := &table[i]
		switch {
		case f.notes:
			for _, n := range r.Notes {
				w.put(summary+n.Key, n.Text)
			}
		case f.ofLevel != nil:
			last := i
			for last+1 < len(table) && table[last+1].ofLevel != nil && header(table[last+1].key) == header(f.key) {
				last++
			}
			for level := range r.Coarse {
				for _, line := range table[i : last+1] {
					w.put(line.key, line.ofLevel(&r.Coarse[level]))
				}
			}
			i = last
		case f.of == nil:
			w.put(f.key, "")
		default:
			w.put(f.key, f.of(r))
		}
	}
}

// lineWriter prints key=value lines, with a line for each section that a key opens.
type lineWriter struct {
	out  *bytes.Buffer
	open string // header of the line before
}

// header is the part of a key that names its sections.
func header(key string) string { return key[:max(0, strings.LastIndex(key, "::"))] }

func (w *lineWriter) put(key string, value any) {
	under := header(key)
	for end := 0; end < len(under) && w.open != under; {
		if next := strings.Index(under[end:], "::"); next >= 0 {
			end += next
		} else {
			end = len(under)
		}
		if section := under[:end]; section != w.open && !strings.HasPrefix(w.open, section+"::") {
			w.out.WriteString(section + "=\n")
		}
		if end < len(under) {
			end += len("::")
		}
	}
	w.open = under
	switch v := value.(type) {
	case *float64:
		value = number(*v)
	case *int:
		value = *v
	case *int64:
		value = *v
	case *string:
		value = *v
	}
	fmt.Fprintf(w.out, "%s=%v\n", key, value)
}

// number prints as C++ streams do by default: six significant digits, the exponent only where it is needed.
func number(v float64) string { return strconv.FormatFloat(v, 'g', 6, 64) }
