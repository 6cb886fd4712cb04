package playback

// keys are those of a result file of HPCG 3.1 in its order, for one rank with several threads.
const keys = `
version
Release date
Machine Summary
Machine Summary::Distributed Processes
Machine Summary::Threads per processes
Global Problem Dimensions
Global Problem Dimensions::Global nx
Global Problem Dimensions::Global ny
Global Problem Dimensions::Global nz
Processor Dimensions
Processor Dimensions::npx
Processor Dimensions::npy
Processor Dimensions::npz
Local Domain Dimensions
Local Domain Dimensions::nx
Local Domain Dimensions::ny
Local Domain Dimensions::Lower ipz
Local Domain Dimensions::Upper ipz
Local Domain Dimensions::nz
########## Problem Summary  ##########
Setup Information
Setup Information::Setup Time
Linear System Information
Linear System Information::Number of Equations
Linear System Information::Number of Nonzero Terms
Multigrid Information
Multigrid Information::Number of coarse grid levels
Multigrid Information::Coarse Grids
Multigrid Information::Coarse Grids::Grid Level
Multigrid Information::Coarse Grids::Number of Equations
Multigrid Information::Coarse Grids::Number of Nonzero Terms
Multigrid Information::Coarse Grids::Number of Presmoother Steps
Multigrid Information::Coarse Grids::Number of Postsmoother Steps
Multigrid Information::Coarse Grids::Grid Level
Multigrid Information::Coarse Grids::Number of Equations
Multigrid Information::Coarse Grids::Number of Nonzero Terms
Multigrid Information::Coarse Grids::Number of Presmoother Steps
Multigrid Information::Coarse Grids::Number of Postsmoother Steps
Multigrid Information::Coarse Grids::Grid Level
Multigrid Information::Coarse Grids::Number of Equations
Multigrid Information::Coarse Grids::Number of Nonzero Terms
Multigrid Information::Coarse Grids::Number of Presmoother Steps
Multigrid Information::Coarse Grids::Number of Postsmoother Steps
########## Memory Use Summary  ##########
Memory Use Information
Memory Use Information::Total memory used for data (Gbytes)
Memory Use Information::Memory used for OptimizeProblem data (Gbytes)
Memory Use Information::Bytes per equation (Total memory / Number of Equations)
Memory Use Information::Memory used for linear system and CG (Gbytes)
Memory Use Information::Coarse Grids
Memory Use Information::Coarse Grids::Grid Level
Memory Use Information::Coarse Grids::Memory used
Memory Use Information::Coarse Grids::Grid Level
Memory Use Information::Coarse Grids::Memory used
Memory Use Information::Coarse Grids::Grid Level
Memory Use Information::Coarse Grids::Memory used
########## V&V Testing Summary  ##########
Spectral Convergence Tests
Spectral Convergence Tests::Result
Spectral Convergence Tests::Unpreconditioned
Spectral Convergence Tests::Unpreconditioned::Maximum iteration count
Spectral Convergence Tests::Unpreconditioned::Expected iteration count
Spectral Convergence Tests::Preconditioned
Spectral Convergence Tests::Preconditioned::Maximum iteration count
Spectral Convergence Tests::Preconditioned::Expected iteration count
Departure from Symmetry |x'Ay-y'Ax|/(2*||x||*||A||*||y||)/epsilon
Departure from Symmetry |x'Ay-y'Ax|/(2*||x||*||A||*||y||)/epsilon::Result
Departure from Symmetry |x'Ay-y'Ax|/(2*||x||*||A||*||y||)/epsilon::Departure for SpMV
Departure from Symmetry |x'Ay-y'Ax|/(2*||x||*||A||*||y||)/epsilon::Departure for MG
########## Iterations Summary  ##########
Iteration Count Information
Iteration Count Information::Result
Iteration Count Information::Reference CG iterations per set
Iteration Count Information::Optimized CG iterations per set
Iteration Count Information::Total number of reference iterations
Iteration Count Information::Total number of optimized iterations
########## Reproducibility Summary  ##########
Reproducibility Information
Reproducibility Information::Result
Reproducibility Information::Scaled residual mean
Reproducibility Information::Scaled residual variance
########## Performance Summary (times in sec) ##########
Benchmark Time Summary
Benchmark Time Summary::Optimization phase
Benchmark Time Summary::DDOT
Benchmark Time Summary::WAXPBY
Benchmark Time Summary::SpMV
Benchmark Time Summary::MG
Benchmark Time Summary::Total
Floating Point Operations Summary
Floating Point Operations Summary::Raw DDOT
Floating Point Operations Summary::Raw WAXPBY
Floating Point Operations Summary::Raw SpMV
Floating Point Operations Summary::Raw MG
Floating Point Operations Summary::Total
Floating Point Operations Summary::Total with convergence overhead
GB/s Summary
GB/s Summary::Raw Read B/W
GB/s Summary::Raw Write B/W
GB/s Summary::Raw Total B/W
GB/s Summary::Total with convergence and optimization phase overhead
GFLOP/s Summary
GFLOP/s Summary::Raw DDOT
GFLOP/s Summary::Raw WAXPBY
GFLOP/s Summary::Raw SpMV
GFLOP/s Summary::Raw MG
GFLOP/s Summary::Raw Total
GFLOP/s Summary::Total with convergence overhead
GFLOP/s Summary::Total with convergence and optimization phase overhead
User Optimization Overheads
User Optimization Overheads::Optimization phase time (sec)
User Optimization Overheads::Optimization phase time vs reference SpMV+MG time
DDOT Timing Variations
DDOT Timing Variations::Min DDOT MPI_Allreduce time
DDOT Timing Variations::Max DDOT MPI_Allreduce time
DDOT Timing Variations::Avg DDOT MPI_Allreduce time
Final Summary
Final Summary::HPCG result is VALID with a GFLOP/s rating of
Final Summary::HPCG 2.4 rating for historical reasons is
Final Summary::Reference version of ComputeDotProduct used
Final Summary::Reference version of ComputeSPMV used
Final Summary::Reference version of ComputeMG used and number of threads greater than 1
Final Summary::Reference version of ComputeWAXPBY used
Final Summary::Results are valid but execution time (sec) is
Final Summary::Official results execution time (sec) must be at least
`
