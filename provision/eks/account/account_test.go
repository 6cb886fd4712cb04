package account

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/aws/smithy-go"
	"github.com/google/go-cmp/cmp"

	"github.com/compspec/ocifit-lab/provision/step"
)

func TestRole(t *testing.T) {
	for arn, want := range map[string]string{
		"arn:aws:iam::1:user/lab":                         "",
		"arn:aws:sts::1:assumed-role/Admin/me":            "Admin",
		"arn:aws-us-gov:sts::1:assumed-role/Admin/i-0123": "Admin",
		"arn:aws:iam::1:root":                             "",
	} {
		if got := (Identity{ARN: arn}).Role(); got != want {
			t.Errorf("%s: %q, want %q", arn, got, want)
		}
	}
	if got := (Identity{ARN: "arn:aws-us-gov:sts::1:assumed-role/Admin/i-0123"}).Partition(); got != "aws-us-gov" {
		t.Errorf("partition %q", got)
	}
}

// Whoever lets a login of single sign-on end is told to log in again, with the profile, and not to set what is set.
func TestExplainSingleSignOn(t *testing.T) {
	t.Setenv("AWS_PROFILE", "env-profile")
	for text, profile := range map[string]string{
		"get identity: get credentials: failed to refresh cached credentials, the SSO session has expired or is invalid: open token.json: no such file": "lab",
		"failed to refresh cached credentials, failed to read cached SSO token file, open x: no such file or directory":                                 "",
	} {
		err := explainFor(profile, errors.New(text))
		want := "aws sso login --profile lab"
		if profile == "" {
			want = "aws sso login --profile env-profile"
		}
		if hint := step.HintOf(err); !strings.Contains(hint, want) || strings.Contains(hint, "set AWS_PROFILE") {
			t.Errorf("hint %q, want one with %q", hint, want)
		}
	}
}

func TestCauses(t *testing.T) {
	stack := "AWS::CloudFormation::Stack"
	got := Causes([]Event{
		{Resource: "s", Type: stack, Status: "CREATE_IN_PROGRESS"},
		{Resource: "Group", Type: "AWS::EKS::Nodegroup", Status: "CREATE_FAILED", Reason: "no capacity"},
		{Resource: "Role", Type: "AWS::IAM::Role", Status: "CREATE_FAILED", Reason: "Resource creation cancelled"},
		{Resource: "Group", Type: "AWS::EKS::Nodegroup", Status: "CREATE_FAILED", Reason: "no capacity"},
		{Resource: "s", Type: stack, Status: "ROLLBACK_FAILED", Reason: "The following resource(s) failed"},
		{Resource: "Net", Type: "AWS::EC2::Subnet", Status: "DELETE_FAILED", Reason: "has dependencies"},
		{Resource: "Net", Type: "AWS::EC2::Subnet", Status: "DELETE_FAILED"},
	})
	if diff := cmp.Diff([]string{"Group CREATE_FAILED: no capacity", "Net DELETE_FAILED: has dependencies"}, got); diff != "" {
		t.Error(diff)
	}
}

func TestHourly(t *testing.T) {
	for item, want := range map[string]float64{
		`{"terms":{"OnDemand":{"a":{"priceDimensions":{"b":{"unit":"Hrs","pricePerUnit":{"USD":"1.6832"}}}}}}}`: 1.6832,
		`{"terms":{"OnDemand":{"a":{"priceDimensions":{"b":{"unit":"GB","pricePerUnit":{"USD":"1"}}}}}}}`:       0,
		`{"terms":{"OnDemand":{"a":{"priceDimensions":{"b":{"unit":"Hrs","pricePerUnit":{"USD":"0"}}}}}}}`:      0,
		`{"terms":{"OnDemand":{"a":{"priceDimensions":{"b":{"unit":"Hrs","pricePerUnit":{"CNY":"9"}}}}}}}`:      0,
		`{"terms":{}}`: 0,
		`not JSON`:     0,
	} {
		got, ok := hourly([]byte(item))
		if got != want || ok != (want > 0) {
			t.Errorf("%s: %v, %v", item, got, ok)
		}
	}
}

func TestBelongs(t *testing.T) {
	began := time.Now()
	for name, c := range map[string]struct {
		item  Item
		since time.Time
		want  bool
	}{
		"tagged":                      {Item{ours: true}, time.Time{}, true},
		"named, no lab ever":          {Item{}, time.Time{}, false},
		"named, older than the lab":   {Item{created: began.Add(-time.Hour)}, began, false},
		"named, younger than the lab": {Item{created: began.Add(time.Hour)}, began, true},
		"named, of the same second":   {Item{created: began}, began, true},
		"named, nobody knows how old": {Item{}, began, true},
	} {
		if got := c.item.belongs(c.since); got != c.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}

func TestExplain(t *testing.T) {
	for code, want := range map[string]bool{
		"ExpiredToken": true, "ExpiredTokenException": true, "AccessDenied": true, "UnauthorizedOperation": true,
		"InvalidClientTokenId": true, "ValidationError": false,
	} {
		err := Explain(&smithy.GenericAPIError{Code: code, Message: "m"})
		if (step.HintOf(err) != "") != want || Code(err) != code {
			t.Errorf("%s: hint %q, code %q", code, step.HintOf(err), Code(err))
		}
	}
	if Explain(nil) != nil {
		t.Error("nothing was explained")
	}
	if err := Explain(errors.New("dial tcp: lookup sts.eu-nowhere-1.amazonaws.com: no such host")); step.HintOf(err) == "" {
		t.Error("no hint about a wrong region")
	}
}
