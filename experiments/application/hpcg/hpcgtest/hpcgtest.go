// Package hpcgtest writes HPCG trial logs for tests, with figures of the test's choice, by what rehearses HPCG.
package hpcgtest

import (
	"bytes"
	"math/rand/v2"
	"time"

	"github.com/compspec/ocifit-lab/experiments/application"
	"github.com/compspec/ocifit-lab/experiments/application/hpcg"
	"github.com/compspec/ocifit-lab/templates"
)

// Spec says what the log shows. Zero fields get a plain value.
type Spec struct {
	Ratings []float64 // GFLOP/s of each iteration; three by default
	Ranks   int
	Threads int    // more than one makes HPCG remark that its reference MG is severely suboptimal
	Cores   int    // physical cores in flux's resource list
	Tasks   string // -n of flux run, left out when empty
	Local   [3]int
	Seconds int
	Jobs    bool   // with flux's job records and statistics
	Replay  string // the text of the replay marker; none when empty
	Seed    uint64
}

func (s Spec) filled() Spec {
	if len(s.Ratings) == 0 {
		s.Ratings = []float64{10, 10.2, 9.9}
	}
	for _, f := range []struct {
		p *int
		v int
	}{{&s.Ranks, 4}, {&s.Threads, 1}, {&s.Seconds, 15}} {
		if *f.p == 0 {
			*f.p = f.v
		}
	}
	if s.Cores == 0 {
		s.Cores = s.Ranks
	}
	if s.Local == [3]int{} {
		s.Local = [3]int{32, 32, 32}
	}
	return s
}

// Log returns the text of a complete log.
func Log(s Spec) []byte {
	s = s.filled()
	rng := rand.New(rand.NewPCG(s.Seed, 7))
	figures := make([]hpcg.Figures, len(s.Ratings))
	for i, rating := range s.Ratings {
		figures[i] = hpcg.Figures{GFLOPS: rating, Seconds: float64(s.Seconds) * (1 + 0.1*rng.Float64())}
	}
	launch := application.Launch{
		Application: "hpcg", Command: "/opt/hpcg/xhpcg", Host: "node-0", Iterations: len(s.Ratings), Nodes: 1, Tasks: s.Tasks, Ranks: s.Ranks,
		Threads: s.Threads, Exclusive: true, SaveLogs: s.Jobs, Type: templates.InstanceType{Cores: s.Cores}, Seed: s.Seed,
		Start: time.Unix(1_753_000_000, 0),
	}
	r := hpcg.Frame(s.Local, s.Seconds)
	r.Rule = s.Replay
	r.Runs, r.Results = hpcg.Output(launch, s.Local, figures)
	var b bytes.Buffer
	if err := application.WriteLog(&b, launch, r); err != nil {
		panic(err) // only a launch that is none gets here
	}
	return withMarker(b.Bytes(), s.Replay)
}

// withMarker leaves the marker of a replay with the test's own text, or takes it away.
func withMarker(log []byte, text string) []byte {
	from := bytes.Index(log, []byte("# REPLAY"))
	to := from + bytes.IndexByte(log[from:], '\n') + 1
	var marker []byte
	if text != "" {
		marker = []byte("# REPLAY " + text + "\n")
	}
	return append(append(bytes.Clone(log[:from]), marker...), log[to:]...)
}
