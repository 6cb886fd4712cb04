package eks_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/compspec/ocifit-lab/provision"
	"github.com/compspec/ocifit-lab/provision/eks"
	"github.com/compspec/ocifit-lab/provision/eks/awstest"
	"github.com/compspec/ocifit-lab/provision/eks/awstest/model"
	"github.com/compspec/ocifit-lab/provision/eks/eksctl/child"
	"github.com/compspec/ocifit-lab/provision/step"
)

// The test binary is also the child that drives eksctl, the program that prints tokens, and a program that brings the lab up.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 {
		ctx := context.Background()
		switch os.Args[1] {
		case "test-driver":
			os.Exit(child.Main(ctx, os.Stdin, os.Stdout))
		case "test-token":
			out, err := eks.Token(ctx, os.Args[3], os.Args[5], "")
			if err != nil {
				fmt.Fprintln(os.Stderr, err)
				os.Exit(1)
			}
			fmt.Println(string(out))
			os.Exit(0)
		case "test-up":
			p := eks.New(options(os.Args[2]))
			if err := step.Up(ctx, p.Steps(), nil, nil); err != nil {
				fmt.Fprintln(os.Stderr, err)
				os.Exit(1)
			}
			os.Exit(0)
		}
	}
	os.Exit(m.Run())
}

// options are those of a small lab with its files in dir.
func options(dir string) eks.Options {
	exe, err := os.Executable()
	if err != nil {
		panic(err)
	}
	return eks.Options{
		Name: "study", Region: "us-east-1", KubernetesVersion: "1.34",
		NodeGroups: []eks.NodeGroup{
			{Name: "sticky", InstanceType: "t3.2xlarge", Min: 1, Desired: 1, Max: 1, Sticky: true},
			{Name: "c7a", InstanceType: "c7a.12xlarge", Max: 1},
			{Name: "hpc7g", InstanceType: "hpc7g.16xlarge", Max: 1, Zones: []string{"us-east-1a"}},
		},
		Dir: filepath.Join(dir, "eks"), Kubeconfig: filepath.Join(dir, "kubeconfig"),
		Command: []string{exe, "test-driver"}, TokenCommand: []string{exe, "test-token"},
		Poll: 20 * time.Millisecond, Registry: true,
	}
}

// bench is a lab on an endpoint of its own.
type bench struct {
	t    *testing.T
	aws  *awstest.Server
	opts eks.Options

	mu   sync.Mutex
	pids []int
}

func newBench(t *testing.T, opts awstest.Options) *bench {
	t.Helper()
	srv, err := awstest.New(opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := srv.Close(); err != nil {
			t.Error(err)
		}
		secondOpinion(t, srv.Answers())
	})
	for _, e := range srv.Env() {
		k, v, _ := strings.Cut(e, "=")
		t.Setenv(k, v)
	}
	b := &bench{t: t, aws: srv, opts: options(t.TempDir())}
	b.opts.Started = func(pid int) {
		b.mu.Lock()
		defer b.mu.Unlock()
		b.pids = append(b.pids, pid)
	}
	return b
}

// opinions are the answers that were looked at, by operation, status and length.
var opinions sync.Map

// secondOpinion holds what the endpoint answered in a test against the models of AWS' SDK, each answer once.
func secondOpinion(t *testing.T, answers []awstest.Answer) {
	t.Helper()
	for _, a := range answers {
		key := fmt.Sprint(a.Service, a.Operation, a.Status, len(a.Body))
		if _, seen := opinions.LoadOrStore(key, true); seen {
			continue
		}
		for _, fault := range model.Check(a) {
			t.Errorf("the endpoint's answer to %s:%s (%d) is not AWS': %s", a.Service, a.Operation, a.Status, fault)
		}
	}
}

func (b *bench) provider() *eks.Provider { return eks.New(b.opts) }

// recorder keeps what happened to each step.
type recorder struct {
	mu      sync.Mutex
	results map[string]step.Result
	details []string
}

func (r *recorder) Start(string, string) {}
func (r *recorder) Detail(name, text string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.details = append(r.details, name+": "+text)
}

func (r *recorder) End(name string, res step.Result) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.results == nil {
		r.results = map[string]step.Result{}
	}
	r.results[name] = res
}

// limit ends what hangs; no test is about its length.
const limit = 2 * time.Minute

func (b *bench) up() (*recorder, error) {
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	r := &recorder{}
	return r, step.Up(ctx, b.provider().Steps(), r, nil)
}

func (b *bench) down() error {
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	return step.Down(ctx, b.provider().Steps(), &recorder{}, nil)
}

func (b *bench) mustUp() *recorder {
	b.t.Helper()
	r, err := b.up()
	if err != nil {
		b.t.Fatalf("up: %v", err)
	}
	return r
}

// mustDown takes the lab down and wants the account empty.
func (b *bench) mustDown() {
	b.t.Helper()
	if err := b.down(); err != nil {
		b.t.Errorf("down: %v", err)
	}
	if left := b.aws.Inventory(); len(left) > 0 {
		b.t.Errorf("still there after down:\n%s", strings.Join(left, "\n"))
	}
}

// wantWhole wants up to find nothing to do.
func (b *bench) wantWhole() {
	b.t.Helper()
	wantSkipped(b.t, b.mustUp())
}

func wantSkipped(t *testing.T, r *recorder) {
	t.Helper()
	for name, res := range r.results {
		if !res.Skipped {
			t.Errorf("up again ran %s", name)
		}
	}
}

// failUp wants up to fail with an error that holds every one of the texts, hints included.
func (b *bench) failUp(texts ...string) error {
	b.t.Helper()
	_, err := b.up()
	if err == nil {
		b.t.Fatal("up succeeded")
	}
	all := err.Error() + "\n" + step.HintOf(err)
	for _, want := range texts {
		if !strings.Contains(all, want) {
			b.t.Errorf("no %q in the error:\n%s", want, all)
		}
	}
	return err
}

// killChildren ends the children that were started so far without a word.
func (b *bench) killChildren() {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, pid := range b.pids {
		_ = syscall.Kill(pid, syscall.SIGKILL)
	}
	b.pids = nil
}

func (b *bench) nothingMade() {
	b.t.Helper()
	if left := b.aws.Inventory(); len(left) > 0 {
		b.t.Errorf("something was made:\n%s", strings.Join(left, "\n"))
	}
	for _, c := range b.aws.Calls() {
		if c.Mutates() {
			b.t.Errorf("a change was asked for: %s %s", c.Operation, c.Subject)
		}
	}
}

func TestLifeCycle(t *testing.T) {
	b := newBench(t, awstest.Options{})
	ctx := context.Background()
	if s, err := b.provider().Status(ctx); err != nil || s.State != provision.Absent {
		t.Errorf("status before up: %+v, %v", s, err)
	}
	start := time.Now()
	b.mustUp()
	t.Logf("up took %s", time.Since(start).Round(time.Millisecond))

	s, err := b.provider().Status(ctx)
	if err != nil || s.State != provision.Running || s.Facts["node groups"] != "3 of 3" || s.Endpoint == "" {
		t.Errorf("status after up: %+v, %v", s, err)
	}
	k, err := b.provider().Connect(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if err := k.Ready(ctx); err != nil {
		t.Errorf("the cluster cannot be used with the lab's kubeconfig: %v", err)
	}
	if left, err := b.provider().Leftovers(ctx); err != nil || len(left) < 10 {
		t.Errorf("leftovers of a running lab: %v, %v", left, err)
	}

	b.aws.Reset()
	start = time.Now()
	again := b.mustUp()
	t.Logf("up again took %s", time.Since(start).Round(time.Millisecond))
	wantSkipped(t, again)
	for _, c := range b.aws.Calls() {
		if c.Mutates() {
			t.Errorf("up again asked for a change: %s %s", c.Operation, c.Subject)
		}
	}

	start = time.Now()
	b.mustDown()
	t.Logf("down took %s", time.Since(start).Round(time.Millisecond))
	b.mustDown() // nothing there is fine
	if _, err := os.Stat(b.opts.Kubeconfig); err == nil {
		t.Error("the kubeconfig is still there")
	}
}

// What is missing is made again, also when it is not a stack.
func TestUpRepairs(t *testing.T) {
	b := newBench(t, awstest.Options{})
	b.mustUp()
	ctx := context.Background()
	k, err := b.provider().Connect(ctx)
	if err != nil {
		t.Fatal(err)
	}
	accounts := k.Clientset.CoreV1().ServiceAccounts(eks.AutoscalerNamespace)
	if err := accounts.Delete(ctx, eks.AutoscalerAccount, metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(b.opts.Kubeconfig); err != nil {
		t.Fatal(err)
	}
	b.mustUp()
	if _, err := accounts.Get(ctx, eks.AutoscalerAccount, metav1.GetOptions{}); err != nil {
		t.Error(err)
	}
	b.wantWhole()
	b.mustDown()
}

// What up does can be undone from the name and region alone, without lab file, state or cluster file.
func TestDownFromNameAndRegion(t *testing.T) {
	b := newBench(t, awstest.Options{})
	b.mustUp()
	b.opts.NodeGroups, b.opts.KubernetesVersion, b.opts.Dir = nil, "", filepath.Join(t.TempDir(), "other")
	b.mustDown()
}

// Nodes go without waiting for pods whose disruption budgets would hold them.
func TestDownDoesNotWaitForDisruptionBudgets(t *testing.T) {
	b := newBench(t, awstest.Options{})
	b.mustUp()
	ctx := context.Background()
	k, err := b.provider().Connect(ctx)
	if err != nil {
		t.Fatal(err)
	}
	budgets := k.Clientset.PolicyV1().PodDisruptionBudgets("default")
	if _, err := budgets.Create(ctx, &policyv1.PodDisruptionBudget{ObjectMeta: metav1.ObjectMeta{Name: "never"}}, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	for _, s := range b.provider().Steps() {
		if s.Name == eks.StepGroups {
			if err := s.Undo(ctx, func(string, ...any) {}); err != nil {
				t.Fatal(err)
			}
		}
	}
	if _, err := budgets.Get(ctx, "never", metav1.GetOptions{}); err == nil {
		t.Error("the budget is still there")
	}
	have := strings.Join(b.aws.Inventory(), "\n")
	if strings.Contains(have, "node group study/c7a") || !strings.Contains(have, "node group study/sticky") {
		t.Errorf("after the experiments' groups were undone:\n%s", have)
	}
	b.mustDown()
}

// What Kubernetes, EKS and others leave behind goes too.
func TestDownTakesWhatClustersLeave(t *testing.T) {
	b := newBench(t, awstest.Options{})
	b.mustUp()
	b.aws.LeaveVolume("study")
	b.aws.LeaveLoadBalancer("study", true)
	b.aws.LeaveLoadBalancer("study", false)
	b.aws.LeaveNetworkInterface("study")
	b.aws.LeaveLogGroup("/aws/eks/study/cluster")
	b.aws.LeaveLaunchTemplate("study")
	if _, err := b.provider().Repository(context.Background(), b.provider().RepositoryName(provision.ImageRepository)); err != nil {
		t.Fatal(err)
	}
	b.mustDown()
}

// What somebody else's cluster of the same name left in the account, before or instead of the lab's, stays.
func TestDownLeavesNamesakesAlone(t *testing.T) {
	b := newBench(t, awstest.Options{})
	old := b.aws.LeaveVolume("study")
	b.aws.Age(old, 24*time.Hour)
	if err := b.down(); err != nil {
		t.Errorf("down of a lab that never was: %v", err)
	}
	b.mustUp()
	b.aws.LeaveVolume("study")
	if err := b.down(); err != nil {
		t.Errorf("down: %v", err)
	}
	if left := b.aws.Inventory(); !slices.Equal(left, []string{"volume " + old}) {
		t.Errorf("left: %v", left)
	}
}

// Things of other clusters stay, however alike their names.
func TestDownLeavesOthersAlone(t *testing.T) {
	b := newBench(t, awstest.Options{})
	b.mustUp()
	b.aws.Foreign("study-two", nil)
	b.aws.LeaveVolume("study-two")
	b.aws.LeaveLogGroup("/aws/eks/study-two/cluster")
	before := len(b.aws.Inventory())
	if err := b.down(); err != nil {
		t.Fatal(err)
	}
	left := b.aws.Inventory()
	for _, want := range []string{"cluster study-two", "volume ", "log group /aws/eks/study-two/cluster"} {
		if !slices.ContainsFunc(left, func(s string) bool { return strings.HasPrefix(s, want) }) {
			t.Errorf("down took %q of another cluster", want)
		}
	}
	if len(left) != 3 {
		t.Errorf("%d things before, left:\n%s", before, strings.Join(left, "\n"))
	}
}

func TestVerifyEmptySaysWhatIsLeft(t *testing.T) {
	b := newBench(t, awstest.Options{})
	b.mustUp()
	b.aws.LeaveVolume("study")
	b.aws.Inject(awstest.Fault{Service: "ec2", Operation: "DeleteVolume", Status: 403, Code: "UnauthorizedOperation", Message: "no"})
	err := b.down()
	if !errors.Is(err, eks.ErrLeftovers) || !strings.Contains(err.Error(), "volume vol-") || !strings.Contains(err.Error(), "UnauthorizedOperation") {
		t.Fatalf("down: %v", err)
	}
	b.aws.Reset()
	b.mustDown()
}

// A cluster that cannot be taken down is not robbed of its parts: its machines would only be started anew, and it could not be used any more.
func TestDownSweepsNothingThatLives(t *testing.T) {
	b := newBench(t, awstest.Options{})
	b.mustUp()
	before := b.aws.Inventory()
	b.aws.Reset()
	b.aws.Inject(awstest.Fault{Service: "cloudformation", Operation: "UpdateTerminationProtection", Status: 403, Code: "AccessDenied", Message: "no"})
	b.aws.Inject(awstest.Fault{Service: "cloudformation", Operation: "DeleteStack", Status: 403, Code: "AccessDenied", Message: "no"})
	if err := b.down(); err == nil || !errors.Is(err, eks.ErrLeftovers) || !strings.Contains(err.Error(), "AccessDenied") {
		t.Errorf("down: %v", err)
	}
	if after := b.aws.Inventory(); !slices.Equal(before, after) {
		t.Errorf("before:\n%s\nafter:\n%s", strings.Join(before, "\n"), strings.Join(after, "\n"))
	}
	for _, c := range b.aws.Calls() {
		if c.Service == "ec2" && c.Mutates() || c.Service == "ecr" && c.Mutates() {
			t.Errorf("a change was asked for: %s %s", c.Operation, c.Subject)
		}
	}
	b.aws.Reset()
	b.mustUp()
	if after := b.aws.Inventory(); !slices.Equal(before, after) {
		t.Errorf("up again made something:\n%s", strings.Join(after, "\n"))
	}
	b.mustDown()
}

// The proof of emptiness knows every kind of thing that costs money or blocks another lab.
func TestProofKnowsEveryKind(t *testing.T) {
	b := newBench(t, awstest.Options{})
	b.mustUp()
	left, err := b.provider().Leftovers(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	for _, kind := range []string{
		"stack ", "cluster ", "node group ", "scaling group ", "instance ", "launch template ", "security group ", "route table ", "subnet ",
		"internet gateway ", "VPC ", "OIDC provider ", "IAM role ",
	} {
		if !slices.ContainsFunc(left, func(s string) bool { return strings.HasPrefix(s, kind) }) {
			t.Errorf("no %sin the inventory of a lab that is up", kind)
		}
	}
	ids := []string{b.aws.LeaveSnapshot("study"), b.aws.LeaveEndpoint("study"), b.aws.LeaveScalingGroup("study"), b.aws.LeaveInstanceProfile("study"), b.aws.LeavePolicy("study")}
	if left, err = b.provider().Leftovers(context.Background()); err != nil {
		t.Fatal(err)
	}
	for _, id := range ids {
		if !slices.ContainsFunc(left, func(s string) bool { return strings.Contains(s, id) }) {
			t.Errorf("%s is not seen", id)
		}
	}
	b.aws.Take(ids[4]) // a policy goes with its stack, which was never made here
	b.mustDown()
}

// Whoever may do with the lab's own things only, can prove that nothing is left: those of others are not asked for.
func TestProofAsksForTheLabsThingsOnly(t *testing.T) {
	b := newBench(t, awstest.Options{})
	b.mustUp()
	b.aws.Reset()
	b.mustDown()
	for _, c := range b.aws.Calls() {
		switch c.Operation {
		case "ListOpenIDConnectProviders":
			t.Error("every OIDC provider of the account was asked for")
		case "DescribeRepositories":
			if c.Subject == "" {
				t.Error("every repository of the account was asked for")
			}
		case "ListTagsForResource":
			t.Errorf("tags of a repository were asked for: %s", c.Subject)
		}
	}
	b.opts.Registry = false
	b.mustUp()
	b.aws.Reset()
	b.mustDown()
	for _, c := range b.aws.Calls() {
		if c.Service == "ecr" {
			t.Errorf("a lab without a repository asked for %s", c.Operation)
		}
	}
}
