package model

import (
	"net/http"
	"strings"
	"testing"

	"github.com/compspec/ocifit-lab/provision/eks/awstest"
)

// Each kind of wrong answer is found, and a right one is not.
func TestCheck(t *testing.T) {
	const group = `<DescribeAutoScalingGroupsResponse><DescribeAutoScalingGroupsResult><AutoScalingGroups><member><AutoScalingGroupName>a</AutoScalingGroupName><MinSize>0</MinSize><MaxSize>1</MaxSize><DesiredCapacity>0</DesiredCapacity><DefaultCooldown>300</DefaultCooldown><HealthCheckType>EC2</HealthCheckType><CreatedTime>2026-01-01T00:00:00Z</CreatedTime><AvailabilityZones><member>us-east-1a</member></AvailabilityZones>%</member></AutoScalingGroups></DescribeAutoScalingGroupsResult></DescribeAutoScalingGroupsResponse>`
	for name, tc := range map[string]struct {
		service, operation string
		status             int
		body               string
		want               string // a part of the only fault; empty is none
	}{
		"a good one":           {"autoscaling", "DescribeAutoScalingGroups", 200, strings.Replace(group, "%", "", 1), ""},
		"required and absent":  {"autoscaling", "DescribeAutoScalingGroups", 200, strings.Replace(strings.Replace(group, "%", "", 1), "<HealthCheckType>EC2</HealthCheckType>", "", 1), "HealthCheckType is required and absent"},
		"unknown element":      {"autoscaling", "DescribeAutoScalingGroups", 200, strings.Replace(group, "%", "<Colour>red</Colour>", 1), "member.Colour is no member that the SDK knows"},
		"no time":              {"autoscaling", "DescribeAutoScalingGroups", 200, strings.Replace(strings.Replace(group, "%", "", 1), "2026-01-01T00:00:00Z", "yesterday", 1), "deserialization failed"},
		"enumeration":          {"eks", "DescribeCluster", 200, `{"cluster":{"name":"a","status":"READY"}}`, `.Cluster.Status: "READY" is not one of ClusterStatus`},
		"unknown key":          {"eks", "DescribeCluster", 200, `{"cluster":{"name":"a","platformversion":"eks.1"}}`, ".cluster.platformversion is no member"},
		"a good cluster":       {"eks", "DescribeCluster", 200, `{"cluster":{"name":"a","platformVersion":"eks.1","status":"ACTIVE","deletionProtection":false}}`, ""},
		"an error":             {"eks", "DescribeCluster", 404, `{"__type":"ResourceNotFoundException","message":"no"}`, ""},
		"an error of others":   {"eks", "DescribeCluster", 404, `{"__type":"NoSuchEntity","message":"no"}`, "the model has no error NoSuchEntity"},
		"an error of everyone": {"eks", "DescribeCluster", 403, `{"__type":"AccessDeniedException","message":"no"}`, ""},
		"no operation":         {"eks", "DescribeWeather", 200, `{}`, "has no operation DescribeWeather"},
	} {
		t.Run(name, func(t *testing.T) {
			faults := Check(awstest.Answer{Service: tc.service, Operation: tc.operation, Status: tc.status, Header: http.Header{}, Body: []byte(tc.body)})
			switch {
			case tc.want == "" && len(faults) > 0:
				t.Errorf("%q", faults)
			case tc.want != "" && (len(faults) != 1 || !strings.Contains(faults[0], tc.want)):
				t.Errorf("%q, want %q", faults, tc.want)
			}
		})
	}
}
