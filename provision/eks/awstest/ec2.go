package awstest

import (
	"slices"
	"strings"
)

var ec2Operations = map[string]operation{
	"DescribeAvailabilityZones": describeZones,
	"DescribeRegions": func(s *Server, _ Call) (answer, error) {
		return xmlAnswer(el("regionInfo", el("item", el("regionName", s.acct.region)))), nil
	},
	"DescribeInstanceTypeOfferings": describeOfferings,
	"DescribeInstanceTypes":         describeTypes,
	"DescribeInstances":             describeInstances,
	"TerminateInstances":            terminateInstances,
	"DescribeKeyPairs":              func(*Server, Call) (answer, error) { return xmlAnswer(el("keySet")), nil },
	"DescribeImages":                func(*Server, Call) (answer, error) { return xmlAnswer(el("imagesSet")), nil },

	"DescribeVpcs": describe("AWS::EC2::VPC", "vpcSet", "VpcId", func(t *resource) []node {
		return []node{el("vpcId", t.id), el("cidrBlock", t.text("CidrBlock")), el("state", "available"), el("isDefault", t.here)}
	}),
	"DescribeSubnets": describe("AWS::EC2::Subnet", "subnetSet", "SubnetId", func(t *resource) []node {
		return []node{
			el("subnetId", t.id), el("vpcId", t.text("VpcId")), el("availabilityZone", t.text("AvailabilityZone")),
			el("cidrBlock", t.text("CidrBlock")), el("state", "available"), el("mapPublicIpOnLaunch", t.props["MapPublicIpOnLaunch"] == true),
		}
	}),
	"DescribeSecurityGroups": describe("AWS::EC2::SecurityGroup", "securityGroupInfo", "GroupId", func(t *resource) []node {
		name := t.text("GroupName")
		if name == "" {
			name = t.id
		}
		return []node{el("groupId", t.id), el("groupName", name), el("vpcId", t.text("VpcId")), el("groupDescription", t.text("GroupDescription"))}
	}),
	"DescribeNetworkInterfaces": describe("AWS::EC2::NetworkInterface", "networkInterfaceSet", "NetworkInterfaceId", func(t *resource) []node {
		return []node{
			el("networkInterfaceId", t.id), el("vpcId", t.text("VpcId")), el("subnetId", t.text("SubnetId")),
			el("status", t.text("Status")), el("description", t.text("Description")),
			el("groupSet", each("item", t.texts("GroupSet"), func(id string) []node { return []node{el("groupId", id)} })),
		}
	}),
	"DescribeVolumes": describe("AWS::EC2::Volume", "volumeSet", "VolumeId", func(t *resource) []node {
		return []node{el("volumeId", t.id), el("status", "available"), el("size", "10"), el("createTime", t.made)}
	}),
	"DescribeLaunchTemplates": describe("AWS::EC2::LaunchTemplate", "launchTemplates", "LaunchTemplateId", launchTemplateNodes),
	"DescribeNatGateways": describe("AWS::EC2::NatGateway", "natGatewaySet", "NatGatewayId", func(t *resource) []node {
		return []node{el("natGatewayId", t.id), el("state", "available")}
	}),
	"DescribeAddresses": describe("AWS::EC2::EIP", "addressesSet", "AllocationId", func(t *resource) []node {
		return []node{el("allocationId", t.id), el("publicIp", "192.0.2.10")}
	}),
	"DescribeInternetGateways": describe("AWS::EC2::InternetGateway", "internetGatewaySet", "InternetGatewayId", func(t *resource) []node {
		return []node{el("internetGatewayId", t.id)}
	}),

	"DescribeRouteTables": describe("AWS::EC2::RouteTable", "routeTableSet", "RouteTableId", func(t *resource) []node {
		return []node{el("routeTableId", t.id), el("vpcId", t.text("VpcId"))}
	}),
	"DescribeVpcEndpoints": describe("AWS::EC2::VPCEndpoint", "vpcEndpointSet", "VpcEndpointId", func(t *resource) []node {
		return []node{
			el("vpcEndpointId", t.id), el("vpcId", t.text("VpcId")), el("serviceName", t.text("ServiceName")), el("state", "available"),
			el("creationTimestamp", t.made),
		}
	}),
	"DescribeSnapshots": describe("AWS::EC2::Snapshot", "snapshotSet", "SnapshotId", func(t *resource) []node {
		return []node{el("snapshotId", t.id), el("status", "completed"), el("ownerId", Account), el("startTime", t.made)}
	}),

	"DeleteSnapshot":         remove("AWS::EC2::Snapshot", "SnapshotId"),
	"DeleteVpcEndpoints":     deleteEndpoints,
	"DeleteNetworkInterface": remove("AWS::EC2::NetworkInterface", "NetworkInterfaceId"),
	"DeleteVolume":           remove("AWS::EC2::Volume", "VolumeId"),
	"DeleteLaunchTemplate":   remove("AWS::EC2::LaunchTemplate", "LaunchTemplateId"),
	"DeleteSecurityGroup":    remove("AWS::EC2::SecurityGroup", "GroupId"),
}

func describeZones(s *Server, c Call) (answer, error) {
	names := c.list("ZoneName")
	if f := c.filters()["zone-name"]; len(f) > 0 {
		names = f
	}
	var items []node
	for _, z := range zones(s.acct.region) {
		if len(names) > 0 && !slices.Contains(names, z.name) {
			continue
		}
		items = append(items, el("item", el("zoneName", z.name), el("zoneId", z.id), el("zoneState", "available"),
			el("regionName", s.acct.region), el("zoneType", "availability-zone")))
	}
	for _, n := range names {
		if !slices.ContainsFunc(zones(s.acct.region), func(z zone) bool { return z.name == n }) {
			return answer{}, apiError(400, "InvalidParameterValue", "Invalid availability zone: [%s]", n)
		}
	}
	return xmlAnswer(el("availabilityZoneInfo", items)), nil
}

func describeOfferings(s *Server, c Call) (answer, error) {
	f := c.filters()
	var items []node
	add := func(kind, where, place string) {
		if loc := f["location"]; len(loc) == 0 || slices.Contains(loc, place) {
			items = append(items, el("item", el("instanceType", kind), el("locationType", where), el("location", place)))
		}
	}
	for _, m := range machines {
		if want := f["instance-type"]; len(want) > 0 && !slices.ContainsFunc(want, func(w string) bool { return wildcard(w, m.name) }) {
			continue
		}
		if c.get("LocationType") != "availability-zone" {
			add(m.name, "region", s.acct.region)
			continue
		}
		for _, z := range zones(s.acct.region) {
			if m.in(z) {
				add(m.name, "availability-zone", z.name)
			}
		}
	}
	return xmlAnswer(el("instanceTypeOfferingSet", items)), nil
}

func describeTypes(_ *Server, c Call) (answer, error) {
	names := c.list("InstanceType")
	var items []node
	for _, m := range machines {
		if len(names) > 0 && !slices.Contains(names, m.name) {
			continue
		}
		arch := map[string]string{"amd64": "x86_64", "arm64": "arm64"}[m.arch]
		items = append(items, el("item", el("instanceType", m.name), el("vCpuInfo", el("defaultVCpus", m.vcpu)),
			el("memoryInfo", el("sizeInMiB", m.memory)), el("processorInfo", el("supportedArchitectures", el("item", arch)))))
	}
	for _, n := range names {
		if instanceType(n) == nil {
			return answer{}, apiError(400, "InvalidInstanceType", "The following supplied instance types do not exist: [%s]", n)
		}
	}
	return xmlAnswer(el("instanceTypeSet", items)), nil
}

// describe lists the things of a kind that the call's ids and filters let through.
func describe(kind, set, idKey string, content func(*resource) []node) operation {
	return func(s *Server, c Call) (answer, error) {
		ids := c.list(idKey)
		filters := c.filters()
		for name := range filters {
			if !strings.HasPrefix(name, "tag") && filterKeys[name] == "" {
				return answer{}, apiError(400, "InvalidParameterValue", "The filter '%s' is invalid", name)
			}
		}
		var items []node
		for _, id := range ids {
			if s.acct.get(kind, id) == nil {
				return answer{}, apiError(400, "Invalid"+idKey+".NotFound", "The id '%s' does not exist", id)
			}
		}
		for _, t := range s.acct.all(kind) {
			if (len(ids) > 0 && !slices.Contains(ids, t.id)) || !tagged(t.tags, filters) || !t.matches(filters) {
				continue
			}
			items = append(items, el("item", append(content(t), tagNodes("tagSet", "item", t.tags))))
		}
		return xmlAnswer(el(set, items)), nil
	}
}

// filterKeys tells which property a filter looks at; a star stands for what all of our things have.
var filterKeys = map[string]string{
	"vpc-id": "VpcId", "subnet-id": "SubnetId", "status": "Status", "group-id": "GroupSet", "group-name": "GroupName",
	"state": "*", "availability-zone": "AvailabilityZone", "cidr-block": "CidrBlock", "launch-template-name": "LaunchTemplateName",
	"description": "Description",
}

func (t *resource) matches(filters map[string][]string) bool {
	for name, values := range filters {
		key := filterKeys[name]
		if key == "" || key == "*" {
			continue
		}
		have := t.texts(key)
		if name == "vpc-id" && t.kind == "AWS::EC2::VPC" {
			have = []string{t.id}
		}
		if !slices.ContainsFunc(values, func(w string) bool {
			return slices.ContainsFunc(have, func(h string) bool { return wildcard(w, h) })
		}) {
			return false
		}
	}
	return true
}

func remove(kind, idKey string) operation {
	return func(s *Server, c Call) (answer, error) {
		t := s.acct.get(kind, c.get(idKey))
		if t == nil {
			return answer{}, apiError(400, "Invalid"+idKey+".NotFound", "The id '%s' does not exist", c.get(idKey))
		}
		if kind == "AWS::EC2::SecurityGroup" {
			if err := groupFree(s, nil, &stackResource{physical: t.id}); err != nil {
				return answer{}, err
			}
		}
		if t.text("Status") == "in-use" {
			return answer{}, apiError(400, "InvalidParameterValue", "Network interface '%s' is currently in use.", t.id)
		}
		s.acct.drop(t)
		if kind == "AWS::EC2::LaunchTemplate" {
			return xmlAnswer(el("launchTemplate", launchTemplateNodes(t))), nil
		}
		return xmlAnswer(el("return", true)), nil
	}
}

func launchTemplateNodes(t *resource) []node {
	return []node{el("launchTemplateId", t.id), el("launchTemplateName", t.text("LaunchTemplateName")), el("createTime", t.made)}
}

func deleteEndpoints(s *Server, c Call) (answer, error) {
	for _, id := range c.list("VpcEndpointId") {
		if t := s.acct.get("AWS::EC2::VPCEndpoint", id); t != nil {
			s.acct.drop(t)
		}
	}
	return xmlAnswer(el("unsuccessful")), nil
}

func describeInstances(s *Server, c Call) (answer, error) {
	filters, ids := c.filters(), c.list("InstanceId")
	var items []node
	for _, name := range sortedKeys(s.acct.asgs) {
		for _, i := range s.acct.asgs[name].instances {
			if !tagged(i.tags, filters) || (len(ids) > 0 && !slices.Contains(ids, i.id)) {
				continue
			}
			items = append(items, el("item", el("instancesSet", el("item", el("instanceId", i.id), el("instanceType", i.kind),
				el("instanceState", el("code", 16), el("name", "running")), el("privateDnsName", i.node), el("launchTime", i.made), tagNodes("tagSet", "item", i.tags)))))
		}
	}
	return xmlAnswer(el("reservationSet", items)), nil
}

func terminateInstances(s *Server, c Call) (answer, error) {
	ids := c.list("InstanceId")
	for _, a := range s.acct.asgs {
		had := len(a.instances)
		a.instances = slices.DeleteFunc(a.instances, func(i *instance) bool { return slices.Contains(ids, i.id) })
		// A scaling group that lives starts a machine for each that is ended.
		if len(a.instances) < had {
			s.start(func() { s.rescale(a) })
		}
	}
	return xmlAnswer(el("instancesSet", each("item", ids, func(id string) []node {
		return []node{el("instanceId", id), el("currentState", el("code", 32), el("name", "shutting-down"))}
	}))), nil
}
