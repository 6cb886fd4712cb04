package eks_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/compspec/ocifit-lab/provision/eks"
	"github.com/compspec/ocifit-lab/provision/eks/awstest"
	"github.com/compspec/ocifit-lab/provision/step"
)

func TestThrottled(t *testing.T) {
	b := newBench(t, awstest.Options{})
	b.aws.Inject(awstest.Throttle("cloudformation", "CreateStack", 1))
	b.aws.Inject(awstest.Throttle("eks", "DescribeCluster", 1))
	b.aws.Inject(awstest.Throttle("ec2", "DescribeSubnets", 1))
	b.mustUp()
	b.aws.Inject(awstest.Throttle("cloudformation", "DeleteStack", 1))
	b.mustDown()
}

// A connection that is cut before or after the work was done makes no difference.
func TestConnectionCut(t *testing.T) {
	for _, afterWork := range []bool{false, true} {
		b := newBench(t, awstest.Options{})
		for _, op := range []string{"CreateStack", "CreateAddon", "CreateOpenIDConnectProvider", "DescribeStacks", "CreateOrUpdateTags"} {
			b.aws.Inject(awstest.Fault{Operation: op, Times: 1, Cut: true, AfterWork: afterWork})
		}
		b.mustUp()
		for _, op := range []string{"DeleteStack", "UpdateTerminationProtection", "DeleteOpenIDConnectProvider"} {
			b.aws.Inject(awstest.Fault{Operation: op, Times: 1, Cut: true, AfterWork: afterWork})
		}
		b.mustDown()
	}
}

func TestSessionEndsInTheMiddle(t *testing.T) {
	for _, calls := range []int{15, 30, 45, 60} {
		b := newBench(t, awstest.Options{})
		b.aws.Inject(awstest.ExpireToken(calls))
		b.failUp("ExpiredToken", "log in again", "goes on where it stopped")
		b.aws.Reset()
		b.mustUp()
		b.aws.Reset()
		b.aws.Inject(awstest.ExpireToken(calls))
		if err := b.down(); err == nil || !strings.Contains(step.HintOf(err), "log in again") {
			t.Errorf("down with an ended session: %v", err)
		}
		b.aws.Reset()
		b.mustDown()
	}
}

// A node group without capacity fails, with the cause, and does not keep those beside it from being made; it is made again only with consent.
func TestNoCapacity(t *testing.T) {
	b := newBench(t, awstest.Options{})
	b.aws.Break(awstest.NoCapacity("nodegroup-hpc7g", 1))
	b.failUp("node group hpc7g", "InsufficientInstanceCapacity", "eksctl-study-nodegroup-hpc7g")
	have := strings.Join(b.aws.Inventory(), "\n")
	for _, want := range []string{"node group study/c7a", "stack eksctl-study-nodegroup-hpc7g ROLLBACK_COMPLETE"} {
		if !strings.Contains(have, want) {
			t.Errorf("no %q in\n%s", want, have)
		}
	}
	logs, err := os.ReadFile(filepath.Join(b.opts.Dir, "logs", "eks-stacks.json"))
	if err != nil || !strings.Contains(string(logs), "InsufficientInstanceCapacity") {
		t.Errorf("the collected logs do not name the cause: %v", err)
	}

	b.failUp("eksctl-study-nodegroup-hpc7g is ROLLBACK_COMPLETE", "InsufficientInstanceCapacity", "consent")
	asked := ""
	b.opts.Consent = func(_ context.Context, question string) (bool, error) {
		asked = question
		return true, nil
	}
	b.mustUp()
	if !strings.Contains(asked, "ROLLBACK_COMPLETE") || !strings.Contains(asked, "make it again") {
		t.Errorf("asked: %q", asked)
	}
	b.mustDown()
}

func TestControlPlaneFails(t *testing.T) {
	b := newBench(t, awstest.Options{})
	b.aws.Break(awstest.ResourceFault{Stack: "study-cluster", Type: "AWS::EKS::Cluster", Times: 1, Reason: "Cannot create cluster 'study' because of an unsupported zone"})
	b.failUp("unsupported zone")
	b.mustDown() // a rolled-back cluster without a cluster is removed as well
	b.aws.Break(awstest.ResourceFault{Stack: "study-cluster", Type: "AWS::EC2::VPC", Times: 1, Reason: "The maximum number of VPCs has been reached."})
	b.failUp("maximum number of VPCs")
	b.opts.Consent = func(context.Context, string) (bool, error) { return true, nil }
	b.mustUp()
	b.mustDown()
}

// A deletion that something blocks is helped along where that is ours, and says what blocks it where it is not.
func TestDeletionBlocked(t *testing.T) {
	b := newBench(t, awstest.Options{})
	b.mustUp()
	b.aws.Break(awstest.ResourceFault{Stack: "study-cluster", Type: "AWS::EC2::Subnet", Delete: true, Times: 2, Reason: "The subnet has dependencies and cannot be deleted."})
	b.mustDown()

	b.mustUp()
	b.aws.Break(awstest.ResourceFault{Stack: "nodegroup-c7a", Type: "AWS::EKS::Nodegroup", Delete: true, Reason: "Ec2SecurityGroupDeletionFailure: sg-1 has a dependent object"})
	err := b.down()
	if err == nil || !strings.Contains(err.Error(), "sg-1 has a dependent object") || !errors.Is(err, eks.ErrLeftovers) {
		t.Errorf("down: %v", err)
	}
	left := strings.Join(b.aws.Inventory(), "\n")
	if strings.Contains(left, "nodegroup-sticky") || !strings.Contains(left, "nodegroup-c7a DELETE_FAILED") {
		t.Errorf("left:\n%s", left)
	}
	b.aws.Reset()
	b.mustDown()
}

// Slow stacks are waited for, and a deadline that passes says what was last seen.
func TestSlowStacks(t *testing.T) {
	b := newBench(t, awstest.Options{Delay: func(w awstest.Work) time.Duration {
		if w.Type == "AWS::EKS::Nodegroup" || w.Type == "AWS::EKS::Cluster" {
			return 300 * time.Millisecond
		}
		return 0
	}})
	steps := b.provider().Steps()
	for i := range steps {
		if steps[i].Name == eks.StepControlPlane {
			steps[i].Timeout = 150 * time.Millisecond
		}
	}
	err := step.Up(context.Background(), steps, nil, nil)
	if !errors.Is(err, step.ErrTimeout) || !strings.Contains(err.Error(), "last seen") {
		t.Errorf("after the deadline: %v", err)
	}
	b.mustUp()
	b.mustDown()
}

// What is wrong is said before anything is made.
func TestRefusedBeforeAnythingIsMade(t *testing.T) {
	for name, c := range map[string]struct {
		aws    awstest.Options
		change func(*bench)
		want   []string
	}{
		"no credentials": {
			change: func(b *bench) { b.t.Setenv("AWS_ACCESS_KEY_ID", ""); b.t.Setenv("AWS_SECRET_ACCESS_KEY", "") },
			want:   []string{"credentials", "AWS_PROFILE"},
		},
		"unknown credentials": {
			change: func(b *bench) { b.t.Setenv("AWS_ACCESS_KEY_ID", "AKIAWRONG") },
			want:   []string{"InvalidClientTokenId", "does not know these credentials"},
		},
		"wrong region": {change: func(b *bench) { b.opts.Region = "eu-nowhere-1" }, want: []string{"eu-nowhere-1", "region"}},
		"no permission": {
			aws:  awstest.Options{Deny: []string{"eks:CreateCluster", "iam:CreateRole"}},
			want: []string{"may not: eks:CreateCluster, iam:CreateRole", "ask for these permissions"},
		},
		"quota": {
			aws:  awstest.Options{Quotas: map[string]float64{"L-1216C47A": 32}},
			want: []string{"it is 32, and the lab needs 56", "L-1216C47A"},
		},
		"quota of hpc":  {aws: awstest.Options{Quotas: map[string]float64{"L-F7808C92": 0}}, want: []string{"family hpc", "it is 0, and the lab needs 64"}},
		"quota of VPCs": {aws: awstest.Options{Quotas: map[string]float64{"L-F678F1CE": 1}}, want: []string{"all 1 of us-east-1 are in use"}},
		"unknown type": {
			change: func(b *bench) { b.opts.NodeGroups[1].InstanceType = "c6a.16.xlarge" },
			want:   []string{"c6a.16.xlarge does not exist", "write c6a.16xlarge instead"},
		},
		"version": {change: func(b *bench) { b.opts.KubernetesVersion = "1.19" }, want: []string{"1.19", "kubernetesVersion", "1.34"}},
		"catalogue": {
			change: func(b *bench) { b.opts.Catalogue = []string{"c7a.12xlarge", "hpc7g.16xlarge", "g5.xlarge"} },
			want:   []string{"the webhook could choose g5.xlarge, but no node group starts it"},
		},
		"foreign cluster": {
			change: func(b *bench) { b.aws.Foreign("study", map[string]string{"team": "other"}) },
			want:   []string{"not made by this lab", "cluster study exists", "choose another name"},
		},
		"bad name": {change: func(b *bench) { b.opts.Name = "a_b" }, want: []string{"letters, digits and hyphens"}},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t, c.aws)
			if c.change != nil {
				c.change(b)
			}
			b.failUp(c.want...)
			for _, call := range b.aws.Calls() {
				if call.Mutates() {
					t.Errorf("a change was asked for: %s %s", call.Operation, call.Subject)
				}
			}
		})
	}
}

// What the lab did not make is not touched, whichever way it is met.
func TestForeignClusterIsNotTouched(t *testing.T) {
	b := newBench(t, awstest.Options{})
	b.aws.Foreign("study", nil)
	before := b.aws.Inventory()
	if err := b.failUp("not made by this lab"); !errors.Is(err, eks.ErrNotOurs) {
		t.Errorf("error %v", err)
	}
	if err := b.down(); !errors.Is(err, eks.ErrNotOurs) || errors.Is(err, eks.ErrLeftovers) {
		t.Errorf("down: %v", err)
	}
	b.aws.LeaveVolume("study")
	if left, err := b.provider().Leftovers(context.Background()); err != nil || len(left) > 0 {
		t.Errorf("things of another cluster count as left over: %v, %v", left, err)
	}
	b.aws.Take(b.aws.Inventory()[0][len("volume "):])
	if after := b.aws.Inventory(); !slices.Equal(before, after) {
		t.Errorf("before %v, after %v", before, after)
	}
	for _, c := range b.aws.Calls() {
		if c.Mutates() {
			t.Errorf("a change was asked for: %s %s", c.Operation, c.Subject)
		}
	}
}

func TestUserFile(t *testing.T) {
	b := newBench(t, awstest.Options{})
	file := filepath.Join(t.TempDir(), "eks-config.yaml")
	write := func(text string) {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	b.opts.ClusterConfig, b.opts.NodeGroups = file, nil
	write(userFile)
	b.mustUp()
	have := strings.Join(b.aws.Inventory(), "\n")
	for _, want := range []string{
		"cluster nfd-cluster", "node group nfd-cluster/sticky-nodes", "node group nfd-cluster/c7a", "natgateway ",
		"stack eksctl-nfd-cluster-addon-iamserviceaccount-kube-system-cluster-autoscaler",
	} {
		if !strings.Contains(have, want) {
			t.Errorf("no %q in\n%s", want, have)
		}
	}
	b.mustUp()
	b.mustDown()

	b.aws.Reset()
	write(strings.Replace(userFile, "v1alpha5", "v1alpha4", 1))
	b.failUp("v1alpha4", "v1alpha5 only")
	write(userFile + "unknownKey: 1\n")
	b.failUp("unknownKey")
	write(strings.Replace(userFile, "minSize: 1", "minSize: one", 1))
	b.failUp("minSize")
	b.opts.ClusterConfig = filepath.Join(t.TempDir(), "none.yaml")
	b.failUp("none.yaml")
	b.nothingMade()
}

const userFile = `apiVersion: eksctl.io/v1alpha5
kind: ClusterConfig
metadata:
  name: nfd-cluster
  region: us-east-1
availabilityZones: [us-east-1a, us-east-1b]
iam:
  withOIDC: true
  serviceAccounts:
  - metadata: {name: cluster-autoscaler, namespace: kube-system}
    wellKnownPolicies: {autoScaler: true}
managedNodeGroups:
- name: sticky-nodes
  instanceType: t3.2xlarge
  minSize: 1
  maxSize: 1
  desiredCapacity: 1
- name: c7a
  instanceType: c7a.12xlarge
  minSize: 0
  maxSize: 1
  desiredCapacity: 0
  propagateASGTags: true
  tags:
    k8s.io/cluster-autoscaler/enabled: "true"
`
