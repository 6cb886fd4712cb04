package awstest

import (
	"fmt"
	"slices"
	"strings"
)

// resourceType is what a CloudFormation resource type does. begin and remove hold the lock; complete and gone may take their time without it.
type resourceType struct {
	begin    func(*Server, *stack, *stackResource) error
	complete func(*Server, *stack, *stackResource) error
	failed   func(*Server, *stackResource, error) // under the lock: complete, or what it waits for, went wrong
	remove   func(*Server, *stack, *stackResource) error
	gone     func(*Server, *stack, *stackResource) error
}

// simple is a resource that is there at once; attributes maps those that GetAtt asks for to values, "" meaning the id.
func simple(prefix string, attributes map[string]string, remove func(*Server, *stack, *stackResource) error) *resourceType {
	return &resourceType{
		begin: func(s *Server, st *stack, r *stackResource) error {
			r.physical = s.id(prefix)
			for k, v := range attributes {
				if v == "" {
					v = r.physical
				}
				r.attrs[k] = v
			}
			s.resourceOf(st, r)
			return nil
		},
		remove: func(s *Server, st *stack, r *stackResource) error {
			if remove != nil {
				if err := remove(s, st, r); err != nil {
					return err
				}
			}
			delete(s.acct.resources, r.kind+"/"+r.physical)
			return nil
		},
	}
}

// resourceOf makes a stack's resource a resource of the account, with the stack's tags.
func (s *Server) resourceOf(st *stack, r *stackResource) *resource {
	t := s.acct.add(&resource{kind: r.kind, id: r.physical, stack: st, props: r.props, attrs: r.attrs})
	for k, v := range st.tags {
		t.tags[k] = v
	}
	for k, v := range tagList(r.props["Tags"]) {
		t.tags[k] = v
	}
	t.tags["aws:cloudformation:stack-name"] = st.name
	return t
}

// tagList reads tags in either form that templates have.
func tagList(v any) map[string]string {
	out := map[string]string{}
	switch v := v.(type) {
	case map[string]any:
		for k, val := range v {
			out[k] = fmt.Sprint(val)
		}
	case []any:
		for _, i := range v {
			if m, ok := i.(map[string]any); ok {
				out[fmt.Sprint(m["Key"])] = fmt.Sprint(m["Value"])
			}
		}
	}
	return out
}

// relation is a resource that only joins others and that nobody can find left over.
func relation() *resourceType {
	return &resourceType{begin: func(s *Server, _ *stack, r *stackResource) error {
		r.physical = s.id("rel")
		return nil
	}}
}

var resourceTypes = map[string]*resourceType{
	"AWS::EC2::VPC":                         vpcKind(),
	"AWS::EC2::InternetGateway":             simple("igw", map[string]string{"InternetGatewayId": ""}, nil),
	"AWS::EC2::EgressOnlyInternetGateway":   simple("eigw", nil, nil),
	"AWS::EC2::VPCGatewayAttachment":        relation(),
	"AWS::EC2::VPCCidrBlock":                relation(),
	"AWS::EC2::Subnet":                      subnetKind(),
	"AWS::EC2::RouteTable":                  simple("rtb", map[string]string{"RouteTableId": ""}, nil),
	"AWS::EC2::Route":                       relation(),
	"AWS::EC2::SubnetRouteTableAssociation": relation(),
	"AWS::EC2::EIP":                         simple("eipalloc", map[string]string{"AllocationId": "", "PublicIp": "192.0.2.10"}, nil),
	"AWS::EC2::NatGateway":                  simple("nat", map[string]string{"NatGatewayId": ""}, nil),
	"AWS::EC2::VPCEndpoint":                 simple("vpce", nil, nil),
	"AWS::EC2::PlacementGroup":              simple("pg", nil, nil),
	"AWS::EC2::SecurityGroup":               simple("sg", map[string]string{"GroupId": ""}, groupFree),
	"AWS::EC2::SecurityGroupIngress":        relation(),
	"AWS::EC2::SecurityGroupEgress":         relation(),
	"AWS::EC2::LaunchTemplate":              simple("lt", map[string]string{"LatestVersionNumber": "1", "DefaultVersionNumber": "1", "LaunchTemplateId": ""}, nil),
	"AWS::IAM::Role":                        roleKind(),
	"AWS::IAM::Policy":                      relation(),
	"AWS::IAM::InstanceProfile":             simple("profile", map[string]string{"Arn": "arn:aws:iam::" + Account + ":instance-profile/p"}, nil),
	"AWS::EKS::Cluster":                     {begin: beginCluster, complete: completeCluster, remove: removeCluster, gone: clusterGone},
	"AWS::EKS::Nodegroup":                   {begin: beginGroup, complete: completeGroup, failed: groupFailed, remove: removeGroup, gone: groupGone},
	"AWS::EKS::AccessEntry":                 relation(),
	"AWS::EKS::PodIdentityAssociation":      relation(),
}

func vpcKind() *resourceType {
	k := simple("vpc", nil, func(s *Server, _ *stack, r *stackResource) error {
		if in := s.acct.insideVPC(r.physical); len(in) > 0 {
			return apiError(400, "DependencyViolation", "The vpc '%s' has dependencies and cannot be deleted: %s", r.physical, strings.Join(in, ", "))
		}
		return nil
	})
	begin := k.begin
	k.begin = func(s *Server, st *stack, r *stackResource) error {
		if limit := s.quota("L-F678F1CE"); float64(len(s.acct.all("AWS::EC2::VPC"))) >= limit {
			return apiError(400, "VpcLimitExceeded", "The maximum number of VPCs has been reached.")
		}
		err := begin(s, st, r)
		r.attrs["CidrBlock"] = fmt.Sprint(r.props["CidrBlock"])
		r.attrs["DefaultSecurityGroup"] = "sg-default-" + r.physical
		return err
	}
	return k
}

func subnetKind() *resourceType {
	k := simple("subnet", nil, func(s *Server, _ *stack, r *stackResource) error {
		if in := s.acct.insideSubnet(r.physical); len(in) > 0 {
			return apiError(400, "DependencyViolation", "The subnet '%s' has dependencies and cannot be deleted: %s", r.physical, strings.Join(in, ", "))
		}
		return nil
	})
	begin := k.begin
	k.begin = func(s *Server, st *stack, r *stackResource) error {
		place := fmt.Sprint(r.props["AvailabilityZone"])
		if !slices.ContainsFunc(zones(s.acct.region), func(z zone) bool { return z.name == place }) {
			return apiError(400, "InvalidParameterValue", "Value (%s) for parameter availabilityZone is invalid.", place)
		}
		err := begin(s, st, r)
		r.attrs["SubnetId"], r.attrs["AvailabilityZone"] = r.physical, place
		return err
	}
	return k
}

// groupFree refuses to delete a security group that a network interface still uses.
func groupFree(s *Server, _ *stack, r *stackResource) error {
	for _, eni := range s.acct.all("AWS::EC2::NetworkInterface") {
		if slices.Contains(eni.texts("GroupSet"), r.physical) {
			return apiError(400, "DependencyViolation", "resource %s has a dependent object (%s)", r.physical, eni.id)
		}
	}
	return nil
}

func roleKind() *resourceType {
	k := simple("role", nil, nil)
	k.begin = func(s *Server, st *stack, r *stackResource) error {
		r.physical = fmt.Sprint(r.props["RoleName"])
		if r.props["RoleName"] == nil {
			r.physical = fmt.Sprintf("%.40s-%s-%06X", st.name, r.logical, s.serialNumber())
		}
		r.attrs["Arn"] = "arn:aws:iam::" + Account + ":role/" + r.physical
		s.resourceOf(st, r)
		return nil
	}
	return k
}

func (s *Server) serialNumber() int { s.serial++; return s.serial }

// insideVPC lists what a VPC cannot be deleted with: what hangs in it without belonging to its own stack.
func (a *account) insideVPC(vpc string) []string {
	var out []string
	for _, kind := range []string{"AWS::EC2::Subnet", "AWS::EC2::SecurityGroup", "AWS::EC2::NetworkInterface"} {
		for _, t := range a.all(kind) {
			if t.text("VpcId") == vpc {
				out = append(out, t.id)
			}
		}
	}
	return out
}

func (a *account) insideSubnet(subnet string) []string {
	var out []string
	for _, t := range a.all("AWS::EC2::NetworkInterface") {
		if t.text("SubnetId") == subnet {
			out = append(out, t.id)
		}
	}
	for _, name := range sortedKeys(a.asgs) {
		for _, i := range a.asgs[name].instances {
			if i.subnet == subnet {
				out = append(out, i.id)
			}
		}
	}
	return out
}
