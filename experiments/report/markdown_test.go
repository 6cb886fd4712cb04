package report_test

import (
	"bytes"
	"context"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/compspec/ocifit-lab/experiments/report"
	"github.com/compspec/ocifit-lab/experiments/report/reporttest"
)

var update = flag.Bool("update", false, "write the golden files anew")

func golden(t *testing.T, name, got string) {
	t.Helper()
	file := filepath.Join("testdata", name)
	if *update {
		if err := os.MkdirAll("testdata", 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(string(want), got); d != "" {
		t.Errorf("%s (run the test with -update to accept):\n%s", file, d)
	}
}

// TestGolden keeps what people read: a confounded simulated run, and a fair one with some trials missing.
func TestGolden(t *testing.T) {
	for name, tc := range map[string]struct {
		study string
		opt   reporttest.Options
	}{
		"procedure":  {"procedure", reporttest.Options{Simulated: true, NodeLife: 5}},
		"controlled": {"controlled", reporttest.Options{NodeLife: 3, Skip: func(arm string, n int) bool { return arm == "fom-model" && n == 7 }}},
	} {
		r := reporttest.Run(t, t.TempDir(), reporttest.Study(tc.study), 8, tc.opt)
		a, err := report.Analyse(context.Background(), r, report.Options{Now: time.Date(2025, 7, 22, 0, 0, 0, 0, time.UTC)})
		if err != nil {
			t.Fatal(err)
		}
		var md bytes.Buffer
		if err := report.WriteMarkdown(&md, a); err != nil {
			t.Fatal(err)
		}
		golden(t, name+".md", md.String())
		golden(t, name+".txt", text(t, a))
	}
}

func TestMarkdownSaysSimulatedFirst(t *testing.T) {
	var md bytes.Buffer
	if err := report.WriteMarkdown(&md, analysis(t, "controlled", 2, reporttest.Options{Simulated: true})); err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(md.String(), "> **SIMULATED.** ") || strings.Count(md.String(), "(simulated)") != 4 {
		t.Error(md.String())
	}
}
