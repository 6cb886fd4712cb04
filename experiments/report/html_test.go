package report_test

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/compspec/ocifit-lab/experiments/report"
	"github.com/compspec/ocifit-lab/experiments/report/reporttest"
)

func htmlOf(t testing.TB, a *report.Analysis) string {
	t.Helper()
	var b bytes.Buffer
	if err := report.WriteHTML(&b, a); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestHTMLStandsAlone(t *testing.T) {
	a := analysis(t, "controlled", 10, reporttest.Options{Simulated: true, NodeLife: 3})
	page := htmlOf(t, a)
	if dir := os.Getenv("REPORT_OUT"); dir != "" {
		if err := os.WriteFile(filepath.Join(dir, "controlled.html"), []byte(page), 0o644); err != nil {
			t.Fatal(err)
		}
		p := analysis(t, "procedure", 30, reporttest.Options{Simulated: true, NodeLife: 5})
		if err := os.WriteFile(filepath.Join(dir, "procedure.html"), []byte(htmlOf(t, p)), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for _, outside := range []string{"http://", "https://", "<link", "<img", "src=", "@import", "url("} {
		if strings.Contains(page, outside) {
			t.Errorf("the page refers to something outside: %s", outside)
		}
	}
	if scripts := regexp.MustCompile(`<script[^>]*>`).FindAllString(page, -1); len(scripts) != 1 || !strings.Contains(scripts[0], "application/json") {
		t.Errorf("scripts: %v", scripts)
	}
	if strings.Contains(page, "ZgotmplZ") {
		t.Error("the template engine refused a value")
	}
	data := regexp.MustCompile(`(?s)<script type="application/json" id="analysis">(.*?)</script>`).FindStringSubmatch(page)
	var back report.Analysis
	if err := json.Unmarshal([]byte(data[1]), &back); err != nil || back.Answer != a.Answer {
		t.Errorf("the embedded analysis: %v", err)
	}
}

func TestHTMLSaysSimulatedFirst(t *testing.T) {
	page := htmlOf(t, analysis(t, "controlled", 3, reporttest.Options{Simulated: true}))
	body := page[strings.Index(page, "<body>"):]
	if at := strings.Index(body, "SIMULATED"); at < 0 || at > strings.Index(body, "<h1>") {
		t.Error("the banner is not at the top")
	}
	captions := regexp.MustCompile(`(?s)<caption>.*?</caption>`).FindAllString(page, -1)
	for _, c := range captions {
		if !strings.Contains(c, "(simulated)") {
			t.Errorf("caption: %s", c)
		}
	}
	if !strings.Contains(page, "<title>Simulated: ") || len(captions) < 3 {
		t.Error("title or captions")
	}
	real := htmlOf(t, analysis(t, "controlled", 3, reporttest.Options{}))
	if strings.Contains(real, "SIMULATED") || strings.Contains(real, "(simulated)") {
		t.Error("a real run is called simulated")
	}
}

func TestHTMLEscapesNames(t *testing.T) {
	a := analysis(t, "controlled", 2, reporttest.Options{})
	a.Arms[1].Name, a.Comparisons[0].Arm = `<b onload="x">`, `<b onload="x">`
	for i := range a.Trials {
		a.Trials[i].Node = `"><script>alert(1)</script>`
	}
	if page := htmlOf(t, a); strings.Contains(page, "<b onload") || strings.Contains(page, "<script>alert") {
		t.Error("a name got into the page as markup")
	}
}

func TestCSV(t *testing.T) {
	a := analysis(t, "controlled", 3, reporttest.Options{Simulated: true})
	var b bytes.Buffer
	if err := report.WriteCSV(&b, a); err != nil {
		t.Fatal(err)
	}
	rows, err := csv.NewReader(&b).ReadAll()
	if err != nil || len(rows) != 1+18 || rows[0][0] != "arm" || rows[1][21] != "true" {
		t.Errorf("%d rows, %v", len(rows), err)
	}
}

func liveOf(t testing.TB, a *report.Analysis) string {
	t.Helper()
	var b bytes.Buffer
	if err := report.WriteLive(&b, a, 5*time.Second); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestLivePageComparesNothing(t *testing.T) {
	half := func(_ string, n int) bool { return n > 5 }
	a := analysis(t, "controlled", 10, reporttest.Options{Simulated: true, NodeLife: 3, Skip: half})
	page := liveOf(t, a)
	for _, want := range []string{`<meta http-equiv="refresh" content="5">`, "30 of 60 trials are complete", ">5 of 10<", "SIMULATED", "Trials over time"} {
		if !strings.Contains(page, want) {
			t.Errorf("the page lacks %q", want)
		}
	}
	for _, figure := range []string{a.Answer, a.Metric.Unit, "median", "<script", "http://", "https://", "ZgotmplZ"} {
		if strings.Contains(page, figure) {
			t.Errorf("the page shows %q", figure)
		}
	}
}

func TestIterationsAreDrawnByTheirOrder(t *testing.T) {
	page := htmlOf(t, analysis(t, "controlled", 4, reporttest.Options{}))
	if !regexp.MustCompile(`aria-label="random: the first iteration&#39;s median is [+-]\d+\.\d% of its trial&#39;s mean, the lowest is iteration \d"`).MatchString(page) {
		t.Error("the random arm's iterations are not described")
	}
	if !strings.Contains(page, "is the mean of all but the first") {
		t.Error("what the first iteration counts is not said")
	}
}
