package account

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	elb "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancing"
	elbv2 "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"
)

func (c *Cloud) balancerItems(ctx context.Context, o Owner) ([]Item, error) {
	classic, err := c.classicBalancers(ctx, o)
	second, err2 := c.secondBalancers(ctx, o)
	return slices.Concat(classic, second), errors.Join(err, err2)
}

func (o Owner) ownsBalancer(key, value string) bool {
	return key == "kubernetes.io/cluster/"+o.Cluster || (key == "elbv2.k8s.aws/cluster" && value == o.Cluster)
}

func (c *Cloud) classicBalancers(ctx context.Context, o Owner) ([]Item, error) {
	var names []string
	created := map[string]time.Time{}
	pages := elb.NewDescribeLoadBalancersPaginator(c.elb, &elb.DescribeLoadBalancersInput{})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, err
		}
		for _, b := range page.LoadBalancerDescriptions {
			names = append(names, aws.ToString(b.LoadBalancerName))
			created[aws.ToString(b.LoadBalancerName)] = aws.ToTime(b.CreatedTime)
		}
	}
	var items []Item
	for part := range slices.Chunk(names, 20) {
		out, err := c.elb.DescribeTags(ctx, &elb.DescribeTagsInput{LoadBalancerNames: part})
		if err != nil {
			return items, err
		}
		for _, d := range out.TagDescriptions {
			for _, t := range d.Tags {
				if o.ownsBalancer(aws.ToString(t.Key), aws.ToString(t.Value)) {
					items = append(items, Item{
						Kind: "load balancer", ID: aws.ToString(d.LoadBalancerName), Detail: "classic",
						created: created[aws.ToString(d.LoadBalancerName)], remove: func(ctx context.Context) error {
							_, err := c.elb.DeleteLoadBalancer(ctx, &elb.DeleteLoadBalancerInput{LoadBalancerName: d.LoadBalancerName})
							return err
						},
					})
					break
				}
			}
		}
	}
	return items, nil
}

func (c *Cloud) secondBalancers(ctx context.Context, o Owner) ([]Item, error) {
	var arns []string
	created := map[string]time.Time{}
	pages := elbv2.NewDescribeLoadBalancersPaginator(c.elbv2, &elbv2.DescribeLoadBalancersInput{})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, err
		}
		for _, b := range page.LoadBalancers {
			arns = append(arns, aws.ToString(b.LoadBalancerArn))
			created[aws.ToString(b.LoadBalancerArn)] = aws.ToTime(b.CreatedTime)
		}
	}
	items, err := c.tagged(ctx, o, "load balancer", arns, func(ctx context.Context, arn *string) error {
		_, err := c.elbv2.DeleteLoadBalancer(ctx, &elbv2.DeleteLoadBalancerInput{LoadBalancerArn: arn})
		return err
	})
	for i := range items {
		items[i].created = created[items[i].ID]
	}
	if err != nil {
		return items, err
	}
	arns = nil
	groups := elbv2.NewDescribeTargetGroupsPaginator(c.elbv2, &elbv2.DescribeTargetGroupsInput{})
	for groups.HasMorePages() {
		page, err := groups.NextPage(ctx)
		if err != nil {
			return items, err
		}
		for _, g := range page.TargetGroups {
			arns = append(arns, aws.ToString(g.TargetGroupArn))
		}
	}
	more, err := c.tagged(ctx, o, "target group", arns, func(ctx context.Context, arn *string) error {
		_, err := c.elbv2.DeleteTargetGroup(ctx, &elbv2.DeleteTargetGroupInput{TargetGroupArn: arn})
		return err
	})
	return append(items, more...), err
}

func (c *Cloud) tagged(ctx context.Context, o Owner, kind string, arns []string, remove func(context.Context, *string) error) ([]Item, error) {
	var items []Item
	for part := range slices.Chunk(arns, 20) {
		out, err := c.elbv2.DescribeTags(ctx, &elbv2.DescribeTagsInput{ResourceArns: part})
		if err != nil {
			return items, err
		}
		for _, d := range out.TagDescriptions {
			for _, t := range d.Tags {
				if o.ownsBalancer(aws.ToString(t.Key), aws.ToString(t.Value)) {
					items = append(items, Item{Kind: kind, ID: aws.ToString(d.ResourceArn), remove: func(ctx context.Context) error {
						return remove(ctx, d.ResourceArn)
					}})
					break
				}
			}
		}
	}
	return items, nil
}

func (c *Cloud) logItems(ctx context.Context, o Owner) ([]Item, error) {
	var items []Item
	for _, prefix := range []string{"/aws/eks/" + o.Cluster + "/", "/aws/containerinsights/" + o.Cluster + "/"} {
		pages := cloudwatchlogs.NewDescribeLogGroupsPaginator(c.logs, &cloudwatchlogs.DescribeLogGroupsInput{LogGroupNamePrefix: &prefix})
		for pages.HasMorePages() {
			page, err := pages.NextPage(ctx)
			if err != nil {
				return items, err
			}
			for _, g := range page.LogGroups {
				items = append(items, Item{Kind: "log group", ID: aws.ToString(g.LogGroupName), created: time.UnixMilli(aws.ToInt64(g.CreationTime)), remove: func(ctx context.Context) error {
					_, err := c.logs.DeleteLogGroup(ctx, &cloudwatchlogs.DeleteLogGroupInput{LogGroupName: g.LogGroupName})
					return err
				}})
			}
		}
	}
	return items, nil
}
