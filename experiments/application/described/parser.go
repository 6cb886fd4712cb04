package described

import (
	"io"
	"strconv"
	"strings"

	"github.com/compspec/ocifit-lab/experiments/application"
)

// Parser reads the log of a described application as application.Parser asks for it.
type Parser struct{ File *File }

// Name implements application.Parser.
func (p Parser) Name() string { return p.File.Name }

// Metric implements application.Parser. It is the first of the primary figures; a log that lacks it has another.
func (p Parser) Metric() application.Metric { return p.metric(p.File.Log.Primary[0]) }

func (p Parser) metric(name string) application.Metric {
	fig := p.File.figure(name)
	key := p.File.Name + "_" + name
	text := fig.Description
	if !strings.Contains(strings.ToLower(text), p.File.Name) {
		text = strings.TrimSuffix(p.File.Name+" "+name+", "+text, ", ")
	}
	return application.Metric{Key: key, Name: text, Unit: fig.Unit, HigherIsBetter: fig.Direction == Higher}
}

// Parse implements application.Parser. The other figures are means over the iterations.
func (p Parser) Parse(in io.Reader, iterations int) (*application.Outcome, error) {
	r, err := p.File.Read(in, iterations)
	if err != nil {
		return nil, err
	}
	fig := p.File.figure(r.Primary)
	if fig.Direction == None {
		return nil, &application.Rejection{
			Reason: "no-figure", Detail: "the log is complete, but has no figure of speed: " + r.Primary + " is one that tells of the problem alone",
		}
	}
	o := &application.Outcome{
		Metric: p.metric(r.Primary), Ranks: atLeast1(r.Parameters["ranks"]), Threads: atLeast1(r.Parameters["threads"]), Cores: r.Cores, Tasks: r.Tasks,
		Replayed: r.Replayed, ReplayText: r.ReplayText, Others: map[string]float64{}, Parameters: r.Parameters,
	}
	count := map[string]float64{}
	for _, run := range r.Runs {
		o.Figures = append(o.Figures, run.Figures[r.Primary]...)
		for name, values := range run.Figures {
			for _, v := range values {
				o.Others[p.File.Name+"_"+name] += v
				count[p.File.Name+"_"+name]++
			}
		}
	}
	for name := range o.Others {
		o.Others[name] /= count[name]
	}
	if want := iterations; want > 0 && len(o.Figures) != want {
		return nil, &application.Rejection{Reason: "iterations", Detail: strconv.Itoa(len(o.Figures)) + " values of " + r.Primary + " in " + strconv.Itoa(want) + " iterations"}
	}
	return o, nil
}

func atLeast1(text string) int {
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 {
		return 1
	}
	return n
}
