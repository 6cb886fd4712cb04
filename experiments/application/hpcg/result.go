package hpcg

// Result is one HPCG-Benchmark result file. Times are in seconds, memory in GB (1e9 bytes), rates in GB/s and GFLOP/s.
type Result struct {
	Version     string
	ReleaseDate string
	Ranks       int // distributed processes
	Threads     int // per process

	Global     Dim // grid points of the whole problem
	Processors Dim // process grid
	Local      Dim // grid points per rank
	LowerIPZ   int
	UpperIPZ   int

	SetupTime float64
	Equations int64
	Nonzeros  int64

	CoarseLevels int
	Coarse       []CoarseGrid

	Memory          Memory
	Spectral        Spectral
	Symmetry        Symmetry
	Iterations      Iterations
	Reproducibility Reproducibility

	Times      Times
	Operations Operations
	Bandwidth  Bandwidth
	Rates      Rates

	OptimizationSeconds float64
	OptimizationRatio   float64 // of the reference's SpMV and MG time
	Allreduce           Allreduce

	Rating           float64 // the figure of merit: GFLOP/s with all overheads
	Rating24         float64 // as HPCG 2.4 computed it
	ExecutionSeconds float64
	OfficialSeconds  float64 // shorter runs are not official results
	Notes            []Note  // remarks of the final summary

	Extra map[string]string // lines that HPCG 3.1 does not print

	invalid string     // what the file says when it does not call its result valid
	seen    [128]uint8 // how often each line of the table was there
	line    int64
}

// Dim is a size in three dimensions.
type Dim struct{ X, Y, Z int }

// CoarseGrid is one level of the multigrid.
type CoarseGrid struct {
	Level        int
	Equations    int64
	Nonzeros     int64
	Presmoother  int
	Postsmoother int
	MemoryGB     float64
}

// Memory is what HPCG says it used.
type Memory struct {
	TotalGB, OptimizeGB, BytesPerEquation, LinearSystemGB float64
}

// Spectral is the spectral convergence test.
type Spectral struct {
	Result                                     string
	UnpreconditionedMax, UnpreconditionedLimit int
	PreconditionedMax, PreconditionedLimit     int
}

// Symmetry is the departure from symmetry.
type Symmetry struct {
	Result   string
	SpMV, MG float64
}

// Iterations counts the iterations of the conjugate gradient.
type Iterations struct {
	Result                           string
	ReferencePerSet, OptimizedPerSet int
	ReferenceTotal, OptimizedTotal   int
}

// Reproducibility tells how the scaled residual varied over the sets.
type Reproducibility struct {
	Result                 string
	ResidualMean, Variance float64
}

// Times are the seconds by kernel.
type Times struct {
	Optimization, DDOT, WAXPBY, SpMV, MG, Total float64
}

// Operations are floating-point operations by kernel.
type Operations struct {
	DDOT, WAXPBY, SpMV, MG, Total, WithConvergence float64
}

// Bandwidth is the memory bandwidth across the kernels.
type Bandwidth struct {
	Read, Write, Total, WithOverheads float64
}

// Rates are floating-point rates by kernel.
type Rates struct {
	DDOT, WAXPBY, SpMV, MG, Total, WithConvergence, WithOverheads float64
}

// Allreduce is the time spent in MPI_Allreduce over the ranks.
type Allreduce struct {
	Min, Max, Avg float64
}

// Note is a remark of the final summary, such as that the reference kernels make the figures suboptimal.
type Note struct{ Key, Text string }
