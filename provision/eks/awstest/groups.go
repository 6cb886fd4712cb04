package awstest

import (
	"fmt"
	"slices"
	"time"
)

// group is a managed node group.
type group struct {
	cluster, name, status, arn, instanceType, amiType string
	labels, tags                                      map[string]string
	subnets                                           []string
	asg                                               string
	issue                                             string // what EKS says is wrong with it
	created                                           time.Time
}

// asg is the scaling group behind a node group.
type asg struct {
	name              string
	group             *group
	min, max, desired int
	made              time.Time
	tags              map[string]string
	instances         []*instance
	activities        []activity // the newest last
}

// activity is an attempt of a scaling group to start a machine.
type activity struct {
	id, status, message string
	at                  time.Time
}

type instance struct {
	id, kind, subnet, zone, node string
	made                         time.Time
	tags                         map[string]string
}

func number(v any) int {
	switch v := v.(type) {
	case float64:
		return int(v)
	case string:
		n := 0
		fmt.Sscan(v, &n)
		return n
	}
	return 0
}

func beginGroup(s *Server, st *stack, r *stackResource) error {
	c := s.acct.clusters[fmt.Sprint(r.props["ClusterName"])]
	name := fmt.Sprint(r.props["NodegroupName"])
	if c == nil || c.status != "ACTIVE" {
		return apiError(404, "ResourceNotFoundException", "No cluster found for name: %v.", r.props["ClusterName"])
	}
	key := c.name + "/" + name
	if s.acct.groups[key] != nil {
		return apiError(409, "ResourceInUseException", "NodeGroup already exists with name %s and cluster name %s", name, c.name)
	}
	types := texts(r.props["InstanceTypes"])
	if len(types) == 0 || instanceType(types[0]) == nil {
		return apiError(400, "InvalidParameterException", "The following supplied instance types do not exist: %v", types)
	}
	scaling, _ := r.props["ScalingConfig"].(map[string]any)
	g := &group{
		cluster: c.name, name: name, status: "CREATING", instanceType: types[0], amiType: fmt.Sprint(r.props["AmiType"]),
		labels: tagList(r.props["Labels"]), tags: tagList(r.props["Tags"]), subnets: texts(r.props["Subnets"]), created: time.Now(),
	}
	for k, v := range st.tags {
		g.tags[k] = v
	}
	s.serial++
	g.arn = s.acct.arn("eks", fmt.Sprintf("nodegroup/%s/%s/%08x", c.name, name, s.serial))
	a := &asg{
		made: time.Now(), name: fmt.Sprintf("eks-%s-%08x", name, s.serial), group: g, min: number(scaling["MinSize"]), max: number(scaling["MaxSize"]),
		desired: number(scaling["DesiredSize"]), tags: map[string]string{
			"eks:cluster-name": c.name, "eks:nodegroup-name": name, "kubernetes.io/cluster/" + c.name: "owned",
			"k8s.io/cluster-autoscaler/enabled": "true", "k8s.io/cluster-autoscaler/" + c.name: "owned",
		},
	}
	g.asg = a.name
	s.acct.groups[key], s.acct.asgs[a.name] = g, a
	// EKS copies the launch template it is given.
	lt := s.acct.add(&resource{kind: "AWS::EC2::LaunchTemplate", id: s.id("lt"), props: map[string]any{"LaunchTemplateName": a.name}})
	lt.tags["eks:cluster-name"], lt.tags["eks:nodegroup-name"] = c.name, name
	r.physical, r.attrs["Arn"], r.attrs["ClusterName"], r.attrs["NodegroupName"] = key, g.arn, c.name, name
	return nil
}

func completeGroup(s *Server, _ *stack, r *stackResource) error {
	var g *group
	s.locked(func() { g = s.acct.groups[r.physical] })
	if err := s.scale(g.asg); err != nil {
		return err
	}
	s.locked(func() { g.status = "ACTIVE" })
	return nil
}

func groupFailed(s *Server, r *stackResource, err error) {
	if g := s.acct.groups[r.physical]; g != nil {
		g.status, g.issue = "CREATE_FAILED", reasonOf(err)
	}
}

func removeGroup(s *Server, _ *stack, r *stackResource) error {
	s.dropGroup(r.physical)
	return nil
}

func (s *Server) dropGroup(key string) *group {
	g := s.acct.groups[key]
	if g == nil {
		return nil
	}
	for _, lt := range s.acct.all("AWS::EC2::LaunchTemplate") {
		if lt.tags["eks:nodegroup-name"] == g.name && lt.tags["eks:cluster-name"] == g.cluster {
			s.acct.drop(lt)
		}
	}
	delete(s.acct.asgs, g.asg)
	delete(s.acct.groups, key)
	return g
}

func groupGone(s *Server, _ *stack, r *stackResource) error {
	cluster, name := splitKey(r.physical)
	return s.opts.ControlPlane.Scale(s.ctx, GroupSpec{Cluster: cluster, Name: name})
}

// scale starts and ends instances until a scaling group has what it desires, and has the control plane know.
func (s *Server) scale(name string) error {
	var spec GroupSpec
	s.locked(func() {
		a := s.acct.asgs[name]
		if a == nil {
			return
		}
		for len(a.instances) < a.desired {
			done := activity{id: s.id("act"), status: "Successful", at: time.Now()}
			if s.exhausted[a.group.instanceType] {
				done.status = "Failed"
				done.message = fmt.Sprintf("Could not launch On-Demand Instances. InsufficientInstanceCapacity - We currently do not have sufficient %s capacity in the "+
					"Availability Zone you requested (%s). Our system will be working on provisioning additional capacity. Launching EC2 instance failed.",
					a.group.instanceType, s.opts.Region+"a")
				a.activities = append(a.activities, done)
				break
			}
			a.activities = append(a.activities, done)
			a.instances = append(a.instances, s.launch(a))
		}
		a.instances = a.instances[:min(max(a.desired, 0), len(a.instances))]
		spec = s.groupSpec(a)
		spec.Desired = len(a.instances)
	})
	if spec.Cluster == "" {
		return apiError(400, "ValidationError", "AutoScalingGroup name not found - %s", name)
	}
	return s.opts.ControlPlane.Scale(s.ctx, spec)
}

func (s *Server) launch(a *asg) *instance {
	i := &instance{made: time.Now(), id: s.id("i"), kind: a.group.instanceType, tags: map[string]string{
		"eks:cluster-name": a.group.cluster, "eks:nodegroup-name": a.group.name, "kubernetes.io/cluster/" + a.group.cluster: "owned",
		"aws:autoscaling:groupName": a.name,
	}}
	if n := len(a.group.subnets); n > 0 {
		i.subnet = a.group.subnets[len(a.instances)%n]
	}
	if t := s.acct.get("AWS::EC2::Subnet", i.subnet); t != nil {
		i.zone = t.attrs["AvailabilityZone"]
	}
	i.node = fmt.Sprintf("ip-192-168-%d-%d.ec2.internal", s.serial/250, s.serial%250+1)
	return i
}

// zonesOf are the zones of a group's subnets.
func (s *Server) zonesOf(a *asg) []string {
	zones := map[string]bool{}
	for _, id := range a.group.subnets {
		if t := s.acct.get("AWS::EC2::Subnet", id); t != nil {
			zones[t.attrs["AvailabilityZone"]] = true
		}
	}
	return sortedKeys(zones)
}

func (s *Server) groupSpec(a *asg) GroupSpec {
	g := a.group
	spec := GroupSpec{
		Cluster: g.cluster, Name: g.name, InstanceType: g.instanceType, Min: a.min, Max: a.max, Desired: a.desired,
		Labels: map[string]string{"eks.amazonaws.com/nodegroup": g.name, "eks.amazonaws.com/capacityType": "ON_DEMAND"},
	}
	if m := instanceType(g.instanceType); m != nil {
		spec.Architecture, spec.VCPU, spec.MemoryMiB = m.arch, m.vcpu, int64(m.memory)
	}
	for k, v := range g.labels {
		spec.Labels[k] = v
	}
	for _, id := range g.subnets {
		if t := s.acct.get("AWS::EC2::Subnet", id); t != nil && !slices.Contains(spec.Zones, t.attrs["AvailabilityZone"]) {
			spec.Zones = append(spec.Zones, t.attrs["AvailabilityZone"])
		}
	}
	for _, i := range a.instances {
		spec.Nodes = append(spec.Nodes, i.node)
	}
	return spec
}

func (s *Server) groupJSON(g *group) map[string]any {
	m := map[string]any{
		"nodegroupName": g.name, "nodegroupArn": g.arn, "clusterName": g.cluster, "status": g.status, "amiType": g.amiType,
		"instanceTypes": []string{g.instanceType}, "labels": g.labels, "tags": g.tags, "subnets": g.subnets, "capacityType": "ON_DEMAND",
		"createdAt": float64(g.created.Unix()), "version": "1.34",
	}
	if a := s.acct.asgs[g.asg]; a != nil {
		m["scalingConfig"] = map[string]any{"minSize": a.min, "maxSize": a.max, "desiredSize": a.desired}
		m["resources"] = map[string]any{"autoScalingGroups": []any{map[string]any{"name": a.name}}}
	}
	if g.issue != "" {
		m["health"] = map[string]any{"issues": []any{map[string]any{"code": "AsgInstanceLaunchFailures", "message": g.issue, "resourceIds": []string{g.asg}}}}
	}
	return m
}
