package child

import (
	"fmt"
	"slices"

	"github.com/aws/amazon-ec2-instance-selector/v3/pkg/selector"
	ekstypes "github.com/aws/aws-sdk-go-v2/service/eks/types"
	"github.com/hashicorp/go-multierror"
	api "github.com/weaveworks/eksctl/pkg/apis/eksctl.io/v1alpha5"
	"github.com/weaveworks/eksctl/pkg/eks"
	"github.com/weaveworks/eksctl/pkg/utils/nodes"
	"github.com/weaveworks/eksctl/pkg/vpc"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/kubernetes"
)

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
	var all multierror.Group
	for _, ng := range s.cfg.ManagedNodeGroups {
		all.Go(func() error {
			tree := manager.NewManagedNodeGroupTask(s.ctx, []*api.ManagedNodeGroup{ng}, true, importer, 1)
			if err := s.run(tree, groupStack(s.req.Name, ng.Name)); err != nil {
				return fmt.Errorf("node group %s: %w", ng.Name, err)
			}
			s.log("node group %s is made", ng.Name)
			return s.awaitNodes(client, ng)
		})
	}
	for _, ng := range s.cfg.NodeGroups {
		all.Go(func() error {
			tree := manager.NewUnmanagedNodeGroupTask(s.ctx, []*api.NodeGroup{ng}, true, false, false, importer, 1)
			if err := s.run(tree, groupStack(s.req.Name, ng.Name)); err != nil {
				return fmt.Errorf("node group %s: %w", ng.Name, err)
			}
			return s.awaitNodes(client, ng)
		})
	}
	return merge(all.Wait())
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
