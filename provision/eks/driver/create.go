package driver

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/aws/amazon-ec2-instance-selector/v3/pkg/selector"
	ekstypes "github.com/aws/aws-sdk-go-v2/service/eks/types"
	"github.com/hashicorp/go-multierror"
	"github.com/weaveworks/eksctl/pkg/accessentry"
	accessentries "github.com/weaveworks/eksctl/pkg/actions/accessentry"
	"github.com/weaveworks/eksctl/pkg/actions/addon"
	"github.com/weaveworks/eksctl/pkg/actions/podidentityassociation"
	api "github.com/weaveworks/eksctl/pkg/apis/eksctl.io/v1alpha5"
	"github.com/weaveworks/eksctl/pkg/eks"
	"github.com/weaveworks/eksctl/pkg/utils/nodes"
	"github.com/weaveworks/eksctl/pkg/utils/tasks"
	"github.com/weaveworks/eksctl/pkg/vpc"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/kubernetes"

	"github.com/compspec/ocifit-lab/provision/eks/child"
	"github.com/compspec/ocifit-lab/provision/eks/cloud"
	"github.com/compspec/ocifit-lab/provision/eks/config"
)

// controlPlane makes the cluster's stack, waits for its API server and gives it the addons that nodes need.
func (s *session) controlPlane() error {
	if err := s.open(); err != nil {
		return err
	}
	if err := s.nameIsFree(); err != nil {
		return err
	}
	if err := s.network(); err != nil {
		return err
	}
	if err := accessentry.ValidateAPIServerAccess(s.cfg); err != nil {
		return err
	}
	manager := s.ctl.NewStackManager(s.cfg)
	creator := &accessentries.Creator{ClusterName: s.cfg.Metadata.Name, StackCreator: manager}
	tree := manager.NewTasksToCreateCluster(s.ctx, nil, nil, s.cfg.AccessConfig, creator, 1)
	if err := s.run(tree, clusterStack(s.req.Name)); err != nil {
		return err
	}
	if err := s.reachable(); err != nil {
		return err
	}
	pre, _, _ := s.addons()
	return s.run(pre)
}

// nameIsFree refuses a cluster of this name that the lab did not make.
func (s *session) nameIsFree() error {
	have, err := s.cloud.Cluster(s.ctx, s.req.Name)
	if err != nil || have == nil {
		return err
	}
	if have.Tags[config.TagLab] != s.req.Owner {
		return &child.Error{Code: child.NotOurs, Text: fmt.Sprintf("cluster %s exists in %s and is not of lab %q (its tag %s is %q)",
			s.req.Name, s.req.Region, s.req.Owner, config.TagLab, have.Tags[config.TagLab]), Try: "choose another name in lab.yaml"}
	}
	return nil
}

// network settles in which zones and subnets the cluster will be.
func (s *session) network() error {
	if s.cfg.HasAnySubnets() {
		if err := vpc.ImportSubnetsFromSpec(s.ctx, s.ctl.AWSProvider.EC2(), s.cfg); err != nil {
			return err
		}
		if err := s.cfg.HasSufficientSubnets(); err != nil {
			return err
		}
		return s.cfg.CanUseForPrivateNodeGroups()
	}
	given, err := eks.SetAvailabilityZones(s.ctx, s.cfg, nil, s.ctl.AWSProvider.EC2(), s.req.Region)
	if err != nil {
		return err
	}
	if given {
		if err := eks.CheckInstanceAvailability(s.ctx, s.cfg, s.ctl.AWSProvider.EC2()); err != nil {
			return err
		}
	}
	return vpc.SetSubnets(s.cfg.VPC, s.cfg.AvailabilityZones, s.cfg.LocalZones)
}

// reachable reads where the API server is and waits until it answers.
func (s *session) reachable() error {
	if err := s.ctl.RefreshClusterStatus(s.ctx, s.cfg); err != nil {
		return err
	}
	for {
		client, err := s.ctl.NewRawClient(s.cfg)
		if err == nil {
			return s.ctl.WaitForControlPlane(s.cfg.Metadata, client, waitLimit)
		}
		s.log("the API server does not answer yet: %v", err)
		if err := s.pause(s.ctx); err != nil {
			return err
		}
	}
}

// addons gives eksctl's tasks for the addons before the node groups, for the others, and for the network plugin's own role.
func (s *session) addons() (pre, post *tasks.TaskTree, cni *tasks.GenericTask) {
	manager := s.ctl.NewStackManager(s.cfg)
	roles := &podidentityassociation.IAMRoleCreator{ClusterName: s.cfg.Metadata.Name, StackCreator: manager}
	update := &addon.PodIdentityAssociationUpdater{
		ClusterName: s.cfg.Metadata.Name, IAMRoleCreator: roles,
		IAMRoleUpdater:          &podidentityassociation.IAMRoleUpdater{StackUpdater: manager},
		EKSPodIdentityDescriber: s.ctl.AWSProvider.EKS(), StackDeleter: manager,
	}
	pre, post, cni, _ = addon.CreateAddonTasks(s.ctx, s.cfg, s.ctl, roles, update, true, waitLimit, s.req.Region)
	return pre, post, cni
}

// existing opens the session on a cluster that is there, with its network as it is.
func (s *session) existing() error {
	if err := s.open(); err != nil {
		return err
	}
	if err := s.nameIsFree(); err != nil {
		return err
	}
	stack, err := s.ctl.NewStackManager(s.cfg).DescribeClusterStack(s.ctx)
	if err != nil {
		return err
	}
	return s.ctl.LoadClusterIntoSpecFromStack(s.ctx, s.cfg, stack)
}

// identity makes what gives pods rights in AWS, and what else a user's file asks for beside nodes. Node groups are made meanwhile; they
// need none of it, for their own role lets the network plugin work.
func (s *session) identity() error {
	if err := s.existing(); err != nil {
		return err
	}
	// Addons are not waited for here: they may need nodes, which others are making.
	s.cfg.NodeGroups, s.cfg.ManagedNodeGroups = nil, nil
	_, post, cni := s.addons()
	if !slices.ContainsFunc(s.cfg.Addons, func(a *api.Addon) bool { return a.Name == api.VPCCNIAddon && (a.HasIRSASet() || a.HasPodIDsSet()) }) {
		cni = nil
	}
	if err := s.run(s.ctl.CreateExtraClusterConfigTasks(s.ctx, s.cfg, nil, cni)); err != nil {
		return err
	}
	if err := s.run(post); err != nil {
		return err
	}
	if len(s.cfg.IAM.PodIdentityAssociations) == 0 {
		return nil
	}
	client, err := s.ctl.NewStdClientSet(s.cfg)
	if err != nil {
		return err
	}
	return podidentityassociation.NewCreator(s.req.Name, s.ctl.NewStackManager(s.cfg), s.ctl.AWSProvider.EKS(), client).
		CreatePodIdentityAssociations(s.ctx, s.cfg.IAM.PodIdentityAssociations)
}

// nodeGroups makes the named node groups side by side and waits for the nodes that must always be there. A group that fails does not stop
// the others.
func (s *session) nodeGroups() error {
	if err := s.existing(); err != nil {
		return err
	}
	s.keepGroups(s.req.Groups)
	if err := s.normalize(); err != nil {
		return err
	}
	client, err := s.ctl.NewStdClientSet(s.cfg)
	if err != nil {
		return err
	}
	if s.cfg.AccessConfig.AuthenticationMode == ekstypes.AuthenticationModeConfigMap {
		if err := eks.UpdateAuthConfigMap(s.cfg.NodeGroups, client); err != nil {
			return err
		}
	}
	s.stack.lean.Store(true)
	importer := vpc.NewStackConfigImporter(clusterStack(s.req.Name))
	manager := s.ctl.NewStackManager(s.cfg)
	var all together
	for _, ng := range s.cfg.ManagedNodeGroups {
		all.start(func() error {
			tree := manager.NewManagedNodeGroupTask(s.ctx, []*api.ManagedNodeGroup{ng}, true, importer, 1)
			if err := s.run(tree, groupStack(s.req.Name, ng.Name)); err != nil {
				return fmt.Errorf("node group %s: %w", ng.Name, err)
			}
			s.log("node group %s is made", ng.Name)
			return s.awaitNodes(client, ng)
		})
	}
	for _, ng := range s.cfg.NodeGroups {
		all.start(func() error {
			tree := manager.NewUnmanagedNodeGroupTask(s.ctx, []*api.NodeGroup{ng}, true, false, false, importer, 1)
			if err := s.run(tree, groupStack(s.req.Name, ng.Name)); err != nil {
				return fmt.Errorf("node group %s: %w", ng.Name, err)
			}
			return s.awaitNodes(client, ng)
		})
	}
	return all.wait()
}

// normalize settles images, keys and, where a user's file asks for properties instead of names, instance types.
func (s *session) normalize() error {
	chooser, err := selector.New(s.ctx, s.ctl.AWSProvider.AWSConfig())
	if err != nil {
		return err
	}
	service := eks.NewNodeGroupService(s.ctl.AWSProvider, chooser, nil)
	pools := nodes.ToNodePools(s.cfg)
	if err := service.ExpandInstanceSelectorOptions(pools, s.cfg.AvailabilityZones); err != nil {
		return err
	}
	return service.Normalize(s.ctx, pools, s.cfg)
}

// awaitNodes waits until as many nodes of a group are ready as must always be there. It asks anew each time: a watch, as eksctl has, ends
// with an error when the API server closes it.
func (s *session) awaitNodes(client kubernetes.Interface, ng eks.KubeNodeGroup) error {
	for told := ""; ng.Size() > 0; {
		ready, seen := 0, "no answer from the API server"
		list, err := client.CoreV1().Nodes().List(s.ctx, ng.ListOptions())
		if err == nil {
			for _, n := range list.Items {
				if isReady(n) {
					ready++
				}
			}
			seen = fmt.Sprintf("%d of %d nodes are ready, %d have joined", ready, ng.Size(), len(list.Items))
		}
		if ready >= ng.Size() {
			return nil
		}
		if seen != told {
			s.log("node group %s: %s", ng.NameString(), seen)
			told = seen
		}
		if err := s.pause(s.ctx); err != nil {
			return err
		}
	}
	return nil
}

func isReady(n corev1.Node) bool {
	return slices.ContainsFunc(n.Status.Conditions, func(c corev1.NodeCondition) bool {
		return c.Type == corev1.NodeReady && c.Status == corev1.ConditionTrue
	})
}

func (s *session) keepGroups(names []string) {
	s.cfg.ManagedNodeGroups = slices.DeleteFunc(s.cfg.ManagedNodeGroups, func(g *api.ManagedNodeGroup) bool { return !slices.Contains(names, g.Name) })
	s.cfg.NodeGroups = slices.DeleteFunc(s.cfg.NodeGroups, func(g *api.NodeGroup) bool { return !slices.Contains(names, g.Name) })
}

// run does eksctl's tasks and gathers their errors, with what CloudFormation says about the stacks that they make.
func (s *session) run(tree *tasks.TaskTree, stackNames ...string) error {
	if tree.Len() == 0 {
		return s.ctx.Err()
	}
	errs := tree.DoAllSync()
	if len(errs) == 0 {
		return s.ctx.Err()
	}
	return s.failure(errs, stackNames)
}

func (s *session) failure(errs []error, stackNames []string) error {
	out := &child.Error{}
	for _, err := range errs {
		var e *child.Error
		if errors.As(err, &e) {
			return e
		}
		if cloud.IsExpired(err) || s.ctx.Err() != nil {
			return err
		}
	}
	var all *multierror.Error
	all = multierror.Append(all, errs...)
	all.ErrorFormat = oneLine
	for _, name := range stackNames {
		if causes := s.causes(name); len(causes) > 0 {
			out.Causes = append(out.Causes, causes...)
			out.Stacks = append(out.Stacks, name)
		}
	}
	if len(out.Causes) == 0 {
		return all
	}
	out.Text = "stack " + strings.Join(out.Stacks, ", ") + " failed"
	out.Try = "remove the cause and repeat up; what is there is kept"
	return out
}

func oneLine(errs []error) string {
	var texts []string
	for _, e := range errs {
		if t := strings.TrimSpace(e.Error()); !slices.Contains(texts, t) {
			texts = append(texts, t)
		}
	}
	return strings.Join(texts, "; ")
}

// causes asks why a stack failed; that it cannot be told is no error of its own.
func (s *session) causes(stack string) []string {
	events, err := s.cloud.Events(s.ctx, stack)
	if err != nil {
		return nil
	}
	return cloud.Causes(events)
}

// together runs functions side by side, lets each come to its end, and gathers what failed.
type together struct {
	wg   sync.WaitGroup
	mu   sync.Mutex
	errs *multierror.Error
}

func (t *together) start(f func() error) {
	t.wg.Add(1)
	go func() {
		defer t.wg.Done()
		if err := f(); err != nil {
			t.mu.Lock()
			t.errs = multierror.Append(t.errs, err)
			t.mu.Unlock()
		}
	}()
}

func (t *together) wait() error {
	t.wg.Wait()
	return merge(t.errs)
}
