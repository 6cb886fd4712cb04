package bench

import (
	"os"
	"testing"
)

func TestQuantile(t *testing.T) {
	for _, c := range []struct {
		name   string
		values []float64
		q      float64
		want   float64
	}{
		{"median of an odd number", []float64{3, 1, 2}, 0.5, 2},
		{"one value", []float64{7}, 0.99, 7},
		{"the largest", []float64{4, 1, 3, 2}, 0.99, 4},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := quantile(c.values, c.q); got != c.want {
				t.Errorf("%v, want %v", got, c.want)
			}
		})
	}
}

func TestRatioOnlyBesideAReference(t *testing.T) {
	b := &bench{report: &Report{}}
	b.row(Row{Name: "alone", Value: 3})
	b.row(Row{Name: "beside", Value: 3, Reference: 2})
	if alone, beside := b.report.Rows[0], b.report.Rows[1]; alone.Ratio != 0 || beside.Ratio != 1.5 {
		t.Errorf("ratios %v and %v", alone.Ratio, beside.Ratio)
	}
}

func TestCPUOfThisProcess(t *testing.T) {
	if _, err := os.Stat("/proc/self/stat"); err != nil {
		t.Skip("this system has no /proc")
	}
	before, ok := cpu(os.Getpid())
	if !ok {
		t.Fatal("the processor time of this process is not known")
	}
	after := before
	for n := 0; after == before; n++ {
		if after, ok = cpu(os.Getpid()); !ok || n > 1e7 {
			t.Fatalf("%v after %d reads", after, n)
		}
	}
	if after < before {
		t.Errorf("%v s, then %v s", before, after)
	}
}
