package playback

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"time"

	"github.com/compspec/ocifit-lab/experiments/replay"
)

// Nobody published STREAM on the study's types, so it is made up from what HPCG says of the same memory.
const (
	// streamPerHPCG is triad's rate over the traffic that HPCG counts: STREAM reads and writes in order, HPCG gathers.
	streamPerHPCG = 1.25
	streamSpread  = 0.01 // relative deviation between runs
	// streamElements makes arrays of 2 GiB, more than four times any last-level cache of the catalogue.
	streamElements = 1 << 28
	streamTimes    = 10 // that each kernel runs
	elementBytes   = 8
)

// StreamBasisOf estimates the triad rate, in GB/s, of STREAM with q.Ranks threads: the published HPCG rating of as many ranks on
// the same type and image tag, times the bytes that HPCG counts per operation, times 1.25. It is always an estimate.
func StreamBasisOf(q Query) (Basis, error) {
	q.Local, q.Seconds = publishedLocal, publishedSeconds
	hpcg, err := BasisOf(q)
	if err != nil {
		return Basis{}, err
	}
	perFlop := trafficPerFlop(q.Ranks)
	out := Basis{Mean: streamPerHPCG * perFlop * hpcg.Mean, Source: replay.Estimated}
	out.SD = streamSpread * out.Mean
	out.Seconds = streamSeconds(out.Mean * 1e9)
	out.Rule = fmt.Sprintf("STREAM was not measured on %s; triad is %.4g GB/s with a deviation of 1%%: %.4g times the memory traffic of HPCG with %s, "+
		"which is its rating of %.4g GFLOP/s times the %.4g bytes that it counts per operation; that rating: %s",
		q.InstanceType, out.Mean, streamPerHPCG, ranksText(q.Ranks), hpcg.Mean, perFlop, hpcg.Rule)
	return out, nil
}

// trafficPerFlop is the bytes read and written per floating-point operation, as HPCG counts both for the published grid.
func trafficPerFlop(ranks int) float64 {
	w := newProblem(publishedLocal, ranks).work(1, referenceIterations)
	return (w.reads + w.writes) / w.flops()
}

// streamKernels are the lines of STREAM's table: how many arrays a pass moves, and its rate relative to triad's.
func streamKernels() []streamKernel {
	return []streamKernel{{"Copy", 2, 0.93}, {"Scale", 2, 0.92}, {"Add", 3, 0.99}, {"Triad", 3, 1}}
}

type streamKernel struct {
	name   string
	arrays float64
	part   float64
}

// streamSeconds is how long one run takes at a triad rate in bytes per second: its kernels, and as much as four passes to fill and
// check the arrays.
func streamSeconds(rate float64) float64 {
	pass := 0.0
	for _, k := range streamKernels() {
		pass += k.arrays * elementBytes * streamElements / (rate * k.part)
	}
	return pass * (streamTimes*1.02 + 4)
}

func (s *Spec) streamSetup() string {
	threads := s.ThreadsGiven
	if threads == "" {
		threads = "$(flux resource list -s all -no {ncores})"
	}
	return "export OMP_NUM_THREADS=" + threads + "\nexport OMP_PLACES=cores OMP_PROC_BIND=spread\n"
}

func playStream(s *Spec, q Query) ([]chunk, Basis, error) {
	if s.Ranks != 1 || s.Nodes != 1 {
		return nil, Basis{}, fmt.Errorf("STREAM is one process on one node: with %d on %d their reports would run into each other", s.Ranks, s.Nodes)
	}
	s.Threads = s.Cores
	if s.ThreadsGiven != "" {
		n, err := strconv.Atoi(s.ThreadsGiven)
		if err != nil || n < 1 {
			return nil, Basis{}, fmt.Errorf("OMP_NUM_THREADS=%s is no number of threads", s.ThreadsGiven)
		}
		s.Threads = n
	}
	q.Ranks = min(s.Threads, s.Cores) // a second thread on a core brings no more bandwidth
	basis, err := StreamBasisOf(q)
	if err != nil {
		return nil, basis, err
	}
	s.Note = basis.Rule
	chunks, err := s.streamChunks(basis)
	return chunks, basis, err
}

// streamChunks is the log of a STREAM trial.
func (s *Spec) streamChunks(basis Basis) ([]chunk, error) {
	rng := rand.New(rand.NewPCG(s.Seed, 0x73747265616d))
	l := &logWriter{Spec: s}
	l.preamble()
	l.emit(brokerStart)
	l.resources()
	at := s.Start.Add(brokerStart)
	jobs := make([]job, s.Iterations)
	for i := range jobs {
		rate := truncatedNormal(rng, basis.Mean, basis.SD) * 1e9
		took := time.Duration(streamSeconds(rate)*float64(time.Second)) + jobOverhead
		jobs[i] = s.job(i, at, took, rng)
		at = at.Add(took)
		l.printf("FLUX-RUN START %s\n", s.runName(i))
		l.emit(took)
		s.streamReport(&l.text, rate, rng)
		l.printf("FLUX-RUN END %s\n", s.runName(i))
	}
	if s.SaveLogs {
		if err := l.jobs(jobs); err != nil {
			return nil, err
		}
	}
	l.emit(wrapUp)
	return l.done, nil
}

// streamReport is what one run of STREAM 5.10 prints, less its explanations. Rates are of 1e6 bytes, from the shortest time.
func (s *Spec) streamReport(out *bytes.Buffer, rate float64, rng *rand.Rand) {
	rule := strings.Repeat("-", 61) + "\n"
	fmt.Fprintf(out, "%sSTREAM version $Revision: 5.10 $\n%s", rule, rule)
	fmt.Fprintf(out, "This system uses %d bytes per array element.\n%s", elementBytes, rule)
	fmt.Fprintf(out, "Array size = %d (elements), Offset = 0 (elements)\n", streamElements)
	fmt.Fprintf(out, "Memory per array = %.1f MiB (= %.1f GiB).\n", float64(streamElements*elementBytes)/(1<<20), float64(streamElements*elementBytes)/(1<<30))
	fmt.Fprintf(out, "Each kernel will be executed %d times.\n%s", streamTimes, rule)
	fmt.Fprintf(out, "Number of Threads requested = %d\nNumber of Threads counted = %[1]d\n%s", s.Threads, rule)
	fmt.Fprintf(out, "%-11s %14s %12s %12s %12s\n", "Function", "Best Rate MB/s", "Avg time", "Min time", "Max time")
	for _, k := range streamKernels() {
		moved := k.arrays * elementBytes * streamElements
		best := moved / (rate * k.part)
		mean := best * (1.01 + 0.02*rng.Float64())
		fmt.Fprintf(out, "%-15s%10.1f %12.6f %12.6f %12.6f\n", k.name+":", moved/best/1e6, mean, best, mean+best*(0.01+0.05*rng.Float64()))
	}
	fmt.Fprintf(out, "%sSolution Validates: avg error less than 1.000000e-13 on all three arrays\n%s", rule, rule)
}
