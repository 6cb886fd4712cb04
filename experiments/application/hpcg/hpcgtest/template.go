package hpcgtest

import (
	"bytes"
	"fmt"
)

// template is a result file with places for the figures.
const template = `HPCG-Benchmark
version=3.1
Release date=March 28, 2019
Machine Summary=
Machine Summary::Distributed Processes={ranks}
Machine Summary::Threads per processes={threads}
Global Problem Dimensions=
Global Problem Dimensions::Global nx={gx}
Global Problem Dimensions::Global ny={gy}
Global Problem Dimensions::Global nz={gz}
Processor Dimensions=
Processor Dimensions::npx={px}
Processor Dimensions::npy={py}
Processor Dimensions::npz={pz}
Local Domain Dimensions=
Local Domain Dimensions::nx={lx}
Local Domain Dimensions::ny={ly}
Local Domain Dimensions::Lower ipz=0
Local Domain Dimensions::Upper ipz=0
Local Domain Dimensions::nz={lz}
########## Problem Summary  ##########=
Setup Information=
Setup Information::Setup Time=0.05
Linear System Information=
Linear System Information::Number of Equations={eq}
Linear System Information::Number of Nonzero Terms={nz}
Multigrid Information=
Multigrid Information::Number of coarse grid levels=2
Multigrid Information::Coarse Grids=
Multigrid Information::Coarse Grids::Grid Level=1
Multigrid Information::Coarse Grids::Number of Equations=4096
Multigrid Information::Coarse Grids::Number of Nonzero Terms=97336
Multigrid Information::Coarse Grids::Number of Presmoother Steps=1
Multigrid Information::Coarse Grids::Number of Postsmoother Steps=1
Multigrid Information::Coarse Grids::Grid Level=2
Multigrid Information::Coarse Grids::Number of Equations=512
Multigrid Information::Coarse Grids::Number of Nonzero Terms=10648
Multigrid Information::Coarse Grids::Number of Presmoother Steps=2
Multigrid Information::Coarse Grids::Number of Postsmoother Steps=1
########## Memory Use Summary  ##########=
Memory Use Information=
Memory Use Information::Total memory used for data (Gbytes)={gb}
Memory Use Information::Memory used for OptimizeProblem data (Gbytes)=0
Memory Use Information::Bytes per equation (Total memory / Number of Equations)=715
Memory Use Information::Memory used for linear system and CG (Gbytes)={gb}
Memory Use Information::Coarse Grids=
Memory Use Information::Coarse Grids::Grid Level=1
Memory Use Information::Coarse Grids::Memory used=0.0024
Memory Use Information::Coarse Grids::Grid Level=2
Memory Use Information::Coarse Grids::Memory used=0.0003
########## V&V Testing Summary  ##########=
Spectral Convergence Tests=
Spectral Convergence Tests::Result=PASSED
Spectral Convergence Tests::Unpreconditioned=
Spectral Convergence Tests::Unpreconditioned::Maximum iteration count=11
Spectral Convergence Tests::Unpreconditioned::Expected iteration count=12
Spectral Convergence Tests::Preconditioned=
Spectral Convergence Tests::Preconditioned::Maximum iteration count=2
Spectral Convergence Tests::Preconditioned::Expected iteration count=2
Departure from Symmetry |x'Ay-y'Ax|/(2*||x||*||A||*||y||)/epsilon=
Departure from Symmetry |x'Ay-y'Ax|/(2*||x||*||A||*||y||)/epsilon::Result=PASSED
Departure from Symmetry |x'Ay-y'Ax|/(2*||x||*||A||*||y||)/epsilon::Departure for SpMV={spmv}
Departure from Symmetry |x'Ay-y'Ax|/(2*||x||*||A||*||y||)/epsilon::Departure for MG={mg}
########## Iterations Summary  ##########=
Iteration Count Information=
Iteration Count Information::Result=PASSED
Iteration Count Information::Reference CG iterations per set=50
Iteration Count Information::Optimized CG iterations per set=51
Iteration Count Information::Total number of reference iterations={sets50}
Iteration Count Information::Total number of optimized iterations={sets51}
########## Reproducibility Summary  ##########=
Reproducibility Information=
Reproducibility Information::Result=PASSED
Reproducibility Information::Scaled residual mean={mean}
Reproducibility Information::Scaled residual variance=0
########## Performance Summary (times in sec) ##########=
Benchmark Time Summary=
Benchmark Time Summary::Optimization phase=1.3e-07
Benchmark Time Summary::DDOT={t1}
Benchmark Time Summary::WAXPBY={t1}
Benchmark Time Summary::SpMV={t2}
Benchmark Time Summary::MG={t3}
Benchmark Time Summary::Total={t}
Floating Point Operations Summary=
Floating Point Operations Summary::Raw DDOT={ops1}
Floating Point Operations Summary::Raw WAXPBY={ops1}
Floating Point Operations Summary::Raw SpMV={ops2}
Floating Point Operations Summary::Raw MG={ops3}
Floating Point Operations Summary::Total={ops}
Floating Point Operations Summary::Total with convergence overhead={ops4}
GB/s Summary=
GB/s Summary::Raw Read B/W={bwr}
GB/s Summary::Raw Write B/W={bww}
GB/s Summary::Raw Total B/W={bw}
GB/s Summary::Total with convergence and optimization phase overhead={bwo}
GFLOP/s Summary=
GFLOP/s Summary::Raw DDOT={raw}
GFLOP/s Summary::Raw WAXPBY={raw}
GFLOP/s Summary::Raw SpMV={raw}
GFLOP/s Summary::Raw MG={raw}
GFLOP/s Summary::Raw Total={raw}
GFLOP/s Summary::Total with convergence overhead={raw24}
GFLOP/s Summary::Total with convergence and optimization phase overhead={rating}
User Optimization Overheads=
User Optimization Overheads::Optimization phase time (sec)=1.3e-07
User Optimization Overheads::Optimization phase time vs reference SpMV+MG time=3.5e-05
DDOT Timing Variations=
DDOT Timing Variations::Min DDOT MPI_Allreduce time=0.0015
DDOT Timing Variations::Max DDOT MPI_Allreduce time=0.0018
DDOT Timing Variations::Avg DDOT MPI_Allreduce time=0.0016
Final Summary=
Final Summary::HPCG result is VALID with a GFLOP/s rating of={rating}
Final Summary::HPCG 2.4 rating for historical reasons is={raw24}
Final Summary::Reference version of ComputeDotProduct used=Performance results are most likely suboptimal
Final Summary::Reference version of ComputeSPMV used=Performance results are most likely suboptimal
Final Summary::Reference version of ComputeMG used{remark}
Final Summary::Reference version of ComputeWAXPBY used=Performance results are most likely suboptimal
Final Summary::Results are valid but execution time (sec) is={t}
Final Summary::Official results execution time (sec) must be at least=1800
`

func jobs(b *bytes.Buffer, s Spec) {
	const start = 1_753_000_000.5
	for i := len(s.Ratings); i >= 1; i-- {
		t := start + 17*float64(i)
		fmt.Fprintf(b, "\nFLUX-JOB START %d hpcg-iter-%d\nFLUX-JOB-JOBSPEC START\n", i*1000, i)
		fmt.Fprintf(b, `{"resources": [], "tasks": [{"command": ["/opt/hpcg/xhpcg"], "slot": "task", "count": {"total": %d}}], "version": 1}`, s.Ranks)
		b.WriteString("\nFLUX-JOB-JOBSPEC END\nFLUX-JOB-RESOURCES START\n")
		fmt.Fprintf(b, `{"version": 1, "execution": {"R_lite": [{"rank": "0", "children": {"core": "0-%d"}}], "nodelist": ["node-0"]}}`, s.Cores-1)
		b.WriteString("\nFLUX-JOB-RESOURCES END\nFLUX-JOB-EVENTLOG START\n")
		for _, e := range []struct {
			at      float64
			name    string
			context string
		}{
			{0, "init", ""},
			{0.006, "shell.init", `,"context":{"service":"0-shell-x","leader-rank":0,"size":1}`},
			{0.007, "shell.start", `,"context":{"taskmap":{"version":1,"map":[[0,1,1,1]]}}`},
			{0.001, "starting", ""},
			{16.01, "shell.task-exit", `,"context":{"localid":0,"rank":0,"state":"Exited","wait_status":0,"signaled":0,"exitcode":0}`},
			{16.02, "complete", `,"context":{"status":0}`},
			{16.03, "done", ""},
		} {
			fmt.Fprintf(b, "{\"timestamp\":%.6f,\"name\":%q%s}\n", t+e.at, e.name, e.context)
		}
		fmt.Fprintf(b, "\nFLUX-JOB-EVENTLOG END\nFLUX-JOB END %d hpcg-iter-%d\n", i*1000, i)
	}
	fmt.Fprintf(b, "FLUX JOB STATS\n{\"job_states\":{\"inactive\":%d},\"successful\":%d,\"failed\":0,\"canceled\":0,\"timeout\":0}\n", len(s.Ratings), len(s.Ratings))
}
