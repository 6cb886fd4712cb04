package stream_test

import (
	"math"
	"strings"
	"testing"

	"github.com/compspec/ocifit-lab/experiments/application/hpcg"
	"github.com/compspec/ocifit-lab/experiments/application/stream"
	"github.com/compspec/ocifit-lab/experiments/replay"
	"github.com/compspec/ocifit-lab/templates"
)

func TestStreamFollowsFromHPCG(t *testing.T) {
	for _, typ := range templates.InstanceTypes() {
		q := hpcg.Query{Type: typ, ImageTag: "native-O2", Nodes: 1, Ranks: typ.Cores}
		rating, traffic, err := hpcg.TrafficOf(q)
		if err != nil {
			t.Fatal(err)
		}
		got, err := stream.DistributionOf(q)
		if err != nil {
			t.Fatal(err)
		}
		if want := 1.25 * traffic; math.Abs(got.Mean-want) > 1e-9 || math.Abs(got.SD-want/100) > 1e-9 {
			t.Errorf("%s: %v, want %v", typ.Name, got.Mean, want)
		}
		if got.Source != replay.Estimated || !strings.Contains(got.Rule, "STREAM was not measured on "+typ.Name) || !strings.Contains(got.Rule, rating.Rule) {
			t.Errorf("%s: %s, %s", typ.Name, got.Source, got.Rule)
		}
		// A burstable type has a few GB/s; nothing moves more than two sockets with 12 channels of DDR5-4800 each.
		if got.Mean < 5 || got.Mean > 2*461 {
			t.Errorf("%s: %.1f GB/s", typ.Name, got.Mean)
		}
		t.Logf("%-16s %6.1f GB/s", typ.Name, got.Mean)
	}
}
