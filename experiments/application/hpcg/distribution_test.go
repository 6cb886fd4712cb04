package hpcg

import (
	"errors"
	"math"
	"strings"
	"testing"

	"github.com/compspec/ocifit-lab/experiments/application"
	"github.com/compspec/ocifit-lab/experiments/replay"
	"github.com/compspec/ocifit-lab/templates"
	"github.com/google/go-cmp/cmp"
)

func query(instanceType, imageTag string, ranks int) Query {
	return Query{Type: templates.InstanceType{Name: instanceType}, ImageTag: imageTag, Nodes: 1, Ranks: ranks, Local: publishedLocal, Seconds: publishedSeconds}
}

func TestMatrixIsWhole(t *testing.T) {
	b, err := published()
	if err != nil {
		t.Fatal(err)
	}
	cells, types, ones := 0, 0, 0
	for _, f := range b.types {
		if len(f.all) > 0 {
			types++
		}
		cells += len(f.all)
		if f.one != nil {
			ones++
		}
		for g, c := range f.all {
			if !(c.mean > 0 && c.sd >= 0 && c.seconds > 0) {
				t.Errorf("%s %s: %+v", f.Name, g, c)
			}
		}
		if f.VCPU != f.Cores && f.VCPU != 2*f.Cores {
			t.Errorf("%s: %d threads, %d cores", f.Name, f.VCPU, f.Cores)
		}
	}
	if types != 21 || cells != 2243 || ones != 16 {
		t.Errorf("%d types with %d cells, %d with one rank", types, cells, ones)
	}
}

func TestDistribution(t *testing.T) {
	r8g := templates.InstanceType{Name: "r8g.4xlarge", Architecture: "arm64", VCPU: 16, Cores: 16, Labels: map[string]string{"feature.node.kubernetes.io/cpu-model.vendor_id": "ARM", "feature.node.kubernetes.io/cpu-model.family": "99", "feature.node.kubernetes.io/cpu-model.id": "1"}}
	for name, tc := range map[string]struct {
		query        Query
		source       string
		least, most  float64 // of the mean
		rule, absent string
	}{
		"all cores":            {query("hpc7g.16xlarge", "neoverse-v2-O2-arm", 64), replay.Measured, 32.58, 32.59, "3 published runs of neoverse-v2-O2 on hpc7g.16xlarge with 64 ranks", "estimate"},
		"one rank":             {query("r6i.8xlarge", "znver3-Ofast", 1), replay.Measured, 2.94, 2.95, "12 published runs of znver3-Ofast on r6i.8xlarge with 1 rank", "estimate"},
		"one rank, other tag":  {query("r6i.8xlarge", "haswell-O3", 1), replay.Estimated, 2, 4, "one rank was measured with znver3-Ofast", ""},
		"some ranks":           {query("c7a.12xlarge", "znver3-Ofast", 4), replay.Estimated, 7, 11, "1/G = a + b/ranks", ""},
		"no one rank of type":  {query("hpc7g.16xlarge", "neoverse-v2-O2", 1), replay.Estimated, 3.0, 3.1, "that of c7g.16xlarge, which has the same processor", ""},
		"no one rank at all":   {query("c7a.12xlarge", "znver3-Ofast", 1), replay.Estimated, 2, 4, "median of the amd64 types", ""},
		"never all cores":      {query("r7g.12xlarge", "neoverse-v2-O2-arm", 48), replay.Estimated, 23, 33, "the all-core runs are those of c7g.16xlarge", ""},
		"small of a large":     {query("inf2.xlarge", "znver3-Ofast", 2), replay.Estimated, 3, 4.4, "same processor", ""},
		"burstable lends none": {query("d3.4xlarge", "znver3-Ofast", 1), replay.Estimated, 2, 4, "median", "t3"},
		"tag not on type":      {query("c6a.16xlarge", "icelake-server-O3", 32), replay.Estimated, 14, 15, "the runs of icelake-server-O0 are taken", ""},
		"unknown target":       {query("c6i.16xlarge", "graniterapids-O3", 32), replay.Estimated, 15, 20, "the runs of native-O3 are taken", ""},
		"no tag to speak of":   {query("c6i.16xlarge", "latest", 32), replay.Estimated, 15, 20, "may not run", ""},
		"unknown type":         {func() Query { q := query("r8g.4xlarge", "neoverse-v2-O2", 16); q.Type = r8g; return q }(), replay.Estimated, 8, 25, "nearest arm64 type", ""},
		"two nodes":            {func() Query { q := query("m7g.16xlarge", "native-O2", 128); q.Nodes = 2; return q }(), replay.Estimated, 63.3, 63.4, "2 nodes count as 2 times one node", ""},
		"other grid":           {func() Query { q := query("m7g.16xlarge", "native-O2", 64); q.Local = [3]int{64, 64, 64}; return q }(), replay.Estimated, 31.6, 31.7, "64x64x64", ""},
	} {
		t.Run(name, func(t *testing.T) {
			b, err := distributionOf(tc.query)
			if err != nil {
				t.Fatal(err)
			}
			if b.Source != tc.source || b.Mean < tc.least || b.Mean > tc.most || !strings.Contains(b.Rule, tc.rule) || tc.absent != "" && strings.Contains(b.Rule, tc.absent) {
				t.Errorf("%+v", b)
			}
			if strings.ContainsAny(b.Rule, "\n\r") || b.Seconds < 5 || b.Seconds > 25 || b.SD < 0 {
				t.Errorf("%+v", b)
			}
		})
	}
}

// TestCurveAcrossTypes holds the rule for types without runs of their own to types that do have them: one processor
// (Ice Lake), three sizes.
func TestCurveAcrossTypes(t *testing.T) {
	b, err := published()
	if err != nil {
		t.Fatal(err)
	}
	for name, from := range map[string]string{"r6i.8xlarge": "c6i.16xlarge", "m6i.12xlarge": "c6i.16xlarge", "c6i.16xlarge": "m6i.12xlarge"} {
		measured := b.find(name).all[tag{"znver3", "Ofast"}].mean
		others := &matrix{levels: b.levels, types: []*typeFigures{b.find(from), b.find("c6id.12xlarge")}}
		got, _ := others.oneNode(&typeFigures{InstanceType: b.find(name).InstanceType, processor: b.find(name).processor}, tag{"znver3", "Ofast"}, b.find(name).Cores)
		if math.Abs(got.mean-measured) > 0.15*measured {
			t.Errorf("%s from %s: %v, measured %v", name, from, got.mean, measured)
		}
	}
}

func TestMoreRanksMoreWork(t *testing.T) {
	b, err := published()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range b.types {
		before := 0.0
		for ranks := 1; ranks <= f.Cores; ranks++ {
			basis, err := distributionOf(query(f.Name, "znver3-Ofast", ranks))
			if f.Architecture == "arm64" {
				basis, err = distributionOf(query(f.Name, "neoverse-v2-O2", ranks))
			}
			if err != nil {
				t.Fatal(err)
			}
			if basis.Mean <= before || math.IsInf(basis.Mean, 0) {
				t.Errorf("%s: %d ranks give %v GFLOP/s, one fewer %v", f.Name, ranks, basis.Mean, before)
			}
			before = basis.Mean
		}
	}
}

func TestCheckImage(t *testing.T) {
	for _, tc := range []struct {
		tag, architecture string
		ok                bool
	}{
		{"znver3-Ofast", "amd64", true},
		{"znver3-Ofast", "arm64", false},
		{"neoverse-v2-O2-arm", "arm64", true},
		{"neoverse-v2-O2-arm", "amd64", false},
		{"neoverse-v2-O2", "amd64", false},
		{"native-O3", "arm64", true},
		{"native-O3", "amd64", true},
		{"latest", "arm64", true},
		{"znver3-Ofast", "", true},
	} {
		if err := CheckImage(tc.tag, tc.architecture); (err == nil) != tc.ok {
			t.Errorf("%s on %s: %v", tc.tag, tc.architecture, err)
		}
	}
}

func TestDistributionErrors(t *testing.T) {
	if _, err := distributionOf(query("t3.2xlarge", "znver3-Ofast", 8)); !errors.Is(err, application.ErrUnsatisfiable) {
		t.Error(err)
	}
	if _, err := distributionOf(query("unheard.of", "x", 1)); err == nil || errors.Is(err, application.ErrUnsatisfiable) {
		t.Error(err)
	}
}

func TestSampleKeepsMeanAndSeed(t *testing.T) {
	for _, q := range []Query{query("hpc7g.16xlarge", "neoverse-v2-O2", 64), query("t3a.2xlarge", "native-O0", 4), query("r6i.8xlarge", "znver3-Ofast", 1)} {
		b, err := distributionOf(q)
		if err != nil {
			t.Fatal(err)
		}
		const n = 20000
		mean, least := 0.0, math.Inf(1)
		for _, f := range b.Sample(7, n) {
			mean += f.GFLOPS / n
			least = min(least, f.GFLOPS)
		}
		if math.Abs(mean-b.Mean) > 5*b.SD/math.Sqrt(n) {
			t.Errorf("%s: mean %v of %v", q.Type.Name, mean, b.Mean)
		}
		if least <= 0.19*b.Mean {
			t.Errorf("%s: a rating of %v", q.Type.Name, least)
		}
		if diff := cmp.Diff(b.Sample(1, 3), b.Sample(1, 3)); diff != "" {
			t.Error(diff)
		}
		if cmp.Equal(b.Sample(1, 3), b.Sample(2, 3)) {
			t.Error("two seeds, the same figures")
		}
	}
}

func TestMatrixRejects(t *testing.T) {
	for _, bad := range []string{
		"one x 1 2 3 4", "levels O1\n[a] amd64 threads=2 cores=1 cpu=x\nall 2", "levels O1\n[a] amd64 threads=2 cores=1 cpu=x\nall 1\nnative 1/2",
		"levels O1\n[a] amd64 threads=2 cores=1 cpu=x\nall 1\nnative 1/2/3 4/5/6", "[a] amd64 threads=two", "levels O1\n[a] amd64 threads=2 cores=1 cpu=x\none t 1 2",
	} {
		if _, err := parseMatrix(bad); err == nil || !strings.Contains(err.Error(), "line ") {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

// TestTrafficPerFlop compares with the ratio that the counts of HPCG's own report give for 64 ranks of 32x32x32.
func TestTrafficPerFlop(t *testing.T) {
	for _, ranks := range []int{1, 24, 64, 96} {
		if r := trafficPerFlop(ranks); r < 6 || r > 8.5 {
			t.Errorf("%d ranks: %v bytes per operation", ranks, r)
		}
	}
}
