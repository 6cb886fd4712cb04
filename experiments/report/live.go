package report

import (
	_ "embed"
	"fmt"
	"html/template"
	"io"
	"math"
	"time"

	"github.com/compspec/ocifit-lab/provision/words"
)

//go:embed page/live.html.tmpl
var liveTemplate string

// livePage is what the template of a run under way shows.
type livePage struct {
	A                 *Analysis
	Style             template.CSS
	Refresh           int // seconds
	Complete, Planned int
	Written, Bill     string
	Progress          template.HTML
	Timeline, Legend  template.HTML
	TimelineNote      string
	ExcludedShown     []Excluded
	ExcludedMore      int
}

// WriteLive writes the page of a run under way as one file, which a browser reads again at every refresh: how far each arm is, what ran
// where and when, what does not count and what it costs. It shows no figure of merit, so that to watch a study is not to look at its
// comparison.
func WriteLive(w io.Writer, a *Analysis, refresh time.Duration) error {
	t, err := template.New("live").Parse(liveTemplate)
	if err != nil {
		return err
	}
	p := livePage{
		A: a, Style: template.CSS(pageStyle), Refresh: max(1, int(math.Ceil(refresh.Seconds()))), Written: a.now.UTC().Format(time.DateTime + " UTC"),
		Bill: sentence(billText(a)), Progress: progressBars(a), Legend: legend(a),
	}
	p.Complete, p.Planned = a.Progress()
	p.Timeline, p.TimelineNote = timeline(a)
	p.ExcludedShown, p.ExcludedMore = a.shownExcluded()
	return t.Execute(w, p)
}

// progressBars draws how many of its trials each arm has.
func progressBars(a *Analysis) template.HTML {
	most := 0
	for i := range a.Arms {
		most = max(most, a.Arms[i].Trials)
	}
	s := linear(float64(most))
	const h = 26
	p := &plot{}
	for i := range a.Arms {
		arm := &a.Arms[i]
		p.row(armClass(a, i), arm.Name, arm.Launch, fmt.Sprintf("%s: %d of %s complete", arm.Name, arm.Complete, words.Count(arm.Trials, "trial")), h)
		p.grid(s, h)
		p.printf(`<rect class="bar" x="0" width="%.2f%%" y="6" height="%d" rx="2"/>`, s.at(float64(arm.Complete)), h-12)
		p.printf(`<line class="med" x1="%.2f%%" x2="%.2f%%" y1="3" y2="%d"/>`, s.at(float64(arm.Trials)), s.at(float64(arm.Trials)), h-3)
		failed := ""
		if arm.Failed > 0 {
			failed = fmt.Sprintf("%d failed", arm.Failed)
		}
		p.end(fmt.Sprintf("%d of %d", arm.Complete, arm.Trials), failed)
	}
	p.axis(s, "complete trials")
	return p.html("Complete trials by arm")
}
