package child

import (
	"fmt"

	"github.com/aws/aws-sdk-go-v2/aws"
	cfntypes "github.com/aws/aws-sdk-go-v2/service/cloudformation/types"
	"github.com/weaveworks/eksctl/pkg/cfn/manager"

	"github.com/compspec/ocifit-lab/provision/eks/account"
	"github.com/compspec/ocifit-lab/provision/eks/eksctl/wire"
)

// removeTries is how often the removal of a stack is begun anew after what blocked it was taken away.
const removeTries = 4

func (s *session) deleteStack(st account.Stack) error { return s.deleteStackIn(st, "") }

// deleteStackIn has eksctl delete a stack and waits until it is gone. When something blocks it, that is taken away from the cluster's
// network and the deletion begun again.
func (s *session) deleteStackIn(st account.Stack, vpc string) error {
	if err := s.owned(&st); err != nil {
		return err
	}
	manager := s.ctl.NewStackManager(s.cfg)
	for try := 1; ; try++ {
		if st.Status == "ROLLBACK_IN_PROGRESS" {
			have, err := s.await(s.ctx, st.ID)
			if err != nil || have == nil {
				return err
			}
			st = *have
		}
		if st.Status != "DELETE_IN_PROGRESS" {
			s.log("deleting stack %s (%s)", st.Name, st.Status)
			if _, err := manager.DeleteStackBySpec(s.ctx, asStack(st)); err != nil && !account.IsNotFound(err) {
				return err
			}
		}
		have, err := s.await(s.ctx, st.ID)
		if err != nil {
			return err
		}
		if have == nil {
			s.log("stack %s is gone", st.Name)
			return nil
		}
		st = *have
		if try == removeTries {
			return &wire.Error{
				Text: fmt.Sprintf("stack %s cannot be deleted: %s", st.Name, st.Status), Stacks: []string{st.Name},
				Causes: s.lastFailures(st), Try: "remove what the cause names and repeat down",
			}
		}
		s.log("stack %s is %s: %s", st.Name, st.Status, st.Reason)
		if err := s.cloud.Unblock(s.ctx, s.owner(), vpc, s.log); err != nil {
			s.log("network of the cluster: %v", err)
		}
		if err := s.pause(s.ctx); err != nil {
			return err
		}
	}
}

// lastFailures are the causes since the last time the stack's deletion was begun.
func (s *session) lastFailures(st account.Stack) []string {
	events, err := s.cloud.Events(s.ctx, st.ID)
	if err != nil {
		return []string{st.Reason}
	}
	for i := len(events) - 1; i >= 0; i-- {
		if e := events[i]; e.Type == "AWS::CloudFormation::Stack" && e.Status == "DELETE_IN_PROGRESS" {
			events = events[i:]
			break
		}
	}
	if causes := account.Causes(events); len(causes) > 0 {
		return causes
	}
	return []string{st.Reason}
}

func asStack(st account.Stack) *manager.Stack {
	out := &manager.Stack{StackName: &st.Name, StackId: &st.ID, StackStatus: cfntypes.StackStatus(st.Status), EnableTerminationProtection: &st.Protected}
	for k, v := range st.Tags {
		out.Tags = append(out.Tags, cfntypes.Tag{Key: aws.String(k), Value: aws.String(v)})
	}
	return out
}
