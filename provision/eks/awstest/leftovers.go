package awstest

import (
	"fmt"
	"time"
)

// The functions here put into the account what clusters leave behind, or what was there before: they do what Kubernetes controllers, EKS
// itself and other people do.

// LeaveVolume adds a volume that the EBS driver of a cluster made.
func (s *Server) LeaveVolume(cluster string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	t := s.acct.add(&resource{kind: "AWS::EC2::Volume", id: s.id("vol")})
	t.tags["kubernetes.io/cluster/"+cluster] = "owned"
	t.tags["KubernetesCluster"] = cluster
	return t.id
}

// LeaveLoadBalancer adds a load balancer of a service of a cluster, with its network interface and, for a classic one, its security group.
func (s *Server) LeaveLoadBalancer(cluster string, classic bool) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	vpc, subnet := s.network(cluster)
	s.serial++
	b := &balancer{made: time.Now(), name: fmt.Sprintf("a%031x", s.serial), classic: classic, vpc: vpc, tags: map[string]string{"kubernetes.io/cluster/" + cluster: "owned"}}
	if !classic {
		b.arn = s.acct.arn("elasticloadbalancing", "loadbalancer/net/"+b.name+"/0")
	}
	sg := s.acct.add(&resource{kind: "AWS::EC2::SecurityGroup", id: s.id("sg"), props: map[string]any{"VpcId": vpc, "GroupName": "k8s-elb-" + b.name}})
	sg.tags["kubernetes.io/cluster/"+cluster] = "owned"
	b.groups = []string{sg.id}
	eni := s.acct.add(&resource{kind: "AWS::EC2::NetworkInterface", id: s.id("eni"), props: map[string]any{
		"VpcId": vpc, "SubnetId": subnet, "Status": "in-use", "Description": "ELB " + b.name, "GroupSet": []string{sg.id},
	}})
	b.eni = eni.id
	s.acct.balancers[b.name] = b
	return b.name
}

// LeaveNetworkInterface adds an interface that the network plugin of an ended machine forgot. It blocks its subnet and security group.
func (s *Server) LeaveNetworkInterface(cluster string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	vpc, subnet := s.network(cluster)
	group := ""
	if c := s.acct.clusters[cluster]; c != nil {
		group = c.securityGroup
	}
	t := s.acct.add(&resource{kind: "AWS::EC2::NetworkInterface", id: s.id("eni"), props: map[string]any{
		"VpcId": vpc, "SubnetId": subnet, "Status": "available", "Description": "aws-K8S-i-0123456789abcdef0", "GroupSet": []string{group},
	}})
	t.tags["cluster.k8s.amazonaws.com/name"] = cluster
	return t.id
}

// LeaveSnapshot adds a snapshot that the EBS driver of a cluster made.
func (s *Server) LeaveSnapshot(cluster string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	t := s.acct.add(&resource{kind: "AWS::EC2::Snapshot", id: s.id("snap")})
	t.tags["kubernetes.io/cluster/"+cluster] = "owned"
	return t.id
}

// LeaveEndpoint adds a VPC endpoint with the tag that EKS gives to what it makes for a cluster.
func (s *Server) LeaveEndpoint(cluster string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	t := s.acct.add(&resource{kind: "AWS::EC2::VPCEndpoint", id: s.id("vpce"), props: map[string]any{"ServiceName": "com.amazonaws.s3"}})
	t.tags["eks:cluster-name"] = cluster
	return t.id
}

// LeaveScalingGroup adds a scaling group, with a machine, whose node group is gone.
func (s *Server) LeaveScalingGroup(cluster string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.serial++
	a := &asg{
		made: time.Now(), name: fmt.Sprintf("eks-forgotten-%08x", s.serial), group: &group{cluster: cluster, name: "forgotten", instanceType: "m5.large"},
		max: 1, desired: 1, tags: map[string]string{"eks:cluster-name": cluster, "eks:nodegroup-name": "forgotten"},
	}
	a.instances = []*instance{s.launch(a)}
	s.acct.asgs[a.name] = a
	return a.name
}

// LeaveInstanceProfile adds an instance profile that EKS made for the role of a node group of the cluster.
func (s *Server) LeaveInstanceProfile(cluster string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	t := s.acct.add(&resource{kind: "AWS::IAM::InstanceProfile", id: s.id("eks"), props: map[string]any{
		"Roles": []string{"eksctl-" + cluster + "-nodegroup-c7a-NodeInstanceRole-0"},
	}})
	return t.id
}

// LeavePolicy adds a managed policy with eksctl's name and tag.
func (s *Server) LeavePolicy(cluster string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	id := "eksctl-" + cluster + "-addon-policy"
	t := s.acct.add(&resource{kind: "AWS::IAM::ManagedPolicy", id: id, attrs: map[string]string{"Arn": "arn:aws:iam::" + Account + ":policy/" + id}})
	t.tags["alpha.eksctl.io/cluster-name"] = cluster
	return id
}

// LeaveLogGroup adds a log group.
func (s *Server) LeaveLogGroup(name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.acct.logs[name] = time.Now()
}

// LeaveLaunchTemplate adds a launch template with the tags that EKS gives to those of a node group.
func (s *Server) LeaveLaunchTemplate(cluster string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	t := s.acct.add(&resource{kind: "AWS::EC2::LaunchTemplate", id: s.id("lt"), props: map[string]any{"LaunchTemplateName": "eks-forgotten"}})
	t.tags["eks:cluster-name"] = cluster
	return t.id
}

// Foreign adds a cluster that somebody else made, without a stack.
func (s *Server) Foreign(cluster string, tags map[string]string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := newCluster(cluster, s.opts.Versions[0], s.acct.arn("eks", "cluster/"+cluster))
	c.status, c.endpoint, c.ca, c.issuer = "ACTIVE", "https://127.0.0.1:1", "Zm9yZWlnbg==", s.tls.url+"/id/foreign"
	for k, v := range tags {
		c.tags[k] = v
	}
	s.acct.clusters[cluster] = c
}

// Take removes a load balancer, volume, interface or the like by its name or id, as its owner would.
func (s *Server) Take(id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.acct.balancers, id)
	for _, t := range s.acct.resources {
		if t.id == id {
			s.acct.drop(t)
		}
	}
}

// Age makes a load balancer, volume or the like older than it is.
func (s *Server) Age(id string, by time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if b := s.acct.balancers[id]; b != nil {
		b.made = b.made.Add(-by)
	}
	for _, t := range s.acct.resources {
		if t.id == id {
			t.made = t.made.Add(-by)
		}
	}
}

// network is where the things of a cluster hang; without a cluster, the account's own VPC.
func (s *Server) network(cluster string) (vpc, subnet string) {
	if c := s.acct.clusters[cluster]; c != nil && len(c.subnets) > 0 {
		return c.vpc, c.subnets[0]
	}
	return "vpc-default", "subnet-default"
}
