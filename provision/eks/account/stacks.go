package account

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation"
	cfntypes "github.com/aws/aws-sdk-go-v2/service/cloudformation/types"
)

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
	p := &Stack{
		Name: aws.ToString(s.StackName), ID: aws.ToString(s.StackId), Status: string(s.StackStatus), Reason: aws.ToString(s.StackStatusReason),
		Protected: aws.ToBool(s.EnableTerminationProtection), Created: aws.ToTime(s.CreationTime), Tags: map[string]string{}, Outputs: map[string]string{},
	}
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
			events = append(events, Event{
				aws.ToTime(e.Timestamp), aws.ToString(e.LogicalResourceId), aws.ToString(e.ResourceType),
				string(e.ResourceStatus), aws.ToString(e.ResourceStatusReason),
			})
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
