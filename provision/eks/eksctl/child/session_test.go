package child_test

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/compspec/ocifit-lab/provision/eks/awstest"
	"github.com/compspec/ocifit-lab/provision/eks/clusterconfig"
	"github.com/compspec/ocifit-lab/provision/eks/eksctl/child"
	"github.com/compspec/ocifit-lab/provision/eks/eksctl/parent"
	"github.com/compspec/ocifit-lab/provision/eks/eksctl/wire"
)

// The test binary is its own child.
func TestMain(m *testing.M) {
	if os.Getenv("OCIFIT_LAB_TEST_DRIVER") == "1" {
		os.Exit(child.Main(context.Background(), os.Stdin, os.Stdout))
	}
	os.Exit(m.Run())
}

type bench struct {
	t   *testing.T
	aws *awstest.Server
	run parent.Runner
	cfg []byte
}

func newBench(t *testing.T, opts awstest.Options) *bench {
	t.Helper()
	if testing.Verbose() {
		opts.Log = t.Logf
	}
	srv, err := awstest.New(opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := srv.Close(); err != nil {
			t.Error(err)
		}
	})
	cfg, err := clusterconfig.Generate(clusterconfig.Options{
		Name: "study", Region: "us-east-1", KubernetesVersion: "1.34", Zones: []string{"us-east-1a", "us-east-1b"},
		NodeGroups: []clusterconfig.NodeGroup{
			{Name: "sticky", InstanceType: "t3.2xlarge", Architecture: "amd64", VCPU: 8, MemoryMiB: 32768, Min: 1, Desired: 1, Max: 1, Sticky: true},
			{Name: "ng-c7a", InstanceType: "c7a.12xlarge", Architecture: "amd64", VCPU: 48, MemoryMiB: 98304, Max: 1},
			{Name: "ng-hpc7g", InstanceType: "hpc7g.16xlarge", Architecture: "arm64", VCPU: 64, MemoryMiB: 131072, Max: 1, Zones: []string{"us-east-1a"}},
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	b := &bench{t: t, aws: srv, cfg: cfg}
	dir := t.TempDir()
	b.run = parent.Runner{Command: []string{exe}, Env: append(srv.Env(), "OCIFIT_LAB_TEST_DRIVER=1"), Home: filepath.Join(dir, "home"), Logs: filepath.Join(dir, "logs")}
	return b
}

func (b *bench) do(ctx context.Context, op wire.Op, groups ...string) error {
	return b.run.Run(ctx, b.request(op, groups...), func(level, text string) {
		if testing.Verbose() {
			b.t.Logf("%s: %s: %s", op, level, text)
		}
	})
}

func (b *bench) request(op wire.Op, groups ...string) wire.Request {
	return wire.Request{Op: op, Name: "study", Region: "us-east-1", Owner: "study", Config: b.cfg, Groups: groups, Poll: 20 * time.Millisecond}
}

func (b *bench) must(op wire.Op, groups ...string) {
	b.t.Helper()
	start := time.Now()
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	if err := b.do(ctx, op, groups...); err != nil {
		b.t.Fatalf("%s: %v", op, err)
	}
	b.t.Logf("%s took %s", op, time.Since(start).Round(time.Millisecond))
}

func (b *bench) empty() {
	b.t.Helper()
	if left := b.aws.Inventory(); len(left) > 0 {
		b.t.Errorf("still there:\n%s", strings.Join(left, "\n"))
	}
}

var allGroups = []string{"sticky", "ng-c7a", "ng-hpc7g"}

func TestLifeCycle(t *testing.T) {
	b := newBench(t, awstest.Options{})
	b.must(wire.Check)
	if n := len(b.aws.Calls()); n != 0 {
		t.Errorf("check made %d calls", n)
	}
	b.must(wire.ControlPlane)
	b.must(wire.NodeGroups, allGroups...)
	b.must(wire.Identity)
	have := strings.Join(b.aws.Inventory(), "\n")
	for _, want := range []string{
		"stack eksctl-study-cluster CREATE_COMPLETE", "stack eksctl-study-nodegroup-ng-hpc7g CREATE_COMPLETE",
		"stack eksctl-study-addon-iamserviceaccount-kube-system-cluster-autoscaler CREATE_COMPLETE", "oidc provider ", "cluster study", "node group study/sticky",
	} {
		if !strings.Contains(have, want) {
			t.Errorf("no %q in\n%s", want, have)
		}
	}
	b.must(wire.Delete)
	b.empty()
}

// Every operation may be repeated, and then makes nothing new.
func TestRepeat(t *testing.T) {
	b := newBench(t, awstest.Options{})
	ops := func() {
		b.must(wire.ControlPlane)
		b.must(wire.NodeGroups, allGroups...)
		b.must(wire.Identity)
	}
	ops()
	before := b.aws.Inventory()
	b.aws.Reset()
	ops()
	if !slices.Equal(before, b.aws.Inventory()) {
		t.Errorf("a repeated up changed what exists:\n%v\n%v", before, b.aws.Inventory())
	}
	for _, c := range b.aws.Calls() {
		if c.Mutates() && c.Operation != "CreateOrUpdateTags" && c.Operation != "CreateOpenIDConnectProvider" {
			t.Errorf("a repeated up called %s %s", c.Operation, c.Subject)
		}
	}
	b.must(wire.Delete)
	b.must(wire.Delete)
	b.empty()
}
