package eks_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling"

	"github.com/compspec/ocifit-lab/provision/eks/awstest"
)

// A type of which EC2 has none is told in EC2's words, as soon as the group's activity has them, and only as long as it lasts.
func TestShortage(t *testing.T) {
	b := newBench(t, awstest.Options{})
	b.mustUp()
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	cfg, err := config.LoadDefaultConfig(ctx, config.WithRegion("us-east-1"))
	if err != nil {
		t.Fatal(err)
	}
	groups := autoscaling.NewFromConfig(cfg)
	grow := func(nodeGroup string, n int32) {
		t.Helper()
		out, err := groups.DescribeAutoScalingGroups(ctx, &autoscaling.DescribeAutoScalingGroupsInput{})
		if err != nil {
			t.Fatal(err)
		}
		for _, g := range out.AutoScalingGroups {
			for _, tag := range g.Tags {
				if aws.ToString(tag.Key) == "eks:nodegroup-name" && aws.ToString(tag.Value) == nodeGroup {
					if _, err := groups.SetDesiredCapacity(ctx, &autoscaling.SetDesiredCapacityInput{AutoScalingGroupName: g.AutoScalingGroupName, DesiredCapacity: &n}); err != nil {
						t.Fatal(err)
					}
					return
				}
			}
		}
		t.Fatalf("no scaling group of %s", nodeGroup)
	}
	p := b.provider()
	began := time.Now().Add(-time.Minute)
	seen := func(instanceType string, since time.Time) string {
		t.Helper()
		why, err := p.Shortage(ctx, instanceType, since)
		if err != nil {
			t.Fatal(err)
		}
		return why
	}
	await := func(want bool) string {
		t.Helper()
		for ctx.Err() == nil {
			if why := seen("hpc7g.16xlarge", began); (why != "") == want {
				return why
			}
			time.Sleep(10 * time.Millisecond)
		}
		t.Fatalf("the shortage was never %v", want)
		return ""
	}
	if why := seen("hpc7g.16xlarge", began); why != "" {
		t.Errorf("before anything was asked for: %s", why)
	}
	b.aws.Exhaust("hpc7g.16xlarge", true)
	grow("hpc7g", 1)
	if why := await(true); !strings.Contains(why, "InsufficientInstanceCapacity") || !strings.Contains(why, "hpc7g.16xlarge") {
		t.Errorf("told %q", why)
	}
	if why := seen("hpc7g.16xlarge", time.Now().Add(time.Minute)); why != "" {
		t.Errorf("an earlier trial's shortage: %s", why)
	}
	for _, other := range []string{"c7a.12xlarge", "m5.large"} {
		if why := seen(other, began); why != "" {
			t.Errorf("%s: %s", other, why)
		}
	}
	b.aws.Exhaust("hpc7g.16xlarge", false)
	grow("hpc7g", 1)
	await(false)
	b.mustDown()
}
