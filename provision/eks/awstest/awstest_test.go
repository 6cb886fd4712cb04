package awstest

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"oras.land/oras-go/v2"
	"oras.land/oras-go/v2/content/memory"
	"oras.land/oras-go/v2/registry/remote"
	"oras.land/oras-go/v2/registry/remote/auth"
)

func newServer(t *testing.T, opts Options) *Server {
	t.Helper()
	s, err := New(opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// query asks as the SDKs do for query protocols, but for the signature, which nobody checks.
func query(t *testing.T, s *Server, service, action string, params ...string) (int, string) {
	t.Helper()
	form := url.Values{"Action": {action}}
	for i := 0; i+1 < len(params); i += 2 {
		form.Set(params[i], params[i+1])
	}
	return post(t, s, service, "", strings.NewReader(form.Encode()))
}

func ask(t *testing.T, s *Server, service, target string, body any) (int, string) {
	t.Helper()
	data, err := json.Marshal(body)
	if err != nil {
		t.Fatal(err)
	}
	return post(t, s, service, target, bytes.NewReader(data))
}

func post(t *testing.T, s *Server, service, target string, body io.Reader) (int, string) {
	t.Helper()
	req, err := http.NewRequest(http.MethodPost, s.URL+"/", body)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", fmt.Sprintf("AWS4-HMAC-SHA256 Credential=%s/20260101/us-east-1/%s/aws4_request, SignedHeaders=host, Signature=0", AccessKey, service))
	if target != "" {
		req.Header.Set("X-Amz-Target", target)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(data)
}

// What the endpoint does not know is the caller's fault: a server's fault would be retried for minutes.
func TestUnknownActionsAreClientErrors(t *testing.T) {
	s := newServer(t, Options{})
	for service := range services {
		code, body := query(t, s, service, "BrewCoffee")
		if code < 400 || code >= 500 {
			t.Errorf("%s answers %d to an unknown action: %s", service, code, body)
		}
	}
	if code, _ := query(t, s, "teapot", "BrewCoffee"); code != 400 {
		t.Errorf("an unknown service answers %d", code)
	}
	if resp, err := http.Get(s.URL + "/"); err != nil || resp.StatusCode != 403 {
		t.Errorf("an unsigned call: %v, %v", resp, err)
	}
}

func createStackOf(t *testing.T, s *Server, name, template string) (int, string) {
	t.Helper()
	return query(t, s, "cloudformation", "CreateStack", "StackName", name, "TemplateBody", template, "Capabilities.member.1", "CAPABILITY_IAM")
}

const vpcTemplate = `{"Resources": {
  "VPC": {"Type": "AWS::EC2::VPC", "Properties": {"CidrBlock": "192.168.0.0/16"}},
  "Net": {"Type": "AWS::EC2::Subnet", "Properties": {"VpcId": {"Ref": "VPC"}, "AvailabilityZone": "us-east-1a"}},
  "Role": {"Type": "AWS::IAM::Role", "Properties": {"Name": "x"}}},
 "Mappings": {"M": {"aws": {"EKS": "eks.amazonaws.com"}}},
 "Outputs": {
  "Id": {"Value": {"Ref": "VPC"}, "Export": {"Name": {"Fn::Sub": "${AWS::StackName}::VPC"}}},
  "Dotted": {"Value": {"Fn::GetAtt": "Role.Arn"}},
  "Listed": {"Value": {"Fn::GetAtt": ["Role", "Arn"]}},
  "Joined": {"Value": {"Fn::Join": [",", [{"Ref": "AWS::Region"}, {"Ref": "AWS::Partition"}]]}},
  "Mapped": {"Value": {"Fn::FindInMap": ["M", {"Ref": "AWS::Partition"}, "EKS"]}},
  "Sub": {"Value": {"Fn::Sub": ["${X}-${Role.Arn}", {"X": "y"}]}}}}`

func TestTemplates(t *testing.T) {
	s := newServer(t, Options{})
	if code, body := createStackOf(t, s, "net", vpcTemplate); code != 200 {
		t.Fatalf("%d %s", code, body)
	}
	st := s.find("net")
	role := st.outputs["Dotted"]
	want := map[string]string{"Id": st.resource("VPC").physical, "Dotted": role, "Listed": role, "Joined": "us-east-1,aws", "Mapped": "eks.amazonaws.com", "Sub": "y-" + role}
	if diff := cmp.Diff(want, st.outputs); diff != "" {
		t.Error(diff)
	}
	if !strings.HasPrefix(role, "arn:aws:iam::"+Account+":role/net-Role-") {
		t.Errorf("role %s", role)
	}

	user := `{"Resources": {"SG": {"Type": "AWS::EC2::SecurityGroup", "Properties": {"VpcId": {"Fn::ImportValue": "net::VPC"}}}}}`
	if code, body := createStackOf(t, s, "user", user); code != 200 {
		t.Fatalf("%d %s", code, body)
	}
	if code, body := query(t, s, "cloudformation", "DeleteStack", "StackName", "net"); code != 400 || !strings.Contains(body, "in use by user") {
		t.Errorf("an export in use may be deleted: %d %s", code, body)
	}
	for _, name := range []string{"user", "net"} {
		if code, body := query(t, s, "cloudformation", "DeleteStack", "StackName", name); code != 200 {
			t.Errorf("delete %s: %d %s", name, code, body)
		}
	}
	if left := s.Inventory(); len(left) > 0 {
		t.Errorf("left %v", left)
	}
	if code, body := query(t, s, "cloudformation", "DescribeStacks", "StackName", "net"); code != 400 || !strings.Contains(body, "does not exist") {
		t.Errorf("a deleted stack's name: %d %s", code, body)
	}
	if code, body := query(t, s, "cloudformation", "DescribeStacks", "StackName", st.id); code != 200 || !strings.Contains(body, "DELETE_COMPLETE") {
		t.Errorf("a deleted stack's id: %d %s", code, body)
	}
}

func TestRefusedTemplates(t *testing.T) {
	s := newServer(t, Options{})
	for name, c := range map[string]struct{ template, want string }{
		"not JSON":     {"{", "Template format error"},
		"unknown type": {`{"Resources": {"X": {"Type": "AWS::Moon::Base"}}}`, "Unrecognized resource types: [AWS::Moon::Base]"},
		"circle":       {`{"Resources": {"A": {"Type": "AWS::EC2::EIP", "DependsOn": "B"}, "B": {"Type": "AWS::EC2::EIP", "DependsOn": ["A"]}}}`, "Circular dependency"},
	} {
		if code, body := createStackOf(t, s, "x", c.template); code != 400 || !strings.Contains(body, c.want) {
			t.Errorf("%s: %d %s", name, code, body)
		}
	}
	code, body := query(t, s, "cloudformation", "CreateStack", "StackName", "x", "TemplateBody", vpcTemplate)
	if code != 400 || !strings.Contains(body, "InsufficientCapabilities") {
		t.Errorf("roles without consent: %d %s", code, body)
	}
	missing := `{"Resources": {"A": {"Type": "AWS::EC2::EIP"}, "B": {"Type": "AWS::EC2::Subnet", "Properties": {"VpcId": {"Ref": "Nobody"}}}}}`
	if code, body := createStackOf(t, s, "x", missing); code != 200 {
		t.Fatalf("%d %s", code, body)
	}
	if st := s.find("x"); st.status != "ROLLBACK_COMPLETE" || len(st.resources) != 0 {
		t.Errorf("stack %s with %d resources", st.status, len(st.resources))
	}
	if !slices.Equal(s.Inventory(), []string{"stack x ROLLBACK_COMPLETE"}) {
		t.Errorf("left %v", s.Inventory())
	}
}

// A VPC with something in it cannot be deleted, and can be when that is gone.
func TestDependencies(t *testing.T) {
	s := newServer(t, Options{})
	createStackOf(t, s, "net", vpcTemplate)
	vpc := s.find("net").resource("VPC").physical
	s.acct.add(&resource{kind: "AWS::EC2::NetworkInterface", id: "eni-1", props: map[string]any{"VpcId": vpc, "SubnetId": s.find("net").resource("Net").physical, "Status": "available"}})
	query(t, s, "cloudformation", "DeleteStack", "StackName", "net")
	if st := s.find("net"); st == nil || st.status != "DELETE_FAILED" || !strings.Contains(st.reason, "dependencies") {
		t.Fatalf("stack %+v", st)
	}
	query(t, s, "ec2", "DeleteNetworkInterface", "NetworkInterfaceId", "eni-1")
	query(t, s, "cloudformation", "DeleteStack", "StackName", "net")
	if left := s.Inventory(); len(left) > 0 {
		t.Errorf("left %v", left)
	}
}

// A stack deleted while it is being made leaves nothing.
func TestDeletionOvertakesCreation(t *testing.T) {
	s := newServer(t, Options{Delay: func(w Work) time.Duration { return 30 * time.Millisecond }})
	createStackOf(t, s, "net", vpcTemplate)
	if code, body := query(t, s, "cloudformation", "DeleteStack", "StackName", "net"); code != 200 {
		t.Fatalf("%d %s", code, body)
	}
	for end := time.Now().Add(30 * time.Second); len(s.Inventory()) > 0; time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("left %v", s.Inventory())
		}
	}
}

func TestRegistry(t *testing.T) {
	s := newServer(t, Options{})
	const target = "AmazonEC2ContainerRegistry_V20150921."
	code, body := ask(t, s, "ecr", target+"CreateRepository", map[string]any{"repositoryName": "study/webhook"})
	if code != 200 {
		t.Fatalf("%d %s", code, body)
	}
	repo, err := remote.NewRepository(strings.TrimPrefix(s.URL, "http://") + "/study/webhook")
	if err != nil {
		t.Fatal(err)
	}
	repo.PlainHTTP = true
	repo.Client = &auth.Client{Credential: auth.StaticCredential(repo.Reference.Registry, auth.Credential{Username: "AWS", Password: RegistryPassword})}
	ctx := context.Background()
	from := memory.New()
	layer, err := oras.PushBytes(ctx, from, "application/octet-stream", []byte("layer"))
	if err != nil {
		t.Fatal(err)
	}
	desc, err := oras.PackManifest(ctx, from, oras.PackManifestVersion1_1, "application/x", oras.PackManifestOptions{Layers: []ocispec.Descriptor{layer}})
	if err != nil {
		t.Fatal(err)
	}
	if err := from.Tag(ctx, desc, "v1"); err != nil {
		t.Fatal(err)
	}
	if _, err := oras.Copy(ctx, from, "v1", repo, "v1", oras.DefaultCopyOptions); err != nil {
		t.Fatal(err)
	}
	to := memory.New()
	got, err := oras.Copy(ctx, repo, "v1", to, "v1", oras.DefaultCopyOptions)
	if err != nil || got.Digest != desc.Digest {
		t.Errorf("pulled %s, %v; pushed %s", got.Digest, err, desc.Digest)
	}
	if code, body := ask(t, s, "ecr", target+"DeleteRepository", map[string]any{"repositoryName": "study/webhook"}); code != 400 {
		t.Errorf("a repository with content may be deleted: %d %s", code, body)
	}
	ask(t, s, "ecr", target+"DeleteRepository", map[string]any{"repositoryName": "study/webhook", "force": true})
	if left := s.Inventory(); len(left) > 0 {
		t.Errorf("left %v", left)
	}
}

func TestTypicalDelays(t *testing.T) {
	d := TypicalDelays(60)
	if got := d(Work{Type: "AWS::EKS::Cluster"}); got != 9*time.Second {
		t.Errorf("a cluster takes %s", got)
	}
	if got := d(Work{Type: "AWS::EC2::Route"}); got != 0 {
		t.Errorf("a route takes %s", got)
	}
}
