package report_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"html"
	"image"
	"image/png"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/compspec/ocifit-lab/experiments/report/reporttest"
)

// chromium finds the browser; where there is none the tests that need it are skipped, unless REPORT_BROWSER=required.
func chromium(t *testing.T) string {
	t.Helper()
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	if os.Getenv("REPORT_BROWSER") == "required" {
		t.Fatal("no Chromium: install Debian's package chromium")
	}
	t.Skip("no Chromium on this machine")
	return ""
}

func browse(t *testing.T, browser, page string, dark bool, width int, args ...string) []byte {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Minute)
	defer cancel()
	scheme := "1"
	if dark {
		scheme = "0"
	}
	args = append([]string{
		"--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run", "--hide-scrollbars",
		"--allow-file-access-from-files", "--user-data-dir=" + t.TempDir(), "--blink-settings=preferredColorScheme=" + scheme,
		fmt.Sprintf("--window-size=%d,2400", width),
	}, append(args, "file://"+page)...)
	cmd := exec.CommandContext(ctx, browser, args...)
	var out, talk bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &talk
	if err := cmd.Run(); err != nil {
		t.Fatalf("%v\n%s", err, talk.String())
	}
	return out.Bytes()
}

// harness shows the report in a frame of the given width and measures what a person would notice: anything that sticks out to the
// side, text that is too faint or too small, drawings without a description, tables without headers.
const harness = `<!doctype html><meta charset="utf-8"><body style="margin:0"><iframe id="f" style="border:0;width:%dpx;height:2400px" srcdoc="%s"></iframe><pre id="out"></pre>
<script>
document.getElementById('f').onload = e => {
  const d = e.target.contentDocument, w = e.target.contentWindow, faults = [];
  const root = d.documentElement;
  if (root.scrollWidth > root.clientWidth) faults.push('the page is ' + root.scrollWidth + ' wide in ' + root.clientWidth);
  const parse = c => { const m = c.match(/[\d.]+/g).map(Number); return m.length < 4 ? [...m, 1] : m };
  const lum = c => { const f = c.slice(0, 3).map(v => (v /= 255) <= .03928 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4); return .2126 * f[0] + .7152 * f[1] + .0722 * f[2] };
  const background = n => { for (; n; n = n.parentElement) { const c = parse(w.getComputedStyle(n).backgroundColor); if (c[3] > 0) return c } return [255, 255, 255, 1] };
  d.querySelectorAll('details').forEach(x => x.open = true);
  const walk = d.createTreeWalker(d.body, NodeFilter.SHOW_TEXT);
  let texts = 0, faintest = 99, smallest = 99;
  for (let t; t = walk.nextNode();) {
    const p = t.parentElement, s = w.getComputedStyle(p);
    if (!t.data.trim() || p.closest('script,style,.skip') || !p.getClientRects().length) continue;
    const ink = parse(p.closest('svg') ? s.fill : s.color), a = lum(ink), b = lum(background(p));
    const contrast = (Math.max(a, b) + .05) / (Math.min(a, b) + .05);
    texts++; faintest = Math.min(faintest, contrast); smallest = Math.min(smallest, parseFloat(s.fontSize));
    if (contrast < 4.5) faults.push('contrast ' + contrast.toFixed(2) + ': ' + t.data.trim().slice(0, 40));
    const r = p.getBoundingClientRect();
    if (!p.closest('.wide') && !p.closest('svg') && r.right > root.clientWidth + 1) faults.push('sticks out: ' + t.data.trim().slice(0, 40));
  }
  d.querySelectorAll('svg:not([aria-hidden])').forEach(x => { if (!x.getAttribute('aria-label') || x.getAttribute('role') != 'img') faults.push('a drawing without a description') });
  d.querySelectorAll('table').forEach(x => { if (!x.caption || !x.querySelector('thead th[scope=col]') || !x.querySelector('tbody th[scope=row]')) faults.push('a table without caption or headers') });
  const heads = [...d.querySelectorAll('h1,h2,h3')].map(x => +x.tagName[1]);
  if (heads.filter(x => x == 1).length != 1 || heads.some((x, i) => i && x > heads[i - 1] + 1)) faults.push('headings ' + heads);
  const top = d.getElementById('answer').getBoundingClientRect();
  document.getElementById('out').textContent = 'MEASURED' + JSON.stringify({faults: [...new Set(faults)], texts, faintest, smallest, answerTop: top.bottom, background: w.getComputedStyle(d.body).backgroundColor, svgs: d.querySelectorAll('svg').length}) + 'END';
};
</script>`

// browserAndFolder are the browser, and where what it shows is kept: REPORT_OUT, or nowhere.
func browserAndFolder(t *testing.T) (browser, out string) {
	t.Helper()
	if testing.Short() {
		t.Skip("starts a browser")
	}
	browser = chromium(t)
	if out = os.Getenv("REPORT_OUT"); out == "" {
		out = t.TempDir()
	}
	return browser, out
}

func TestInABrowser(t *testing.T) {
	browser, out := browserAndFolder(t)
	for _, study := range []string{"procedure", "controlled"} {
		page := htmlOf(t, analysis(t, study, 12, reporttest.Options{Simulated: true, NodeLife: 3}))
		file := filepath.Join(out, study+".html")
		if err := os.WriteFile(file, []byte(page), 0o644); err != nil {
			t.Fatal(err)
		}
		for _, dark := range []bool{false, true} {
			for _, width := range []int{1280, 390} {
				name := fmt.Sprintf("%s-%d-%s", study, width, map[bool]string{false: "light", true: "dark"}[dark])
				t.Run(name, func(t *testing.T) {
					measure(t, browser, out, name, page, content{150, 26}, dark, width)
					if width == 1280 {
						screenshot(t, browser, file, filepath.Join(out, name+".png"), dark, width)
					}
				})
			}
		}
	}
}

// content is how many texts and drawings a page has at least.
type content struct{ texts, svgs int }

func TestLivePageInABrowser(t *testing.T) {
	browser, out := browserAndFolder(t)
	half := func(_ string, n int) bool { return n > 6 }
	page := liveOf(t, analysis(t, "controlled", 12, reporttest.Options{Simulated: true, NodeLife: 3, Skip: half}))
	file := filepath.Join(out, "live.html")
	if err := os.WriteFile(file, []byte(page), 0o644); err != nil {
		t.Fatal(err)
	}
	measure(t, browser, out, "live-390", page, content{50, 12}, true, 390)
	measure(t, browser, out, "live-1280", page, content{50, 12}, false, 1280)
	screenshot(t, browser, file, filepath.Join(out, "live.png"), false, 1280)

	// The browser reads the page again by itself: what is written in its place appears.
	reading := filepath.Join(out, "live-again.html")
	first := strings.Replace(page, `content="5"`, `content="1"`, 1)
	if err := os.WriteFile(reading, []byte(first), 0o644); err != nil {
		t.Fatal(err)
	}
	written := make(chan error, 1)
	timer := time.AfterFunc(200*time.Millisecond, func() {
		written <- os.WriteFile(reading, []byte("<!doctype html><p>the whole report</p>"), 0o644)
	})
	defer timer.Stop()
	dom := browse(t, browser, reading, false, 1280, "--dump-dom", "--timeout=8000")
	if err := <-written; err != nil {
		t.Fatal(err)
	}
	if !bytes.Contains(dom, []byte("the whole report")) {
		t.Errorf("the browser still shows %.200s", dom)
	}
}

// measure reads the page in a frame, for a headless window cannot be as narrow as a phone.
func measure(t *testing.T, browser, out, name, page string, least content, dark bool, width int) {
	// The frame takes the page's policy, which allows no script; the page has none, the harness around it does.
	file := filepath.Join(out, name+"-harness.html")
	if err := os.WriteFile(file, fmt.Appendf(nil, harness, width, html.EscapeString(page)), 0o644); err != nil {
		t.Fatal(err)
	}
	dom := browse(t, browser, file, dark, max(width, 800), "--dump-dom", "--virtual-time-budget=4000")
	m := regexp.MustCompile(`(?s)>MEASURED(\{.*?\})END<`).FindSubmatch(dom)
	if m == nil {
		t.Fatalf("the page was not measured: %.300s", dom)
	}
	var got struct {
		Faults                        []string
		Texts, SVGs                   int
		Faintest, Smallest, AnswerTop float64
		Background                    string
	}
	if err := json.Unmarshal([]byte(html.UnescapeString(string(m[1]))), &got); err != nil {
		t.Fatal(err)
	}
	for _, f := range got.Faults {
		t.Error(f)
	}
	if got.Texts < least.texts || got.SVGs < least.svgs || got.Smallest < 11.9 {
		t.Errorf("%+v", got)
	}
	if got.AnswerTop > 800 {
		t.Errorf("question and answer end %v pixels down, not on the first screen", got.AnswerTop)
	}
	if bright := strings.HasPrefix(got.Background, "rgb(2"); bright == dark {
		t.Errorf("background %s", got.Background)
	}
	t.Logf("%d texts, faintest contrast %.2f, smallest text %.1f px, answer ends at %.0f px", got.Texts, got.Faintest, got.Smallest, got.AnswerTop)
}

func screenshot(t *testing.T, browser, page, file string, dark bool, width int) {
	browse(t, browser, page, dark, width, "--screenshot="+file)
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	img, err := png.Decode(bytes.NewReader(data))
	if err != nil || img.Bounds().Dx() != width {
		t.Fatalf("%v, %v", img.Bounds(), err)
	}
	if b := brightness(img); dark && b > 0.3 || !dark && b < 0.7 {
		t.Errorf("mean brightness %.2f", b)
	}
}

func brightness(img image.Image) float64 {
	sum, n := 0.0, 0
	for y := img.Bounds().Min.Y; y < img.Bounds().Max.Y; y += 7 {
		for x := img.Bounds().Min.X; x < img.Bounds().Max.X; x += 7 {
			r, g, b, _ := img.At(x, y).RGBA()
			sum += float64(r+g+b) / 3 / 0xffff
			n++
		}
	}
	return sum / float64(n)
}
