package cloud

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
	"github.com/aws/aws-sdk-go-v2/service/cloudformation"
	cfntypes "github.com/aws/aws-sdk-go-v2/service/cloudformation/types"
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

// ScalingTags maps the managed node groups of a cluster to the tags of their scaling groups.
func (c *Cloud) ScalingTags(ctx context.Context, cluster string) (map[string]map[string]string, error) {
	tags := map[string]map[string]string{}
	pages := autoscaling.NewDescribeAutoScalingGroupsPaginator(autoscaling.NewFromConfig(c.config), &autoscaling.DescribeAutoScalingGroupsInput{
		Filters: []asgtypes.Filter{{Name: aws.String("tag:eks:cluster-name"), Values: []string{cluster}}},
	})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, Explain(fmt.Errorf("look at the scaling groups of %s: %w", cluster, err))
		}
		for _, g := range page.AutoScalingGroups {
			have := map[string]string{}
			for _, t := range g.Tags {
				have[aws.ToString(t.Key)] = aws.ToString(t.Value)
			}
			tags[have["eks:nodegroup-name"]] = have
		}
	}
	return tags, nil
}

// Stack is a CloudFormation stack that exists.
type Stack struct {
	Name, ID, Status, Reason string
	Protected                bool
	Tags, Outputs            map[string]string
	Created                  time.Time
}

// Busy tells whether CloudFormation is at work on the stack.
func (s Stack) Busy() bool { return strings.HasSuffix(s.Status, "_IN_PROGRESS") }

// Whole tells whether the stack is there as it was meant.
func (s Stack) Whole() bool { return s.Status == "CREATE_COMPLETE" || s.Status == "UPDATE_COMPLETE" }

// Stack returns the stack of a name or an id, nil if there is none.
func (c *Cloud) Stack(ctx context.Context, nameOrID string) (*Stack, error) {
	out, err := c.cfn.DescribeStacks(ctx, &cloudformation.DescribeStacksInput{StackName: &nameOrID})
	if IsNotFound(err) {
		return nil, nil
	}
	if err != nil {
		return nil, Explain(fmt.Errorf("look at stack %s: %w", nameOrID, err))
	}
	if len(out.Stacks) == 0 || out.Stacks[0].StackStatus == cfntypes.StackStatusDeleteComplete {
		return nil, nil
	}
	return plain(out.Stacks[0]), nil
}

func plain(s cfntypes.Stack) *Stack {
	p := &Stack{Name: aws.ToString(s.StackName), ID: aws.ToString(s.StackId), Status: string(s.StackStatus), Reason: aws.ToString(s.StackStatusReason),
		Protected: aws.ToBool(s.EnableTerminationProtection), Created: aws.ToTime(s.CreationTime), Tags: map[string]string{}, Outputs: map[string]string{}}
	for _, t := range s.Tags {
		p.Tags[aws.ToString(t.Key)] = aws.ToString(t.Value)
	}
	for _, o := range s.Outputs {
		p.Outputs[aws.ToString(o.OutputKey)] = aws.ToString(o.OutputValue)
	}
	return p
}

// Tags that eksctl puts on what it makes.
const (
	TagCluster   = "alpha.eksctl.io/cluster-name"
	TagNodeGroup = "alpha.eksctl.io/nodegroup-name"
)

// Stacks lists the stacks that belong to a cluster of eksctl, in the order of their names. DELETE_COMPLETE ones do not count.
func (c *Cloud) Stacks(ctx context.Context, cluster string) ([]Stack, error) {
	in := &cloudformation.ListStacksInput{}
	for _, s := range cfntypes.StackStatus("").Values() {
		if s != cfntypes.StackStatusDeleteComplete {
			in.StackStatusFilter = append(in.StackStatusFilter, s)
		}
	}
	var stacks []Stack
	pages := cloudformation.NewListStacksPaginator(c.cfn, in)
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, Explain(fmt.Errorf("list stacks: %w", err))
		}
		for _, sum := range page.StackSummaries {
			if !strings.HasPrefix(aws.ToString(sum.StackName), "eksctl-"+cluster+"-") {
				continue
			}
			s, err := c.Stack(ctx, aws.ToString(sum.StackId))
			if err != nil {
				return nil, err
			}
			// A cluster "a" must not take the stacks of "a-b" for its own.
			if s != nil && s.Tags[TagCluster] == cluster {
				stacks = append(stacks, *s)
			}
		}
	}
	slices.SortFunc(stacks, func(a, b Stack) int { return strings.Compare(a.Name, b.Name) })
	return stacks, nil
}

// Event is something that happened to a resource of a stack.
type Event struct {
	Time                           time.Time
	Resource, Type, Status, Reason string
}

// Events lists what happened to a stack, oldest first.
func (c *Cloud) Events(ctx context.Context, stack string) ([]Event, error) {
	var events []Event
	pages := cloudformation.NewDescribeStackEventsPaginator(c.cfn, &cloudformation.DescribeStackEventsInput{StackName: &stack})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, Explain(fmt.Errorf("events of stack %s: %w", stack, err))
		}
		for _, e := range page.StackEvents {
			events = append(events, Event{aws.ToTime(e.Timestamp), aws.ToString(e.LogicalResourceId), aws.ToString(e.ResourceType),
				string(e.ResourceStatus), aws.ToString(e.ResourceStatusReason)})
		}
	}
	slices.Reverse(events)
	return events, nil
}

// Causes picks from the events of a stack those that say why it failed: the failures themselves, not what was cancelled because of them.
func Causes(events []Event) []string {
	var causes []string
	for _, e := range events {
		follow := strings.Contains(e.Reason, "cancelled") || e.Type == "AWS::CloudFormation::Stack"
		if strings.HasSuffix(e.Status, "_FAILED") && e.Reason != "" && !follow {
			text := fmt.Sprintf("%s %s: %s", e.Resource, e.Status, e.Reason)
			if !slices.Contains(causes, text) {
				causes = append(causes, text)
			}
		}
	}
	return causes
}
