package stream

import (
	"errors"
	"fmt"
	"io"

	"github.com/compspec/ocifit-lab/experiments/application"
)

// Parser reads STREAM's log as application.Parser asks for it.
type Parser struct{}

// Name implements application.Parser.
func (Parser) Name() string { return "stream" }

// Metric implements application.Parser.
func (Parser) Metric() application.Metric {
	return application.Metric{Key: "triad", Name: "STREAM triad bandwidth", Unit: "GB/s", HigherIsBetter: true}
}

// Parse implements application.Parser.
func (p Parser) Parse(r io.Reader, iterations int) (*application.Outcome, error) {
	log, err := Parse(r, iterations)
	if err != nil {
		var rej *Rejection
		if errors.As(err, &rej) && rej.Err == nil {
			return nil, &application.Rejection{Reason: rej.Reason, Detail: fmt.Sprintf("%s (line %d)", rej.Detail, rej.Line), Err: err}
		}
		return nil, err
	}
	first := log.Reports[0]
	o := &application.Outcome{
		Metric: p.Metric(), Ranks: 1, Threads: first.Threads, Cores: log.Cores, Local: [3]int{int(first.ArraySize), 1, 1}, Tasks: log.Tasks,
		Replayed: log.Replayed, ReplayText: log.ReplayText, Others: map[string]float64{},
	}
	for _, run := range log.Reports {
		o.Figures = append(o.Figures, run.Triad.BestRate/1000)
		for name, k := range map[string]Kernel{"stream_copy": run.Copy, "stream_scale": run.Scale, "stream_add": run.Add} {
			o.Others[name] += k.BestRate / 1000 / float64(len(log.Reports))
		}
	}
	return o, nil
}
