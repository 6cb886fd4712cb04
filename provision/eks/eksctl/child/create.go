package child

import (
	"fmt"
	"slices"

	"github.com/weaveworks/eksctl/pkg/accessentry"
	accessentries "github.com/weaveworks/eksctl/pkg/actions/accessentry"
	"github.com/weaveworks/eksctl/pkg/actions/addon"
	"github.com/weaveworks/eksctl/pkg/actions/podidentityassociation"
	api "github.com/weaveworks/eksctl/pkg/apis/eksctl.io/v1alpha5"
	"github.com/weaveworks/eksctl/pkg/eks"
	"github.com/weaveworks/eksctl/pkg/utils/tasks"
	"github.com/weaveworks/eksctl/pkg/vpc"

	"github.com/compspec/ocifit-lab/provision/eks/clusterconfig"
	"github.com/compspec/ocifit-lab/provision/eks/eksctl/wire"
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
	if have.Tags[clusterconfig.TagLab] != s.req.Owner {
		return &wire.Error{Code: wire.NotOurs, Text: fmt.Sprintf("cluster %s exists in %s and is not of lab %q (its tag %s is %q)",
			s.req.Name, s.req.Region, s.req.Owner, clusterconfig.TagLab, have.Tags[clusterconfig.TagLab]), Try: "choose another name in lab.yaml"}
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
