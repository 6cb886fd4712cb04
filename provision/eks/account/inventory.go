package account

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation"
	"github.com/hashicorp/go-multierror"
)

// Item is one thing in the account that belongs to a cluster.
type Item struct {
	Kind, ID string
	Detail   string
	// Held is set when the thing goes with its stack, cluster or machine and is not to be removed by itself.
	Held    bool
	ours    bool      // it bears the lab's own tag
	created time.Time // zero where AWS does not tell
	remove  func(context.Context) error
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
	// Repositories are the names that the lab's repositories in the account's registry may have; empty asks the registry nothing.
	Repositories []string
	// Issuer is the address of the cluster's OIDC issuer, where it is known: then no other cluster's provider is looked at.
	Issuer string
}

// Inventory lists everything that belongs to the owner, by names and tags. What it could not look at is in the error, what it found is
// returned all the same.
//
// What Kubernetes and EKS make bears the cluster's name but no tag of the lab. It counts only when the lab has had a cluster of that name, and
// when it is not older: an account may hold what others left of a cluster that was called the same.
func (c *Cloud) Inventory(ctx context.Context, o Owner) ([]Item, error) {
	var items []Item
	var errs *multierror.Error
	since, err := c.since(ctx, o)
	if err != nil {
		return nil, Explain(fmt.Errorf("look for the lab's beginning: %w", err))
	}
	for _, look := range []struct {
		what string
		list func(context.Context, Owner) ([]Item, error)
	}{
		{"stacks", c.stackItems},
		{"cluster", c.clusterItems},
		{"scaling groups", c.scalingItems},
		{"EC2 resources", c.ec2Items},
		{"OIDC providers", c.oidcItems},
		{"IAM roles", c.roleItems},
		{"IAM policies", c.policyItems},
		{"instance profiles", c.profileItems},
		{"load balancers", c.balancerItems},
		{"log groups", c.logItems},
		{"repositories", c.repositoryItems},
	} {
		found, err := look.list(ctx, o)
		items = append(items, slices.DeleteFunc(found, func(i Item) bool { return !i.belongs(since) })...)
		if err != nil {
			errs = multierror.Append(errs, Explain(fmt.Errorf("look for %s: %w", look.what, err)))
		}
	}
	return items, errs.ErrorOrNil()
}

// Living lists the stacks, the cluster and the node groups of the owner that exist: what of them is there makes anew what is taken from it.
func (c *Cloud) Living(ctx context.Context, o Owner) ([]Item, error) {
	stacks, err := c.stackItems(ctx, o)
	if err != nil {
		return nil, err
	}
	cluster, err := c.clusterItems(ctx, o)
	return append(stacks, cluster...), err
}

// belongs tells whether a thing is the lab's, whose first cluster of the name was made at since; zero means there was none.
func (i Item) belongs(since time.Time) bool {
	return i.ours || (!since.IsZero() && (i.created.IsZero() || !i.created.Before(since)))
}

// since is when the lab first made a cluster of its name, as far as CloudFormation remembers, which is 90 days after the end of a stack. It
// is zero if it never did, or if the name is somebody else's now.
func (c *Cloud) since(ctx context.Context, o Owner) (time.Time, error) {
	k, err := c.Cluster(ctx, o.Cluster)
	if err != nil || (k != nil && k.Tags[o.TagKey] != o.TagValue) {
		return time.Time{}, err
	}
	c.mu.Lock()
	first := c.firsts[o.Cluster]
	c.mu.Unlock()
	if !first.IsZero() {
		return first, nil // it does not change, and accounts may remember many stacks
	}
	pages := cloudformation.NewListStacksPaginator(c.cfn, &cloudformation.ListStacksInput{})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return first, err
		}
		for _, s := range page.StackSummaries {
			if aws.ToString(s.StackName) != "eksctl-"+o.Cluster+"-cluster" {
				continue
			}
			out, err := c.cfn.DescribeStacks(ctx, &cloudformation.DescribeStacksInput{StackName: s.StackId})
			if err != nil || len(out.Stacks) != 1 {
				return first, err
			}
			if st := plain(out.Stacks[0]); st.Tags[o.TagKey] == o.TagValue && (first.IsZero() || st.Created.Before(first)) {
				first = st.Created
			}
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.firsts[o.Cluster] = first
	return first, nil
}

func (c *Cloud) stackItems(ctx context.Context, o Owner) ([]Item, error) {
	stacks, err := c.Stacks(ctx, o.Cluster)
	var items []Item
	for _, s := range stacks {
		if s.Tags[o.TagKey] == o.TagValue {
			items = append(items, Item{Kind: "stack", ID: s.Name, Detail: s.Status, Held: true, ours: true})
		}
	}
	return items, err
}

func (c *Cloud) clusterItems(ctx context.Context, o Owner) ([]Item, error) {
	k, err := c.Cluster(ctx, o.Cluster)
	if k == nil || k.Tags[o.TagKey] != o.TagValue {
		return nil, err
	}
	items := []Item{{Kind: "cluster", ID: k.Name, Detail: k.Status, Held: true, ours: true}}
	groups, err := c.NodeGroups(ctx, o.Cluster)
	for _, g := range groups {
		items = append(items, Item{Kind: "node group", ID: g.Name, Detail: g.Status, Held: true, ours: true})
	}
	return items, err
}
