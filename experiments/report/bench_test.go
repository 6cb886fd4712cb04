package report_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"github.com/compspec/ocifit-lab/experiments/application/hpcg/hpcgtest"
	"github.com/compspec/ocifit-lab/experiments/report"
	"github.com/compspec/ocifit-lab/experiments/store"
	"github.com/compspec/ocifit-lab/experiments/store/storetest"
	"github.com/compspec/ocifit-lab/experiments/study"
)

// largeRun writes arms x trials directly, for committing them one by one would take minutes.
func largeRun(b *testing.B, arms, trials int) *store.Run {
	b.Helper()
	list := []study.Arm{{Name: "random", Model: "random", Tasks: "cores"}}
	for i := 1; i < arms; i++ {
		list = append(list, study.Arm{Name: fmt.Sprintf("model-%d", i), Model: fmt.Sprintf("model_%d", i), Tasks: "cores"})
	}
	s := storetest.Study(b, trials, 3, list...)
	r, err := store.Create(b.TempDir(), store.Info{Study: s, Prices: map[string]float64{"type-a": 2}})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { r.Close() })
	for i, arm := range list {
		for n := 1; n <= trials; n++ {
			v := float64(20000+100*i+2*(n*7919%1000)) / 1000
			spec := hpcgtest.Spec{Ratings: []float64{v, v, v}, Ranks: 64, Jobs: true, Seed: uint64(n)}
			rec := store.Trial{
				SchemaVersion: 1, Run: r.ID(), Arm: arm.Name, Trial: n, Attempt: 1, Model: arm.Model, Tasks: "cores", Image: "x:y", Verdict: store.Complete,
				Node:  store.Node{Name: fmt.Sprintf("node-%d-%d", i, n/2), InstanceType: "type-a", Labels: map[string]string{"a": "b", "c": "d"}},
				Ranks: 64, Threads: 1, Cores: 64, Local: [3]int{32, 32, 32}, GFLOPS: spec.Ratings, Seconds: store.Seconds{Total: 73},
				Phases: store.Phases{Created: storetest.Start.Add(time.Duration(n*arms+i) * time.Minute), Finished: storetest.Start.Add(time.Duration(n*arms+i)*time.Minute + 73*time.Second)},
			}
			dir := storetest.Dir(r, arm.Name, fmt.Sprint(n))
			if err := os.MkdirAll(dir, 0o755); err != nil {
				b.Fatal(err)
			}
			data, _ := json.Marshal(rec)
			for name, content := range map[string][]byte{"hpcg.out": hpcgtest.Log(spec), "trial.json": data} {
				if err := os.WriteFile(filepath.Join(dir, name), content, 0o644); err != nil {
					b.Fatal(err)
				}
			}
		}
	}
	return r
}

// BenchmarkLargeRun analyses runs of 14 arms and writes their reports: 1,400 trials, and 20,000, where the aim is 10 s and 500 MB. The
// time for each trial tells whether the work grows with the trials alone.
func BenchmarkLargeRun(b *testing.B) {
	for _, trials := range []int{100, 1430} {
		b.Run(fmt.Sprintf("trials=%d", 14*trials), func(b *testing.B) {
			r := largeRun(b, 14, trials)
			b.ResetTimer()
			for b.Loop() {
				var after runtime.MemStats
				runtime.GC()
				start := time.Now()
				a, err := report.Analyse(context.Background(), r, report.Options{})
				if err != nil {
					b.Fatal(err)
				}
				var page bytes.Buffer
				if err := report.WriteHTML(&page, a); err != nil {
					b.Fatal(err)
				}
				whole := time.Since(start)
				runtime.ReadMemStats(&after)
				if len(a.Trials) != 14*trials || len(a.Excluded) != 0 {
					b.Fatalf("%d trials, %d excluded", len(a.Trials), len(a.Excluded))
				}
				b.ReportMetric(whole.Seconds(), "s")
				b.ReportMetric(float64(whole.Microseconds())/float64(14*trials), "us/trial")
				b.ReportMetric(float64(page.Len())/1e6, "html-MB")
				b.ReportMetric(float64(after.HeapSys)/1e6, "heap-MB")
			}
		})
	}
}
