package hpcg

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"

	"github.com/compspec/ocifit-lab/experiments/application"
)

// Variables of the container that only HPCG's chart sets.
const (
	EnvSize    = "OCIFIT_SIZE"    // nx ny nz
	EnvSeconds = "OCIFIT_SECONDS" // that HPCG is told to aim at
)

// Rehearser rehearses HPCG with figures drawn from the published measurements.
type Rehearser struct{}

// Name implements application.Rehearser.
func (Rehearser) Name() string { return "hpcg" }

// DefaultCommand implements application.Rehearser.
func (Rehearser) DefaultCommand() string { return "/opt/hpcg/xhpcg" }

// Rehearse implements application.Rehearser.
func (Rehearser) Rehearse(l *application.Launch) (application.Rehearsal, error) {
	q := Query{Type: l.Type, ImageTag: l.ImageTag, Nodes: l.Nodes, Ranks: l.Ranks}
	err := readSettings(l.Env, &q)
	r := Frame(q.Local, q.Seconds)
	if err == nil {
		err = CheckImage(l.ImageTag, l.Type.Architecture)
	}
	if err != nil {
		return r, err
	}
	d, err := distributionOf(q)
	if err != nil {
		return r, err
	}
	r.Source, r.Rule, r.MeanError = d.Source, d.Rule, d.Occasion
	r.Runs, r.Results = Output(*l, q.Local, d.Trial(l.Seed, l.Machine, l.Iterations))
	return r, nil
}

// Frame is what the container and the batch script print around the runs: hpcg.dat before them, the collection of the files after them.
func Frame(local [3]int, seconds int) application.Rehearsal {
	return application.Rehearsal{
		Head:    fmt.Sprintf("\n\n%d %d %d\n%d\n", local[0], local[1], local[2], seconds),
		Collect: "echo \"FLUX-RESULTS START\"\ncat hpcg*.txt\necho \"HPCG-BENCHMARKS\"\ncat HPCG-Benchmark*.txt\necho \"FLUX-RESULTS END\"\n",
	}
}

// Output makes the runs of a launch, one for each of the figures, and the text of their result files.
func Output(l application.Launch, local [3]int, figures []Figures) ([]application.Run, []byte) {
	rng := rand.New(rand.NewPCG(l.Seed, 0x68706367))
	problem := newProblem(local, l.Ranks)
	var solver, files bytes.Buffer
	runs := make([]application.Run, len(figures))
	for i, f := range figures {
		b := newBenchmark(f, problem, l.Threads, rng)
		runs[i].Seconds = b.total
		b.stdout(&solver)
		result := b.result()
		result.Write(&files)
	}
	return runs, bytes.Join([][]byte{[]byte("FLUX-RESULTS START\n"), solver.Bytes(), []byte("HPCG-BENCHMARKS\n"), files.Bytes(), []byte("FLUX-RESULTS END\n")}, nil)
}

func readSettings(env map[string]string, q *Query) error {
	q.Local, q.Seconds = publishedLocal, publishedSeconds
	var bad []string
	if text := env[EnvSize]; text != "" && !parseSize(text, &q.Local) {
		bad = append(bad, fmt.Sprintf("%s=%q", EnvSize, text))
	}
	if text := env[EnvSeconds]; text != "" {
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 {
			bad = append(bad, fmt.Sprintf("%s=%q", EnvSeconds, text))
		} else {
			q.Seconds = n
		}
	}
	if len(bad) > 0 {
		return errors.New("cannot be replayed: " + strings.Join(bad, ", "))
	}
	return nil
}

// parseSize reads "nx ny nz". HPCG wants multiples of 8, for its three coarser grids.
func parseSize(text string, into *[3]int) bool {
	fields := strings.Fields(text)
	if len(fields) != 3 {
		return false
	}
	var size [3]int
	for d, f := range fields {
		n, err := strconv.Atoi(f)
		if err != nil || n < 8 || n > 1024 || n%8 != 0 {
			return false
		}
		size[d] = n
	}
	*into = size
	return true
}
