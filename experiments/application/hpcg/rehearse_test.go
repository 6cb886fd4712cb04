package hpcg

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/compspec/ocifit-lab/experiments/application"
	"github.com/compspec/ocifit-lab/templates"
)

var update = flag.Bool("update", false, "write the golden files anew")

// trial is a launch with the figures that its log is made from.
type trial struct {
	application.Launch
	figures []Figures
	rule    string
}

func newTrial(ranks, threads, cores int) trial {
	return trial{
		Launch: application.Launch{
			Application: "hpcg", Host: "hpcg-0", Command: "/opt/hpcg/xhpcg", Iterations: 3, Nodes: 1, Tasks: strconv.Itoa(ranks), Ranks: ranks,
			Threads: threads, Type: templates.InstanceType{Cores: cores}, Exclusive: true, SaveLogs: true,
			Seed: uint64(ranks), Start: time.Date(2025, 7, 21, 1, 0, 0, 0, time.UTC),
		},
		figures: Distribution{Mean: 0.7*float64(ranks) + 1.5, SD: 0.1, Seconds: 15}.Sample(uint64(ranks), 3),
		rule:    "a rule",
	}
}

func (s trial) rehearsal() application.Rehearsal {
	r := Frame(publishedLocal, 15)
	r.Rule = s.rule
	r.Runs, r.Results = Output(s.Launch, publishedLocal, s.figures)
	return r
}

func text(t *testing.T, s trial) string {
	t.Helper()
	var b bytes.Buffer
	if err := application.WriteLog(&b, s.Launch, s.rehearsal()); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// parsed is what the checks read back from a log.
type parsed struct {
	runs    []string              // marker lines of runs
	stdout  [][]string            // per run
	results [][]string            // keys in order, per run
	values  []map[string][]string // per run
	jobs    []string
	stats   string
}

// parse reads a log by its grammar, strictly: any line that has no place is an error.
func parse(log string) (p parsed, err error) {
	lines := strings.Split(strings.TrimSuffix(log, "\n"), "\n")
	at := 0
	next := func() string {
		if at >= len(lines) {
			return "<end>"
		}
		at++
		return lines[at-1]
	}
	expect := func(pattern string) string {
		line := next()
		if err == nil && !regexp.MustCompile("^(?:"+pattern+")$").MatchString(line) {
			err = fmt.Errorf("line %d: %q, want %s", at, line, pattern)
		}
		return line
	}
	peek := func(prefix string) bool { return at < len(lines) && strings.HasPrefix(lines[at], prefix) }
	for _, pattern := range []string{"", "", `\d+ \d+ \d+`, `\d+`, "chmod: .*", "mv: .*", "#!/bin/bash", "# REPLAY: ocifit-lab sim, no benchmark ran; .+"} {
		expect(pattern)
	}
	for err == nil && !peek("     STATE") && at < len(lines) {
		if line := next(); strings.HasPrefix(line, "FLUX") || strings.HasPrefix(line, "HPCG") {
			return p, fmt.Errorf("line %d of the script looks like a marker: %s", at, line)
		}
	}
	expect("     STATE NNODES   NCORES    NGPUS NODELIST")
	expect(`      free +\d+ +\d+ +0 \S+`)
	expect(" allocated      0        0        0 ")
	expect("      down      0        0        0 ")
	for peek("FLUX-RUN") {
		p.runs = append(p.runs, next())
	}
	expect("FLUX-RESULTS START")
	for n := 0; err == nil && peek("WARNING"); n++ {
		var block []string
		for _, pattern := range []string{
			"WARNING: PERFORMING UNPRECONDITIONED ITERATIONS", `Call \[0\] Number of Iterations \[11\] Scaled Residual \[\S+\]`,
			"WARNING: PERFORMING UNPRECONDITIONED ITERATIONS", `Call \[1\] Number of Iterations \[11\] Scaled Residual \[\S+\]`,
			`Call \[0\] Number of Iterations \[[12]\] Scaled Residual \[\S+\]`, `Call \[1\] Number of Iterations \[[12]\] Scaled Residual \[\S+\]`,
			`Departure from symmetry \(scaled\) for SpMV .* = \S+`, `Departure from symmetry \(scaled\) for MG .* = \S+`,
			`SpMV call \[0\] Residual \[0\]`, `SpMV call \[1\] Residual \[0\]`,
		} {
			block = append(block, expect(pattern))
		}
		for k := 0; peek("Call ["); k++ {
			block = append(block, expect(fmt.Sprintf(`Call \[%d\] Scaled Residual \[\S+\]`, k)))
		}
		p.stdout = append(p.stdout, block)
	}
	expect("HPCG-BENCHMARKS")
	for peek("HPCG-Benchmark") {
		next()
		var keys []string
		values := map[string][]string{}
		for at < len(lines) && !peek("HPCG-Benchmark") && !peek("FLUX-RESULTS END") {
			key, value, ok := strings.Cut(next(), "=")
			if !ok {
				return p, fmt.Errorf("line %d: no key=value", at)
			}
			keys = append(keys, key)
			values[key] = append(values[key], value)
		}
		p.results, p.values = append(p.results, keys), append(p.values, values)
	}
	expect("FLUX-RESULTS END")
	for peek("") && lines[at] == "" {
		next()
		start := expect(`FLUX-JOB START \d+ \S+`)
		p.jobs = append(p.jobs, strings.TrimPrefix(start, "FLUX-JOB START "))
		for _, part := range []string{"JOBSPEC", "RESOURCES", "EVENTLOG"} {
			expect("FLUX-JOB-" + part + " START")
			docs := map[string]int{"EVENTLOG": 7}[part]
			for range max(1, docs) {
				if line := next(); !json.Valid([]byte(line)) {
					return p, fmt.Errorf("line %d is no JSON", at)
				}
			}
			if part == "EVENTLOG" {
				expect("")
			}
			expect("FLUX-JOB-" + part + " END")
		}
		expect("FLUX-JOB END " + strings.TrimPrefix(start, "FLUX-JOB START "))
	}
	if peek("FLUX JOB STATS") {
		next()
		p.stats = next()
	}
	if err == nil && at != len(lines) {
		err = fmt.Errorf("line %d: %q comes after the end", at+1, lines[at])
	}
	return p, err
}

func TestGrammar(t *testing.T) {
	for name, tc := range map[string]struct {
		spec trial
		jobs int
	}{
		"64 ranks":         {newTrial(64, 1, 64), 3},
		"one rank":         {newTrial(1, 32, 16), 3},
		"without the jobs": {func() trial { s := newTrial(4, 16, 64); s.SaveLogs = false; return s }(), 0},
		"one iteration":    {func() trial { s := newTrial(16, 2, 16); s.Iterations, s.figures = 1, s.figures[:1]; return s }(), 1},
	} {
		t.Run(name, func(t *testing.T) {
			log := text(t, tc.spec)
			p, err := parse(log)
			if err != nil {
				t.Fatal(err)
			}
			n := tc.spec.Iterations
			if len(p.runs) != 2*n || len(p.stdout) != n || len(p.results) != n || len(p.jobs) != tc.jobs || (p.stats != "") != (tc.jobs > 0) {
				t.Errorf("%d run markers, %d outputs, %d results, %d jobs, stats %q", len(p.runs), len(p.stdout), len(p.results), len(p.jobs), p.stats)
			}
			if regexp.MustCompile(`[\r\x1b\x00]|[=\[][-+]?(NaN|Inf)`).MatchString(log) {
				t.Error("the log has control characters or numbers that are none")
			}
			for i := range n {
				if got := p.runs[2*i]; got != fmt.Sprintf("FLUX-RUN START hpcg-iter-%d", i+1) {
					t.Errorf("run %d: %s", i, got)
				}
				if tc.jobs > 0 && !strings.HasSuffix(p.jobs[i], fmt.Sprintf(" hpcg-iter-%d", n-i)) {
					t.Errorf("job %d: %s", i, p.jobs[i])
				}
			}
		})
	}
}

// TestResultFile keeps the lines of a result file, in their order, as a file for reading: HPCG 3.1 prints these keys.
func TestResultFile(t *testing.T) {
	for name, s := range map[string]trial{"one-rank": newTrial(1, 32, 16), "64-ranks": newTrial(64, 1, 64)} {
		log := text(t, s)
		from := strings.Index(log, "\nHPCG-Benchmark\n") + 1
		got := log[from:][:strings.Index(log[from+1:], "HPCG-Benchmark\n")+1]
		file := filepath.Join("testdata", "HPCG-Benchmark-"+name+".txt")
		if *update {
			if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(string(want), got); diff != "" {
			t.Errorf("%s (-want +got)\n%s", name, diff)
		}
	}
}

// TestFiguresFit recomputes what follows from other values of the same file.
func TestFiguresFit(t *testing.T) {
	for _, tc := range []struct {
		ranks, threads, cores int
	}{{1, 32, 16}, {4, 2, 4}, {24, 2, 24}, {48, 1, 48}, {96, 1, 96}} {
		spec := newTrial(tc.ranks, tc.threads, tc.cores)
		p, err := parse(text(t, spec))
		if err != nil {
			t.Fatal(err)
		}
		for run, v := range p.values {
			num := func(key string) float64 {
				f, err := strconv.ParseFloat(v[key][0], 64)
				if err != nil {
					t.Fatalf("%s: %v", key, err)
				}
				return f
			}
			same := func(what string, got, want float64) {
				if math.Abs(got-want) > 2e-5*math.Abs(want) {
					t.Errorf("%d ranks, run %d: %s is %v, want %v", tc.ranks, run, what, got, want)
				}
			}
			const flops, rate, times, bytes = "Floating Point Operations Summary::", "GFLOP/s Summary::", "Benchmark Time Summary::", "GB/s Summary::"
			total := num(times + "Total")
			sets := num("Iteration Count Information::Total number of reference iterations") / num("Iteration Count Information::Reference CG iterations per set")
			charged := total + sets*(num("Setup Information::Setup Time")+num(times+"Optimization phase"))/10
			rating := num("Final Summary::HPCG result is VALID with a GFLOP/s rating of")
			same("rating drawn", rating, spec.figures[run].GFLOPS)
			same("rating", rating, num(rate+"Total with convergence and optimization phase overhead"))
			same("rating from work and time", rating, num(flops+"Total with convergence overhead")/charged/1e9)
			same("2.4 rating", num("Final Summary::HPCG 2.4 rating for historical reasons is"), num(rate+"Total with convergence overhead"))
			sum := 0.0
			for _, kernel := range []string{"DDOT", "WAXPBY", "SpMV", "MG"} {
				same(kernel, num(rate+"Raw "+kernel), num(flops+"Raw "+kernel)/num(times+kernel)/1e9)
				sum += num(flops + "Raw " + kernel)
			}
			same("sum of the operations", num(flops+"Total"), sum)
			same("bandwidth", num(bytes+"Raw Total B/W"), num(bytes+"Raw Read B/W")+num(bytes+"Raw Write B/W"))
			same("execution time", num("Final Summary::Results are valid but execution time (sec) is"), total)
			if math.Abs(total-spec.figures[run].Seconds) > 0.1*spec.figures[run].Seconds {
				t.Errorf("%d ranks: %v s, drawn %v s", tc.ranks, total, spec.figures[run].Seconds)
			}
			if share := num(times+"SpMV") / total; tc.ranks > 1 && (share < 0.10 || share > 0.14) {
				t.Errorf("%d ranks with %d threads: SpMV takes %.3f of the time, on real machines 0.10 to 0.14", tc.ranks, tc.threads, share)
			}
			procs := num("Processor Dimensions::npx") * num("Processor Dimensions::npy") * num("Processor Dimensions::npz")
			same("ranks", procs, float64(tc.ranks))
			same("equations", num("Linear System Information::Number of Equations"), procs*32*32*32)
			if calls := len(p.stdout[run]) - 10; float64(calls) != sets {
				t.Errorf("%d residuals, %v sets", calls, sets)
			}
			if got := v["Multigrid Information::Coarse Grids::Grid Level"]; !cmp.Equal(got, []string{"1", "2", "3"}) {
				t.Errorf("grid levels %v", got)
			}
		}
	}
}

// TestAgainstHPCG holds the counts to what HPCG 3.1 printed for two published runs (a single rank, and 64).
func TestAgainstHPCG(t *testing.T) {
	for _, tc := range []struct {
		ranks, sets, perSet                     int
		nonzeros, bytes, total, seconds, rd, wr float64
		coarse                                  [3]float64
	}{
		{1, 57, 51, 830584, 0.023421e9, 3.33701e+10, 10.8235, 19.0241, 4.39816, [3]float64{0.0024622, 0.000308216, 3.8968e-05}},
		{64, 15, 50, 55742968, 1.50319e9, 5.80323e+11, 15.9557, 224.112, 51.7936, [3]float64{0.158396, 0.0199189, 0.00252545}},
	} {
		p := newProblem(publishedLocal, tc.ranks)
		w := p.work(float64(tc.sets), float64(tc.sets*tc.perSet))
		system, coarse := p.memory(float64(tc.sets))
		for _, v := range [][2]float64{
			{p.nonzeros[0], tc.nonzeros},
			{w.flops(), tc.total},
			{w.reads / tc.seconds / 1e9, tc.rd},
			{w.writes / tc.seconds / 1e9, tc.wr},
			{system + coarse[0] + coarse[1] + coarse[2], tc.bytes},
			{coarse[0] / 1e9, tc.coarse[0]},
			{coarse[1] / 1e9, tc.coarse[1]},
			{coarse[2] / 1e9, tc.coarse[2]},
		} {
			if math.Abs(v[0]-v[1]) > 6e-6*v[1] {
				t.Errorf("%d ranks: %v, HPCG says %v", tc.ranks, v[0], v[1])
			}
		}
	}
}

func TestProcessGrid(t *testing.T) {
	for ranks, want := range map[int][3]int{
		1: {1, 1, 1}, 2: {2, 1, 1}, 4: {2, 2, 1}, 6: {2, 3, 1}, 7: {7, 1, 1}, 8: {2, 2, 2}, 12: {2, 3, 2}, 16: {4, 2, 2},
		24: {2, 4, 3}, 30: {2, 3, 5}, 32: {4, 4, 2}, 48: {4, 4, 3}, 64: {4, 4, 4}, 96: {4, 4, 6},
	} {
		if got := processGrid(ranks); got != want {
			t.Errorf("%d ranks: %v, want %v", ranks, got, want)
		}
	}
	for ranks := 1; ranks <= 300; ranks++ {
		if g := processGrid(ranks); g[0]*g[1]*g[2] != ranks {
			t.Errorf("%d ranks: %v", ranks, g)
		}
	}
}

func TestSameSeedSameLog(t *testing.T) {
	s := newTrial(16, 2, 16)
	first := text(t, s)
	if text(t, s) != first {
		t.Error("the same spec gave another log")
	}
	s.Seed++
	if text(t, s) == first {
		t.Error("another seed gave the same log")
	}
}

func TestNoteIsOneLineOfTheScript(t *testing.T) {
	s := newTrial(1, 2, 2)
	s.rule = "first\nFLUX-RESULTS START\nlast"
	if _, err := parse(text(t, s)); err != nil {
		t.Error(err)
	}
}

func TestRefusal(t *testing.T) {
	s := newTrial(8, 2, 4)
	s.Tasks = "$(nproc)"
	var log strings.Builder
	for _, c := range application.Refusal(s.Launch, application.Rehearsal{Rule: "no cores"}, fmt.Errorf("8 ranks on 4 cores: %w", application.ErrUnsatisfiable)) {
		log.Write(c.Text)
	}
	lines := strings.Split(strings.TrimSpace(log.String()), "\n")
	want := []string{"FLUX-RUN START hpcg-iter-1", "0.012s: job.exception type=alloc severity=0 unsatisfiable request"}
	if got := lines[len(lines)-2:]; !cmp.Equal(got, want) {
		t.Errorf("ends with %q", got)
	}
	if !strings.Contains(log.String(), " -n $(nproc) ") || strings.Contains(log.String(), "\nFLUX-RESULTS") {
		t.Errorf("unexpected log:\n%s", log.String())
	}
}

func TestChunksTakeTheRunTime(t *testing.T) {
	s := newTrial(16, 2, 16)
	chunks, err := application.Chunks(s.Launch, s.rehearsal())
	if err != nil {
		t.Fatal(err)
	}
	var all time.Duration
	for _, c := range chunks {
		all += c.After
	}
	if all < 40*time.Second || all > 70*time.Second {
		t.Errorf("three runs of 15 s take %s", all)
	}
}
