package child

import (
	"context"
	"fmt"
	"net/url"
	"strings"
	"sync/atomic"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation"
	cfntypes "github.com/aws/aws-sdk-go-v2/service/cloudformation/types"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	iamtypes "github.com/aws/aws-sdk-go-v2/service/iam/types"
	api "github.com/weaveworks/eksctl/pkg/apis/eksctl.io/v1alpha5"
	"github.com/weaveworks/eksctl/pkg/awsapi"
	"github.com/weaveworks/eksctl/pkg/eks"
	"github.com/weaveworks/eksctl/pkg/kubernetes"

	"github.com/compspec/ocifit-lab/provision/eks/account"
	"github.com/compspec/ocifit-lab/provision/eks/clusterconfig"
	"github.com/compspec/ocifit-lab/provision/eks/eksctl/wire"
)

// provider is eksctl's own with our CloudFormation and IAM in it.
type provider struct {
	api.ClusterProvider
	cfn awsapi.CloudFormation
	iam awsapi.IAM
}

func (p *provider) CloudFormation() awsapi.CloudFormation { return p.cfn }
func (p *provider) IAM() awsapi.IAM                       { return p.iam }

// stacks is a CloudFormation on which creating may be repeated, and whose waits end when the session does.
type stacks struct {
	awsapi.CloudFormation
	s *session
	// lean has lists show the cluster's stack only: eksctl looks at every stack anew for each node group.
	lean    atomic.Bool
	waiting atomic.Int32
}

// CreateStack creates a stack unless it is there or on its way. One that failed is deleted first if the request consents to that.
func (c *stacks) CreateStack(ctx context.Context, in *cloudformation.CreateStackInput, opts ...func(*cloudformation.Options)) (*cloudformation.CreateStackOutput, error) {
	ctx, cancel := c.s.bound(ctx)
	defer cancel()
	name := aws.ToString(in.StackName)
	have, err := c.settled(ctx, name)
	if err != nil {
		return nil, err
	}
	if have != nil && !have.Whole() {
		if !c.s.req.Recreate {
			return nil, needsConsent(*have, c.s.causes(have.ID))
		}
		c.s.log("stack %s is %s, deleting it to make it again", name, have.Status)
		if err := c.s.deleteStack(*have); err != nil {
			return nil, err
		}
		have = nil
	}
	if have != nil {
		c.s.log("stack %s is there already", name)
		return &cloudformation.CreateStackOutput{StackId: &have.ID}, nil
	}
	out, err := c.CloudFormation.CreateStack(ctx, in, opts...)
	if account.Code(err) == "AlreadyExistsException" {
		// A retried request meets the stack that its first try made.
		if again, err := c.s.cloud.Stack(ctx, name); err == nil && again != nil && again.Tags[clusterconfig.TagLab] == c.s.req.Owner {
			return &cloudformation.CreateStackOutput{StackId: &again.ID}, nil
		}
	}
	return out, err
}

// settled returns the stack of a name when CloudFormation is not busy removing it; nil if there is none. A stack being created is returned
// as it is, for whoever creates it waits for it next.
func (c *stacks) settled(ctx context.Context, name string) (*account.Stack, error) {
	for {
		have, err := c.s.cloud.Stack(ctx, name)
		if have == nil || err != nil {
			return nil, err
		}
		if err := c.s.owned(have); err != nil {
			return nil, err
		}
		switch have.Status {
		case "CREATE_IN_PROGRESS":
			if have, err = c.s.await(ctx, have.ID); have == nil || err != nil {
				return nil, err
			}
		case "ROLLBACK_IN_PROGRESS", "DELETE_IN_PROGRESS":
			c.s.log("stack %s is %s, waiting for the end of that", name, have.Status)
			if have, err = c.s.await(ctx, have.ID); err != nil {
				return nil, err
			}
			continue
		}
		return have, nil
	}
}

// DescribeStacks holds back the answer about a stack asked for by its name until CloudFormation is through with it: so do eksctl's waits
// ask, which would not look again for half a minute. Lists ask by id and are answered at once.
func (c *stacks) DescribeStacks(ctx context.Context, in *cloudformation.DescribeStacksInput, opts ...func(*cloudformation.Options)) (*cloudformation.DescribeStacksOutput, error) {
	hold := in.StackName != nil && !strings.HasPrefix(*in.StackName, "arn:")
	if hold {
		c.waiting.Add(1)
		defer c.waiting.Add(-1)
	}
	for {
		// eksctl's own contexts do not end with ours.
		if err := c.s.ctx.Err(); err != nil {
			return nil, err
		}
		out, err := c.CloudFormation.DescribeStacks(c.s.ctx, in, opts...)
		if err != nil || !hold || len(out.Stacks) != 1 || !strings.HasSuffix(string(out.Stacks[0].StackStatus), "_IN_PROGRESS") {
			return out, err
		}
		if err := c.s.pause(ctx); err != nil {
			return nil, err
		}
	}
}

// ListStacks leaves out what the session does not need to see.
func (c *stacks) ListStacks(ctx context.Context, in *cloudformation.ListStacksInput, opts ...func(*cloudformation.Options)) (*cloudformation.ListStacksOutput, error) {
	ctx, cancel := c.s.bound(ctx)
	defer cancel()
	out, err := c.CloudFormation.ListStacks(ctx, in, opts...)
	if err != nil || !c.lean.Load() {
		return out, err
	}
	var kept []cfntypes.StackSummary
	for _, s := range out.StackSummaries {
		if aws.ToString(s.StackName) == clusterStack(c.s.req.Name) {
			kept = append(kept, s)
		}
	}
	out.StackSummaries = kept
	return out, nil
}

// bound ends eksctl's contexts, of which some never do, with the session's: nothing is asked for once the parent is gone.
func (s *session) bound(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(ctx)
	stop := context.AfterFunc(s.ctx, cancel)
	return ctx, func() {
		stop()
		cancel()
	}
}

func clusterStack(cluster string) string { return "eksctl-" + cluster + "-cluster" }
func groupStack(cluster, group string) string {
	return "eksctl-" + cluster + "-nodegroup-" + group
}

// pause waits between two looks: longer when many wait, so that all together stay below CloudFormation's limit.
func (s *session) pause(ctx context.Context) error {
	d := max(s.req.Poll, time.Duration(s.stack.waiting.Load())*s.req.Poll/6)
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-s.ctx.Done():
		return s.ctx.Err()
	}
}

// await waits until CloudFormation is through with a stack; nil means that the stack is gone.
func (s *session) await(ctx context.Context, id string) (*account.Stack, error) {
	s.stack.waiting.Add(1)
	defer s.stack.waiting.Add(-1)
	for {
		have, err := s.cloud.Stack(ctx, id)
		if err != nil || have == nil || !have.Busy() {
			return have, err
		}
		if err := s.pause(ctx); err != nil {
			return nil, err
		}
	}
}

// owned refuses a stack that is not the lab's.
func (s *session) owned(st *account.Stack) error {
	if st.Tags[clusterconfig.TagLab] == s.req.Owner {
		return nil
	}
	return &wire.Error{
		Code: wire.NotOurs, Text: fmt.Sprintf("stack %s exists and is not of lab %q (its tag %s is %q)", st.Name, s.req.Owner, clusterconfig.TagLab, st.Tags[clusterconfig.TagLab]),
		Try: "choose another name in lab.yaml", Stacks: []string{st.Name},
	}
}

// needsConsent says that a failed stack is in the way.
func needsConsent(st account.Stack, causes []string) error {
	return &wire.Error{Code: wire.Consent, Text: fmt.Sprintf("stack %s is %s", st.Name, st.Status), Causes: causes, Stacks: []string{st.Name}}
}

// identities is an IAM on which the OIDC provider may be made again.
type identities struct {
	awsapi.IAM
	s *session
}

func (i *identities) CreateOpenIDConnectProvider(ctx context.Context, in *iam.CreateOpenIDConnectProviderInput, opts ...func(*iam.Options)) (*iam.CreateOpenIDConnectProviderOutput, error) {
	ctx, cancel := i.s.bound(ctx)
	defer cancel()
	in.Tags = append(in.Tags, iamtypes.Tag{Key: aws.String(clusterconfig.TagLab), Value: &i.s.req.Owner})
	out, err := i.IAM.CreateOpenIDConnectProvider(ctx, in, opts...)
	if account.Code(err) != "EntityAlreadyExists" && account.Code(err) != "EntityAlreadyExistsException" {
		return out, err
	}
	u, parseErr := url.Parse(aws.ToString(in.Url))
	if parseErr != nil {
		return nil, err
	}
	parts := strings.Split(i.s.ctl.Status.IAMRoleARN, ":") // arn:PARTITION:...
	arn := fmt.Sprintf("arn:%s:iam::%s:oidc-provider/%s%s", parts[1], i.s.cfg.Metadata.AccountID, u.Hostname(), u.Path)
	return &iam.CreateOpenIDConnectProviderOutput{OpenIDConnectProviderArn: &arn}, nil
}

// kube is eksctl's way to the API server without its fixed two minutes.
type kube struct {
	eks.KubeProvider
	s *session
}

func (k *kube) WaitForControlPlane(_ *api.ClusterMeta, client *kubernetes.RawClient, _ time.Duration) error {
	for {
		_, err := k.ServerVersion(client)
		if err == nil {
			return nil
		}
		k.s.log("the API server does not answer yet: %v", err)
		if err := k.s.pause(k.s.ctx); err != nil {
			return err
		}
	}
}
