package joblib

import (
	"bytes"
	"compress/zlib"
	"encoding/json"
	"errors"
	"math"
	"math/big"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/compspec/ocifit-lab/webhook/compat"
	"github.com/compspec/ocifit-lab/webhook/predict"
)

func fixture(t testing.TB, name string) []byte {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// Pipelines that scikit-learn wrote predict here what they predict there.
func TestImportPredictsWhatScikitLearnDoes(t *testing.T) {
	var want struct {
		Rows   []map[string]string
		Scores map[string][]float64
	}
	if err := json.Unmarshal(fixture(t, "expected.json"), &want); err != nil {
		t.Fatal(err)
	}
	if len(want.Scores) != 5 || len(want.Rows) != 25 {
		t.Fatalf("%d pipelines, %d rows", len(want.Scores), len(want.Rows))
	}
	for name, scores := range want.Scores {
		m, err := Import(fixture(t, name+".joblib"), "lasso_model_"+name+".joblib", name, compat.Maximize)
		if err != nil {
			t.Error(err)
			continue
		}
		if m.Source.File != "lasso_model_"+name+".joblib" || len(m.Source.SHA256) != 64 || len(m.Labels()) != 4 {
			t.Errorf("%s: %+v, labels %v", name, m.Source, m.Labels())
		}
		for i, row := range want.Rows {
			got, out := m.Score(row)
			if math.Abs(got-scores[i]) > 1e-9*max(1, math.Abs(scores[i])) || out != nil {
				t.Errorf("%s, row %d: %v, scikit-learn says %v; %v", name, i, got, scores[i], out)
			}
		}
		row := map[string]string{}
		for k, v := range want.Rows[0] {
			row[k] = v
		}
		row["feature.node.kubernetes.io/kernel-version.full"] = "7.0"
		if _, out := m.Score(row); len(out) != 1 {
			t.Errorf("%s: a value it was not fitted on: %v", name, out)
		}
		roundTrip(t, m, want.Rows)
	}
}

// roundTrip writes the model in this project's format and reads it back.
func roundTrip(t *testing.T, m *predict.Model, rows []map[string]string) {
	t.Helper()
	data, err := predict.EncodeModel(m)
	if err != nil {
		t.Fatal(err)
	}
	back, err := predict.DecodeModel(data)
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range rows {
		a, _ := m.Score(row)
		if b, _ := back.Score(row); a != b {
			t.Errorf("%s: %v became %v", m.Name, a, b)
		}
	}
}

func TestImportRefuses(t *testing.T) {
	good := fixture(t, "published.joblib")
	edit := func(from, to string) []byte {
		if len(from) != len(to) || !bytes.Contains(good, []byte(from)) {
			t.Fatal(from)
		}
		return bytes.ReplaceAll(good, []byte(from), []byte(to))
	}
	var bomb bytes.Buffer
	z := zlib.NewWriter(&bomb)
	if _, err := z.Write(append([]byte("\x80\x04"), bytes.Repeat([]byte("(1"), maxBytes/2+1)...)); err != nil {
		t.Fatal(err)
	}
	z.Close()
	for name, c := range map[string]struct {
		data []byte
		says string
	}{
		"another regression":    {fixture(t, "ridge.joblib"), `"sklearn.linear_model._ridge.Ridge"`},
		"a forest":              {fixture(t, "forest.joblib"), "RandomForestRegressor"},
		"lzma":                  {fixture(t, "lzma.joblib"), "lzma"},
		"no pickle":             {[]byte("hello"), "no pickle"},
		"empty":                 {nil, "no pickle"},
		"cut":                   {good[:len(good)/2], "cut off"},
		"a call of the system":  {[]byte("\x80\x04cos\nsystem\n(X\x02\x00\x00\x00idtR."), `"os.system"`},
		"the same, on a stack":  {[]byte("\x80\x04\x8c\x05posix\x8c\x06system\x93\x8c\x02id\x85R."), `"posix.system"`},
		"getattr":               {[]byte("\x80\x04cbuiltins\ngetattr\n."), `"builtins.getattr"`},
		"another function":      {edit("top_level_slicer", "top_level_slices"), "top_level_slices"},
		"no pipeline":           {[]byte("\x80\x04K\x01."), "not a sklearn.pipeline.Pipeline"},
		"another protocol":      {[]byte("\x80\x09N."), "protocol 9"},
		"a persistent id":       {[]byte("\x80\x04NQ."), "0x51"},
		"stack underflow":       {[]byte("\x80\x04\x85."), "damaged"},
		"no such memo":          {[]byte("\x80\x04h\x07."), "damaged"},
		"a huge text":           {[]byte("\x80\x04X\xff\xff\xff\x7f"), "limit"},
		"a huge number":         {[]byte("\x80\x04\x8a\xff"), "bytes"},
		"bomb":                  {bomb.Bytes(), "more than"},
		"too large":             {make([]byte, MaxFileBytes+1), "limit"},
		"a list in itself":      {[]byte("\x80\x04]q\x00h\x00a."), "a list of 1"},
		"labels that are bytes": {edit("feature_names_in_", "feature_names_iX_"), "feature_names_in_"},
		"never fitted":          {edit("coef_", "coeX_"), "never fitted"},
		"damaged selector":      {edit("indices", "indizes"), "no indices"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Import(c.data, "f.joblib", "m", compat.Maximize)
			if !errors.Is(err, ErrRefused) || !strings.Contains(err.Error(), c.says) {
				t.Errorf("error %v does not say %q", err, c.says)
			}
		})
	}
	if _, err := Import(good, "f.joblib", "random", compat.Maximize); err == nil {
		t.Error("a model called random was accepted")
	}
	if _, err := Import(good, "f.joblib", "m", compat.DrawRandom); err == nil {
		t.Error("a model without a direction was accepted")
	}
}

func TestName(t *testing.T) {
	for file, want := range map[string]string{"/models/lasso_model_fom_per_dollar.joblib": "fom_per_dollar", "x.joblib": "x"} {
		if got := Name(file); got != want {
			t.Error(file, got)
		}
	}
}

// What cancels in the pipeline cancels in the formula: coefficients of 1e16, divided by what no float64 holds.
func TestHugeCoefficientsCancel(t *testing.T) {
	c := converter{known: map[string][]string{"l": {"a", "b"}}, work: maxWork}
	for _, v := range []string{"a", "b"} {
		m, err := c.indicator("l", v)
		if err != nil {
			t.Fatal(err)
		}
		c.columns = append(c.columns, column{m: number(1)}.scaled(number(1.0/3), number(0.7)))
	}
	// Both columns are (x - 1/3)/0.7 and x_a + x_b = 1, so equal coefficients add 1e16*(1 - 2/3)/0.7 and cancel it again.
	c.result = column{"": number(2.5)}
	for i, k := range []float64{1e16, 1e16, -1e16, -1e16 + 2} {
		for m, x := range c.columns[i%2] {
			c.result.add(m, new(big.Float).SetPrec(precision).Mul(x, number(k)))
		}
	}
	m := c.model()
	m.Name, m.Direction = "m", compat.Maximize
	model, err := predict.NewModel(m)
	if err != nil {
		t.Fatal(err)
	}
	for v, want := range map[string]float64{"a": 2.5 - 2.0/3/0.7, "b": 2.5 + 4.0/3/0.7} {
		if got, _ := model.Score(map[string]string{"l": v}); math.Abs(got-want) > 1e-12 {
			t.Errorf("%s: %v, want %v", v, got, want)
		}
	}
}

func TestOverflowIsRefused(t *testing.T) {
	c := converter{known: map[string][]string{"l": {"a"}}, work: maxWork}
	m, err := c.indicator("l", "a")
	if err != nil {
		t.Fatal(err)
	}
	c.result = column{m: number(1e300)}.scaled(number(0), number(5e-324))
	model := c.model()
	model.Name, model.Direction = "m", compat.Maximize
	if _, err := predict.NewModel(model); err == nil || !strings.Contains(err.Error(), "Inf") {
		t.Error(err)
	}
}

// Damaged files are refused or read; none makes the reader fall over or work for long.
func TestDamagedFiles(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 1))
	for _, name := range []string{"linear", "published", "scaled", "dropped", "nested", "ridge"} {
		good := fixture(t, name+".joblib")
		for range 500 {
			bad := bytes.Clone(good)
			for range 1 + rng.IntN(3) {
				bad[rng.IntN(len(bad))] = byte(rng.IntN(256))
			}
			if m, err := Import(bad, "f.joblib", "m", compat.Maximize); (m == nil) == (err == nil) {
				t.Fatal(m, err)
			}
		}
	}
}

func FuzzImport(f *testing.F) {
	for _, name := range []string{"linear", "published", "scaled", "dropped", "nested", "ridge"} {
		f.Add(fixture(f, name+".joblib"))
	}
	f.Add([]byte("\x80\x04cos\nsystem\n(X\x02\x00\x00\x00idtR."))
	f.Add([]byte("\x80\x04]q\x00h\x00a."))
	f.Add([]byte("\x80\x02csklearn.pipeline\nPipeline\n)\x81}X\x05\x00\x00\x00steps]sb."))
	f.Fuzz(func(t *testing.T, data []byte) {
		m, err := Import(data, "f.joblib", "m", compat.Maximize)
		if err != nil {
			return
		}
		if _, err := predict.EncodeModel(m); err != nil {
			t.Fatal(err)
		}
	})
}

func BenchmarkImport(b *testing.B) {
	data := fixture(b, "published.joblib")
	for b.Loop() {
		if _, err := Import(data, "f.joblib", "m", compat.Maximize); err != nil {
			b.Fatal(err)
		}
	}
}
