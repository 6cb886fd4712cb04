package hpcg_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"testing"
	"testing/iotest"
	"unicode/utf16"

	"github.com/google/go-cmp/cmp"

	"github.com/compspec/ocifit-lab/experiments/application/hpcg"
	"github.com/compspec/ocifit-lab/experiments/application/hpcg/hpcgtest"
)

var update = flag.Lookup("update").Value.(flag.Getter)

// fixtures are the two shapes of log and a replayed one, kept as files for reading.
var fixtures = map[string]hpcgtest.Spec{
	"with-jobs":    {Ratings: []float64{2.94, 3.06, 3.02}, Ranks: 1, Threads: 32, Cores: 16, Jobs: true, Seed: 1},
	"without-jobs": {Ratings: []float64{36.1, 36.6, 36.7}, Ranks: 64, Tasks: "64", Seed: 2},
	"replayed": {
		Ratings: []float64{20.5, 20.6}, Ranks: 48, Tasks: "$(flux resource list -s all -no {ncores})",
		Replay: "no benchmark ran, seed 9", Seed: 3,
	},
}

func fixture(t testing.TB, name string) []byte {
	t.Helper()
	file := filepath.Join("testdata", name+".out")
	if update.Get().(bool) {
		if err := os.WriteFile(file, hpcgtest.Log(fixtures[name]), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func TestFixtures(t *testing.T) {
	for name, spec := range fixtures {
		t.Run(name, func(t *testing.T) {
			log, err := hpcg.Parse(bytes.NewReader(fixture(t, name)), len(spec.Ratings))
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(spec.Ratings, log.Ratings()); d != "" {
				t.Error(d)
			}
			r := log.Results[0]
			if r.Ranks != spec.Ranks || log.Tasks != spec.Tasks || log.Replayed != (spec.Replay != "") || log.ReplayText != spec.Replay {
				t.Errorf("ranks %d, tasks %q, replay %v %q", r.Ranks, log.Tasks, log.Replayed, log.ReplayText)
			}
			if spec.Cores != 0 && log.Cores() != spec.Cores {
				t.Errorf("%d cores", log.Cores())
			}
		})
	}
}

func TestEveryLineOfAResultFileIsTyped(t *testing.T) {
	log, err := hpcg.Parse(bytes.NewReader(fixture(t, "with-jobs")), 3)
	if err != nil {
		t.Fatal(err)
	}
	r := log.Results[0]
	if len(r.Extra) != 0 {
		t.Errorf("lines without a place: %v", r.Extra)
	}
	wantCoarse := []hpcg.CoarseGrid{
		{Level: 1, Equations: 4096, Nonzeros: 97336, Presmoother: 1, Postsmoother: 1, MemoryGB: 0.0024622},
		{Level: 2, Equations: 512, Nonzeros: 10648, Presmoother: 1, Postsmoother: 1, MemoryGB: 0.000308216},
		{Level: 3, Equations: 64, Nonzeros: 1000, Presmoother: 1, Postsmoother: 1, MemoryGB: 3.8968e-05},
	}
	if d := cmp.Diff(wantCoarse, r.Coarse); d != "" {
		t.Error(d)
	}
	if r.Version != "3.1" || r.ReleaseDate != "March 28, 2019" || r.OfficialSeconds != 1800 || r.Spectral.UnpreconditionedLimit != 12 {
		t.Errorf("%+v", r)
	}
	notes := log.Notes()
	if len(notes) != 4 || !strings.Contains(notes[2].Text, "severely suboptimal") {
		t.Errorf("notes %v", notes)
	}
	if len(log.Jobs) != 3 || log.Jobs[0].Name != "hpcg-iter-3" || log.Jobs[2].Events["starting"].Time.IsZero() {
		t.Errorf("jobs %+v", log.Jobs)
	}
	if s := log.Jobs[0].Seconds("shell.start", "done"); s < 15 || s > 18 {
		t.Errorf("job took %v s", s)
	}
	if log.Stats == nil || log.Stats.Successful != 3 {
		t.Errorf("stats %+v", log.Stats)
	}
}

// replace makes a test case from the good log by one replacement.
func replace(old, new string) func([]byte) []byte {
	return func(b []byte) []byte {
		if !bytes.Contains(b, []byte(old)) {
			panic("the log has no " + old)
		}
		return bytes.Replace(b, []byte(old), []byte(new), 1)
	}
}

func cutAt(text string) func([]byte) []byte {
	return func(b []byte) []byte { return b[:bytes.Index(b, []byte(text))] }
}

func TestRejections(t *testing.T) {
	good := hpcgtest.Log(hpcgtest.Spec{Ratings: []float64{10, 11, 12}, Ranks: 8, Jobs: true})
	other := hpcgtest.Log(hpcgtest.Spec{Ratings: []float64{20, 21, 22}, Ranks: 16})
	const file = "\nFinal Summary::"
	for name, tc := range map[string]struct {
		change func([]byte) []byte
		want   hpcg.Reason
	}{
		"no bytes":             {func([]byte) []byte { return nil }, hpcg.ReasonEmpty},
		"blank lines":          {func([]byte) []byte { return []byte("\n\r\n\n") }, hpcg.ReasonEmpty},
		"binary":               {func(b []byte) []byte { return append([]byte("ab\x00\x01\n"), b...) }, hpcg.ReasonBinary},
		"another program":      {func([]byte) []byte { return []byte("hello\nworld\n") }, hpcg.ReasonForeign},
		"only the script":      {cutAt("\nFLUX-RUN START"), hpcg.ReasonTruncated},
		"cut in a run":         {cutAt("FLUX-RUN END hpcg-iter-2"), hpcg.ReasonTruncated},
		"cut in solver output": {cutAt("HPCG-BENCHMARKS\nHPCG"), hpcg.ReasonTruncated},
		"cut in the files":     {cutAt("\nFLUX-RESULTS END"), hpcg.ReasonTruncated},
		"cut in a job":         {cutAt("FLUX-JOB-RESOURCES END"), hpcg.ReasonTruncated},
		"cut before the stats": {cutAt("FLUX JOB STATS\n{"), hpcg.ReasonTruncated},
		"two logs":             {func(b []byte) []byte { return append(b, other...) }, hpcg.ReasonDisorder},
		"two logs, line by line": {func(b []byte) []byte {
			return interleave(b, other)
		}, hpcg.ReasonDisorder},
		"runs swapped":      {replace("FLUX-RUN START hpcg-iter-2", "FLUX-RUN START hpcg-iter-3"), hpcg.ReasonDisorder},
		"a run missing":     {replace("FLUX-RUN START hpcg-iter-3\nFLUX-RUN END hpcg-iter-3\n", ""), hpcg.ReasonIterations},
		"a file missing":    {dropFile, hpcg.ReasonIterations},
		"a line missing":    {replace("Iteration Count Information::Result=PASSED\n", ""), hpcg.ReasonMissing},
		"a line twice":      {replace("Processor Dimensions::npx=", "Processor Dimensions::npx=2\nProcessor Dimensions::npx="), hpcg.ReasonDisorder},
		"nan rating":        {replace("rating of=10", "rating of=nan"), hpcg.ReasonNumber},
		"infinite rating":   {replace("rating of=10", "rating of=inf"), hpcg.ReasonNumber},
		"negative rating":   {replace("rating of=10", "rating of=-10"), hpcg.ReasonNumber},
		"zero rating":       {replace("rating of=10", "rating of=0"), hpcg.ReasonNumber},
		"text for a number": {replace("Distributed Processes=8", "Distributed Processes=eight"), hpcg.ReasonNumber},
		"absurd rating":     {replace("rating of=10", "rating of=1e9"), hpcg.ReasonNumber},
		"edited rating":     {replace("rating of=10", "rating of=100"), hpcg.ReasonInconsistent},
		"edited ranks":      {replace("Distributed Processes=8", "Distributed Processes=9"), hpcg.ReasonInconsistent},
		"HPCG 3.0":          {replace("HPCG-Benchmark\nversion=3.1", "HPCG-Benchmark version: 3.0"), hpcg.ReasonVersion},
		"illegal program": {func(b []byte) []byte {
			return append(cutAt("FLUX-RUN END hpcg-iter-2")(b), "flux-job: task(s) exited with exit code 132\n"...)
		}, hpcg.ReasonJob},
		"killed": {func(b []byte) []byte {
			return append(cutAt("FLUX-RUN END hpcg-iter-2")(b), "/tmp/trial.sh: line 8: 71 Killed: signal 9\n"...)
		}, hpcg.ReasonJob},
		"HPCG says invalid": {replace(file+"HPCG result is VALID with a GFLOP/s rating of=10", file+"HPCG result is=INVALID."), hpcg.ReasonInvalid},
		"test failed":       {replace("Spectral Convergence Tests::Result=PASSED", "Spectral Convergence Tests::Result=FAILED"), hpcg.ReasonInvalid},
		"task failed":       {replace(`"exitcode":0`, `"exitcode":137`), hpcg.ReasonJob},
		"job failed":        {replace(`"failed":0`, `"failed":1`), hpcg.ReasonJob},
		"results twice":     {replace("FLUX-RESULTS END\n\n", "FLUX-RESULTS END\nFLUX-RESULTS START\n"), hpcg.ReasonDisorder},
		"residual edited":   {replace("SpMV call [1] Residual [0]\nCall [0] Scaled Residual [", "SpMV call [1] Residual [0]\nCall [0] Scaled Residual [9"), hpcg.ReasonInconsistent},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := hpcg.Parse(bytes.NewReader(tc.change(bytes.Clone(good))), 3)
			var rej *hpcg.Rejection
			if !errors.As(err, &rej) || rej.Reason != tc.want || rej.Detail == "" {
				t.Errorf("got %v, want %s", err, tc.want)
			}
		})
	}
	if _, err := hpcg.Parse(bytes.NewReader(good), 3); err != nil {
		t.Errorf("the good log: %v", err)
	}
	if _, err := hpcg.Parse(bytes.NewReader(good), 4); err == nil {
		t.Error("three iterations passed for four")
	}
	if _, err := hpcg.Parse(bytes.NewReader(good), 0); err != nil {
		t.Errorf("the log's own number of iterations: %v", err)
	}
}

func interleave(a, b []byte) []byte {
	x, y := bytes.SplitAfter(a, []byte("\n")), bytes.SplitAfter(b, []byte("\n"))
	var out []byte
	for i := range max(len(x), len(y)) {
		if i < len(x) {
			out = append(out, x[i]...)
		}
		if i < len(y) {
			out = append(out, y[i]...)
		}
	}
	return out
}

func dropFile(b []byte) []byte {
	from := bytes.LastIndex(b, []byte("HPCG-Benchmark\n"))
	to := bytes.Index(b, []byte("\nFLUX-RESULTS END"))
	return append(bytes.Clone(b[:from]), b[to+1:]...)
}

// TestOtherShapes are logs that differ from the good one in what says nothing of the result; each counts, with the same ratings.
func TestOtherShapes(t *testing.T) {
	spec := hpcgtest.Spec{Ratings: []float64{10, 11, 12}, Ranks: 1}
	for name, change := range map[string]func([]byte) []byte{
		"the grid comes from the command line": replace("32 32 32\n15", "16 16 16\n15"),
		"a build without MPI": func(b []byte) []byte {
			return regexp.MustCompile(`(?m)^DDOT Timing Variations.*\n`).ReplaceAll(b, nil)
		},
		"a warning glued to the end of a run":     replace("\nFLUX-RUN END hpcg-iter-1", "\n[node-0:00123] 1 more process has sent help message FLUX-RUN END hpcg-iter-1"),
		"a warning glued to the start of a run":   replace("\nFLUX-RUN START hpcg-iter-2", "\nbtl_vader warningFLUX-RUN START hpcg-iter-2"),
		"a warning glued to the results":          replace("\nFLUX-RESULTS START", "\nwarningFLUX-RESULTS START"),
		"the end of the results glued":            replace("\nFLUX-RESULTS END", "FLUX-RESULTS END"),
		"progress with carriage returns":          replace("\nFLUX-RUN END hpcg-iter-1", "\nloading 10%\rloading 100%\rFLUX-RUN END hpcg-iter-1"),
		"colours":                                 replace("\nFLUX-RUN END hpcg-iter-1", "\n\x1b[33mwarning\x1b[0m\n\x1b[0mFLUX-RUN END hpcg-iter-1"),
		"Windows line ends":                       func(b []byte) []byte { return bytes.ReplaceAll(b, []byte("\n"), []byte("\r\n")) },
		"UTF-16, little endian":                   func(b []byte) []byte { return utf16Of(b, binary.LittleEndian, true) },
		"UTF-16, big endian":                      func(b []byte) []byte { return utf16Of(b, binary.BigEndian, true) },
		"UTF-16 without a byte order mark":        func(b []byte) []byte { return utf16Of(b, binary.LittleEndian, false) },
		"UTF-8 with a byte order mark":            func(b []byte) []byte { return append([]byte("\xef\xbb\xbf"), b...) },
		"a rank's own error that changed nothing": replace("\nFLUX-RUN END hpcg-iter-1", "\nhelper exited with exit code 1\nFLUX-RUN END hpcg-iter-1"),
	} {
		t.Run(name, func(t *testing.T) {
			log, err := hpcg.Parse(bytes.NewReader(change(hpcgtest.Log(spec))), 3)
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(spec.Ratings, log.Ratings()); d != "" {
				t.Error(d)
			}
		})
	}
}

func utf16Of(b []byte, order binary.AppendByteOrder, mark bool) (out []byte) {
	if mark {
		out = order.AppendUint16(out, 0xfeff)
	}
	for _, c := range utf16.Encode([]rune(string(b))) {
		out = order.AppendUint16(out, c)
	}
	return out
}

func TestReasonNamesTheSignal(t *testing.T) {
	log := hpcgtest.Log(hpcgtest.Spec{})
	cut := append(cutAt("FLUX-RUN END hpcg-iter-1")(log), "flux-job: task(s) exited with exit code 132\n"...)
	_, err := hpcg.Parse(bytes.NewReader(cut), 3)
	if err == nil || !strings.Contains(err.Error(), "exit code 132 (SIGILL") {
		t.Error(err)
	}
}

func TestEveryCutIsRejected(t *testing.T) {
	good := hpcgtest.Log(hpcgtest.Spec{Ratings: []float64{10, 11}, Ranks: 8, Jobs: true})
	end := bytes.Index(good, []byte("\nFLUX-RESULTS END\n")) + len("\nFLUX-RESULTS END")
	first := bytes.Index(good, []byte("\nFLUX-JOB START"))
	for cut := range good {
		if cut >= end && cut <= first+1 || cut >= len(good)-1 {
			continue // the shape without job records is complete here
		}
		if _, err := hpcg.Parse(bytes.NewReader(good[:cut]), 2); err == nil {
			t.Fatalf("cut at byte %d of %d, after %q, it passed", cut, len(good), good[max(0, cut-40):cut])
		}
	}
}

func TestNoiseIsTolerated(t *testing.T) {
	spec := hpcgtest.Spec{Ratings: []float64{10, 11}, Ranks: 8}
	good := string(hpcgtest.Log(spec))
	noisy := strings.NewReplacer(
		"\nFLUX-RUN START", "\nflux: warning: something\nFLUX-RUN START",
		"\nFLUX-RESULTS START\n", "\n\x1b[31mred\x1b[0m\nFLUX-RESULTS START\n",
		"\nHPCG-BENCHMARKS\nHPCG", "\nlibc: note\nHPCG-BENCHMARKS\nHPCG",
		"Setup Information=\n", "a line without the sign\nSetup Information=\n",
	).Replace("pulled image\n" + good)
	noisy = strings.ReplaceAll(noisy, "\n", "\r\n") + strings.Repeat("x", 3<<20) + "\r\n"
	want, _ := hpcg.Parse(strings.NewReader(good), 2)
	got, err := hpcg.Parse(iotest.HalfReader(strings.NewReader(noisy)), 2)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(want.Ratings(), got.Ratings()); d != "" || got.Noise < 6 {
		t.Errorf("noise %d, %s", got.Noise, d)
	}
}

func TestReadErrorIsNotTheLogsFault(t *testing.T) {
	good := hpcgtest.Log(hpcgtest.Spec{})
	cause := errors.New("disk on fire")
	_, err := hpcg.Parse(io.MultiReader(bytes.NewReader(good[:500]), iotest.ErrReader(cause)), 3)
	var rej *hpcg.Rejection
	if !errors.Is(err, cause) || !errors.As(err, &rej) || rej.Reason != hpcg.ReasonUnreadable {
		t.Errorf("got %v", err)
	}
}

// TestHugeLogNeedsLittleMemory feeds 100 MB of residual lines and of noise.
func TestHugeLogNeedsLittleMemory(t *testing.T) {
	line := strings.Repeat("Call [1] Scaled Residual [3.1e-22]\nsome other noise that means nothing\n", 1<<14)
	good := string(hpcgtest.Log(hpcgtest.Spec{}))
	at := strings.Index(good, "HPCG-BENCHMARKS\nHPCG")
	var readers []io.Reader
	for range 100 << 20 / len(line) {
		readers = append(readers, strings.NewReader(line))
	}
	huge := io.MultiReader(append(append([]io.Reader{strings.NewReader(good[:at])}, readers...), strings.NewReader(good[at:]))...)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	_, err := hpcg.Parse(huge, 3)
	runtime.ReadMemStats(&after)
	var rej *hpcg.Rejection
	if !errors.As(err, &rej) || rej.Reason != hpcg.ReasonInconsistent {
		t.Errorf("got %v", err)
	}
	if used := after.TotalAlloc - before.TotalAlloc; used > 4<<20 {
		t.Errorf("%d bytes were allocated in all", used)
	}
}

func TestManyResultFilesStopTheReading(t *testing.T) {
	good := hpcgtest.Log(hpcgtest.Spec{})
	cut := bytes.Index(good, []byte("\nHPCG-BENCHMARKS\n")) + len("\nHPCG-BENCHMARKS\n")
	endless := io.MultiReader(bytes.NewReader(good[:cut]), strings.NewReader(strings.Repeat("HPCG-Benchmark\n", 1<<20)))
	_, err := hpcg.Parse(endless, 3)
	var rej *hpcg.Rejection
	if !errors.As(err, &rej) || rej.Reason != hpcg.ReasonTooLarge {
		t.Errorf("got %v", err)
	}
}

func FuzzParse(f *testing.F) {
	for name := range fixtures {
		f.Add(fixture(f, name), 3)
	}
	f.Add([]byte("FLUX-JOB END 1 a\nFLUX-RUN START x\n"), 0)
	f.Fuzz(func(t *testing.T, data []byte, iterations int) {
		log, err := hpcg.Parse(bytes.NewReader(data), iterations%8)
		if err != nil {
			return
		}
		for _, v := range log.Ratings() {
			if !(v > 0 && v < 1e8) {
				t.Errorf("a rating of %v passed", v)
			}
		}
	})
}

func BenchmarkParse(b *testing.B) {
	for name := range fixtures {
		data := fixture(b, name)
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(data)))
			b.ReportAllocs()
			for b.Loop() {
				if _, err := hpcg.Parse(bytes.NewReader(data), 0); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func ExampleParse() {
	log := hpcgtest.Log(hpcgtest.Spec{Ratings: []float64{10, 11, 12}})
	_, err := hpcg.Parse(bytes.NewReader(log[:len(log)/2]), 3)
	fmt.Println(err)
	// Output: truncated at line 382: the log ends in the result files
}
