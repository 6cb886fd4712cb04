package account

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/aws/aws-sdk-go-v2/service/eks"
	"github.com/hashicorp/go-multierror"
)

// Log takes a line about what is being done.
type Log func(format string, args ...any)

// sweepRounds is how often a sweep looks again for what could not be removed yet, because something else had to go first.
const sweepRounds = 20

// slow are the kinds that are there for a while after their removal.
var slow = []string{"load balancer", "instance", "scaling group", "VPC endpoint"}

// Sweep removes what a cluster left outside its stacks: load balancers, scaling groups, machines, network interfaces, volumes, snapshots,
// security groups, launch templates, log groups, OIDC provider, repositories. What goes by itself a little later is waited for, poll being
// the time between looks. It removes nothing as long as a stack, the cluster or a node group of the owner exists, or nobody can tell: those
// would start machines anew, and could not be used any more without their parts.
func (c *Cloud) Sweep(ctx context.Context, o Owner, poll time.Duration, log Log) error {
	living, err := c.Living(ctx, o)
	if err != nil {
		return fmt.Errorf("nothing is swept, as it is not known what still lives: %w", err)
	}
	if len(living) > 0 {
		return fmt.Errorf("nothing is swept while there is %s", living[0])
	}
	var last error
	for round := 1; ; round++ {
		items, err := c.Inventory(ctx, o)
		if err != nil {
			last = err
		}
		loose := slices.DeleteFunc(items, func(i Item) bool { return i.remove == nil })
		if len(loose) == 0 {
			return err
		}
		if err := c.removeAll(ctx, loose, log); err != nil {
			last = err
		} else if !slices.ContainsFunc(loose, func(i Item) bool { return i.Held || slices.Contains(slow, i.Kind) }) {
			return err
		}
		if round == sweepRounds {
			return last
		}
		select {
		case <-time.After(poll):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (c *Cloud) removeAll(ctx context.Context, items []Item, log Log) error {
	var errs *multierror.Error
	for _, i := range items {
		if i.Held {
			continue
		}
		log("removing %s", i)
		if err := i.remove(ctx); err != nil && !IsNotFound(err) {
			errs = multierror.Append(errs, Explain(fmt.Errorf("remove %s: %w", i, err)))
		}
	}
	return errs.ErrorOrNil()
}

// Unblock takes away what hangs in a cluster's network and would keep it from being deleted: its load balancers, and interfaces and security
// groups in the VPC that belong to no machine and no stack. The VPC must be the cluster's own.
func (c *Cloud) Unblock(ctx context.Context, o Owner, vpc string, log Log) error {
	var errs *multierror.Error
	since, err := c.since(ctx, o)
	if err != nil {
		return err
	}
	items, err := c.balancerItems(ctx, o)
	if err != nil {
		errs = multierror.Append(errs, err)
	}
	items = slices.DeleteFunc(items, func(i Item) bool { return !i.belongs(since) })
	if vpc != "" && c.ownsVPC(ctx, o, vpc) {
		inside := []ec2types.Filter{{Name: aws.String("vpc-id"), Values: []string{vpc}}}
		enis, err := c.ec2.DescribeNetworkInterfaces(ctx, &ec2.DescribeNetworkInterfacesInput{Filters: inside})
		if err != nil {
			return multierror.Append(errs, err)
		}
		for _, i := range enis.NetworkInterfaces {
			items = append(items, c.networkInterface(o, i))
		}
		groups, err := c.securityGroups(ctx, o, inside[0])
		if err != nil {
			return multierror.Append(errs, err)
		}
		items = append(items, slices.DeleteFunc(groups, func(i Item) bool { return i.Detail == "default" })...)
	}
	if err := c.removeAll(ctx, items, log); err != nil {
		errs = multierror.Append(errs, err)
	}
	return errs.ErrorOrNil()
}

// AwaitBalancers waits until load balancers that were deleted have let go of a VPC's subnets, for limit at most: a stack whose deletion meets
// them is stuck for longer than that.
func (c *Cloud) AwaitBalancers(ctx context.Context, vpc string, poll, limit time.Duration, log Log) error {
	if vpc == "" {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	for {
		out, err := c.ec2.DescribeNetworkInterfaces(ctx, &ec2.DescribeNetworkInterfacesInput{Filters: []ec2types.Filter{
			{Name: aws.String("vpc-id"), Values: []string{vpc}}, {Name: aws.String("description"), Values: []string{"ELB *"}},
		}})
		if err != nil || len(out.NetworkInterfaces) == 0 {
			return err
		}
		log("waiting for %d interfaces of load balancers to go", len(out.NetworkInterfaces))
		if err := wait(ctx, poll); err != nil {
			return err
		}
	}
}

// ownsVPC tells whether a VPC was made for the cluster and not lent to it.
func (c *Cloud) ownsVPC(ctx context.Context, o Owner, vpc string) bool {
	out, err := c.ec2.DescribeVpcs(ctx, &ec2.DescribeVpcsInput{VpcIds: []string{vpc}})
	if err != nil || len(out.Vpcs) != 1 {
		return false
	}
	return slices.ContainsFunc(out.Vpcs[0].Tags, func(t ec2types.Tag) bool {
		return aws.ToString(t.Key) == TagCluster && aws.ToString(t.Value) == o.Cluster
	})
}

// DeleteNodeGroup deletes a managed node group by itself and waits until it is gone.
func (c *Cloud) DeleteNodeGroup(ctx context.Context, cluster, group string, poll time.Duration) error {
	_, err := c.eks.DeleteNodegroup(ctx, &eks.DeleteNodegroupInput{ClusterName: &cluster, NodegroupName: &group})
	for {
		if IsNotFound(err) {
			return nil
		}
		if err != nil && !strings.Contains(Code(err), "InUse") {
			return Explain(fmt.Errorf("delete node group %s: %w", group, err))
		}
		if err := wait(ctx, poll); err != nil {
			return err
		}
		_, err = c.eks.DescribeNodegroup(ctx, &eks.DescribeNodegroupInput{ClusterName: &cluster, NodegroupName: &group})
	}
}

// DeleteCluster deletes a cluster by itself and waits until it is gone.
func (c *Cloud) DeleteCluster(ctx context.Context, name string, poll time.Duration) error {
	_, err := c.eks.DeleteCluster(ctx, &eks.DeleteClusterInput{Name: &name})
	for {
		if IsNotFound(err) {
			return nil
		}
		if err != nil {
			return Explain(fmt.Errorf("delete cluster %s: %w", name, err))
		}
		if err := wait(ctx, poll); err != nil {
			return err
		}
		_, err = c.eks.DescribeCluster(ctx, &eks.DescribeClusterInput{Name: &name})
	}
}

func wait(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
