package measurements

import (
	"bytes"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/parquet-go/parquet-go"

	"github.com/compspec/ocifit-lab/experiments/application/hpcg/hpcgtest"
	"github.com/compspec/ocifit-lab/experiments/store"
	"github.com/compspec/ocifit-lab/experiments/store/storetest"
	"github.com/compspec/ocifit-lab/experiments/study"
)

func sample() *Table {
	return &Table{Rows: []Row{
		{
			Application: "hpcg", InstanceType: "c7g.16xlarge", Image: "r/i:t", Ranks: 64, Node: "n-1", Time: time.Date(2026, 3, 1, 12, 0, 0, 250000000, time.UTC), Source: "run arm 1",
			Figures: map[string]float64{"gflops": 31.25, "seconds": 1e-300}, Labels: map[string]string{"kubernetes.io/arch": "arm64", "x/odd": `a "b", c`},
		},
		{Application: "stream", InstanceType: "t3.2xlarge", Source: "run arm 2", Figures: map[string]float64{"triad": 1.0 / 3}},
		{InstanceType: "unknown", Source: "3"},
	}}
}

func TestTableGoesAndComesBack(t *testing.T) {
	for _, name := range []string{"m.csv", "m.parquet"} {
		file := filepath.Join(t.TempDir(), name)
		if err := sample().WriteFile(file); err != nil {
			t.Fatal(err)
		}
		back, err := Open(file)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(sample(), back, cmpopts.EquateEmpty()); diff != "" {
			t.Errorf("%s (-written +read):\n%s", name, diff)
		}
		if n := back.Add(sample().Rows); n != 0 {
			t.Errorf("%s: %d rows were added that it has", name, n)
		}
	}
	if empty, err := Open(filepath.Join(t.TempDir(), "none.csv")); err != nil || len(empty.Rows) != 0 {
		t.Error(empty, err)
	}
}

func TestReadCSV(t *testing.T) {
	const text = "\xef\xbb\xbfinstance_type,image_tag,ranks,n,gflops_mean,note\nc7g.16xlarge,native,64,3, 31.5 ,x\nc7g.16xlarge,native,64,3,31.5,x\nt3.2xlarge,,,1,,y\n"
	how := Reading{Rename: map[string]string{"image_tag": "image", "gflops_mean": "gflops"}, Drop: []string{"n", "note"}, Application: "hpcg"}
	table, err := readCSV(strings.NewReader(text), how)
	if err != nil {
		t.Fatal(err)
	}
	want := Row{Application: "hpcg", InstanceType: "c7g.16xlarge", Image: "native", Ranks: 64, Source: table.Rows[0].Source, Figures: map[string]float64{"gflops": 31.5}}
	if diff := cmp.Diff(want, table.Rows[0]); diff != "" || len(table.Rows) != 3 {
		t.Error(len(table.Rows), diff)
	}
	if table.Rows[0].Source == table.Rows[1].Source {
		t.Error("a measurement that was repeated with the same result counts once")
	}
	if len(table.Rows[2].Figures) != 0 || table.Rows[2].Ranks != 0 {
		t.Errorf("what is not known became %+v", table.Rows[2])
	}
	again, _ := readCSV(strings.NewReader(text), how)
	if n := table.Add(again.Rows); n != 0 {
		t.Errorf("the same file added %d rows", n)
	}
	for name, c := range map[string]struct{ text, says string }{
		"empty":         {"", "is empty"},
		"no type":       {"type,gflops\na,1\n", "no column instance_type"},
		"type missing":  {"instance_type,gflops\na,1\n,2\n", "line 3, column instance_type"},
		"word":          {"instance_type,note\na,x\n", `line 2, column note: "x" is not a number`},
		"NaN":           {"instance_type,gflops\na,NaN\n", `"NaN" is not a number`},
		"infinite":      {"instance_type,gflops\na,1e999\n", `"1e999" is not a number`},
		"ranks":         {"instance_type,ranks\na,2.5\n", `"2.5" is not a number of ranks`},
		"time":          {"instance_type,time\na,yesterday\n", `"yesterday" is not a time`},
		"twice":         {"instance_type,gflops,gflops\na,1,2\n", "both gflops"},
		"nameless":      {"instance_type,\na,1\n", "column 2 has no name"},
		"short line":    {"instance_type,gflops\na\n", "line 2"},
		"open quote":    {"instance_type,gflops\n\"a,1\n", "line"},
		"source twice":  {"instance_type,source\na,s\nb,s\n", "rows 1 and 2 have the same source"},
		"other charset": {"\xff\xfei\x00n\x00", "no column instance_type"},
	} {
		if _, err := readCSV(strings.NewReader(c.text), Reading{}); err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: error %v does not say %q", name, err, c.says)
		}
	}
	if _, err := readCSV(strings.NewReader(text), Reading{Rename: map[string]string{"tag": "image"}}); err == nil || !strings.Contains(err.Error(), "no column tag") {
		t.Error(err)
	}
}

// Tables that other programs wrote have times in other units, and whole numbers.
func TestReadParquetOfOthers(t *testing.T) {
	type row struct {
		Type   string    `parquet:"instance_type"`
		Ranks  int32     `parquet:"ranks"`
		Speed  float32   `parquet:"speed"`
		Count  int64     `parquet:"count"`
		Time   time.Time `parquet:"time,timestamp(millisecond)"`
		Absent *float64  `parquet:"absent,optional"`
	}
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	var b bytes.Buffer
	w := parquet.NewGenericWriter[row](&b)
	if _, err := w.Write([]row{{"a", 4, 0.5, 7, at, nil}}); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	table, err := readParquet(b.Bytes(), Reading{})
	if err != nil {
		t.Fatal(err)
	}
	want := Row{InstanceType: "a", Ranks: 4, Time: at, Source: table.Rows[0].Source, Figures: map[string]float64{"speed": 0.5, "count": 7}}
	if diff := cmp.Diff(want, table.Rows[0]); diff != "" {
		t.Error(diff)
	}
	for name, data := range map[string][]byte{"text": []byte("instance_type\na\n"), "cut": b.Bytes()[:len(b.Bytes())-9], "empty": nil} {
		if _, err := readParquet(data, Reading{}); err == nil {
			t.Errorf("%s is read", name)
		}
	}
	type nested struct {
		Type string    `parquet:"instance_type"`
		List []float64 `parquet:"list,list"`
	}
	b.Reset()
	deep := parquet.NewGenericWriter[nested](&b)
	_, _ = deep.Write([]nested{{"a", []float64{1}}})
	_ = deep.Close()
	if _, err := readParquet(b.Bytes(), Reading{}); err == nil || !strings.Contains(err.Error(), "column list is not flat") {
		t.Error(err)
	}
}

func TestWhereAndSummaries(t *testing.T) {
	table := sample()
	table.Rows = append(table.Rows, Row{Application: "hpcg", InstanceType: "c7g.16xlarge", Node: "n-2", Source: "4", Figures: map[string]float64{"gflops": 30.75}})
	some, err := table.Where(map[string]string{"application": "hpcg", "ranks": "64"})
	if err != nil || len(some.Rows) != 1 {
		t.Error(some, err)
	}
	if _, err := table.Where(map[string]string{"speed": "1"}); err == nil || !strings.Contains(err.Error(), "no column speed") {
		t.Error(err)
	}
	for _, s := range table.Summarize() {
		if s.Application == "hpcg" && (s.Rows != 2 || s.Nodes != 2 || s.Means["gflops"] != 31) {
			t.Errorf("%+v", s)
		}
	}
}

func TestOfRunSaysWhatIsReplayed(t *testing.T) {
	s := storetest.Study(t, 3, 3, study.Arm{Name: "random", Model: "random"})
	r, err := store.Create(filepath.Join(t.TempDir(), "run"), store.Info{Study: s})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	for n, c := range []storetest.Trial{
		{InstanceType: "c7g.16xlarge"}, {InstanceType: "c7g.16xlarge", Replay: `{}`}, {InstanceType: ""},
	} {
		c.Node, c.Log = "n", hpcgtest.Spec{Ratings: []float64{10, 20, 22}, Ranks: 8, Seed: uint64(n)}
		storetest.Put(t, r, "random", n+1, c)
	}
	records, err := r.Records(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	rows := OfRun(r.Info(), records)
	if len(rows) != 2 {
		t.Fatalf("%d rows: a trial whose type is not known is no measurement", len(rows))
	}
	// The first iteration is reported, and does not count.
	if r := rows[0]; r.Figures["gflops"] != 21 || r.Ranks != 8 || r.Application != "hpcg" || r.Figures[figureRunSeconds] != 55 || strings.HasPrefix(r.Source, Replayed) {
		t.Errorf("%+v", r)
	}
	if r := rows[1]; !strings.HasPrefix(r.Source, Replayed) {
		t.Errorf("the source of a replayed trial is %q", r.Source)
	}
}
