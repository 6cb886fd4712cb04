package account

import (
	"context"
	"encoding/base64"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling"
	asgtypes "github.com/aws/aws-sdk-go-v2/service/autoscaling/types"
	"github.com/aws/aws-sdk-go-v2/service/eks"
)

// Cluster is an EKS cluster.
type Cluster struct {
	Name, Status, Version, Endpoint, ARN, VPC, Issuer string
	CA                                                []byte // PEM
	Tags                                              map[string]string
}

// Cluster returns the cluster of a name, nil if there is none.
func (c *Cloud) Cluster(ctx context.Context, name string) (*Cluster, error) {
	out, err := c.eks.DescribeCluster(ctx, &eks.DescribeClusterInput{Name: &name})
	if IsNotFound(err) {
		return nil, nil
	}
	if err != nil {
		return nil, Explain(fmt.Errorf("look for cluster %s: %w", name, err))
	}
	k := &Cluster{
		Name: name, Status: string(out.Cluster.Status), Version: aws.ToString(out.Cluster.Version),
		Endpoint: aws.ToString(out.Cluster.Endpoint), ARN: aws.ToString(out.Cluster.Arn), Tags: out.Cluster.Tags,
	}
	if v := out.Cluster.ResourcesVpcConfig; v != nil {
		k.VPC = aws.ToString(v.VpcId)
	}
	if i := out.Cluster.Identity; i != nil && i.Oidc != nil {
		k.Issuer = aws.ToString(i.Oidc.Issuer)
	}
	if a := out.Cluster.CertificateAuthority; a != nil {
		if k.CA, err = base64.StdEncoding.DecodeString(aws.ToString(a.Data)); err != nil {
			return nil, fmt.Errorf("certificate of cluster %s: %w", name, err)
		}
	}
	return k, nil
}

// NodeGroup is a managed node group.
type NodeGroup struct {
	Name, Status, InstanceType string
	Min, Desired, Max          int
	Issues                     []string // what EKS says is wrong with it
}

// NodeGroups lists the managed node groups of a cluster.
func (c *Cloud) NodeGroups(ctx context.Context, cluster string) ([]NodeGroup, error) {
	var groups []NodeGroup
	pages := eks.NewListNodegroupsPaginator(c.eks, &eks.ListNodegroupsInput{ClusterName: &cluster})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if IsNotFound(err) {
			return nil, nil
		}
		if err != nil {
			return nil, Explain(fmt.Errorf("list node groups of %s: %w", cluster, err))
		}
		for _, name := range page.Nodegroups {
			out, err := c.eks.DescribeNodegroup(ctx, &eks.DescribeNodegroupInput{ClusterName: &cluster, NodegroupName: &name})
			if IsNotFound(err) {
				continue
			}
			if err != nil {
				return nil, Explain(fmt.Errorf("look at node group %s: %w", name, err))
			}
			g := NodeGroup{Name: name, Status: string(out.Nodegroup.Status)}
			if len(out.Nodegroup.InstanceTypes) > 0 {
				g.InstanceType = out.Nodegroup.InstanceTypes[0]
			}
			if s := out.Nodegroup.ScalingConfig; s != nil {
				g.Min, g.Desired, g.Max = int(aws.ToInt32(s.MinSize)), int(aws.ToInt32(s.DesiredSize)), int(aws.ToInt32(s.MaxSize))
			}
			if h := out.Nodegroup.Health; h != nil {
				for _, i := range h.Issues {
					g.Issues = append(g.Issues, fmt.Sprintf("%s: %s", i.Code, aws.ToString(i.Message)))
				}
			}
			groups = append(groups, g)
		}
	}
	return groups, nil
}

// Addon is an EKS addon of a cluster.
type Addon struct {
	Name, Status, Version string
	Issues                []string
}

// Addons lists the addons that EKS runs in a cluster, with what is wrong with them.
func (c *Cloud) Addons(ctx context.Context, cluster string) ([]Addon, error) {
	out, err := c.eks.ListAddons(ctx, &eks.ListAddonsInput{ClusterName: &cluster})
	if IsNotFound(err) {
		return nil, nil
	}
	if err != nil {
		return nil, Explain(fmt.Errorf("list addons of %s: %w", cluster, err))
	}
	var addons []Addon
	for _, name := range out.Addons {
		d, err := c.eks.DescribeAddon(ctx, &eks.DescribeAddonInput{ClusterName: &cluster, AddonName: &name})
		if err != nil {
			return nil, Explain(fmt.Errorf("look at addon %s: %w", name, err))
		}
		a := Addon{Name: name, Status: string(d.Addon.Status), Version: aws.ToString(d.Addon.AddonVersion)}
		if d.Addon.Health != nil {
			for _, i := range d.Addon.Health.Issues {
				a.Issues = append(a.Issues, fmt.Sprintf("%s: %s", i.Code, aws.ToString(i.Message)))
			}
		}
		addons = append(addons, a)
	}
	return addons, nil
}

// scalingGroups lists the scaling groups of a cluster's node groups.
func (c *Cloud) scalingGroups(ctx context.Context, cluster string) ([]asgtypes.AutoScalingGroup, error) {
	var groups []asgtypes.AutoScalingGroup
	pages := autoscaling.NewDescribeAutoScalingGroupsPaginator(c.asg, &autoscaling.DescribeAutoScalingGroupsInput{
		Filters: []asgtypes.Filter{{Name: aws.String("tag:eks:cluster-name"), Values: []string{cluster}}},
	})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, Explain(fmt.Errorf("look at the scaling groups of %s: %w", cluster, err))
		}
		groups = append(groups, page.AutoScalingGroups...)
	}
	return groups, nil
}

// shortages are the codes by which EC2 says that it lends no machine, now or to this account.
var shortages = []string{
	"InsufficientInstanceCapacity", "InsufficientHostCapacity", "InsufficientReservedInstanceCapacity", "UnfulfillableCapacity",
	"VcpuLimitExceeded", "InstanceLimitExceeded",
}

// Shortage says why the latest attempt of a node group to start a machine since a moment failed for want of machines; empty when it did not.
func (c *Cloud) Shortage(ctx context.Context, cluster, group string, since time.Time) (string, error) {
	groups, err := c.scalingGroups(ctx, cluster)
	if err != nil {
		return "", err
	}
	for _, g := range groups {
		if scalingTags(g)["eks:nodegroup-name"] != group {
			continue
		}
		// The newest come first.
		out, err := c.asg.DescribeScalingActivities(ctx, &autoscaling.DescribeScalingActivitiesInput{AutoScalingGroupName: g.AutoScalingGroupName, MaxRecords: aws.Int32(10)})
		if err != nil {
			return "", Explain(fmt.Errorf("look at the activity of the scaling group of %s: %w", group, err))
		}
		for _, a := range out.Activities {
			if aws.ToTime(a.StartTime).Before(since) || a.StatusCode == asgtypes.ScalingActivityStatusCodeSuccessful {
				break
			}
			text := aws.ToString(a.StatusMessage)
			if slices.ContainsFunc(shortages, func(code string) bool { return strings.Contains(text, code) }) {
				return text, nil
			}
		}
	}
	return "", nil
}

// ScalingTags maps the managed node groups of a cluster to the tags of their scaling groups.
func (c *Cloud) ScalingTags(ctx context.Context, cluster string) (map[string]map[string]string, error) {
	groups, err := c.scalingGroups(ctx, cluster)
	if err != nil {
		return nil, err
	}
	tags := map[string]map[string]string{}
	for _, g := range groups {
		have := scalingTags(g)
		tags[have["eks:nodegroup-name"]] = have
	}
	return tags, nil
}

func scalingTags(g asgtypes.AutoScalingGroup) map[string]string {
	have := map[string]string{}
	for _, t := range g.Tags {
		have[aws.ToString(t.Key)] = aws.ToString(t.Value)
	}
	return have
}

// scalingItems are scaling groups: while one is there, it starts a machine for each that is ended.
func (c *Cloud) scalingItems(ctx context.Context, o Owner) ([]Item, error) {
	groups, err := c.scalingGroups(ctx, o.Cluster)
	var items []Item
	for _, g := range groups {
		items = append(items, Item{
			Kind: "scaling group", ID: aws.ToString(g.AutoScalingGroupName), Detail: fmt.Sprintf("%d machines", len(g.Instances)),
			Held: aws.ToString(g.Status) != "", ours: scalingTags(g)[o.TagKey] == o.TagValue, created: aws.ToTime(g.CreatedTime), remove: func(ctx context.Context) error {
				_, err := c.asg.DeleteAutoScalingGroup(ctx, &autoscaling.DeleteAutoScalingGroupInput{AutoScalingGroupName: g.AutoScalingGroupName, ForceDelete: aws.Bool(true)})
				return err
			},
		})
	}
	return items, err
}
