package stream_test

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"github.com/compspec/ocifit-lab/experiments/application/stream"
	"github.com/compspec/ocifit-lab/experiments/application/stream/streamtest"
)

var spec = streamtest.Spec{Triad: []float64{181234.5, 180111.1}, Threads: 48, Cores: 48, Size: 400_000_000}

func TestParse(t *testing.T) {
	s := spec
	s.Replay = "made up"
	log, err := stream.Parse(bytes.NewReader(streamtest.Log(s)), 2)
	if err != nil {
		t.Fatal(err)
	}
	r := log.Reports[1]
	if r.Triad.BestRate != 180111.1 || r.Threads != 48 || r.ArraySize != 400_000_000 || r.Times != 10 || log.Cores != 48 || log.Tasks != "1" {
		t.Errorf("%+v %+v", log, r)
	}
	if !log.Replayed || log.ReplayText != "made up" {
		t.Errorf("%+v", log)
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
		"other":        {"hello\n", "not-stream"},
		"binary":       {"a\x00b\n" + good, "binary"},
		"cut":          {good[:strings.Index(good, "Triad:")], "truncated"},
		"cut line":     {good[:strings.Index(good, "Triad:")+30] + "\nFLUX-RUN END stream-iter-1\n", "truncated"},
		"one run":      {good[:strings.Index(good, "FLUX-RUN START stream-iter-2")], "truncated"},
		"three runs":   {good + strings.ReplaceAll(good[strings.Index(good, "FLUX-RUN START stream-iter-2"):], "iter-2", "iter-3"), "iterations"},
		"two logs":     {good + good, "interleaved"},
		"no triad":     {replace("Triad:", "Tried:"), "missing-key"},
		"twice":        {replace("Triad:", "Copy:"), "interleaved"},
		"nan":          {replace("181234.5", "     nan"), "bad-number"},
		"edited":       {replace("181234.5", "981234.5"), "inconsistent"},
		"not valid":    {replace("Solution Validates", "Failed Validation"), "invalid"},
		"no verdict":   {replace("Solution Validates", "Solution"), "invalid"},
		"other thread": {replace("Threads counted = 48", "Threads counted = 47"), "unequal-runs"},
		"no size":      {replace("Array size = 400000000", "Array size = x"), "bad-number"},
		"jobs cut":     {good + "FLUX-JOB START 1 stream-iter-2\n", "truncated"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := stream.Parse(strings.NewReader(tc.in), 2)
			var rej *stream.Rejection
			if !errors.As(err, &rej) || rej.Reason != tc.want {
				t.Errorf("got %v, want %s", err, tc.want)
			}
		})
	}
}

func TestEveryCutIsRejected(t *testing.T) {
	good := streamtest.Log(spec)
	for cut := range len(good) - 1 {
		if _, err := stream.Parse(bytes.NewReader(good[:cut]), 2); err == nil {
			t.Fatalf("cut at byte %d it passed", cut)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add(streamtest.Log(spec))
	f.Fuzz(func(t *testing.T, data []byte) {
		log, err := stream.Parse(bytes.NewReader(data), 0)
		if err == nil && (len(log.Reports) == 0 || !(log.Reports[0].Triad.BestRate > 0)) {
			t.Errorf("%+v", log)
		}
	})
}
