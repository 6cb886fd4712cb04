package eks_test

import (
	"context"
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/compspec/ocifit-lab/provision"
	"github.com/compspec/ocifit-lab/provision/eks"
	"github.com/compspec/ocifit-lab/provision/eks/awstest"
)

// ofTypes is what CloudFormation does, with the caller's rights, to make and delete resources of a type: the permissions of the handlers in
// the type's schema. A type that only joins others has those of what it joins.
var ofTypes = map[string]string{
	"AWS::EC2::VPC":                         "ec2:CreateVpc ec2:DescribeVpcs ec2:ModifyVpcAttribute ec2:DescribeVpcAttribute ec2:CreateTags ec2:DeleteVpc",
	"AWS::EC2::InternetGateway":             "ec2:CreateInternetGateway ec2:DescribeInternetGateways ec2:CreateTags ec2:DeleteInternetGateway",
	"AWS::EC2::VPCGatewayAttachment":        "ec2:AttachInternetGateway ec2:DetachInternetGateway ec2:DescribeInternetGateways",
	"AWS::EC2::Subnet":                      "ec2:CreateSubnet ec2:DescribeSubnets ec2:ModifySubnetAttribute ec2:CreateTags ec2:DeleteSubnet",
	"AWS::EC2::RouteTable":                  "ec2:CreateRouteTable ec2:DescribeRouteTables ec2:CreateTags ec2:DeleteRouteTable",
	"AWS::EC2::Route":                       "ec2:CreateRoute ec2:DeleteRoute ec2:DescribeRouteTables",
	"AWS::EC2::SubnetRouteTableAssociation": "ec2:AssociateRouteTable ec2:DisassociateRouteTable ec2:DescribeRouteTables",
	"AWS::EC2::EIP":                         "ec2:AllocateAddress ec2:DescribeAddresses ec2:CreateTags ec2:ReleaseAddress",
	"AWS::EC2::NatGateway":                  "ec2:CreateNatGateway ec2:DescribeNatGateways ec2:CreateTags ec2:DeleteNatGateway",
	"AWS::EC2::SecurityGroup":               "ec2:CreateSecurityGroup ec2:DescribeSecurityGroups ec2:RevokeSecurityGroupEgress ec2:CreateTags ec2:DeleteSecurityGroup",
	"AWS::EC2::SecurityGroupIngress":        "ec2:AuthorizeSecurityGroupIngress ec2:DescribeSecurityGroupRules ec2:RevokeSecurityGroupIngress",
	"AWS::EC2::LaunchTemplate":              "ec2:CreateLaunchTemplate ec2:DescribeLaunchTemplates ec2:DescribeLaunchTemplateVersions ec2:CreateTags ec2:DeleteLaunchTemplate",
	"AWS::IAM::Role": "iam:CreateRole iam:GetRole iam:AttachRolePolicy iam:PutRolePolicy iam:TagRole iam:ListAttachedRolePolicies iam:ListRolePolicies " +
		"iam:GetRolePolicy iam:DetachRolePolicy iam:DeleteRolePolicy iam:DeleteRole",
	"AWS::IAM::Policy":    "iam:PutRolePolicy iam:GetRolePolicy iam:DeleteRolePolicy",
	"AWS::EKS::Cluster":   "eks:CreateCluster eks:DescribeCluster eks:TagResource eks:DeleteCluster iam:PassRole iam:CreateServiceLinkedRole ec2:DescribeSubnets ec2:DescribeVpcs",
	"AWS::EKS::Nodegroup": "eks:CreateNodegroup eks:DescribeNodegroup eks:TagResource eks:DeleteNodegroup iam:PassRole iam:GetRole iam:CreateServiceLinkedRole ec2:DescribeLaunchTemplateVersions ec2:RunInstances ec2:CreateTags ec2:DescribeInstanceTypes",
}

// of is the name in policies of the action that a call asks for.
func of(c awstest.Call) string {
	op := c.Operation
	for from, to := range map[string]string{
		"List node-groups": "ListNodegroups", "List addons": "ListAddons", "List fargate-profiles": "ListFargateProfiles",
		"List pod-identity-associations": "ListPodIdentityAssociations",
	} {
		if op == from {
			op = to
		}
	}
	return c.Service + ":" + op
}

// Everything that a lab's whole life asks of AWS, itself or through CloudFormation, is among the permissions that are looked at before and that
// the policy document allows.
func TestPermissionsAreComplete(t *testing.T) {
	used := map[string]string{}
	record := func(b *bench) {
		for _, c := range b.aws.Calls() {
			used[of(c)] = "called about " + c.Subject
		}
		for _, kind := range b.aws.ResourceTypes() {
			actions, ok := ofTypes[kind]
			if !ok {
				t.Errorf("the templates have %s, of which the test does not know what it needs", kind)
			}
			for _, a := range strings.Fields(actions) {
				used[a] = "needed for " + kind
			}
		}
	}
	b := newBench(t, awstest.Options{})
	ctx := context.Background()
	b.mustUp()
	p := b.provider()
	if _, err := p.Status(ctx); err != nil {
		t.Error(err)
	}
	if _, err := p.Estimate(ctx, true); err != nil {
		t.Error(err)
	}
	if err := p.CollectLogs(ctx, t.TempDir()); err != nil {
		t.Error(err)
	}
	if _, err := p.Repository(ctx, p.RepositoryName(provision.ImageRepository)); err != nil {
		t.Error(err)
	}
	for _, leave := range []func(string) string{
		b.aws.LeaveVolume, b.aws.LeaveSnapshot, b.aws.LeaveEndpoint, b.aws.LeaveScalingGroup, b.aws.LeaveInstanceProfile,
		b.aws.LeaveNetworkInterface, b.aws.LeaveLaunchTemplate,
	} {
		leave("study")
	}
	b.aws.LeaveLoadBalancer("study", true)
	b.aws.LeaveLoadBalancer("study", false)
	b.aws.LeaveLogGroup("/aws/eks/study/cluster")
	record(b)
	b.mustDown()
	record(b)

	// A user's file, with NAT gateways and eksctl's default addons.
	u := newBench(t, awstest.Options{})
	file := filepath.Join(t.TempDir(), "eks-config.yaml")
	if err := os.WriteFile(file, []byte(userFile), 0o600); err != nil {
		t.Fatal(err)
	}
	u.opts.ClusterConfig, u.opts.NodeGroups = file, nil
	u.mustUp()
	record(u)
	u.mustDown()
	record(u)

	allowed := eks.Actions()
	for _, a := range slices.Sorted(maps.Keys(used)) {
		if !allowed[a] {
			t.Errorf("%s is %s and not among the permissions", a, used[a])
		}
	}
}

func TestPolicies(t *testing.T) {
	docs, err := eks.Policies(eks.PolicyOptions{Name: "Study", Region: "eu-west-1", Account: "123456789012", Registry: true})
	if err != nil {
		t.Fatal(err)
	}
	have := map[string]bool{}
	for _, doc := range docs {
		if len(doc) > 6144 {
			t.Errorf("a document has %d letters, IAM takes 6144", len(doc))
		}
		var d struct {
			Version   string
			Statement []struct {
				Sid, Effect, Resource string
				Action                []string
				Condition             map[string]map[string]any
			}
		}
		if err := json.Unmarshal(doc, &d); err != nil || d.Version != "2012-10-17" {
			t.Fatalf("version %q, %v", d.Version, err)
		}
		for _, s := range d.Statement {
			if s.Effect != "Allow" || s.Sid == "" {
				t.Errorf("statement %+v", s)
			}
			for _, a := range s.Action {
				have[a] = true
				verb := a[strings.Index(a, ":")+1:]
				if (strings.HasPrefix(verb, "Delete") || strings.HasPrefix(verb, "Terminate")) && s.Resource == "*" && s.Condition == nil {
					t.Errorf("%s is allowed on everything", a)
				}
			}
			for _, word := range []string{"NAME", "REGION", "ACCOUNT", "PARTITION", "REPOSITORY"} {
				if strings.Contains(s.Resource, word) {
					t.Errorf("%s is not filled in: %s", word, s.Resource)
				}
			}
		}
	}
	for a := range eks.Actions() {
		if !have[a] {
			t.Errorf("the documents do not have %s", a)
		}
	}
	text := string(slices.Concat(docs...))
	for _, want := range []string{"arn:aws:eks:eu-west-1:123456789012:cluster/Study", "repository/study/*", `"aws:ResourceTag/kubernetes.io/cluster/Study":"owned"`} {
		if !strings.Contains(text, want) {
			t.Errorf("no %s", want)
		}
	}
	if _, err := eks.Policies(eks.PolicyOptions{Name: "x"}); err == nil {
		t.Error("a policy for no region")
	}
}
