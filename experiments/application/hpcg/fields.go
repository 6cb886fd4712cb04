package hpcg

// field is one line of a result file: its key, and where its value goes. A line without either is a banner, which has no value.
type field struct {
	key      string
	of       func(*Result) any     // a pointer to text, int, int64 or float64
	ofLevel  func(*CoarseGrid) any // the same for a line that is printed once for each coarse grid
	optional bool                  // left out by runs that are long enough to be official
	mpi      bool                  // left out by a build without MPI
	notes    bool                  // here come the remarks on the figures, whose keys vary
	index    int
}

const (
	symmetry = "Departure from Symmetry |x'Ay-y'Ax|/(2*||x||*||A||*||y||)/epsilon::"
	coarse   = "Multigrid Information::Coarse Grids::"
	memory   = "Memory Use Information::"
	summary  = "Final Summary::"
)

// table lists the lines of an HPCG 3.1 result file in its order, without the headers that follow from the keys. It is what is read and
// what is written.
var table = []field{
	{key: "version", of: func(r *Result) any { return &r.Version }},
	{key: "Release date", of: func(r *Result) any { return &r.ReleaseDate }},
	{key: "Machine Summary::Distributed Processes", of: func(r *Result) any { return &r.Ranks }},
	{key: "Machine Summary::Threads per processes", of: func(r *Result) any { return &r.Threads }},
	{key: "Global Problem Dimensions::Global nx", of: func(r *Result) any { return &r.Global.X }},
	{key: "Global Problem Dimensions::Global ny", of: func(r *Result) any { return &r.Global.Y }},
	{key: "Global Problem Dimensions::Global nz", of: func(r *Result) any { return &r.Global.Z }},
	{key: "Processor Dimensions::npx", of: func(r *Result) any { return &r.Processors.X }},
	{key: "Processor Dimensions::npy", of: func(r *Result) any { return &r.Processors.Y }},
	{key: "Processor Dimensions::npz", of: func(r *Result) any { return &r.Processors.Z }},
	{key: "Local Domain Dimensions::nx", of: func(r *Result) any { return &r.Local.X }},
	{key: "Local Domain Dimensions::ny", of: func(r *Result) any { return &r.Local.Y }},
	{key: "Local Domain Dimensions::Lower ipz", of: func(r *Result) any { return &r.LowerIPZ }},
	{key: "Local Domain Dimensions::Upper ipz", of: func(r *Result) any { return &r.UpperIPZ }},
	{key: "Local Domain Dimensions::nz", of: func(r *Result) any { return &r.Local.Z }},
	{key: "########## Problem Summary  ##########"},
	{key: "Setup Information::Setup Time", of: func(r *Result) any { return &r.SetupTime }},
	{key: "Linear System Information::Number of Equations", of: func(r *Result) any { return &r.Equations }},
	{key: "Linear System Information::Number of Nonzero Terms", of: func(r *Result) any { return &r.Nonzeros }},
	{key: "Multigrid Information::Number of coarse grid levels", of: func(r *Result) any { return &r.CoarseLevels }},
	{key: coarse + "Grid Level", ofLevel: func(g *CoarseGrid) any { return &g.Level }},
	{key: coarse + "Number of Equations", ofLevel: func(g *CoarseGrid) any { return &g.Equations }},
	{key: coarse + "Number of Nonzero Terms", ofLevel: func(g *CoarseGrid) any { return &g.Nonzeros }},
	{key: coarse + "Number of Presmoother Steps", ofLevel: func(g *CoarseGrid) any { return &g.Presmoother }},
	{key: coarse + "Number of Postsmoother Steps", ofLevel: func(g *CoarseGrid) any { return &g.Postsmoother }},
	{key: "########## Memory Use Summary  ##########"},
	{key: memory + "Total memory used for data (Gbytes)", of: func(r *Result) any { return &r.Memory.TotalGB }},
	{key: memory + "Memory used for OptimizeProblem data (Gbytes)", of: func(r *Result) any { return &r.Memory.OptimizeGB }},
	{key: memory + "Bytes per equation (Total memory / Number of Equations)", of: func(r *Result) any { return &r.Memory.BytesPerEquation }},
	{key: memory + "Memory used for linear system and CG (Gbytes)", of: func(r *Result) any { return &r.Memory.LinearSystemGB }},
	{key: memory + "Coarse Grids::Grid Level", ofLevel: func(g *CoarseGrid) any { return &g.Level }},
	{key: memory + "Coarse Grids::Memory used", ofLevel: func(g *CoarseGrid) any { return &g.MemoryGB }},
	{key: "########## V&V Testing Summary  ##########"},
	{key: "Spectral Convergence Tests::Result", of: func(r *Result) any { return &r.Spectral.Result }},
	{key: "Spectral Convergence Tests::Unpreconditioned::Maximum iteration count", of: func(r *Result) any { return &r.Spectral.UnpreconditionedMax }},
	{key: "Spectral Convergence Tests::Unpreconditioned::Expected iteration count", of: func(r *Result) any { return &r.Spectral.UnpreconditionedLimit }},
	{key: "Spectral Convergence Tests::Preconditioned::Maximum iteration count", of: func(r *Result) any { return &r.Spectral.PreconditionedMax }},
	{key: "Spectral Convergence Tests::Preconditioned::Expected iteration count", of: func(r *Result) any { return &r.Spectral.PreconditionedLimit }},
	{key: symmetry + "Result", of: func(r *Result) any { return &r.Symmetry.Result }},
	{key: symmetry + "Departure for SpMV", of: func(r *Result) any { return &r.Symmetry.SpMV }},
	{key: symmetry + "Departure for MG", of: func(r *Result) any { return &r.Symmetry.MG }},
	{key: "########## Iterations Summary  ##########"},
	{key: "Iteration Count Information::Result", of: func(r *Result) any { return &r.Iterations.Result }},
	{key: "Iteration Count Information::Reference CG iterations per set", of: func(r *Result) any { return &r.Iterations.ReferencePerSet }},
	{key: "Iteration Count Information::Optimized CG iterations per set", of: func(r *Result) any { return &r.Iterations.OptimizedPerSet }},
	{key: "Iteration Count Information::Total number of reference iterations", of: func(r *Result) any { return &r.Iterations.ReferenceTotal }},
	{key: "Iteration Count Information::Total number of optimized iterations", of: func(r *Result) any { return &r.Iterations.OptimizedTotal }},
	{key: "########## Reproducibility Summary  ##########"},
	{key: "Reproducibility Information::Result", of: func(r *Result) any { return &r.Reproducibility.Result }},
	{key: "Reproducibility Information::Scaled residual mean", of: func(r *Result) any { return &r.Reproducibility.ResidualMean }},
	{key: "Reproducibility Information::Scaled residual variance", of: func(r *Result) any { return &r.Reproducibility.Variance }},
	{key: "########## Performance Summary (times in sec) ##########"},
	{key: "Benchmark Time Summary::Optimization phase", of: func(r *Result) any { return &r.Times.Optimization }},
	{key: "Benchmark Time Summary::DDOT", of: func(r *Result) any { return &r.Times.DDOT }},
	{key: "Benchmark Time Summary::WAXPBY", of: func(r *Result) any { return &r.Times.WAXPBY }},
	{key: "Benchmark Time Summary::SpMV", of: func(r *Result) any { return &r.Times.SpMV }},
	{key: "Benchmark Time Summary::MG", of: func(r *Result) any { return &r.Times.MG }},
	{key: "Benchmark Time Summary::Total", of: func(r *Result) any { return &r.Times.Total }},
	{key: "Floating Point Operations Summary::Raw DDOT", of: func(r *Result) any { return &r.Operations.DDOT }},
	{key: "Floating Point Operations Summary::Raw WAXPBY", of: func(r *Result) any { return &r.Operations.WAXPBY }},
	{key: "Floating Point Operations Summary::Raw SpMV", of: func(r *Result) any { return &r.Operations.SpMV }},
	{key: "Floating Point Operations Summary::Raw MG", of: func(r *Result) any { return &r.Operations.MG }},
	{key: "Floating Point Operations Summary::Total", of: func(r *Result) any { return &r.Operations.Total }},
	{key: "Floating Point Operations Summary::Total with convergence overhead", of: func(r *Result) any { return &r.Operations.WithConvergence }},
	{key: "GB/s Summary::Raw Read B/W", of: func(r *Result) any { return &r.Bandwidth.Read }},
	{key: "GB/s Summary::Raw Write B/W", of: func(r *Result) any { return &r.Bandwidth.Write }},
	{key: "GB/s Summary::Raw Total B/W", of: func(r *Result) any { return &r.Bandwidth.Total }},
	{key: "GB/s Summary::Total with convergence and optimization phase overhead", of: func(r *Result) any { return &r.Bandwidth.WithOverheads }},
	{key: "GFLOP/s Summary::Raw DDOT", of: func(r *Result) any { return &r.Rates.DDOT }},
	{key: "GFLOP/s Summary::Raw WAXPBY", of: func(r *Result) any { return &r.Rates.WAXPBY }},
	{key: "GFLOP/s Summary::Raw SpMV", of: func(r *Result) any { return &r.Rates.SpMV }},
	{key: "GFLOP/s Summary::Raw MG", of: func(r *Result) any { return &r.Rates.MG }},
	{key: "GFLOP/s Summary::Raw Total", of: func(r *Result) any { return &r.Rates.Total }},
	{key: "GFLOP/s Summary::Total with convergence overhead", of: func(r *Result) any { return &r.Rates.WithConvergence }},
	{key: "GFLOP/s Summary::Total with convergence and optimization phase overhead", of: func(r *Result) any { return &r.Rates.WithOverheads }},
	{key: "User Optimization Overheads::Optimization phase time (sec)", of: func(r *Result) any { return &r.OptimizationSeconds }},
	{key: "User Optimization Overheads::Optimization phase time vs reference SpMV+MG time", of: func(r *Result) any { return &r.OptimizationRatio }},
	{key: "DDOT Timing Variations::Min DDOT MPI_Allreduce time", mpi: true, of: func(r *Result) any { return &r.Allreduce.Min }},
	{key: "DDOT Timing Variations::Max DDOT MPI_Allreduce time", mpi: true, of: func(r *Result) any { return &r.Allreduce.Max }},
	{key: "DDOT Timing Variations::Avg DDOT MPI_Allreduce time", mpi: true, of: func(r *Result) any { return &r.Allreduce.Avg }},
	{key: summary + "HPCG result is VALID with a GFLOP/s rating of", of: func(r *Result) any { return &r.Rating }},
	{key: summary + "HPCG 2.4 rating for historical reasons is", of: func(r *Result) any { return &r.Rating24 }},
	{notes: true},
	{key: summary + "Results are valid but execution time (sec) is", optional: true, of: func(r *Result) any { return &r.ExecutionSeconds }},
	{key: summary + "Official results execution time (sec) must be at least", optional: true, of: func(r *Result) any { return &r.OfficialSeconds }},
}

// fields finds a line's field by its key; it is never changed.
var fields = func() map[string]*field {
	m := make(map[string]*field, len(table))
	for i := range table {
		table[i].index = i
		if f := &table[i]; f.of != nil || f.ofLevel != nil {
			m[f.key] = f
		}
	}
	return m
}()

// wanted is how often a complete result file has the line.
func (f *field) wanted(r *Result) int {
	switch {
	case f.ofLevel != nil:
		return max(1, len(r.Coarse))
	case f.of == nil || f.optional || f.mpi && r.Ranks == 1:
		return 0
	}
	return 1
}
