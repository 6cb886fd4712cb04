// Package reporttest makes whole synthetic runs for tests of what reads them.
package reporttest

import (
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/compspec/ocifit-lab/experiments/application/hpcg/hpcgtest"
	"github.com/compspec/ocifit-lab/experiments/store"
	"github.com/compspec/ocifit-lab/experiments/store/storetest"
	"github.com/compspec/ocifit-lab/experiments/study"
	"github.com/compspec/ocifit-lab/webhook/compat"
)

// Machine is a made-up instance type.
type Machine struct {
	Type, Arch string
	Cores      int
	PerCore    float64 // GFLOP/s of one rank when every core has one
	Alone      float64 // GFLOP/s of a single rank
	Price      float64
}

// Machines are the types that the synthetic webhook chooses from. The first is what every model chooses but those named in Choice.
var Machines = []Machine{
	{"arm64-large", "arm64", 64, 0.57, 3.1, 1.7},
	{"amd64-wide", "amd64", 48, 0.6, 2.9, 2.46},
	{"amd64-smt", "amd64", 16, 0.9, 3.0, 2.0},
	{"amd64-small", "amd64", 4, 0.5, 0.95, 0.33},
	{"amd64-old", "amd64", 24, 0.6, 2.2, 2.1},
	{"arm64-small", "arm64", 8, 0.4, 2.5, 0.27},
}

// Options shape a run.
type Options struct {
	Seed      uint64
	Simulated bool
	// NodeLife is how many trials a machine serves before it is replaced; 0 is for ever.
	NodeLife int
	// Skip leaves out trials, to make the run incomplete.
	Skip func(arm string, n int) bool
}

// Run makes a run of one of the shipped studies, or of another study file, with the given number of repeats, in dir.
func Run(t testing.TB, dir, studyFile string, repeats int, opt Options) *store.Run {
	t.Helper()
	data, err := os.ReadFile(studyFile)
	if err != nil {
		t.Fatal(err)
	}
	s, err := study.Load(data, filepath.Base(studyFile))
	if err != nil {
		t.Fatal(err)
	}
	s.Repeats = repeats
	info := store.Info{
		ID: "20250721-000000-0000abcd", Created: storetest.Start, Study: s, Simulated: opt.Simulated, Provider: "sim", Lab: "test", Program: "test",
		PriceNote: "made-up prices",
	}
	if opt.Simulated {
		info.Simulation = "No benchmark ran: nodes are emulated and the figures are replayed."
	}
	r, err := store.Create(dir, info)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close() })
	m := &maker{rng: rand.New(rand.NewPCG(opt.Seed, 9)), nodes: map[string]*node{}, opt: opt, clock: storetest.Start}
	for _, tr := range s.Trials() {
		if opt.Skip == nil || !opt.Skip(tr.Arm.Name, tr.N) {
			storetest.Put(t, r, tr.Arm.Name, tr.N, m.trial(tr, s.Iterations))
		}
	}
	return r
}

type maker struct {
	rng   *rand.Rand
	nodes map[string]*node
	opt   Options
	clock time.Time
	made  int
}

type node struct {
	name   string
	used   int
	factor float64
}

// choice is the machine that a model chooses.
func (m *maker) choice(model string) Machine {
	switch model {
	case study.RandomModel:
		return Machines[m.rng.IntN(len(Machines))]
	case "gflops_per_second_waxpby", "gflops_per_second_spmv":
		return Machines[1]
	}
	return Machines[0]
}

func (m *maker) trial(tr study.Trial, iterations int) storetest.Trial {
	mc := m.choice(tr.Arm.Model)
	n := m.nodes[mc.Type]
	start := time.Duration(0)
	if n == nil || m.opt.NodeLife > 0 && n.used >= m.opt.NodeLife {
		m.made++
		n = &node{name: fmt.Sprintf("%s-%d", mc.Type, m.made), factor: 1 + 0.03*m.rng.NormFloat64()}
		m.nodes[mc.Type] = n
		start = time.Duration(80+m.rng.IntN(30)) * time.Second
	}
	n.used++
	ranks, threads := mc.Cores, 1
	if mc.Type == "amd64-smt" {
		threads = 2
	}
	switch tr.Arm.Tasks {
	case study.TasksDefault:
		ranks, threads = 1, mc.Cores
	case "4":
		ranks = 4
	}
	base := mc.PerCore * float64(ranks)
	if ranks == 1 {
		base = mc.Alone
	}
	spec := hpcgtest.Spec{Ranks: ranks, Threads: threads, Cores: mc.Cores, Tasks: new(study.Study).ChartTasks(&tr.Arm), Seed: m.rng.Uint64(), Jobs: mc.Arch == "amd64"}
	for range iterations {
		v := base * n.factor * (1 + 0.01*m.rng.NormFloat64())
		spec.Ratings = append(spec.Ratings, math.Round(v*1e4)/1e4)
	}
	out := storetest.Trial{
		Node: n.name, InstanceType: mc.Type, Image: "registry.example/hpcg:" + mc.Arch + "-O3", Price: mc.Price, Created: m.clock, NodeStart: start,
		Decision: &compat.Decision{Model: tr.Arm.Model, InstanceType: mc.Type, Architecture: mc.Arch, Candidates: len(Machines), ArtifactDigest: "sha256:1"},
	}
	if tr.Arm.Model != study.RandomModel {
		score := base
		out.Decision.Score, out.Decision.RunnerUp = &score, &compat.RunnerUp{InstanceType: "amd64-wide", Score: score / 2}
	}
	if m.opt.Simulated {
		spec.Replay = "no benchmark ran"
		out.Replay = `{"simulated":true,"source":"measured","rule":"drawn from published measurements"}`
		if mc.Type == "arm64-small" {
			out.Replay = `{"simulated":true,"source":"estimated","rule":"scaled by cores"}`
		}
	}
	out.Log = spec
	m.clock = m.clock.Add(start + 80*time.Second)
	return out
}

// Study returns the path of a shipped study, seen from the folder of a package two levels below the module's root.
func Study(name string) string {
	return filepath.Join("..", "..", "templates", "studies", name+".yaml")
}
