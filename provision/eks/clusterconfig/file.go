package clusterconfig

// The keys of eksctl's file that the lab writes, in the order in which a person reads them.
type file struct {
	APIVersion        string             `json:"apiVersion"`
	Kind              string             `json:"kind"`
	Metadata          metadata           `json:"metadata"`
	Zones             []string           `json:"availabilityZones,omitempty"`
	VPC               vpc                `json:"vpc"`
	IAM               iam                `json:"iam"`
	AddonsConfig      addonsConfig       `json:"addonsConfig"`
	Addons            []addon            `json:"addons"`
	ManagedNodeGroups []managedNodeGroup `json:"managedNodeGroups"`
}

type metadata struct {
	Name    string            `json:"name"`
	Region  string            `json:"region"`
	Version string            `json:"version"`
	Tags    map[string]string `json:"tags,omitempty"`
}

type vpc struct {
	NAT natGateway `json:"nat"`
}

type natGateway struct {
	Gateway string `json:"gateway"`
}

type iam struct {
	WithOIDC        bool             `json:"withOIDC"`
	ServiceAccounts []serviceAccount `json:"serviceAccounts"`
}

type serviceAccount struct {
	Metadata     objectName `json:"metadata"`
	AttachPolicy policy     `json:"attachPolicy"`
}

type objectName struct {
	Name      string `json:"name"`
	Namespace string `json:"namespace"`
}

type policy struct {
	Version   string      `json:"Version"`
	Statement []statement `json:"Statement"`
}

type statement struct {
	Effect    string                       `json:"Effect"`
	Action    []string                     `json:"Action"`
	Resource  string                       `json:"Resource"`
	Condition map[string]map[string]string `json:"Condition,omitempty"`
}

type addonsConfig struct {
	DisableDefaultAddons bool `json:"disableDefaultAddons"`
}

type addon struct {
	Name string `json:"name"`
}

type managedNodeGroup struct {
	Name             string            `json:"name"`
	InstanceType     string            `json:"instanceType"`
	AMIFamily        string            `json:"amiFamily"`
	Min              int               `json:"minSize"`
	Desired          int               `json:"desiredCapacity"`
	Max              int               `json:"maxSize"`
	Zones            []string          `json:"availabilityZones,omitempty"`
	VolumeSize       int               `json:"volumeSize"`
	VolumeType       string            `json:"volumeType"`
	DisableIMDSv1    bool              `json:"disableIMDSv1"`
	Labels           map[string]string `json:"labels,omitempty"`
	Tags             map[string]string `json:"tags,omitempty"`
	PropagateASGTags bool              `json:"propagateASGTags"`
}

// AutoscalerNamespace and AutoscalerAccount name the service account that carries the autoscaler's IAM role.
const (
	AutoscalerNamespace = "kube-system"
	AutoscalerAccount   = "cluster-autoscaler"
)

// autoscaler is the service account of the cluster-autoscaler: it may look at everything it needs, and change only scaling groups that are
// tagged as this cluster's.
func autoscaler(cluster string) serviceAccount {
	return serviceAccount{
		Metadata: objectName{Name: AutoscalerAccount, Namespace: AutoscalerNamespace},
		AttachPolicy: policy{Version: "2012-10-17", Statement: []statement{
			{
				Effect: "Allow",
				Action: []string{
					"autoscaling:DescribeAutoScalingGroups",
					"autoscaling:DescribeAutoScalingInstances",
					"autoscaling:DescribeLaunchConfigurations",
					"autoscaling:DescribeScalingActivities",
					"autoscaling:DescribeTags",
					"ec2:DescribeImages",
					"ec2:DescribeInstanceTypes",
					"ec2:DescribeLaunchTemplateVersions",
					"ec2:GetInstanceTypesFromInstanceRequirements",
					"eks:DescribeNodegroup",
				},
				Resource: "*",
			},
			{
				Effect:   "Allow",
				Action:   []string{"autoscaling:SetDesiredCapacity", "autoscaling:TerminateInstanceInAutoScalingGroup"},
				Resource: "*",
				Condition: map[string]map[string]string{
					"StringEquals": {"aws:ResourceTag/" + autoscalerTag + cluster: "owned"},
				},
			},
		}},
	}
}
