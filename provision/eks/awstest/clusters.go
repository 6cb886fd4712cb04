package awstest

import (
	"encoding/base64"
	"fmt"
	"slices"
	"time"
)

type cluster struct {
	name, version, status, arn, endpoint, ca, issuer string
	created                                          time.Time
	tags                                             map[string]string
	subnets, groups                                  []string
	securityGroup                                    string
	vpc                                              string
	addons                                           map[string]*addon
}

type addon struct {
	name, version, role string
	request             string // the client's token of the request that made it: the same request may come again
}

func newCluster(name, version, arn string) *cluster {
	return &cluster{name: name, version: version, status: "CREATING", arn: arn, created: time.Now(), tags: map[string]string{}, addons: map[string]*addon{}}
}

func beginCluster(s *Server, st *stack, r *stackResource) error {
	name := fmt.Sprint(r.props["Name"])
	if s.acct.clusters[name] != nil {
		return apiError(409, "ResourceInUseException", "Cluster already exists with name: %s", name)
	}
	version := fmt.Sprint(r.props["Version"])
	if !slices.Contains(s.opts.Versions, version) {
		return apiError(400, "InvalidParameterException", "unsupported Kubernetes version %s", version)
	}
	config, _ := r.props["ResourcesVpcConfig"].(map[string]any)
	c := newCluster(name, version, s.acct.arn("eks", "cluster/"+name))
	c.subnets, c.groups = texts(config["SubnetIds"]), texts(config["SecurityGroupIds"])
	s.serial++
	c.issuer = fmt.Sprintf("%s/id/%016X", s.tls.url, s.serial)
	for k, v := range st.tags {
		c.tags[k] = v
	}
	for k, v := range tagList(r.props["Tags"]) {
		c.tags[k] = v
	}
	for _, id := range c.subnets {
		if t := s.acct.get("AWS::EC2::Subnet", id); t != nil {
			c.vpc = t.text("VpcId")
		}
	}
	sg := s.acct.add(&resource{kind: "AWS::EC2::SecurityGroup", id: s.id("sg"), props: map[string]any{"VpcId": c.vpc, "GroupName": "eks-cluster-sg-" + name}})
	sg.tags["aws:eks:cluster-name"] = name
	sg.tags["kubernetes.io/cluster/"+name] = "owned"
	c.securityGroup = sg.id
	r.physical, r.attrs["Arn"], r.attrs["ClusterSecurityGroupId"] = name, c.arn, sg.id
	r.attrs["OpenIdConnectIssuerUrl"] = c.issuer
	s.acct.clusters[name] = c
	return nil
}

func completeCluster(s *Server, _ *stack, r *stackResource) error {
	spec := ClusterSpec{Name: r.physical, ServiceCIDR: "10.100.0.0/16", TokenReview: s.tls.url + "/token-review", TokenReviewCA: s.CA, Front: s.tls.front}
	s.locked(func() { spec.Version = s.acct.clusters[r.physical].version })
	endpoint, ca, err := s.opts.ControlPlane.Start(s.ctx, spec)
	if err != nil {
		return err
	}
	s.locked(func() {
		c := s.acct.clusters[r.physical]
		c.endpoint, c.ca, c.status = endpoint, base64.StdEncoding.EncodeToString(ca), "ACTIVE"
		r.attrs["Endpoint"], r.attrs["CertificateAuthorityData"] = c.endpoint, c.ca
	})
	return nil
}

func removeCluster(s *Server, _ *stack, r *stackResource) error {
	c := s.acct.clusters[r.physical]
	if c == nil {
		return nil
	}
	for _, key := range sortedKeys(s.acct.groups) {
		if g := s.acct.groups[key]; g.cluster == c.name {
			return apiError(409, "ResourceInUseException", "Cluster has nodegroups attached (%s)", g.name)
		}
	}
	if sg := s.acct.get("AWS::EC2::SecurityGroup", c.securityGroup); sg != nil {
		s.acct.drop(sg)
	}
	delete(s.acct.clusters, c.name)
	return nil
}

func clusterGone(s *Server, _ *stack, r *stackResource) error {
	return s.opts.ControlPlane.Stop(s.ctx, r.physical)
}

func (c *cluster) json() map[string]any {
	m := map[string]any{
		"name": c.name, "arn": c.arn, "version": c.version, "status": c.status, "createdAt": float64(c.created.Unix()),
		"platformVersion": "eks.1", "tags": c.tags,
		"resourcesVpcConfig": map[string]any{
			"subnetIds": c.subnets, "securityGroupIds": c.groups, "clusterSecurityGroupId": c.securityGroup, "vpcId": c.vpc,
			"endpointPublicAccess": true, "endpointPrivateAccess": false, "publicAccessCidrs": []string{"0.0.0.0/0"},
		},
		"kubernetesNetworkConfig": map[string]any{"serviceIpv4Cidr": "10.100.0.0/16", "ipFamily": "ipv4"},
		"accessConfig":            map[string]any{"authenticationMode": "API_AND_CONFIG_MAP"},
		"identity":                map[string]any{"oidc": map[string]any{"issuer": c.issuer}},
	}
	if c.endpoint != "" {
		m["endpoint"] = c.endpoint
		m["certificateAuthority"] = map[string]any{"data": c.ca}
	}
	return m
}
