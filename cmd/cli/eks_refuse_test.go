package cli

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/compspec/ocifit-lab/cmd/assembly"
	"github.com/compspec/ocifit-lab/cmd/cli/command"
	"github.com/compspec/ocifit-lab/provision/eks/awstest"
)

const eksLab = "apiVersion: ocifit-lab/v1alpha1\nname: study\nprovider: eks\n"

// smallLab has one group beside the sticky one, for tests in which eksctl works.
const smallLab = eksLab + `nodeGroups:
- {name: sticky, instanceType: t3.2xlarge, min: 1, desired: 1, max: 1, sticky: true}
- {name: c7a, instanceType: c7a.12xlarge, max: 1}
`

// A plan asks nobody, and says that its figures are from tables.
func TestEKSPlanNeedsNothing(t *testing.T) {
	w := newWorld(t, awstest.Options{})
	for _, e := range w.aws.Env() {
		k, _, _ := strings.Cut(e, "=")
		if k != "AWS_ENDPOINT_URL" && k != "AWS_EC2_METADATA_DISABLED" {
			t.Setenv(k, "")
		}
	}
	file := w.write("lab.yaml", eksLab)
	r := w.call(command.ExitOK, "plan", "--lab", file)
	w.says(r.out, "lab study on eks", "eks-control-plane", "create EKS cluster study (Kubernetes 1.35)", "per hour idle",
		"no price was asked for; all are from dated tables", "us-east-1", "hpc7g.16xlarge", "the account's registry as study/")
	if strings.Contains(r.out, "ClusterConfig") {
		t.Error("the cluster file is printed without being asked for")
	}
	w.says(w.call(command.ExitOK, "plan", "--lab", file, "-v").out, "kind: ClusterConfig", "k8s.io/cluster-autoscaler/study: owned")
	var p assembly.Plan
	if err := json.Unmarshal([]byte(w.call(command.ExitOK, "plan", "--lab", file, "-o", "json").out), &p); err != nil {
		t.Fatal(err)
	}
	if p.Bill == nil || p.Bill.Cost.Idle < 0.1 || p.Bill.Cost.Worst < p.Bill.Cost.Idle || !strings.Contains(p.Bill.ClusterFile, "eksctl.io/v1alpha5") || p.WorstCase.CostUSD <= 0 {
		t.Errorf("plan: %+v", p.Bill)
	}
	if n := len(w.aws.Calls()); n > 0 {
		t.Errorf("AWS was asked %d times", n)
	}
	w.untouched()
}

func TestEKSPlanChecks(t *testing.T) {
	w := newWorld(t, awstest.Options{Quotas: map[string]float64{"L-1216C47A": 8}})
	file := w.write("lab.yaml", smallLab)
	r := w.call(command.ExitCheck, "plan", "--lab", file, "--check")
	w.says(r.out, "failed", "it is 8, and the lab needs 56")
	w.says(r.err, "Service Quotas")
	w.untouched()
}

// What would go wrong is refused before anything is made, and says what to do.
func TestEKSRefuses(t *testing.T) {
	for name, c := range map[string]struct {
		aws  awstest.Options
		lab  string
		set  func(*testing.T, *world)
		args []string
		want []string
	}{
		"no credentials": {
			set: func(t *testing.T, _ *world) {
				t.Setenv("AWS_ACCESS_KEY_ID", "")
				t.Setenv("AWS_SECRET_ACCESS_KEY", "")
			},
			args: []string{"--yes"}, want: []string{"credentials", "set AWS_PROFILE"},
		},
		"no terminal": {want: []string{"this costs $", "no terminal to ask on", "try: give --yes"}},
		"unknown type": {
			lab: strings.Replace(smallLab, "c7a.12xlarge", "c6a.16.xlarge", 1), args: []string{"--yes"},
			want: []string{`"c6a.16.xlarge" is not in the catalogue (did you mean c6a.16xlarge?)`},
		},
		"unknown type in a cluster file": {
			args: []string{"--yes", "--cluster-config", "FILE"},
			want: []string{"c6a.16.xlarge does not exist", "write c6a.16xlarge instead"},
		},
		"cluster file of another version": {
			args: []string{"--yes", "--cluster-config", "OLD"}, want: []string{"eksctl.io/v1alpha4", "v1alpha5 only"},
		},
		"foreign cluster": {
			set:  func(_ *testing.T, w *world) { w.aws.Foreign("study", nil) },
			args: []string{"--yes"}, want: []string{"not made by this lab", "choose another name"},
		},
		"no permission": {
			aws: awstest.Options{Deny: []string{"eks:CreateCluster", "ecr:PutImage"}}, args: []string{"--yes"}, want: []string{"may not: ecr:PutImage, eks:CreateCluster"},
		},
		"cannot be installed": {
			lab: smallLab + "kubernetesVersion: \"1.40\"\n", set: func(_ *testing.T, w *world) { w.env.Webhook = nil },
			args: []string{"--yes"}, want: []string{"cannot install into a cluster on eks", "a cluster-autoscaler for Kubernetes 1.40", "choose another kubernetesVersion"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, c.aws)
			if c.lab == "" {
				c.lab = smallLab
			}
			if c.set != nil {
				c.set(t, w)
			}
			args := []string{"up", "--lab", w.write("lab.yaml", c.lab)}
			for _, a := range c.args {
				switch a {
				case "FILE":
					a = w.write("eks-config.yaml", clusterFile)
				case "OLD":
					a = w.write("eks-config.yaml", strings.Replace(clusterFile, "v1alpha5", "v1alpha4", 1))
				}
				args = append(args, a)
			}
			w.says(w.call(command.ExitError, args...).err, c.want...)
			w.untouched()
		})
	}
}

const clusterFile = `apiVersion: eksctl.io/v1alpha5
kind: ClusterConfig
metadata: {name: study, region: us-east-1, version: "1.34"}
availabilityZones: [us-east-1a, us-east-1b]
managedNodeGroups:
- {name: sticky, instanceType: t3.2xlarge, minSize: 1, desiredCapacity: 1, maxSize: 1}
- {name: c6a, instanceType: c6a.16.xlarge, minSize: 0, desiredCapacity: 0, maxSize: 1}
`

// A lab that failed half-way is taken down from its state, and one without state from its name and region.
func TestEKSDown(t *testing.T) {
	w := newWorld(t, awstest.Options{})
	file := w.write("lab.yaml", smallLab)
	// Addons cannot work on the endpoint's own small API server: up fails half-way.
	w.says(w.call(command.ExitError, "up", "--lab", file, "--yes").err, "run `ocifit-lab up` again")
	if len(w.aws.Inventory()) == 0 {
		t.Fatal("nothing was made")
	}

	w.aws.LeaveVolume("study")
	w.aws.Inject(awstest.Fault{Service: "ec2", Operation: "DeleteVolume", Status: 403, Code: "UnauthorizedOperation", Message: "no"})
	w.says(w.call(command.ExitCheck, "down", "--lab", file).err, "still there", "volume vol-")
	w.aws.Reset()
	if err := os.RemoveAll(filepath.Join(w.dir, "state")); err != nil {
		t.Fatal(err)
	}
	w.says(w.call(command.ExitError, "down", "--name", "study").err, "region")
	w.says(w.call(command.ExitOK, "down", "--name", "study", "--region", "us-east-1").out, "nothing is left")
	if left := w.aws.Inventory(); len(left) > 0 {
		t.Errorf("left: %v", left)
	}
	w.says(w.call(command.ExitOK, "down", "--name", "study", "--region", "us-east-1").out, "nothing is left")
}

// A foreign cluster is not taken down either.
func TestEKSDownLeavesOthersAlone(t *testing.T) {
	w := newWorld(t, awstest.Options{})
	w.aws.Foreign("study", nil)
	w.says(w.call(command.ExitError, "down", "--name", "study", "--region", "us-east-1").err, "not made by this lab")
	w.untouchedBut("cluster study")
}

func (w *world) untouchedBut(want ...string) {
	w.t.Helper()
	for _, c := range w.aws.Calls() {
		if c.Mutates() {
			w.t.Errorf("a change was asked for: %s %s", c.Operation, c.Subject)
		}
	}
	if have := w.aws.Inventory(); !slices.Equal(have, want) {
		w.t.Errorf("the account has %v, want %v", have, want)
	}
}

// A stack that failed is made again only with consent: at a terminal by an answer, elsewhere by a flag.
func TestEKSAsksBeforeItRecreates(t *testing.T) {
	w := newWorld(t, awstest.Options{})
	file := w.write("lab.yaml", smallLab)
	w.aws.Break(awstest.ResourceFault{Stack: "study-cluster", Type: "AWS::EC2::VPC", Times: 1, Reason: "The maximum number of VPCs has been reached."})
	w.says(w.call(command.ExitError, "up", "--lab", file, "--yes").err, "maximum number of VPCs")
	w.says(w.call(command.ExitError, "up", "--lab", file, "--yes").err, "ROLLBACK_COMPLETE", "--recreate-failed")
	w.in = "y\nn\n"
	w.says(w.call(command.ExitError, "up", "--lab", file).err, "Make cluster study", "These failed in an earlier up", "eksctl-study-cluster", "the answer was no")
	w.in = ""
	if have := strings.Join(w.aws.Inventory(), "\n"); !strings.Contains(have, "ROLLBACK_COMPLETE") {
		t.Errorf("the failed stack is gone:\n%s", have)
	}
	w.call(command.ExitError, "up", "--lab", file, "--yes", "--recreate-failed") // goes on to the addons, which fail here
	if have := strings.Join(w.aws.Inventory(), "\n"); strings.Contains(have, "ROLLBACK_COMPLETE") {
		t.Errorf("the failed stack is still there:\n%s", have)
	}
	w.call(command.ExitOK, "down", "--lab", file)
}

// The lab of a real cluster: everything runs in it, starts as early as it can, and stays on the nodes that are always there.
func TestEKSRealAssembly(t *testing.T) {
	w := newWorld(t, awstest.Options{})
	w.env.Webhook = nil
	r := w.call(command.ExitOK, "plan", "--lab", w.write("lab.yaml", eksLab))
	w.says(r.out, "make an image of this program and push it to the account's registry as study/ocifit-lab", "run the selection webhook in namespace",
		"install cert-manager", "install cluster-autoscaler", "registry.k8s.io/autoscaling/cluster-autoscaler:v1.35")
	if n := len(w.aws.Calls()); n > 0 {
		t.Errorf("AWS was asked %d times", n)
	}
}
