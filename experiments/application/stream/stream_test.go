package stream_test

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"github.com/compspec/ocifit-lab/experiments/application"
	"github.com/compspec/ocifit-lab/experiments/application/stream/streamtest"
	"github.com/compspec/ocifit-lab/experiments/applications"
)

var spec = streamtest.Spec{Triad: []float64{181234.5, 180111.1}, Threads: 48, Cores: 48, Size: 400_000_000}

func parser(t *testing.T) application.Parser {
	t.Helper()
	p, err := applications.ParserFor("stream")
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestParse(t *testing.T) {
	s := spec
	s.Replay = "made up"
	o, err := parser(t).Parse(bytes.NewReader(streamtest.Log(s)), 2)
	if err != nil {
		t.Fatal(err)
	}
	if o.Figures[1] != 180111.1 || o.Threads != 48 || o.Parameters["array_size"] != "400000000" || o.Cores != 48 || o.Tasks != "1" {
		t.Errorf("%+v", o)
	}
	if !o.Replayed || o.ReplayText != "made up" {
		t.Errorf("%+v", o)
	}
}

func TestRejections(t *testing.T) {
	good := string(streamtest.Log(spec))
	replace := func(old, new string) string {
		if !strings.Contains(good, old) {
			panic(old)
		}
		return strings.Replace(good, old, new, 1)
	}
	for name, tc := range map[string]struct{ in, want string }{
		"empty":        {"\n", "empty"},
		"other":        {"hello\n", "foreign"},
		"binary":       {"a\x00b\n" + good, "binary"},
		"cut":          {good[:strings.Index(good, "Triad:")], "truncated"},
		"cut line":     {good[:strings.Index(good, "Triad:")+30] + "\nFLUX-RUN END stream-iter-1\n", "truncated"},
		"one run":      {good[:strings.Index(good, "FLUX-RUN START stream-iter-2")], "truncated"},
		"three runs":   {good + strings.ReplaceAll(good[strings.Index(good, "FLUX-RUN START stream-iter-2"):], "iter-2", "iter-3"), "iterations"},
		"two logs":     {good + good, "interleaved"},
		"no triad":     {replace("Triad:", "Tried:"), "truncated"},
		"twice":        {replace("Triad:", "Copy:"), "truncated"},
		"edited":       {replace("181234.5", "981234.5"), "inconsistent"},
		"not valid":    {replace("Solution Validates", "Failed Validation"), "forbidden"},
		"no verdict":   {replace("Solution Validates", "Solution"), "truncated"},
		"other thread": {replace("Threads counted = 48", "Threads counted = 47"), "unequal-runs"},
		"jobs cut":     {good + "FLUX-JOB START 1 stream-iter-2\n", "truncated"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := parser(t).Parse(strings.NewReader(tc.in), 2)
			var rej *application.Rejection
			if !errors.As(err, &rej) || rej.Reason != tc.want {
				t.Errorf("got %v, want %s", err, tc.want)
			}
		})
	}
}

func TestEveryCutIsRejected(t *testing.T) {
	good := streamtest.Log(spec)
	p := parser(t)
	for cut := range len(good) - 1 {
		if _, err := p.Parse(bytes.NewReader(good[:cut]), 2); err == nil {
			t.Fatalf("cut at byte %d it passed", cut)
		}
	}
}
