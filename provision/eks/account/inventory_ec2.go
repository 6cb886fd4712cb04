package account

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/hashicorp/go-multierror"
)

// ec2Filters are the tags by which eksctl, EKS and Kubernetes mark what they make for a cluster.
func (o Owner) ec2Filters() []ec2types.Filter {
	tag := func(key, value string) ec2types.Filter {
		return ec2types.Filter{Name: aws.String("tag:" + key), Values: []string{value}}
	}
	return []ec2types.Filter{
		tag(TagCluster, o.Cluster), tag("kubernetes.io/cluster/"+o.Cluster, "owned"), tag("eks:cluster-name", o.Cluster),
		tag("aws:eks:cluster-name", o.Cluster), tag("cluster.k8s.amazonaws.com/name", o.Cluster), tag("KubernetesCluster", o.Cluster),
	}
}

// ec2Items asks for each kind once a tag and keeps each thing once.
func (c *Cloud) ec2Items(ctx context.Context, o Owner) ([]Item, error) {
	var items []Item
	var errs *multierror.Error
	for _, list := range []func(context.Context, Owner, ec2types.Filter) ([]Item, error){
		c.instances, c.volumes, c.snapshots, c.interfaces, c.natGateways, c.addresses, c.launchTemplates, c.endpoints, c.securityGroups,
		c.routeTables, c.subnets, c.gateways, c.vpcs,
	} {
		for _, f := range o.ec2Filters() {
			found, err := list(ctx, o, f)
			if err != nil {
				errs = multierror.Append(errs, err)
				break
			}
			for _, i := range found {
				if !slices.ContainsFunc(items, func(j Item) bool { return j.ID == i.ID }) {
					items = append(items, i)
				}
			}
		}
	}
	return items, errs.ErrorOrNil()
}

// tags tells whether tags hold the lab's own.
func (o Owner) tags(tags []ec2types.Tag) bool {
	return slices.ContainsFunc(tags, func(t ec2types.Tag) bool {
		return aws.ToString(t.Key) == o.TagKey && aws.ToString(t.Value) == o.TagValue
	})
}

// ofStack tells whether a resource is CloudFormation's, who removes it with its stack.
func ofStack(tags []ec2types.Tag) bool {
	return slices.ContainsFunc(tags, func(t ec2types.Tag) bool { return aws.ToString(t.Key) == "aws:cloudformation:stack-name" })
}

func (c *Cloud) instances(ctx context.Context, o Owner, f ec2types.Filter) ([]Item, error) {
	var items []Item
	pages := ec2.NewDescribeInstancesPaginator(c.ec2, &ec2.DescribeInstancesInput{Filters: []ec2types.Filter{f}})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return items, err
		}
		for _, r := range page.Reservations {
			for _, i := range r.Instances {
				if i.State == nil || i.State.Name == ec2types.InstanceStateNameTerminated {
					continue
				}
				id := aws.ToString(i.InstanceId)
				items = append(items, Item{
					Kind: "instance", ID: id, Detail: fmt.Sprintf("%s, %s", i.InstanceType, i.State.Name),
					Held: i.State.Name == ec2types.InstanceStateNameShuttingDown, ours: o.tags(i.Tags), created: aws.ToTime(i.LaunchTime), remove: func(ctx context.Context) error {
						_, err := c.ec2.TerminateInstances(ctx, &ec2.TerminateInstancesInput{InstanceIds: []string{id}})
						return err
					},
				})
			}
		}
	}
	return items, nil
}

func (c *Cloud) volumes(ctx context.Context, o Owner, f ec2types.Filter) ([]Item, error) {
	out, err := c.ec2.DescribeVolumes(ctx, &ec2.DescribeVolumesInput{Filters: []ec2types.Filter{f}})
	if err != nil {
		return nil, err
	}
	var items []Item
	for _, v := range out.Volumes {
		items = append(items, Item{
			Kind: "volume", ID: aws.ToString(v.VolumeId), Detail: string(v.State), Held: v.State == ec2types.VolumeStateInUse,
			ours: o.tags(v.Tags), created: aws.ToTime(v.CreateTime), remove: func(ctx context.Context) error {
				_, err := c.ec2.DeleteVolume(ctx, &ec2.DeleteVolumeInput{VolumeId: v.VolumeId})
				return err
			},
		})
	}
	return items, nil
}

func (c *Cloud) snapshots(ctx context.Context, o Owner, f ec2types.Filter) ([]Item, error) {
	var items []Item
	pages := ec2.NewDescribeSnapshotsPaginator(c.ec2, &ec2.DescribeSnapshotsInput{OwnerIds: []string{"self"}, Filters: []ec2types.Filter{f}})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return items, err
		}
		for _, s := range page.Snapshots {
			items = append(items, Item{Kind: "snapshot", ID: aws.ToString(s.SnapshotId), ours: o.tags(s.Tags), created: aws.ToTime(s.StartTime), remove: func(ctx context.Context) error {
				_, err := c.ec2.DeleteSnapshot(ctx, &ec2.DeleteSnapshotInput{SnapshotId: s.SnapshotId})
				return err
			}})
		}
	}
	return items, nil
}

func (c *Cloud) endpoints(ctx context.Context, o Owner, f ec2types.Filter) ([]Item, error) {
	var items []Item
	pages := ec2.NewDescribeVpcEndpointsPaginator(c.ec2, &ec2.DescribeVpcEndpointsInput{Filters: []ec2types.Filter{f}})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return items, err
		}
		for _, e := range page.VpcEndpoints {
			if state := strings.ToLower(string(e.State)); state == "deleted" {
				continue
			}
			items = append(items, Item{
				Kind: "VPC endpoint", ID: aws.ToString(e.VpcEndpointId), Detail: aws.ToString(e.ServiceName),
				Held: ofStack(e.Tags) || strings.EqualFold(string(e.State), "deleting"), ours: o.tags(e.Tags), created: aws.ToTime(e.CreationTimestamp),
				remove: func(ctx context.Context) error {
					_, err := c.ec2.DeleteVpcEndpoints(ctx, &ec2.DeleteVpcEndpointsInput{VpcEndpointIds: []string{aws.ToString(e.VpcEndpointId)}})
					return err
				},
			})
		}
	}
	return items, nil
}

func (c *Cloud) routeTables(ctx context.Context, o Owner, f ec2types.Filter) ([]Item, error) {
	out, err := c.ec2.DescribeRouteTables(ctx, &ec2.DescribeRouteTablesInput{Filters: []ec2types.Filter{f}})
	if err != nil {
		return nil, err
	}
	return heldItems(o, "route table", out.RouteTables, func(t ec2types.RouteTable) (*string, []ec2types.Tag) { return t.RouteTableId, t.Tags }), nil
}

func (c *Cloud) interfaces(ctx context.Context, o Owner, f ec2types.Filter) ([]Item, error) {
	out, err := c.ec2.DescribeNetworkInterfaces(ctx, &ec2.DescribeNetworkInterfacesInput{Filters: []ec2types.Filter{f}})
	if err != nil {
		return nil, err
	}
	var items []Item
	for _, i := range out.NetworkInterfaces {
		items = append(items, c.networkInterface(o, i))
	}
	return items, nil
}

func (c *Cloud) networkInterface(o Owner, i ec2types.NetworkInterface) Item {
	return Item{
		Kind: "network interface", ID: aws.ToString(i.NetworkInterfaceId), Detail: aws.ToString(i.Description),
		Held: i.Status != ec2types.NetworkInterfaceStatusAvailable, ours: o.tags(i.TagSet), remove: func(ctx context.Context) error {
			_, err := c.ec2.DeleteNetworkInterface(ctx, &ec2.DeleteNetworkInterfaceInput{NetworkInterfaceId: i.NetworkInterfaceId})
			return err
		},
	}
}

func (c *Cloud) launchTemplates(ctx context.Context, o Owner, f ec2types.Filter) ([]Item, error) {
	out, err := c.ec2.DescribeLaunchTemplates(ctx, &ec2.DescribeLaunchTemplatesInput{Filters: []ec2types.Filter{f}})
	if err != nil {
		return nil, err
	}
	var items []Item
	for _, t := range out.LaunchTemplates {
		items = append(items, Item{
			Kind: "launch template", ID: aws.ToString(t.LaunchTemplateId), Detail: aws.ToString(t.LaunchTemplateName),
			Held: ofStack(t.Tags), ours: o.tags(t.Tags), created: aws.ToTime(t.CreateTime), remove: func(ctx context.Context) error {
				_, err := c.ec2.DeleteLaunchTemplate(ctx, &ec2.DeleteLaunchTemplateInput{LaunchTemplateId: t.LaunchTemplateId})
				return err
			},
		})
	}
	return items, nil
}

func (c *Cloud) securityGroups(ctx context.Context, o Owner, f ec2types.Filter) ([]Item, error) {
	out, err := c.ec2.DescribeSecurityGroups(ctx, &ec2.DescribeSecurityGroupsInput{Filters: []ec2types.Filter{f}})
	if err != nil {
		return nil, err
	}
	var items []Item
	for _, g := range out.SecurityGroups {
		name := aws.ToString(g.GroupName)
		items = append(items, Item{
			Kind: "security group", ID: aws.ToString(g.GroupId), Detail: name,
			// EKS takes its own away with the cluster.
			Held: ofStack(g.Tags) || strings.HasPrefix(name, "eks-cluster-sg-"), ours: o.tags(g.Tags), remove: func(ctx context.Context) error {
				_, err := c.ec2.DeleteSecurityGroup(ctx, &ec2.DeleteSecurityGroupInput{GroupId: g.GroupId})
				return err
			},
		})
	}
	return items, nil
}

func (c *Cloud) natGateways(ctx context.Context, o Owner, f ec2types.Filter) ([]Item, error) {
	open := ec2types.Filter{Name: aws.String("state"), Values: []string{"pending", "available", "deleting"}}
	out, err := c.ec2.DescribeNatGateways(ctx, &ec2.DescribeNatGatewaysInput{Filter: []ec2types.Filter{f, open}})
	if err != nil {
		return nil, err
	}
	return heldItems(o, "NAT gateway", out.NatGateways, func(n ec2types.NatGateway) (*string, []ec2types.Tag) { return n.NatGatewayId, n.Tags }), nil
}

func (c *Cloud) addresses(ctx context.Context, o Owner, f ec2types.Filter) ([]Item, error) {
	out, err := c.ec2.DescribeAddresses(ctx, &ec2.DescribeAddressesInput{Filters: []ec2types.Filter{f}})
	if err != nil {
		return nil, err
	}
	return heldItems(o, "elastic address", out.Addresses, func(a ec2types.Address) (*string, []ec2types.Tag) { return a.AllocationId, a.Tags }), nil
}

func (c *Cloud) subnets(ctx context.Context, o Owner, f ec2types.Filter) ([]Item, error) {
	out, err := c.ec2.DescribeSubnets(ctx, &ec2.DescribeSubnetsInput{Filters: []ec2types.Filter{f}})
	if err != nil {
		return nil, err
	}
	return heldItems(o, "subnet", out.Subnets, func(s ec2types.Subnet) (*string, []ec2types.Tag) { return s.SubnetId, s.Tags }), nil
}

func (c *Cloud) gateways(ctx context.Context, o Owner, f ec2types.Filter) ([]Item, error) {
	out, err := c.ec2.DescribeInternetGateways(ctx, &ec2.DescribeInternetGatewaysInput{Filters: []ec2types.Filter{f}})
	if err != nil {
		return nil, err
	}
	return heldItems(o, "internet gateway", out.InternetGateways, func(g ec2types.InternetGateway) (*string, []ec2types.Tag) { return g.InternetGatewayId, g.Tags }), nil
}

func (c *Cloud) vpcs(ctx context.Context, o Owner, f ec2types.Filter) ([]Item, error) {
	out, err := c.ec2.DescribeVpcs(ctx, &ec2.DescribeVpcsInput{Filters: []ec2types.Filter{f}})
	if err != nil {
		return nil, err
	}
	return heldItems(o, "VPC", out.Vpcs, func(v ec2types.Vpc) (*string, []ec2types.Tag) { return v.VpcId, v.Tags }), nil
}

func heldItems[T any](o Owner, kind string, list []T, facts func(T) (id *string, tags []ec2types.Tag)) []Item {
	var items []Item
	for _, t := range list {
		id, tags := facts(t)
		items = append(items, Item{Kind: kind, ID: aws.ToString(id), Held: true, ours: o.tags(tags)})
	}
	return items
}
