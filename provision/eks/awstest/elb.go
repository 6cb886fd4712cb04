package awstest

import (
	"slices"
	"strings"
	"time"
)

// balancer is a load balancer, of the classic kind or of the second.
type balancer struct {
	name, arn string
	made      time.Time
	classic   bool
	vpc       string
	groups    []string
	eni       string
	tags      map[string]string
}

var elbOperations = map[string]operation{
	"DescribeLoadBalancers": func(s *Server, c Call) (answer, error) {
		if isClassic(c) {
			return xmlAnswer(el("LoadBalancerDescriptions", each("member", s.balancers(c), func(b *balancer) []node {
				return []node{el("LoadBalancerName", b.name), el("VPCId", b.vpc), el("CreatedTime", b.made), el("SecurityGroups", each("member", b.groups, textNode))}
			}))), nil
		}
		return xmlAnswer(el("LoadBalancers", each("member", s.balancers(c), func(b *balancer) []node {
			return []node{
				el("LoadBalancerName", b.name), el("LoadBalancerArn", b.arn), el("VpcId", b.vpc), el("Type", "network"), el("CreatedTime", b.made),
				el("SecurityGroups", each("member", b.groups, textNode)),
			}
		}))), nil
	},
	"DescribeTags": func(s *Server, c Call) (answer, error) {
		return xmlAnswer(el("TagDescriptions", each("member", s.balancers(c), func(b *balancer) []node {
			named := el("ResourceArn", b.arn)
			if isClassic(c) {
				named = el("LoadBalancerName", b.name)
			}
			return []node{named, tagNodes("Tags", "member", b.tags)}
		}))), nil
	},
	"DeleteLoadBalancer": func(s *Server, c Call) (answer, error) {
		for _, b := range s.balancers(c) {
			if b.name == c.get("LoadBalancerName") || b.arn == c.get("LoadBalancerArn") {
				if eni := s.acct.get("AWS::EC2::NetworkInterface", b.eni); eni != nil {
					s.acct.drop(eni)
				}
				delete(s.acct.balancers, b.name)
			}
		}
		return answer{}, nil
	},
	"DescribeTargetGroups": func(*Server, Call) (answer, error) { return xmlAnswer(el("TargetGroups")), nil },
}

func isClassic(c Call) bool { return strings.HasPrefix(c.get("Version"), "2012") }

// textNode is for lists of texts, whose members have no elements of their own.
func textNode(s string) []node { return []node{{text: s}} }

// balancers are those of the API's kind that the call names, or all.
func (s *Server) balancers(c Call) []*balancer {
	names := slices.Concat(c.list("LoadBalancerNames.member"), c.list("ResourceArns.member"), c.list("LoadBalancerArns.member"), c.list("Names.member"))
	var out []*balancer
	for _, k := range sortedKeys(s.acct.balancers) {
		b := s.acct.balancers[k]
		if b.classic == isClassic(c) && (len(names) == 0 || slices.Contains(names, b.name) || slices.Contains(names, b.arn)) {
			out = append(out, b)
		}
	}
	return out
}
