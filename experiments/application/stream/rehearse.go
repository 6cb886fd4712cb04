// Package stream rehearses STREAM: it makes what a trial of it prints from the memory traffic that HPCG counts. Its log is read by its
// application file.
package stream

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"

	"github.com/compspec/ocifit-lab/experiments/application"
	"github.com/compspec/ocifit-lab/experiments/application/hpcg"
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

// DistributionOf estimates the triad rate, in GB/s, of STREAM with q.Ranks threads: the published HPCG rating of as many ranks on
// the same type and image tag, times the bytes that HPCG counts per operation, times 1.25. It is always an estimate.
func DistributionOf(q hpcg.Query) (hpcg.Distribution, error) {
	rating, traffic, err := hpcg.TrafficOf(q)
	if err != nil {
		return hpcg.Distribution{}, err
	}
	out := hpcg.Distribution{Mean: streamPerHPCG * traffic, Source: replay.Estimated}
	out.SD = streamSpread * out.Mean
	out.Seconds = streamSeconds(out.Mean * 1e9)
	out.Rule = fmt.Sprintf("STREAM was not measured on %s; triad is %.4g GB/s with a deviation of 1%%: %.4g times the memory traffic of HPCG with as many ranks "+
		"as there are threads, %.4g GB/s: %s", q.Type.Name, out.Mean, streamPerHPCG, traffic, rating.Rule)
	return out, nil
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

// EnvThreads gives OMP_NUM_THREADS; empty is one per core.
const EnvThreads = "OCIFIT_THREADS"

// Rehearser rehearses STREAM with figures that follow from HPCG's.
type Rehearser struct{}

// Name implements application.Rehearser.
func (Rehearser) Name() string { return "stream" }

// DefaultCommand implements application.Rehearser.
func (Rehearser) DefaultCommand() string { return "/opt/stream/stream" }

// Rehearse implements application.Rehearser.
func (Rehearser) Rehearse(l *application.Launch) (application.Rehearsal, error) {
	given := l.Env[EnvThreads]
	threads := given
	if threads == "" {
		threads = "$(flux resource list -s all -no {ncores})"
	}
	r := application.Rehearsal{Setup: "export OMP_NUM_THREADS=" + threads + "\nexport OMP_PLACES=cores OMP_PROC_BIND=spread\n"}
	if err := hpcg.CheckImage(l.ImageTag, l.Type.Architecture); err != nil {
		return r, err
	}
	if l.Ranks != 1 || l.Nodes != 1 {
		return r, fmt.Errorf("STREAM is one process on one node: with %d on %d their reports would run into each other", l.Ranks, l.Nodes)
	}
	l.Threads = l.Type.Cores
	if given != "" {
		n, err := strconv.Atoi(given)
		if err != nil || n < 1 {
			return r, fmt.Errorf("OMP_NUM_THREADS=%s is no number of threads", given)
		}
		l.Threads = n
	}
	// A second thread on a core brings no more bandwidth.
	d, err := DistributionOf(hpcg.Query{Type: l.Type, ImageTag: l.ImageTag, Nodes: 1, Ranks: min(l.Threads, l.Type.Cores)})
	if err != nil {
		return r, err
	}
	r.Source, r.Rule = d.Source, d.Rule
	rng := rand.New(rand.NewPCG(l.Seed, 0x73747265616d))
	for _, f := range d.Sample(l.Seed, l.Iterations) {
		var out bytes.Buffer
		report(&out, f.GFLOPS*1e9, l.Threads, rng)
		r.Runs = append(r.Runs, application.Run{Seconds: streamSeconds(f.GFLOPS * 1e9), Output: out.Bytes()})
	}
	return r, nil
}

// report is what one run of STREAM 5.10 prints, less its explanations. Rates are of 1e6 bytes, from the shortest time.
func report(out *bytes.Buffer, rate float64, threads int, rng *rand.Rand) {
	rule := strings.Repeat("-", 61) + "\n"
	fmt.Fprintf(out, "%sSTREAM version $Revision: 5.10 $\n%s", rule, rule)
	fmt.Fprintf(out, "This system uses %d bytes per array element.\n%s", elementBytes, rule)
	fmt.Fprintf(out, "Array size = %d (elements), Offset = 0 (elements)\n", streamElements)
	fmt.Fprintf(out, "Memory per array = %.1f MiB (= %.1f GiB).\n", float64(streamElements*elementBytes)/(1<<20), float64(streamElements*elementBytes)/(1<<30))
	fmt.Fprintf(out, "Each kernel will be executed %d times.\n%s", streamTimes, rule)
	fmt.Fprintf(out, "Number of Threads requested = %d\nNumber of Threads counted = %[1]d\n%s", threads, rule)
	fmt.Fprintf(out, "%-11s %14s %12s %12s %12s\n", "Function", "Best Rate MB/s", "Avg time", "Min time", "Max time")
	for _, k := range streamKernels() {
		moved := k.arrays * elementBytes * streamElements
		best := moved / (rate * k.part)
		mean := best * (1.01 + 0.02*rng.Float64())
		fmt.Fprintf(out, "%-15s%10.1f %12.6f %12.6f %12.6f\n", k.name+":", moved/best/1e6, mean, best, mean+best*(0.01+0.05*rng.Float64()))
	}
	fmt.Fprintf(out, "%sSolution Validates: avg error less than 1.000000e-13 on all three arrays\n%s", rule, rule)
}
