package store

import (
	"errors"
	"fmt"
	"io"

	"github.com/compspec/ocifit-lab/experiments/application/stream"
)

type streamParser struct{}

func (streamParser) Name() string { return "stream" }

func (streamParser) Metric() Metric {
	return Metric{Key: "triad", Name: "STREAM triad bandwidth", Unit: "GB/s", HigherIsBetter: true}
}

func (p streamParser) Parse(r io.Reader, iterations int) (*Outcome, error) {
	log, err := stream.Parse(r, iterations)
	if err != nil {
		var rej *stream.Rejection
		if errors.As(err, &rej) && rej.Err == nil {
			return nil, &Rejection{Reason: rej.Reason, Detail: fmt.Sprintf("%s (line %d)", rej.Detail, rej.Line), Err: err}
		}
		return nil, err
	}
	first := log.Reports[0]
	o := &Outcome{
		Metric: p.Metric(), Ranks: 1, Threads: first.Threads, Cores: log.Cores, Local: [3]int{int(first.ArraySize), 1, 1}, Tasks: log.Tasks,
		Replayed: log.Replayed, ReplayText: log.ReplayText, Others: map[string]float64{},
	}
	for _, run := range log.Reports {
		o.Figures = append(o.Figures, run.Triad.BestRate/1000)
		for name, k := range map[string]stream.Kernel{"stream_copy": run.Copy, "stream_scale": run.Scale, "stream_add": run.Add} {
			o.Others[name] += k.BestRate / 1000 / float64(len(log.Reports))
		}
	}
	return o, nil
}
