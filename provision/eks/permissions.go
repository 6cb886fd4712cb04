package eks

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/compspec/ocifit-lab/provision"
	"github.com/compspec/ocifit-lab/provision/eks/account"
)

// need is a set of actions on resources of one kind. The resource has PARTITION, REGION, ACCOUNT and NAME in it: policies often allow
// eksctl's names only.
type need struct {
	resource string
	actions  []string
}

// needs are what up and down do in the account.
var needs = []need{
	{"*", []string{
		"autoscaling:CreateOrUpdateTags", "autoscaling:DescribeAutoScalingGroups", "autoscaling:DescribeTags", "cloudformation:ListStacks",
		"ec2:AttachInternetGateway", "ec2:AuthorizeSecurityGroupIngress", "ec2:CreateInternetGateway", "ec2:CreateLaunchTemplate", "ec2:CreateRoute",
		"ec2:CreateRouteTable", "ec2:CreateSecurityGroup", "ec2:CreateSubnet", "ec2:CreateTags", "ec2:CreateVpc", "ec2:DeleteNetworkInterface",
		"ec2:DeleteSecurityGroup", "ec2:DeleteVolume", "ec2:DeleteVpc", "ec2:DescribeAvailabilityZones", "ec2:DescribeInstanceTypeOfferings",
		"ec2:DescribeInstanceTypes", "ec2:DescribeSubnets", "ec2:DescribeVpcs", "ec2:RunInstances", "ec2:TerminateInstances",
		"eks:DescribeAddonVersions", "eks:DescribeClusterVersions",
	}},
	{"arn:PARTITION:cloudformation:REGION:ACCOUNT:stack/eksctl-NAME-cluster/00000000-0000-0000-0000-000000000000", []string{
		"cloudformation:CreateStack", "cloudformation:DeleteStack", "cloudformation:DescribeStackEvents", "cloudformation:DescribeStacks",
		"cloudformation:UpdateTerminationProtection",
	}},
	{"arn:PARTITION:eks:REGION:ACCOUNT:cluster/NAME", []string{
		"eks:CreateAddon", "eks:CreateCluster", "eks:CreateNodegroup", "eks:DeleteCluster", "eks:DescribeCluster", "eks:ListNodegroups", "eks:TagResource",
	}},
	{"arn:PARTITION:eks:REGION:ACCOUNT:nodegroup/NAME/x/00000000-0000-0000-0000-000000000000", []string{"eks:DeleteNodegroup", "eks:DescribeNodegroup"}},
	{"arn:PARTITION:iam::ACCOUNT:role/eksctl-NAME-cluster-ServiceRole-0", []string{
		"iam:AttachRolePolicy", "iam:CreateRole", "iam:DeleteRole", "iam:DetachRolePolicy", "iam:GetRole", "iam:PassRole", "iam:PutRolePolicy", "iam:TagRole",
	}},
	{"arn:PARTITION:iam::ACCOUNT:oidc-provider/oidc.eks.REGION.amazonaws.com/id/0", []string{
		"iam:CreateOpenIDConnectProvider", "iam:DeleteOpenIDConnectProvider", "iam:GetOpenIDConnectProvider", "iam:TagOpenIDConnectProvider",
	}},
}

// registryNeeds are what the lab does in the account's registry.
var registryNeeds = []need{
	{"*", []string{"ecr:GetAuthorizationToken"}},
	{"arn:PARTITION:ecr:REGION:ACCOUNT:repository/NAME/ocifit-lab", []string{
		"ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:CompleteLayerUpload", "ecr:CreateRepository", "ecr:DeleteRepository",
		"ecr:DescribeRepositories", "ecr:GetDownloadUrlForLayer", "ecr:InitiateLayerUpload", "ecr:PutImage", "ecr:TagResource", "ecr:UploadLayerPart",
	}},
}

// checkPermissions asks IAM's simulator. Policies of the organisation and of resources it does not know, so that its yes is no promise.
func (p *Provider) checkPermissions(ctx context.Context, c *account.Cloud, id account.Identity, r *provision.Report) {
	if strings.HasSuffix(id.ARN, ":root") {
		r.Add("permissions", provision.CheckOK, "", "the root user may do everything")
		return
	}
	partition, _, _ := strings.Cut(strings.TrimPrefix(id.ARN, "arn:"), ":")
	names := strings.NewReplacer("PARTITION", partition, "REGION", p.opts.Region, "ACCOUNT", id.Account, "NAME", p.opts.Name)
	var sure, perhaps []string
	all := slices.Clone(needs)
	if p.opts.Registry {
		all = append(all, registryNeeds...)
	}
	for _, n := range all {
		denied, err := c.Denied(ctx, id.Principal(), names.Replace(n.resource), n.actions)
		if err != nil {
			r.Add("permissions", provision.CheckUnknown, "", "they cannot be simulated: %v", err)
			return
		}
		for _, d := range denied {
			if d.Sure {
				sure = append(sure, d.Action)
			} else {
				perhaps = append(perhaps, d.Action)
			}
		}
	}
	slices.Sort(sure)
	slices.Sort(perhaps)
	if len(sure) > 0 {
		r.Add("permissions", provision.CheckFailed, "ask for these permissions, or use another AWS_PROFILE", "%s may not: %s", id.Principal(), strings.Join(sure, ", "))
	}
	if len(perhaps) > 0 {
		r.Add("permissions", provision.CheckWarning, "", "%s may perhaps not, its policies have conditions that cannot be simulated: %s", id.Principal(), strings.Join(perhaps, ", "))
	}
	if len(sure)+len(perhaps) == 0 {
		r.Add("permissions", provision.CheckOK, "", "what up and down do is allowed")
	}
}

// family is a group of instance types that share one quota of vCPUs.
type family struct {
	name, quota string
	prefixes    []string
}

// families are EC2's on-demand quotas, the special ones first; what none of them claims is standard.
var families = []family{
	{"hpc", "L-F7808C92", []string{"hpc"}},
	{"inf", "L-1945791B", []string{"inf"}},
	{"trn", "L-2C3B7624", []string{"trn"}},
	{"dl", "L-6E869C2A", []string{"dl"}},
	{"p", "L-417A185B", []string{"p"}},
	{"g and vt", "L-DB2E81BA", []string{"g", "vt"}},
	{"f", "L-74FC7D96", []string{"f"}},
	{"x", "L-7295265B", []string{"x"}},
	{"u", "L-43DA4232", []string{"u-"}},
	{"standard (a, c, d, h, i, m, r, t, z)", "L-1216C47A", nil},
}

func familyOf(instanceType string) family {
	for _, f := range families {
		for _, prefix := range f.prefixes {
			rest, ok := strings.CutPrefix(instanceType, prefix)
			// A generation must follow: "p" means p4d, not a type of which p is the first of several letters.
			if ok && rest != "" && rest[0] >= '0' && rest[0] <= '9' {
				return f
			}
		}
	}
	return families[len(families)-1]
}

// checkQuotas compares what the account may have with what the lab needs at least, which is its sticky nodes and one of the largest others,
// and at most. It also wants room for a VPC and a cluster.
func (p *Provider) checkQuotas(ctx context.Context, c *account.Cloud, r *provision.Report) error {
	groups := slices.Clone(p.opts.NodeGroups)
	if err := p.fillSizes(ctx, groups); err != nil {
		return nil // a type that does not exist is another check's matter
	}
	type sizes struct{ always, largest, most int }
	wanted := map[string]*sizes{}
	for _, g := range groups {
		f := familyOf(g.InstanceType)
		n := wanted[f.quota]
		if n == nil {
			n = &sizes{}
			wanted[f.quota] = n
		}
		n.always += g.Desired * g.VCPU
		if g.Max > g.Desired {
			n.largest = max(n.largest, g.VCPU)
		}
		n.most += g.Max * g.VCPU
	}
	good := true
	for _, f := range families {
		n := wanted[f.quota]
		if n == nil {
			continue
		}
		limit, err := c.Quota(ctx, "ec2", f.quota)
		name := fmt.Sprintf("quota of vCPUs, family %s", f.name)
		try := fmt.Sprintf("ask for more: Service Quotas, EC2, %s, in %s", f.quota, p.opts.Region)
		least := n.always + n.largest
		switch {
		case err != nil:
			good = false
			r.Add(name, provision.CheckUnknown, "", "it cannot be asked: %v", err)
		case int(limit) < least:
			good = false
			r.Add(name, provision.CheckFailed, try, "it is %d, and the lab needs %d (sticky nodes and one of its largest)", int(limit), least)
		case int(limit) < n.most:
			good = false
			r.Add(name, provision.CheckWarning, try, "it is %d: enough for one experiment at a time, not for all groups at once (%d)", int(limit), n.most)
		}
	}
	p.checkRoom(ctx, c, r)
	if good {
		r.Add("quotas of vCPUs", provision.CheckOK, "", "enough for all groups at once")
	}
	return nil
}

// checkRoom wants one more VPC to be allowed, unless the lab has its own already or uses another's.
func (p *Provider) checkRoom(ctx context.Context, c *account.Cloud, r *provision.Report) {
	v, err := p.snapshot(ctx)
	if err != nil || v.cluster != nil || len(v.stacks) > 0 || p.facts != nil {
		return
	}
	have, err := c.VPCs(ctx)
	if err != nil {
		return
	}
	limit, err := c.Quota(ctx, "vpc", "L-F678F1CE")
	if err != nil {
		r.Add("quota of VPCs", provision.CheckUnknown, "", "it cannot be asked: %v", err)
		return
	}
	if have >= int(limit) {
		r.Add("quota of VPCs", provision.CheckFailed, "remove a VPC that nobody uses, or ask for more: Service Quotas, VPC, L-F678F1CE", "all %d of %s are in use", int(limit), p.opts.Region)
		return
	}
	r.Add("quota of VPCs", provision.CheckOK, "", "%d of %d are in use", have, int(limit))
}
