package eks

// need is a set of actions on resources of one kind. The resource has PARTITION, REGION, ACCOUNT and NAME in it.
type need struct {
	id       string // of the statement in the policy document
	resource string // an example that the simulator is asked about; pattern is what a policy allows
	pattern  string // empty is resource
	actions  []string
	// tag is a tag of the resource that limits the actions to the lab's own, where AWS allows that; its value is NAME unless it says another.
	tag, value string
	// services are those for which a service-linked role may be made.
	services []string
	registry bool // only a lab with repositories in the account's registry needs it
}

const eksctlTag = "alpha.eksctl.io/cluster-name"

// needs are what up, status and down do in the account, by themselves, through eksctl and through CloudFormation, which acts with the
// caller's rights.
var needs = []need{
	{id: "Look", resource: "*", actions: []string{
		"autoscaling:DescribeAutoScalingGroups", "autoscaling:DescribeScalingActivities", "autoscaling:DescribeTags",
		"cloudformation:DescribeStacks", "cloudformation:ListStacks",
		"ec2:DescribeAddresses", "ec2:DescribeAvailabilityZones", "ec2:DescribeImages", "ec2:DescribeInstanceTypeOfferings", "ec2:DescribeInstanceTypes",
		"ec2:DescribeInstances", "ec2:DescribeInternetGateways", "ec2:DescribeKeyPairs", "ec2:DescribeLaunchTemplates", "ec2:DescribeLaunchTemplateVersions",
		"ec2:DescribeNatGateways", "ec2:DescribeNetworkInterfaces", "ec2:DescribeRouteTables", "ec2:DescribeSecurityGroupRules", "ec2:DescribeSecurityGroups",
		"ec2:DescribeSnapshots", "ec2:DescribeSubnets", "ec2:DescribeVolumes", "ec2:DescribeVpcAttribute", "ec2:DescribeVpcEndpoints", "ec2:DescribeVpcs",
		"eks:DescribeAddonConfiguration", "eks:DescribeAddonVersions", "eks:DescribeClusterVersions",
		"elasticloadbalancing:DescribeLoadBalancers", "elasticloadbalancing:DescribeTags", "elasticloadbalancing:DescribeTargetGroups",
		"iam:ListInstanceProfiles", "iam:ListOpenIDConnectProviders", "iam:ListPolicies", "iam:ListRoles", "iam:SimulatePrincipalPolicy",
		"logs:DescribeLogGroups", "pricing:GetProducts", "servicequotas:GetAWSDefaultServiceQuota", "servicequotas:GetServiceQuota", "sts:GetCallerIdentity",
	}},
	{
		id: "Images", resource: "arn:PARTITION:ssm:REGION::parameter/aws/service/eks/optimized-ami/1.35/amazon-linux-2023/x86_64/standard/recommended/image_id",
		pattern: "arn:PARTITION:ssm:REGION::parameter/aws/service/*", actions: []string{"ssm:GetParameter"},
	},
	// What is made has no tags yet that a policy could look at.
	{id: "Make", resource: "*", actions: []string{
		"ec2:AllocateAddress", "ec2:CreateInternetGateway", "ec2:CreateLaunchTemplate", "ec2:CreateNatGateway", "ec2:CreateRouteTable", "ec2:CreateSecurityGroup",
		"ec2:CreateSubnet", "ec2:CreateTags", "ec2:CreateVpc", "ec2:RunInstances",
	}},
	{id: "Network", resource: "*", tag: eksctlTag, actions: []string{
		"ec2:AssociateRouteTable", "ec2:AttachInternetGateway", "ec2:AuthorizeSecurityGroupEgress", "ec2:AuthorizeSecurityGroupIngress", "ec2:CreateRoute",
		"ec2:DeleteInternetGateway", "ec2:DeleteLaunchTemplate", "ec2:DeleteNatGateway", "ec2:DeleteRoute", "ec2:DeleteRouteTable", "ec2:DeleteSecurityGroup",
		"ec2:DeleteSubnet", "ec2:DeleteTags", "ec2:DeleteVpc", "ec2:DetachInternetGateway", "ec2:DisassociateRouteTable", "ec2:ModifySubnetAttribute",
		"ec2:ModifyVpcAttribute", "ec2:ReleaseAddress", "ec2:RevokeSecurityGroupEgress", "ec2:RevokeSecurityGroupIngress",
	}},
	{id: "Left", resource: "*", tag: "kubernetes.io/cluster/NAME", value: "owned", actions: []string{
		"autoscaling:DeleteAutoScalingGroup", "ec2:AuthorizeSecurityGroupEgress", "ec2:AuthorizeSecurityGroupIngress", "ec2:DeleteSecurityGroup",
		"ec2:DeleteSnapshot", "ec2:RevokeSecurityGroupEgress", "ec2:RevokeSecurityGroupIngress", "ec2:DeleteVolume", "ec2:TerminateInstances",
		"elasticloadbalancing:DeleteLoadBalancer", "elasticloadbalancing:DeleteTargetGroup",
	}},
	{id: "LeftByEKS", resource: "*", tag: "eks:cluster-name", actions: []string{
		"autoscaling:CreateOrUpdateTags", "autoscaling:DeleteAutoScalingGroup", "ec2:DeleteLaunchTemplate", "ec2:DeleteVpcEndpoints", "ec2:TerminateInstances",
	}},
	{id: "LeftInterfaces", resource: "*", tag: "cluster.k8s.amazonaws.com/name", actions: []string{"ec2:DeleteNetworkInterface"}},
	{
		id: "Stacks", resource: "arn:PARTITION:cloudformation:REGION:ACCOUNT:stack/eksctl-NAME-cluster/00000000-0000-0000-0000-000000000000",
		pattern: "arn:PARTITION:cloudformation:REGION:ACCOUNT:stack/eksctl-NAME-*", actions: []string{
			"cloudformation:CreateStack", "cloudformation:DeleteStack", "cloudformation:DescribeStackEvents", "cloudformation:UpdateTerminationProtection",
		},
	},
	{id: "Cluster", resource: "arn:PARTITION:eks:REGION:ACCOUNT:cluster/NAME", actions: []string{
		"eks:CreateAddon", "eks:CreateCluster", "eks:CreateNodegroup", "eks:DeleteCluster", "eks:DescribeCluster", "eks:ListAddons", "eks:ListFargateProfiles",
		"eks:ListNodegroups", "eks:ListPodIdentityAssociations", "eks:TagResource",
	}},
	{
		id: "NodeGroups", resource: "arn:PARTITION:eks:REGION:ACCOUNT:nodegroup/NAME/x/00000000-0000-0000-0000-000000000000",
		pattern: "arn:PARTITION:eks:REGION:ACCOUNT:nodegroup/NAME/*", actions: []string{"eks:DeleteNodegroup", "eks:DescribeNodegroup", "eks:TagResource"},
	},
	{
		id: "Addons", resource: "arn:PARTITION:eks:REGION:ACCOUNT:addon/NAME/vpc-cni/00000000-0000-0000-0000-000000000000",
		pattern: "arn:PARTITION:eks:REGION:ACCOUNT:addon/NAME/*", actions: []string{"eks:DeleteAddon", "eks:DescribeAddon", "eks:TagResource", "eks:UpdateAddon"},
	},
	{id: "Roles", resource: "arn:PARTITION:iam::ACCOUNT:role/eksctl-NAME-cluster-ServiceRole-0", pattern: "arn:PARTITION:iam::ACCOUNT:role/eksctl-NAME-*", actions: []string{
		"iam:AttachRolePolicy", "iam:CreateRole", "iam:DeleteRole", "iam:DeleteRolePolicy", "iam:DetachRolePolicy", "iam:GetRole", "iam:GetRolePolicy",
		"iam:ListAttachedRolePolicies", "iam:ListRolePolicies", "iam:PassRole", "iam:PutRolePolicy", "iam:TagRole",
	}},
	{
		id: "Profiles", resource: "arn:PARTITION:iam::ACCOUNT:instance-profile/eks-0", pattern: "arn:PARTITION:iam::ACCOUNT:instance-profile/eks-*",
		actions: []string{"iam:DeleteInstanceProfile", "iam:RemoveRoleFromInstanceProfile"},
	},
	{
		id: "Policies", resource: "arn:PARTITION:iam::ACCOUNT:policy/eksctl-NAME-0", pattern: "arn:PARTITION:iam::ACCOUNT:policy/eksctl-NAME-*",
		actions: []string{"iam:ListPolicyTags"},
	},
	{
		id: "Issuer", resource: "arn:PARTITION:iam::ACCOUNT:oidc-provider/oidc.eks.REGION.amazonaws.com/id/0",
		pattern: "arn:PARTITION:iam::ACCOUNT:oidc-provider/oidc.eks.REGION.amazonaws.com/*", actions: []string{
			"iam:CreateOpenIDConnectProvider", "iam:DeleteOpenIDConnectProvider", "iam:GetOpenIDConnectProvider", "iam:TagOpenIDConnectProvider",
		},
	},
	// The first EKS cluster, node group or load balancer of an account.
	{
		id: "ServiceRoles", resource: "arn:PARTITION:iam::ACCOUNT:role/aws-service-role/eks.amazonaws.com/AWSServiceRoleForAmazonEKS",
		pattern: "arn:PARTITION:iam::ACCOUNT:role/aws-service-role/*", actions: []string{"iam:CreateServiceLinkedRole"},
		services: []string{"eks.amazonaws.com", "eks-nodegroup.amazonaws.com", "autoscaling.amazonaws.com", "elasticloadbalancing.amazonaws.com"},
	},
	{
		id: "Logs", resource: "arn:PARTITION:logs:REGION:ACCOUNT:log-group:/aws/eks/NAME/cluster", pattern: "arn:PARTITION:logs:REGION:ACCOUNT:log-group:/aws/*/NAME/*",
		actions: []string{"logs:DeleteLogGroup"},
	},
	{id: "Registry", registry: true, resource: "*", actions: []string{"ecr:GetAuthorizationToken"}},
	{
		id: "Repositories", registry: true, resource: "arn:PARTITION:ecr:REGION:ACCOUNT:repository/REPOSITORY/ocifit-lab",
		pattern: "arn:PARTITION:ecr:REGION:ACCOUNT:repository/REPOSITORY/*", actions: []string{
			"ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:CompleteLayerUpload", "ecr:CreateRepository", "ecr:DeleteRepository",
			"ecr:DescribeRepositories", "ecr:GetDownloadUrlForLayer", "ecr:InitiateLayerUpload", "ecr:ListTagsForResource", "ecr:PutImage", "ecr:TagResource",
			"ecr:UploadLayerPart",
		},
	},
}
