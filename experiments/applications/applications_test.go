package applications_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf16"

	"github.com/google/go-cmp/cmp"

	"github.com/compspec/ocifit-lab/experiments/application"
	"github.com/compspec/ocifit-lab/experiments/application/described"
	"github.com/compspec/ocifit-lab/experiments/applications"
	"github.com/compspec/ocifit-lab/templates"
)

// logs are made up after what each application prints in the versions named in them.
var logs = []struct {
	file, app, primary string
	value              float64
	also               map[string]float64
	parameters         map[string]string
}{
	{"amg2023", "amg2023", "fom", 1.25e8, map[string]float64{"fom_setup": 3.1e8, "fom_solve": 2.2e8, "iterations": 17, "residual": 3.7e-9}, map[string]string{"problem": "1", "grid": "64, 64, 32"}},
	{"kripke", "kripke", "grind_time", 2e-9, map[string]float64{"throughput": 5e8, "sweep_efficiency": 61.25, "solve_time": 12.5}, map[string]string{"ranks": "8", "zones": "32 x 32 x 32"}},
	{"laghos", "laghos", "fom", 48.3150055419, map[string]float64{"total_time": 7.813119514, "cg_l2_rate": -1.5}, map[string]string{"ranks": "8"}},
	{"lammps", "lammps", "matom_steps_per_second", 1.28, map[string]float64{"timesteps_per_second": 40, "loop_time": 2.5}, map[string]string{"ranks": "48", "threads": "1", "atoms": "32000"}},
	{"lammps-old", "lammps", "timesteps_per_second", 25, nil, map[string]string{"version": "29 Oct 2020"}},
	{"minife", "minife", "final_resid_norm", 0.0042, map[string]float64{"setup_time": 0.175955}, nil},
	{"minife-yaml", "minife", "total_cg_mflops", 22857.1, map[string]float64{"final_resid_norm": 0.0042, "total_cg_time": 5.25}, nil},
	{"mt-gemm", "mt-gemm", "gflops", 347.22, map[string]float64{"time": 5.76, "operations": 2e9}, nil},
	{"mt-gemm-repeats", "mt-gemm", "gflops_of_all", 229.064922, map[string]float64{"multiply_time": 1.5}, map[string]string{"matrix_size": "2048", "repeats": "20"}},
	{"osu-latency", "osu-latency", "latency", 1.53, map[string]float64{"latency_at_1": 1.5, "latency_largest": 510.25}, map[string]string{"version": "7.3"}},
	{"osu-bw", "osu-bw", "bandwidth", 12010.75, map[string]float64{"bandwidth_at_1048576": 11000}, nil},
	{"osu-allreduce", "osu-allreduce", "latency", 640.5, map[string]float64{"latency_at_4": 3.1}, nil},
	{"quicksilver", "quicksilver", "fom", 4.25e7, map[string]float64{"cycle_tracking_time": 3.418e6}, map[string]string{"ranks": "16", "threads": "2"}},
	{"stream", "stream", "triad", 20480.5, nil, map[string]string{"array_size": "10000000", "threads": "4"}},
}

func find(t testing.TB, name string) *applications.Application {
	t.Helper()
	a, err := applications.Find(name, "")
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func log(t testing.TB, file string) []byte {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("testdata", file+".out"))
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// shapes are ways in which one and the same log is found.
var shapes = map[string]func([]byte) []byte{
	"as it is":          func(b []byte) []byte { return b },
	"Windows line ends": func(b []byte) []byte { return bytes.ReplaceAll(b, []byte("\n"), []byte("\r\n")) },
	"UTF-16": func(b []byte) []byte {
		out := []byte{0xff, 0xfe}
		for _, c := range utf16.Encode([]rune(string(b))) {
			out = binary.LittleEndian.AppendUint16(out, c)
		}
		return out
	},
	"colours":            func(b []byte) []byte { return bytes.ReplaceAll(b, []byte("\n"), []byte("\x1b[0m\n\x1b[32m")) },
	"with flux's record": func(b []byte) []byte { return append(b, tail...) },
	"between markers":    func(b []byte) []byte { return framed(1, b) },
	"marker glued": func(b []byte) []byte {
		return bytes.Replace(framed(1, b), []byte("FLUX-RUN END"), []byte("a last warningFLUX-RUN END"), 1)
	},
}

const tail = `START OF JOBSPEC
{"resources": [{"type": "node", "count": 2, "with": [{"type": "slot", "count": 4, "with": [{"type": "core", "count": 1}], "label": "task"}]}], "tasks": [{"command": ["x"], "slot": "task", "count": {"per_slot": 1}}], "version": 1}
START OF EVENTLOG
{"timestamp":1724365944.08,"name":"init"}
{"timestamp":1724366024.05,"name":"shell.task-exit","context":{"localid":25,"rank":7,"state":"Exited","pid":120,"wait_status":0,"signaled":0,"exitcode":0}}
{"timestamp":1724366024.77,"name":"complete","context":{"status":0}}
{"timestamp":1724366024.78,"name":"done"}

`

// framed puts runs between a batch script's echo, a list of resources and markers.
func framed(n int, run []byte) []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "Defaulted container \"app\" out of: app, flux-view (init)\n#!/bin/bash\nfor i in {1..%d}\ndo\n  echo \"FLUX-RUN START app-iter-$i\"\n  flux run -N1 -n 8 app\n  echo \"FLUX-RUN END app-iter-$i\"\ndone\n", n)
	b.WriteString("     STATE NNODES   NCORES    NGPUS NODELIST\n      free      1        8        0 app-0\n")
	for i := range n {
		fmt.Fprintf(&b, "FLUX-RUN START app-iter-%d\n%sFLUX-RUN END app-iter-%[1]d\n", i+1, run)
	}
	b.WriteString("0% [Working]\n0 upgraded, 0 newly installed\n")
	return b.Bytes()
}

func TestFiguresOfEveryApplication(t *testing.T) {
	for _, tc := range logs {
		for shape, change := range shapes {
			t.Run(tc.file+" "+shape, func(t *testing.T) {
				r, err := find(t, tc.app).Read(bytes.NewReader(change(log(t, tc.file))), 0)
				if err != nil {
					t.Fatal(err)
				}
				if len(r.Runs) != 1 || r.Primary != tc.primary || !cmp.Equal(r.Runs[0].Figures[tc.primary], []float64{tc.value}) {
					t.Fatalf("%s %v", r.Primary, r.Runs)
				}
				for name, v := range tc.also {
					if d := cmp.Diff([]float64{v}, r.Runs[0].Figures[name]); d != "" {
						t.Errorf("%s: %s", name, d)
					}
				}
				for name, v := range tc.parameters {
					if r.Parameters[name] != v {
						t.Errorf("%s is %q, want %q", name, r.Parameters[name], v)
					}
				}
			})
		}
	}
}

// TestEveryCutIsRefused cuts logs that tell their own end at every third byte.
func TestEveryCutIsRefused(t *testing.T) {
	for _, tc := range logs {
		t.Run(tc.file, func(t *testing.T) {
			a := find(t, tc.app)
			whole := append(log(t, tc.file), tail...)
			record := len(whole) - len(tail)
			framedLog := framed(2, log(t, tc.file))
			end := bytes.LastIndex(framedLog, []byte("FLUX-RUN END app-iter-2")) + len("FLUX-RUN END app-iter-2")
			for cut := 0; cut < max(len(whole)-2, len(framedLog)); cut += 3 {
				// Before the record, a log whose application has printed all is one without a record.
				if cut > record+len("START OF JOBSPEC") && cut < len(whole)-2 {
					refuse(t, a, whole[:cut])
				}
				if cut < end {
					refuse(t, a, framedLog[:cut])
				}
			}
			if tc.file != "minife-yaml" { // its log ends before the file
				refuse(t, a, log(t, tc.file)[:record/2])
			}
		})
	}
}

func refuse(t *testing.T, a *applications.Application, data []byte) {
	t.Helper()
	_, err := a.Read(bytes.NewReader(data), 0)
	var rejection *application.Rejection
	if !errors.As(err, &rejection) || rejection.Reason == "" || rejection.Detail == "" {
		t.Fatalf("after %q: %v", data[max(0, len(data)-60):], err)
	}
}

func TestSeveralIterations(t *testing.T) {
	for _, tc := range logs {
		for shape, data := range map[string][]byte{
			"between markers":    framed(3, log(t, tc.file)),
			"with flux's record": bytes.Repeat(append(log(t, tc.file), tail...), 3),
			"one after another":  bytes.Repeat(log(t, tc.file), 3),
		} {
			t.Run(tc.file+" "+shape, func(t *testing.T) {
				r, err := find(t, tc.app).Read(bytes.NewReader(data), 0)
				if err != nil {
					t.Fatal(err)
				}
				var got []float64
				for _, run := range r.Runs {
					got = append(got, run.Figures[r.Primary]...)
				}
				if !cmp.Equal(got, []float64{tc.value, tc.value, tc.value}) {
					t.Errorf("%v", got)
				}
			})
		}
	}
}

func TestProgramsSideBySide(t *testing.T) {
	a := find(t, "stream")
	mixed := log(t, "stream-side-by-side")
	r, err := a.Read(bytes.NewReader(mixed), 0)
	if err != nil || len(r.Runs) != 1 || !cmp.Equal(r.Runs[0].Figures["triad"], []float64{2296.8, 2446.3}) {
		t.Fatalf("%+v, %v", r, err)
	}
	refuse(t, a, bytes.Replace(mixed, []byte("Solution Validates"), []byte("Solution"), 1))
	refuse(t, a, bytes.Replace(mixed, []byte("2446.3"), []byte("9446.3"), 1))
	// One program has ended, the other has begun.
	refuse(t, a, append(log(t, "stream"), log(t, "stream")[:300]...))
	refuse(t, find(t, "osu-bw"), append(log(t, "osu-bw"), "START OF JO"...))
}

func TestWhatDoesNotCount(t *testing.T) {
	for name, tc := range map[string]struct {
		app    string
		data   []byte
		reason string
		says   string
	}{
		"empty":              {"lammps", []byte("\n\n"), "empty", ""},
		"binary":             {"lammps", append([]byte("a\x00b\n"), log(t, "lammps")...), "binary", "line 1"},
		"another's log":      {"lammps", log(t, "kripke"), "foreign", "lammps"},
		"another table":      {"osu-bw", log(t, "osu-latency"), "column", "Bandwidth|bandwidth"},
		"two applications":   {"lammps", append(framed(1, log(t, "lammps")), bytes.ReplaceAll(framed(1, log(t, "kripke")), []byte("app-iter"), []byte("kripke-iter"))...), "mixed", "kripke"},
		"logs put together":  {"lammps", append(framed(1, log(t, "lammps")), framed(1, log(t, "lammps"))...), "interleaved", "app-iter-1"},
		"nan":                {"kripke", replaced(t, "kripke", "2.000000e-09", "nan"), "bad-number", "grind_time"},
		"zero":               {"amg2023", replaced(t, "amg2023", "1.250000e+08", "0.000000e+00"), "bad-number", "fom"},
		"edited":             {"kripke", replaced(t, "kripke", "2.000000e-09", "1.000000e-09"), "inconsistent", "throughput"},
		"unknown unit":       {"mt-gemm", replaced(t, "mt-gemm", "GFlop/s", "PFlop/s"), "unit", "PFlop/s"},
		"fault of memory":    {"amg2023", []byte("Running with these driver parameters:\nflux-job: task(s) exited with exit code 139\n"), "failed-job", "SIGSEGV"},
		"illegal program":    {"lammps", framedWith("flux-job: task(s) exited with exit code 132\n"), "failed-job", "SIGILL"},
		"shell's words":      {"lammps", []byte("LAMMPS (2 Aug 2023)\n/tmp/run.sh: line 7: 12 Segmentation fault      (core dumped) lmp\n"), "failed-job", "Segmentation fault"},
		"error in LAMMPS":    {"lammps", replaced(t, "lammps", "Total wall time", "ERROR: Lost atoms: original 4000 current 3999\nTotal wall time"), "forbidden", "Lost atoms"},
		"own test failed":    {"quicksilver", append(log(t, "quicksilver"), "FAIL:: Particles were lost\n"...), "forbidden", "test"},
		"for GPUs":           {"stream", append([]byte(" STREAM Benchmark implementation in CUDA\n"), log(t, "stream")...), "forbidden", "GiB/s"},
		"cut in a rule":      {"stream", bytes.TrimSuffix(log(t, "stream"), []byte("-----\n")), "truncated", "inside a rule"},
		"not validated":      {"stream", replaced(t, "stream", "Solution Validates", "Failed Validation on array a[]"), "forbidden", "wrong"},
		"failed by status":   {"amg2023", append(log(t, "amg2023"), strings.Replace(tail, `"status":0`, `"status":35584`, 1)...), "failed-job", "exit code 139"},
		"other problem":      {"lammps", append(framed(1, log(t, "lammps")), bytes.ReplaceAll(bytes.SplitAfter(framed(2, bytes.ReplaceAll(log(t, "lammps"), []byte("32000 atoms"), []byte("64000 atoms"))), []byte("FLUX-RUN END app-iter-1\n"))[1], []byte(""), nil)...), "unequal-runs", "atoms"},
		"iterations missing": {"mt-gemm", bytes.Replace(framed(2, log(t, "mt-gemm")), []byte("{1..2}"), []byte("{1..5}"), 1), "truncated", "5 iterations"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := find(t, tc.app).Read(bytes.NewReader(tc.data), 0)
			var rejection *application.Rejection
			if !errors.As(err, &rejection) || rejection.Reason != tc.reason {
				t.Fatalf("%v, want %s", err, tc.reason)
			}
			if tc.says != "" && !strings.Contains(strings.ToLower(rejection.Detail), strings.ToLower(strings.Split(tc.says, "|")[0])) {
				t.Errorf("%q does not say %q", rejection.Detail, tc.says)
			}
		})
	}
}

func framedWith(output string) []byte {
	whole := framed(2, []byte(output))
	return whole[:bytes.Index(whole, []byte("FLUX-RUN END app-iter-1\n"))]
}

func replaced(t *testing.T, file, old, new string) []byte {
	t.Helper()
	b := log(t, file)
	if !bytes.Contains(b, []byte(old)) {
		t.Fatalf("%s has no %q", file, old)
	}
	return bytes.Replace(b, []byte(old), []byte(new), 1)
}

func TestShippedFilesAreWhole(t *testing.T) {
	all, err := applications.All()
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"amg2023", "hpcg", "kripke", "laghos", "lammps", "minife", "mt-gemm", "osu-allreduce", "osu-bw", "osu-latency", "quicksilver", "stream"}
	var names []string
	for _, a := range all {
		names = append(names, a.Name)
		if a.Parser().Name() != a.Name {
			t.Errorf("%s: its parser is %s", a.Name, a.Parser().Name())
		}
	}
	if d := cmp.Diff(want, names); d != "" {
		t.Error(d)
	}
}

func TestFaultsOfAFile(t *testing.T) {
	const good = `apiVersion: ocifit-lab/v1alpha1
name: mine
description: a program
log:
  figures:
    - name: rate
      unit: GB/s
      direction: higher
      pattern: 'Rate: {number}'
  primary: [rate]
`
	if _, err := described.Load([]byte(good), "mine.yaml"); err != nil {
		t.Fatal(err)
	}
	for name, tc := range map[string]struct{ old, new, want string }{
		"unknown field":   {"description:", "descripton:", "mine.yaml:3: descripton: unknown field"},
		"no pattern":      {"'Rate: {number}'", "'Rate: ({number}'", "mine.yaml:9: log.figures[0].pattern: no pattern of Go's regexp"},
		"matches all":     {"'Rate: {number}'", "'.*'", "mine.yaml:9: log.figures[0].pattern: it matches every line"},
		"matches nothing": {"'Rate: {number}'", "''", "mine.yaml:6: log.figures[0]"},
		"takes no number": {"'Rate: {number}'", "'Rate'", "write {number}"},
		"direction":       {"higher", "faster", "mine.yaml:8: log.figures[0].direction"},
		"primary":         {"[rate]", "[speed]", "mine.yaml:10: log.primary[0]: \"speed\" is no figure"},
		"no primary":      {"[rate]", "[]", "name the figure of merit"},
		"name":            {"name: mine", "name: My App", "mine.yaml:2: name"},
		"version":         {"v1alpha1", "v1", "mine.yaml:1: apiVersion"},
		"two units":       {"  primary", "    - {name: rate, unit: MB/s, direction: higher, pattern: 'Rate2: {number}'}\n  primary", "one unit"},
		"long pattern":    {"'Rate: {number}'", "'" + strings.Repeat("a", 2000) + "'", "longer than"},
		"huge repetition": {"'Rate: {number}'", "'(a{1000}){1000}{number}'", "no pattern of Go's regexp"},
		"parser and more": {"  primary", "  parser: hpcg\n  primary", "log.parser"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := described.Load([]byte(strings.Replace(good, tc.old, tc.new, 1)), "mine.yaml")
			if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("%v\nwant %s", err, tc.want)
			}
		})
	}
}

func FuzzRead(f *testing.F) {
	for _, tc := range logs {
		f.Add(log(f, tc.file))
	}
	f.Add(framed(2, log(f, "lammps")))
	a := find(f, "lammps")
	f.Fuzz(func(t *testing.T, data []byte) {
		r, err := a.Read(bytes.NewReader(data), 0)
		if err == nil && (len(r.Runs) == 0 || !(r.Runs[0].Figures[r.Primary][0] > 0)) {
			t.Errorf("%+v", r)
		}
	})
}

// TestRehearsalsAreRead holds the invented logs to the rules by which the application's own are read.
func TestRehearsalsAreRead(t *testing.T) {
	all, err := applications.All()
	if err != nil {
		t.Fatal(err)
	}
	types := templates.InstanceTypes()
	for _, a := range all {
		if a.Rehearsal.Output == "" {
			continue
		}
		t.Run(a.Name, func(t *testing.T) {
			r, err := applications.Rehearser(a.Text)
			if err != nil {
				t.Fatal(err)
			}
			launch := application.Launch{
				Application: a.Name, Command: r.DefaultCommand(), Host: "app-0", Iterations: 3, Nodes: 1, Tasks: "4", Ranks: 4, Threads: 1,
				SaveLogs: true, Type: types[0], ImageTag: "latest", Seed: 3,
			}
			rehearsal, err := r.Rehearse(&launch)
			if err != nil {
				t.Fatal(err)
			}
			var b bytes.Buffer
			if err := application.WriteLog(&b, launch, rehearsal); err != nil {
				t.Fatal(err)
			}
			o, err := a.Parser().Parse(&b, 3)
			if err != nil {
				t.Fatal(err)
			}
			if len(o.Figures) != 3 || o.Figures[0] == o.Figures[1] || !o.Replayed || !strings.Contains(o.ReplayText, "invented") || o.Tasks != "4" {
				t.Errorf("%+v", o)
			}
			launch.Ranks = 1 << 20
			if _, err := r.Rehearse(&launch); !errors.Is(err, application.ErrUnsatisfiable) {
				t.Errorf("%v", err)
			}
		})
	}
}
