package cloud

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

// Item is one thing in the account that belongs to a cluster.
type Item struct {
	Kind, ID string
	Detail   string
	// Held is set when the thing goes with its stack, cluster or machine and is not to be removed by itself.
	Held   bool
	remove func(context.Context) error
}

func (i Item) String() string {
	s := i.Kind + " " + i.ID
	if i.Detail != "" {
		s += " (" + i.Detail + ")"
	}
	return s
}

// Owner names whose things are looked for.
type Owner struct {
	Cluster string
	// TagKey and TagValue mark what the lab made outside the cluster, as repositories.
	TagKey, TagValue string
}

// Inventory lists everything that belongs to the owner, by names and tags. What it could not look at is in the error, what it found is
// returned all the same.
func (c *Cloud) Inventory(ctx context.Context, o Owner) ([]Item, error) {
	var items []Item
	var errs *multierror.Error
	for _, look := range []struct {
		what string
		list func(context.Context, Owner) ([]Item, error)
	}{
		{"stacks", c.stackItems}, {"cluster", c.clusterItems}, {"EC2 resources", c.ec2Items}, {"OIDC providers", c.oidcItems},
		{"IAM roles", c.roleItems}, {"load balancers", c.balancerItems}, {"log groups", c.logItems}, {"repositories", c.repositoryItems},
	} {
		found, err := look.list(ctx, o)
		items = append(items, found...)
		if err != nil {
			errs = multierror.Append(errs, Explain(fmt.Errorf("look for %s: %w", look.what, err)))
		}
	}
	return items, errs.ErrorOrNil()
}

func (c *Cloud) stackItems(ctx context.Context, o Owner) ([]Item, error) {
	stacks, err := c.Stacks(ctx, o.Cluster)
	var items []Item
	for _, s := range stacks {
		items = append(items, Item{Kind: "stack", ID: s.Name, Detail: s.Status, Held: true})
	}
	return items, err
}

func (c *Cloud) clusterItems(ctx context.Context, o Owner) ([]Item, error) {
	k, err := c.Cluster(ctx, o.Cluster)
	if k == nil {
		return nil, err
	}
	items := []Item{{Kind: "cluster", ID: k.Name, Detail: k.Status, Held: true}}
	groups, err := c.NodeGroups(ctx, o.Cluster)
	for _, g := range groups {
		items = append(items, Item{Kind: "node group", ID: g.Name, Detail: g.Status, Held: true})
	}
	return items, err
}

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
	for _, list := range []func(context.Context, ec2types.Filter) ([]Item, error){
		c.instances, c.volumes, c.interfaces, c.natGateways, c.addresses, c.launchTemplates, c.securityGroups, c.subnets, c.gateways, c.vpcs,
	} {
		for _, f := range o.ec2Filters() {
			found, err := list(ctx, f)
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

// ofStack tells whether a resource is CloudFormation's, who removes it with its stack.
func ofStack(tags []ec2types.Tag) bool {
	return slices.ContainsFunc(tags, func(t ec2types.Tag) bool { return aws.ToString(t.Key) == "aws:cloudformation:stack-name" })
}

func (c *Cloud) instances(ctx context.Context, f ec2types.Filter) ([]Item, error) {
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
				items = append(items, Item{Kind: "instance", ID: id, Detail: fmt.Sprintf("%s, %s", i.InstanceType, i.State.Name),
					Held: i.State.Name == ec2types.InstanceStateNameShuttingDown, remove: func(ctx context.Context) error {
						_, err := c.ec2.TerminateInstances(ctx, &ec2.TerminateInstancesInput{InstanceIds: []string{id}})
						return err
					}})
			}
		}
	}
	return items, nil
}

func (c *Cloud) volumes(ctx context.Context, f ec2types.Filter) ([]Item, error) {
	out, err := c.ec2.DescribeVolumes(ctx, &ec2.DescribeVolumesInput{Filters: []ec2types.Filter{f}})
	if err != nil {
		return nil, err
	}
	var items []Item
	for _, v := range out.Volumes {
		items = append(items, Item{Kind: "volume", ID: aws.ToString(v.VolumeId), Detail: string(v.State), Held: v.State == ec2types.VolumeStateInUse,
			remove: func(ctx context.Context) error {
				_, err := c.ec2.DeleteVolume(ctx, &ec2.DeleteVolumeInput{VolumeId: v.VolumeId})
				return err
			}})
	}
	return items, nil
}

func (c *Cloud) interfaces(ctx context.Context, f ec2types.Filter) ([]Item, error) {
	out, err := c.ec2.DescribeNetworkInterfaces(ctx, &ec2.DescribeNetworkInterfacesInput{Filters: []ec2types.Filter{f}})
	if err != nil {
		return nil, err
	}
	var items []Item
	for _, i := range out.NetworkInterfaces {
		items = append(items, c.networkInterface(i))
	}
	return items, nil
}

func (c *Cloud) networkInterface(i ec2types.NetworkInterface) Item {
	return Item{Kind: "network interface", ID: aws.ToString(i.NetworkInterfaceId), Detail: aws.ToString(i.Description),
		Held: i.Status != ec2types.NetworkInterfaceStatusAvailable, remove: func(ctx context.Context) error {
			_, err := c.ec2.DeleteNetworkInterface(ctx, &ec2.DeleteNetworkInterfaceInput{NetworkInterfaceId: i.NetworkInterfaceId})
			return err
		}}
}

func (c *Cloud) launchTemplates(ctx context.Context, f ec2types.Filter) ([]Item, error) {
	out, err := c.ec2.DescribeLaunchTemplates(ctx, &ec2.DescribeLaunchTemplatesInput{Filters: []ec2types.Filter{f}})
	if err != nil {
		return nil, err
	}
	var items []Item
	for _, t := range out.LaunchTemplates {
		items = append(items, Item{Kind: "launch template", ID: aws.ToString(t.LaunchTemplateId), Detail: aws.ToString(t.LaunchTemplateName),
			Held: ofStack(t.Tags), remove: func(ctx context.Context) error {
				_, err := c.ec2.DeleteLaunchTemplate(ctx, &ec2.DeleteLaunchTemplateInput{LaunchTemplateId: t.LaunchTemplateId})
				return err
			}})
	}
	return items, nil
}

func (c *Cloud) securityGroups(ctx context.Context, f ec2types.Filter) ([]Item, error) {
	out, err := c.ec2.DescribeSecurityGroups(ctx, &ec2.DescribeSecurityGroupsInput{Filters: []ec2types.Filter{f}})
	if err != nil {
		return nil, err
	}
	var items []Item
	for _, g := range out.SecurityGroups {
		name := aws.ToString(g.GroupName)
		items = append(items, Item{Kind: "security group", ID: aws.ToString(g.GroupId), Detail: name,
			// EKS takes its own away with the cluster.
			Held: ofStack(g.Tags) || strings.HasPrefix(name, "eks-cluster-sg-"), remove: func(ctx context.Context) error {
				_, err := c.ec2.DeleteSecurityGroup(ctx, &ec2.DeleteSecurityGroupInput{GroupId: g.GroupId})
				return err
			}})
	}
	return items, nil
}

func (c *Cloud) natGateways(ctx context.Context, f ec2types.Filter) ([]Item, error) {
	open := ec2types.Filter{Name: aws.String("state"), Values: []string{"pending", "available", "deleting"}}
	out, err := c.ec2.DescribeNatGateways(ctx, &ec2.DescribeNatGatewaysInput{Filter: []ec2types.Filter{f, open}})
	if err != nil {
		return nil, err
	}
	return heldItems("NAT gateway", out.NatGateways, func(n ec2types.NatGateway) *string { return n.NatGatewayId }), nil
}

func (c *Cloud) addresses(ctx context.Context, f ec2types.Filter) ([]Item, error) {
	out, err := c.ec2.DescribeAddresses(ctx, &ec2.DescribeAddressesInput{Filters: []ec2types.Filter{f}})
	if err != nil {
		return nil, err
	}
	return heldItems("elastic address", out.Addresses, func(a ec2types.Address) *string { return a.AllocationId }), nil
}

func (c *Cloud) subnets(ctx context.Context, f ec2types.Filter) ([]Item, error) {
	out, err := c.ec2.DescribeSubnets(ctx, &ec2.DescribeSubnetsInput{Filters: []ec2types.Filter{f}})
	if err != nil {
		return nil, err
	}
	return heldItems("subnet", out.Subnets, func(s ec2types.Subnet) *string { return s.SubnetId }), nil
}

func (c *Cloud) gateways(ctx context.Context, f ec2types.Filter) ([]Item, error) {
	out, err := c.ec2.DescribeInternetGateways(ctx, &ec2.DescribeInternetGatewaysInput{Filters: []ec2types.Filter{f}})
	if err != nil {
		return nil, err
	}
	return heldItems("internet gateway", out.InternetGateways, func(g ec2types.InternetGateway) *string { return g.InternetGatewayId }), nil
}

func (c *Cloud) vpcs(ctx context.Context, f ec2types.Filter) ([]Item, error) {
	out, err := c.ec2.DescribeVpcs(ctx, &ec2.DescribeVpcsInput{Filters: []ec2types.Filter{f}})
	if err != nil {
		return nil, err
	}
	return heldItems("VPC", out.Vpcs, func(v ec2types.Vpc) *string { return v.VpcId }), nil
}

func heldItems[T any](kind string, list []T, id func(T) *string) []Item {
	var items []Item
	for _, t := range list {
		items = append(items, Item{Kind: kind, ID: aws.ToString(id(t)), Held: true})
	}
	return items
}
