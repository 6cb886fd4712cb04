package child

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/hashicorp/go-multierror"
	"github.com/weaveworks/eksctl/pkg/elb"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/compspec/ocifit-lab/provision/eks/account"
	"github.com/compspec/ocifit-lab/provision/eks/clusterconfig"
)

// balancerWait bounds what Kubernetes gets to take away its load balancers; what is left after it is removed without Kubernetes.
const balancerWait = 2 * time.Minute

// drop deletes node groups without waiting for their pods.
func (s *session) drop() error {
	if err := s.openOurs(); err != nil {
		return err
	}
	s.releasePods(false)
	return s.dropGroups(s.req.Groups)
}

// openOurs opens the session on a cluster that may be anything between whole and gone, if only it is the lab's.
func (s *session) openOurs() error {
	if err := s.openWithoutFile(); err != nil {
		return err
	}
	if err := s.nameIsFree(); err != nil {
		return err
	}
	st, err := s.cloud.Stack(s.ctx, clusterStack(s.req.Name))
	if err != nil || st == nil {
		return err
	}
	return s.owned(st)
}

// releasePods lets pods go at once: it deletes the disruption budgets that hold them and, with balancers, has Kubernetes remove its load
// balancers. A cluster that does not answer is left to what comes after.
func (s *session) releasePods(balancers bool) {
	k, err := s.cloud.Cluster(s.ctx, s.req.Name)
	if err != nil || k == nil || k.Status != "ACTIVE" {
		return
	}
	if err := s.ctl.RefreshClusterStatus(s.ctx, s.cfg); err != nil {
		s.log("the cluster cannot be read, its pods are not prepared: %v", err)
		return
	}
	client, err := s.ctl.NewStdClientSet(s.cfg)
	if err != nil {
		s.log("the cluster cannot be reached, its pods are not prepared: %v", err)
		return
	}
	ctx, cancel := context.WithTimeout(s.ctx, 15*time.Second)
	defer cancel()
	budgets, err := client.PolicyV1().PodDisruptionBudgets("").List(ctx, metav1.ListOptions{})
	if err != nil {
		s.log("the API server does not answer, its pods are not prepared: %v", err)
		return
	}
	for _, b := range budgets.Items {
		if err := client.PolicyV1().PodDisruptionBudgets(b.Namespace).Delete(ctx, b.Name, metav1.DeleteOptions{}); err != nil {
			s.log("disruption budget %s/%s: %v", b.Namespace, b.Name, err)
		}
	}
	if !balancers {
		return
	}
	ctx, cancelBalancers := context.WithTimeout(s.ctx, balancerWait)
	defer cancelBalancers()
	if err := elb.Cleanup(ctx, s.ctl.AWSProvider.EC2(), s.ctl.AWSProvider.ELB(), s.ctl.AWSProvider.ELBV2(), client, nil, s.cfg); err != nil {
		s.log("load balancers: %v", err)
	}
}

// dropGroups deletes the stacks of node groups, all if none is named, and node groups that have no stack.
func (s *session) dropGroups(names []string) error {
	stacks, err := s.cloud.Stacks(s.ctx, s.req.Name)
	if err != nil {
		return err
	}
	wanted := func(group string) bool { return len(names) == 0 || slices.Contains(names, group) }
	var all multierror.Group
	inStack := map[string]bool{}
	for _, st := range stacks {
		group := groupOf(st, s.req.Name)
		if group == "" || !wanted(group) {
			continue
		}
		inStack[group] = true
		all.Go(func() error { return s.deleteStack(st) })
	}
	groups, err := s.cloud.NodeGroups(s.ctx, s.req.Name)
	if err != nil {
		all.Go(func() error { return err })
	}
	for _, g := range groups {
		if wanted(g.Name) && !inStack[g.Name] {
			all.Go(func() error {
				s.log("deleting node group %s, which has no stack", g.Name)
				return s.cloud.DeleteNodeGroup(s.ctx, s.req.Name, g.Name, s.req.Poll)
			})
		}
	}
	return merge(all.Wait())
}

// groupOf is the node group that a stack makes, empty for other stacks.
func groupOf(st account.Stack, cluster string) string {
	if g := st.Tags[account.TagNodeGroup]; g != "" {
		return g
	}
	g, _ := strings.CutPrefix(st.Name, groupStack(cluster, ""))
	if g == st.Name {
		return ""
	}
	return g
}

// delete takes the whole cluster away: node groups and roles side by side, then what hangs in its network, then itself, then what it
// forgot, which is swept only when no stack is left: what lives is not robbed of its parts. Failures are gathered.
func (s *session) delete() error {
	if err := s.openOurs(); err != nil {
		return err
	}
	s.releasePods(true)
	var errs *multierror.Error
	add := func(err error) {
		if err != nil {
			errs = multierror.Append(errs, err)
		}
	}
	var first multierror.Group
	first.Go(func() error { return s.dropGroups(nil) })
	first.Go(s.dropRoles)
	add(merge(first.Wait()))
	if errs == nil && s.ctx.Err() == nil {
		add(s.dropCluster())
	}
	switch {
	case s.ctx.Err() != nil:
	case errs == nil:
		add(s.cloud.Sweep(s.ctx, s.owner(), s.req.Poll, s.log))
	default:
		s.log("what the cluster has besides its stacks stays until they are gone")
	}
	add(s.ctx.Err())
	return merge(errs)
}

func (s *session) owner() account.Owner {
	return account.Owner{Cluster: s.req.Name, TagKey: clusterconfig.TagLab, TagValue: s.req.Owner, Repositories: s.req.Repositories, Issuer: s.req.Issuer}
}

// dropRoles deletes every stack that is neither a node group's nor the cluster's: roles of service accounts and addons, and the like.
func (s *session) dropRoles() error {
	stacks, err := s.cloud.Stacks(s.ctx, s.req.Name)
	if err != nil {
		return err
	}
	var all multierror.Group
	for _, st := range stacks {
		if st.Name != clusterStack(s.req.Name) && groupOf(st, s.req.Name) == "" {
			all.Go(func() error { return s.deleteStack(st) })
		}
	}
	return merge(all.Wait())
}

func (s *session) dropCluster() error {
	k, err := s.cloud.Cluster(s.ctx, s.req.Name)
	if err != nil {
		return err
	}
	st, err := s.cloud.Stack(s.ctx, clusterStack(s.req.Name))
	if err != nil {
		return err
	}
	vpc := ""
	if st != nil {
		vpc = st.Outputs["VPC"]
	}
	if k != nil {
		vpc = k.VPC
	}
	if err := s.cloud.Unblock(s.ctx, s.owner(), vpc, s.log); err != nil {
		s.log("network of the cluster: %v", err)
	}
	if err := s.cloud.AwaitBalancers(s.ctx, vpc, s.req.Poll, balancerWait, s.log); err != nil {
		s.log("load balancers: %v", err)
	}
	if st != nil {
		return s.deleteStackIn(*st, vpc)
	}
	if k != nil {
		s.log("deleting cluster %s, which has no stack", k.Name)
		return s.cloud.DeleteCluster(s.ctx, k.Name, s.req.Poll)
	}
	return nil
}
