package eks_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/compspec/ocifit-lab/provision/eks"
	"github.com/compspec/ocifit-lab/provision/eks/awstest"
	"github.com/compspec/ocifit-lab/provision/step"
)

// compression is by how much the bench is faster than AWS.
const compression = 60

// BenchmarkUp brings a lab of 22 groups and a sticky one up and down with AWS's usual delays, compressed, and prints up beside the longest
// chain that cannot be avoided: network and control plane, then the sticky group.
func BenchmarkUp(b *testing.B) {
	delay := awstest.TypicalDelays(compression)
	srv, err := awstest.New(awstest.Options{Delay: delay})
	if err != nil {
		b.Fatal(err)
	}
	defer srv.Close()
	for _, e := range srv.Env() {
		k, v, _ := strings.Cut(e, "=")
		b.Setenv(k, v)
	}
	opts := options(b.TempDir())
	opts.Poll = 5 * time.Second / compression
	for i := range 20 {
		opts.NodeGroups = append(opts.NodeGroups, eks.NodeGroup{Name: fmt.Sprintf("more-%d", i), InstanceType: "m6a.12xlarge", Max: 1})
	}
	var chain time.Duration
	for _, kind := range []string{"AWS::EC2::VPC", "AWS::IAM::Role", "AWS::EKS::Cluster", "AWS::IAM::Role", "AWS::EKS::Nodegroup"} {
		chain += delay(awstest.Work{Type: kind})
	}
	for b.Loop() {
		p := eks.New(opts)
		start := time.Now()
		if err := step.Up(context.Background(), p.Steps(), nil, nil); err != nil {
			b.Fatal(err)
		}
		up := time.Since(start)
		start = time.Now()
		if err := step.Down(context.Background(), p.Steps(), nil, nil); err != nil {
			b.Fatal(err)
		}
		b.ReportMetric(up.Seconds(), "up-s")
		b.ReportMetric(chain.Seconds(), "chain-s")
		b.ReportMetric(up.Seconds()/chain.Seconds(), "up/chain")
		b.ReportMetric(time.Since(start).Seconds(), "down-s")
		b.ReportMetric(up.Minutes()*compression, "up-on-AWS-min")
	}
	if left := srv.Inventory(); len(left) > 0 {
		b.Errorf("left: %v", left)
	}
}
