package playback

import (
	"bytes"
	"fmt"
	"strconv"
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

// resultFile is what HPCG writes to its HPCG-Benchmark*.txt file, in its order.
func (b *benchmark) resultFile(out *bytes.Buffer) {
	w := &sections{out: out}
	out.WriteString("HPCG-Benchmark\n")
	w.put("version", "3.1")
	w.put("Release date", "March 28, 2019")
	w.section("Machine Summary")
	w.put("Distributed Processes", b.ranks)
	w.put("Threads per processes", b.threads)
	w.section("Global Problem Dimensions")
	w.put("Global nx", b.global[0])
	w.put("Global ny", b.global[1])
	w.put("Global nz", b.global[2])
	w.section("Processor Dimensions")
	w.put("npx", b.procs[0])
	w.put("npy", b.procs[1])
	w.put("npz", b.procs[2])
	w.section("Local Domain Dimensions")
	w.put("nx", b.local[0])
	w.put("ny", b.local[1])
	w.put("Lower ipz", 0)
	w.put("Upper ipz", b.procs[2]-1)
	w.put("nz", b.local[2])
	b.problemSummary(w)
	b.memorySummary(w)
	b.validation(w)
	b.performance(w)
	b.final(w)
}

func (b *benchmark) problemSummary(w *sections) {
	w.banner("########## Problem Summary  ##########")
	w.section("Setup Information")
	w.put("Setup Time", b.setup)
	w.section("Linear System Information")
	w.put("Number of Equations", int64(b.rows[0]))
	w.put("Number of Nonzero Terms", int64(b.nonzeros[0]))
	w.section("Multigrid Information")
	w.put("Number of coarse grid levels", mgLevels-1)
	w.put("Coarse Grids", "")
	for level := 1; level < mgLevels; level++ {
		w.put("Coarse Grids::Grid Level", level)
		w.put("Coarse Grids::Number of Equations", int64(b.rows[level]))
		w.put("Coarse Grids::Number of Nonzero Terms", int64(b.nonzeros[level]))
		w.put("Coarse Grids::Number of Presmoother Steps", 1)
		w.put("Coarse Grids::Number of Postsmoother Steps", 1)
	}
}

func (b *benchmark) memorySummary(w *sections) {
	system, coarse := b.memory(float64(b.sets))
	all := system
	for _, bytes := range coarse {
		all += bytes
	}
	w.banner("########## Memory Use Summary  ##########")
	w.section("Memory Use Information")
	w.put("Total memory used for data (Gbytes)", all/1e9)
	w.put("Memory used for OptimizeProblem data (Gbytes)", 0)
	w.put("Bytes per equation (Total memory / Number of Equations)", all/b.rows[0])
	w.put("Memory used for linear system and CG (Gbytes)", system/1e9)
	w.put("Coarse Grids", "")
	for i, bytes := range coarse {
		w.put("Coarse Grids::Grid Level", i+1)
		w.put("Coarse Grids::Memory used", bytes/1e9)
	}
}

func (b *benchmark) validation(w *sections) {
	w.banner("########## V&V Testing Summary  ##########")
	w.section("Spectral Convergence Tests")
	w.put("Result", "PASSED")
	w.put("Unpreconditioned", "")
	w.put("Unpreconditioned::Maximum iteration count", 11)
	w.put("Unpreconditioned::Expected iteration count", 12)
	w.put("Preconditioned", "")
	w.put("Preconditioned::Maximum iteration count", b.preconditionedSteps)
	w.put("Preconditioned::Expected iteration count", 2)
	w.section("Departure from Symmetry |x'Ay-y'Ax|/(2*||x||*||A||*||y||)/epsilon")
	w.put("Result", "PASSED")
	w.put("Departure for SpMV", b.departureSpMV)
	w.put("Departure for MG", b.departureMG)
	w.banner("########## Iterations Summary  ##########")
	w.section("Iteration Count Information")
	w.put("Result", "PASSED")
	w.put("Reference CG iterations per set", referenceIterations)
	w.put("Optimized CG iterations per set", b.iterationsPerSet)
	w.put("Total number of reference iterations", b.sets*referenceIterations)
	w.put("Total number of optimized iterations", b.sets*b.iterationsPerSet)
	mean, variance := b.spread()
	w.banner("########## Reproducibility Summary  ##########")
	w.section("Reproducibility Information")
	w.put("Result", "PASSED")
	w.put("Scaled residual mean", mean)
	w.put("Scaled residual variance", variance)
}

func (b *benchmark) performance(w *sections) {
	work := b.work(float64(b.sets), float64(b.sets*b.iterationsPerSet))
	needed := referenceIterations / float64(b.iterationsPerSet)
	charged := b.total + float64(b.sets)*(b.setup+b.optimise)/10
	w.banner("########## Performance Summary (times in sec) ##########")
	w.section("Benchmark Time Summary")
	w.put("Optimization phase", b.optimise)
	w.put("DDOT", b.ddot)
	w.put("WAXPBY", b.waxpby)
	w.put("SpMV", b.spmv)
	w.put("MG", b.mg)
	w.put("Total", b.total)
	w.section("Floating Point Operations Summary")
	w.put("Raw DDOT", work.ddot)
	w.put("Raw WAXPBY", work.waxpby)
	w.put("Raw SpMV", work.spmv)
	w.put("Raw MG", work.mg)
	w.put("Total", work.flops())
	w.put("Total with convergence overhead", work.flops()*needed)
	w.section("GB/s Summary")
	w.put("Raw Read B/W", work.reads/b.total/1e9)
	w.put("Raw Write B/W", work.writes/b.total/1e9)
	w.put("Raw Total B/W", (work.reads+work.writes)/b.total/1e9)
	w.put("Total with convergence and optimization phase overhead", (work.reads+work.writes)*needed/charged/1e9)
	w.section("GFLOP/s Summary")
	w.put("Raw DDOT", work.ddot/b.ddot/1e9)
	w.put("Raw WAXPBY", work.waxpby/b.waxpby/1e9)
	w.put("Raw SpMV", work.spmv/b.spmv/1e9)
	w.put("Raw MG", work.mg/b.mg/1e9)
	w.put("Raw Total", work.flops()/b.total/1e9)
	w.put("Total with convergence overhead", work.flops()*needed/b.total/1e9)
	w.put("Total with convergence and optimization phase overhead", b.rating)
	w.section("User Optimization Overheads")
	w.put("Optimization phase time (sec)", b.optimise)
	w.put("Optimization phase time vs reference SpMV+MG time", b.optimise/b.reference)
	w.section("DDOT Timing Variations")
	w.put("Min DDOT MPI_Allreduce time", b.allreduce[0])
	w.put("Max DDOT MPI_Allreduce time", b.allreduce[1])
	w.put("Avg DDOT MPI_Allreduce time", b.allreduce[2])
}

func (b *benchmark) final(w *sections) {
	const suboptimal = "Performance results are most likely suboptimal"
	smoother, note := "Reference version of ComputeMG used", suboptimal
	if b.threads > 1 {
		smoother, note = smoother+" and number of threads greater than 1", "Performance results are severely suboptimal"
	}
	w.section("Final Summary")
	w.put("HPCG result is VALID with a GFLOP/s rating of", b.rating)
	w.put("HPCG 2.4 rating for historical reasons is", b.counted(b.sets)/(b.total+float64(b.sets)*b.optimise/10)/1e9)
	w.put("Reference version of ComputeDotProduct used", suboptimal)
	w.put("Reference version of ComputeSPMV used", suboptimal)
	w.put(smoother, note)
	w.put("Reference version of ComputeWAXPBY used", suboptimal)
	w.put("Results are valid but execution time (sec) is", b.total)
	w.put("Official results execution time (sec) must be at least", 1800)
}

// sections writes HPCG's key=value lines, where a section's keys begin with its name.
type sections struct {
	out    *bytes.Buffer
	prefix string
}

func (s *sections) banner(text string) { s.out.WriteString(text + "=\n") }

func (s *sections) section(name string) {
	s.out.WriteString(name + "=\n")
	s.prefix = name + "::"
}

func (s *sections) put(key string, value any) {
	s.out.WriteString(s.prefix + key + "=")
	if v, ok := value.(float64); ok {
		value = number(v)
	}
	fmt.Fprintln(s.out, value)
}

// number prints as C++ streams do by default: six significant digits, the exponent only where it is needed.
func number(v float64) string { return strconv.FormatFloat(v, 'g', 6, 64) }
