package hpcg

// field is one line of a result file: its key and where the value goes. Exactly one of the setters is there.
type field struct {
	key      string
	number   func(*Result) *float64
	whole    func(*Result) *int
	long     func(*Result) *int64
	text     func(*Result) *string
	perLevel bool // printed once for each coarse grid
	optional bool // left out by runs that are long enough to be official
	index    int
}

const (
	symmetry = "Departure from Symmetry |x'Ay-y'Ax|/(2*||x||*||A||*||y||)/epsilon::"
	coarse   = "Multigrid Information::Coarse Grids::"
	memory   = "Memory Use Information::"
	summary  = "Final Summary::"
)

// table lists every line of an HPCG 3.1 result file that has a value, in the order of the file, but for the notes at its end.
var table = []field{
	{key: "version", text: func(r *Result) *string { return &r.Version }},
	{key: "Release date", text: func(r *Result) *string { return &r.ReleaseDate }},
	{key: "Machine Summary::Distributed Processes", whole: func(r *Result) *int { return &r.Ranks }},
	{key: "Machine Summary::Threads per processes", whole: func(r *Result) *int { return &r.Threads }},
	{key: "Global Problem Dimensions::Global nx", whole: func(r *Result) *int { return &r.Global.X }},
	{key: "Global Problem Dimensions::Global ny", whole: func(r *Result) *int { return &r.Global.Y }},
	{key: "Global Problem Dimensions::Global nz", whole: func(r *Result) *int { return &r.Global.Z }},
	{key: "Processor Dimensions::npx", whole: func(r *Result) *int { return &r.Processors.X }},
	{key: "Processor Dimensions::npy", whole: func(r *Result) *int { return &r.Processors.Y }},
	{key: "Processor Dimensions::npz", whole: func(r *Result) *int { return &r.Processors.Z }},
	{key: "Local Domain Dimensions::nx", whole: func(r *Result) *int { return &r.Local.X }},
	{key: "Local Domain Dimensions::ny", whole: func(r *Result) *int { return &r.Local.Y }},
	{key: "Local Domain Dimensions::nz", whole: func(r *Result) *int { return &r.Local.Z }},
	{key: "Local Domain Dimensions::Lower ipz", whole: func(r *Result) *int { return &r.LowerIPZ }},
	{key: "Local Domain Dimensions::Upper ipz", whole: func(r *Result) *int { return &r.UpperIPZ }},
	{key: "Setup Information::Setup Time", number: func(r *Result) *float64 { return &r.SetupTime }},
	{key: "Linear System Information::Number of Equations", long: func(r *Result) *int64 { return &r.Equations }},
	{key: "Linear System Information::Number of Nonzero Terms", long: func(r *Result) *int64 { return &r.Nonzeros }},
	{key: "Multigrid Information::Number of coarse grid levels", whole: func(r *Result) *int { return &r.CoarseLevels }},
	{key: coarse + "Grid Level", perLevel: true, whole: newLevel},
	{key: coarse + "Number of Equations", perLevel: true, long: func(r *Result) *int64 { return &r.lastLevel().Equations }},
	{key: coarse + "Number of Nonzero Terms", perLevel: true, long: func(r *Result) *int64 { return &r.lastLevel().Nonzeros }},
	{key: coarse + "Number of Presmoother Steps", perLevel: true, whole: func(r *Result) *int { return &r.lastLevel().Presmoother }},
	{key: coarse + "Number of Postsmoother Steps", perLevel: true, whole: func(r *Result) *int { return &r.lastLevel().Postsmoother }},
	{key: memory + "Total memory used for data (Gbytes)", number: func(r *Result) *float64 { return &r.Memory.TotalGB }},
	{key: memory + "Memory used for OptimizeProblem data (Gbytes)", number: func(r *Result) *float64 { return &r.Memory.OptimizeGB }},
	{key: memory + "Bytes per equation (Total memory / Number of Equations)", number: func(r *Result) *float64 { return &r.Memory.BytesPerEquation }},
	{key: memory + "Memory used for linear system and CG (Gbytes)", number: func(r *Result) *float64 { return &r.Memory.LinearSystemGB }},
	{key: memory + "Coarse Grids::Grid Level", perLevel: true, whole: func(*Result) *int { return new(int) }},
	{key: memory + "Coarse Grids::Memory used", perLevel: true, number: func(r *Result) *float64 { return &r.nextMemory().MemoryGB }},
	{key: "Spectral Convergence Tests::Result", text: func(r *Result) *string { return &r.Spectral.Result }},
	{key: "Spectral Convergence Tests::Unpreconditioned::Maximum iteration count", whole: func(r *Result) *int { return &r.Spectral.UnpreconditionedMax }},
	{key: "Spectral Convergence Tests::Unpreconditioned::Expected iteration count", whole: func(r *Result) *int { return &r.Spectral.UnpreconditionedLimit }},
	{key: "Spectral Convergence Tests::Preconditioned::Maximum iteration count", whole: func(r *Result) *int { return &r.Spectral.PreconditionedMax }},
	{key: "Spectral Convergence Tests::Preconditioned::Expected iteration count", whole: func(r *Result) *int { return &r.Spectral.PreconditionedLimit }},
	{key: symmetry + "Result", text: func(r *Result) *string { return &r.Symmetry.Result }},
	{key: symmetry + "Departure for SpMV", number: func(r *Result) *float64 { return &r.Symmetry.SpMV }},
	{key: symmetry + "Departure for MG", number: func(r *Result) *float64 { return &r.Symmetry.MG }},
	{key: "Iteration Count Information::Result", text: func(r *Result) *string { return &r.Iterations.Result }},
	{key: "Iteration Count Information::Reference CG iterations per set", whole: func(r *Result) *int { return &r.Iterations.ReferencePerSet }},
	{key: "Iteration Count Information::Optimized CG iterations per set", whole: func(r *Result) *int { return &r.Iterations.OptimizedPerSet }},
	{key: "Iteration Count Information::Total number of reference iterations", whole: func(r *Result) *int { return &r.Iterations.ReferenceTotal }},
	{key: "Iteration Count Information::Total number of optimized iterations", whole: func(r *Result) *int { return &r.Iterations.OptimizedTotal }},
	{key: "Reproducibility Information::Result", text: func(r *Result) *string { return &r.Reproducibility.Result }},
	{key: "Reproducibility Information::Scaled residual mean", number: func(r *Result) *float64 { return &r.Reproducibility.ResidualMean }},
	{key: "Reproducibility Information::Scaled residual variance", number: func(r *Result) *float64 { return &r.Reproducibility.Variance }},
	{key: "Benchmark Time Summary::Optimization phase", number: func(r *Result) *float64 { return &r.Times.Optimization }},
	{key: "Benchmark Time Summary::DDOT", number: func(r *Result) *float64 { return &r.Times.DDOT }},
	{key: "Benchmark Time Summary::WAXPBY", number: func(r *Result) *float64 { return &r.Times.WAXPBY }},
	{key: "Benchmark Time Summary::SpMV", number: func(r *Result) *float64 { return &r.Times.SpMV }},
	{key: "Benchmark Time Summary::MG", number: func(r *Result) *float64 { return &r.Times.MG }},
	{key: "Benchmark Time Summary::Total", number: func(r *Result) *float64 { return &r.Times.Total }},
	{key: "Floating Point Operations Summary::Raw DDOT", number: func(r *Result) *float64 { return &r.Operations.DDOT }},
	{key: "Floating Point Operations Summary::Raw WAXPBY", number: func(r *Result) *float64 { return &r.Operations.WAXPBY }},
	{key: "Floating Point Operations Summary::Raw SpMV", number: func(r *Result) *float64 { return &r.Operations.SpMV }},
	{key: "Floating Point Operations Summary::Raw MG", number: func(r *Result) *float64 { return &r.Operations.MG }},
	{key: "Floating Point Operations Summary::Total", number: func(r *Result) *float64 { return &r.Operations.Total }},
	{key: "Floating Point Operations Summary::Total with convergence overhead", number: func(r *Result) *float64 { return &r.Operations.WithConvergence }},
	{key: "GB/s Summary::Raw Read B/W", number: func(r *Result) *float64 { return &r.Bandwidth.Read }},
	{key: "GB/s Summary::Raw Write B/W", number: func(r *Result) *float64 { return &r.Bandwidth.Write }},
	{key: "GB/s Summary::Raw Total B/W", number: func(r *Result) *float64 { return &r.Bandwidth.Total }},
	{key: "GB/s Summary::Total with convergence and optimization phase overhead", number: func(r *Result) *float64 { return &r.Bandwidth.WithOverheads }},
	{key: "GFLOP/s Summary::Raw DDOT", number: func(r *Result) *float64 { return &r.Rates.DDOT }},
	{key: "GFLOP/s Summary::Raw WAXPBY", number: func(r *Result) *float64 { return &r.Rates.WAXPBY }},
	{key: "GFLOP/s Summary::Raw SpMV", number: func(r *Result) *float64 { return &r.Rates.SpMV }},
	{key: "GFLOP/s Summary::Raw MG", number: func(r *Result) *float64 { return &r.Rates.MG }},
	{key: "GFLOP/s Summary::Raw Total", number: func(r *Result) *float64 { return &r.Rates.Total }},
	{key: "GFLOP/s Summary::Total with convergence overhead", number: func(r *Result) *float64 { return &r.Rates.WithConvergence }},
	{key: "GFLOP/s Summary::Total with convergence and optimization phase overhead", number: func(r *Result) *float64 { return &r.Rates.WithOverheads }},
	{key: "User Optimization Overheads::Optimization phase time (sec)", number: func(r *Result) *float64 { return &r.OptimizationSeconds }},
	{key: "User Optimization Overheads::Optimization phase time vs reference SpMV+MG time", number: func(r *Result) *float64 { return &r.OptimizationRatio }},
	{key: "DDOT Timing Variations::Min DDOT MPI_Allreduce time", number: func(r *Result) *float64 { return &r.Allreduce.Min }},
	{key: "DDOT Timing Variations::Max DDOT MPI_Allreduce time", number: func(r *Result) *float64 { return &r.Allreduce.Max }},
	{key: "DDOT Timing Variations::Avg DDOT MPI_Allreduce time", number: func(r *Result) *float64 { return &r.Allreduce.Avg }},
	{key: summary + "HPCG result is VALID with a GFLOP/s rating of", number: func(r *Result) *float64 { return &r.Rating }},
	{key: summary + "HPCG 2.4 rating for historical reasons is", number: func(r *Result) *float64 { return &r.Rating24 }},
	{key: summary + "Results are valid but execution time (sec) is", optional: true, number: func(r *Result) *float64 { return &r.ExecutionSeconds }},
	{key: summary + "Official results execution time (sec) must be at least", optional: true, number: func(r *Result) *float64 { return &r.OfficialSeconds }},
}

// fields finds a line's field by its key; it is never changed.
var fields = func() map[string]*field {
	m := make(map[string]*field, len(table))
	for i := range table {
		table[i].index = i
		m[table[i].key] = &table[i]
	}
	return m
}()

func newLevel(r *Result) *int {
	r.Coarse = append(r.Coarse, CoarseGrid{})
	return &r.Coarse[len(r.Coarse)-1].Level
}

func (r *Result) lastLevel() *CoarseGrid {
	if len(r.Coarse) == 0 {
		r.Coarse = append(r.Coarse, CoarseGrid{})
	}
	return &r.Coarse[len(r.Coarse)-1]
}

// nextMemory is the first level without its memory line: those lines come in level order, after all levels were named.
func (r *Result) nextMemory() *CoarseGrid {
	for i := range r.Coarse {
		if !r.Coarse[i].hasMemoryLine {
			r.Coarse[i].hasMemoryLine = true
			return &r.Coarse[i]
		}
	}
	r.Coarse = append(r.Coarse, CoarseGrid{hasMemoryLine: true})
	return &r.Coarse[len(r.Coarse)-1]
}
