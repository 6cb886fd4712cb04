package cli

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"oras.land/oras-go/v2/registry/remote/auth"

	"github.com/compspec/ocifit-lab/cmd/cli/command"
	"github.com/compspec/ocifit-lab/provision"
	"github.com/compspec/ocifit-lab/provision/eks"
	"github.com/compspec/ocifit-lab/provision/eks/awstest"
	"github.com/compspec/ocifit-lab/provision/eks/awstest/simcluster"
)

// ran is set by the only control plane of the process.
var ran atomic.Bool

// TestEKSStudy runs the whole study on provider eks, from the price to the proof that nothing is left: the command line, the provider, eksctl
// and the Kubernetes control plane are real; AWS, the machines, and what would run on them are not.
func TestEKSStudy(t *testing.T) {
	if testing.Short() {
		t.Skip("starts a control plane")
	}
	if ran.Swap(true) {
		t.Skip("a process can carry a control plane once")
	}
	gate := newGate()
	w, file := studyWorld(t, gate)

	w.asksFirst(file)
	mine := filepath.Join(w.dir, "my-kubeconfig")
	t.Setenv("KUBECONFIG", mine)
	gate.watch(w)
	r := w.call(command.ExitOK, "up", "--lab", file, "--yes", "--merge", "--progress", "json", "-o", "json")
	w.watch = nil
	gate.check(t)
	var up upSummary
	if err := json.Unmarshal([]byte(r.out), &up); err != nil || !up.Changed || up.Provider != "eks" || up.Simulated != simulatedEKS {
		t.Errorf("up: %+v, %v", up, err)
	}

	if data, err := os.ReadFile(mine); err != nil || !strings.Contains(string(data), "name: study") {
		t.Errorf("the user's own kubeconfig after up --merge: %v\n%s", err, data)
	}

	w.staysUp(file)

	w.says(w.call(command.ExitOK, "experiment", "all", "--lab", file, "--repeats", "1").err, "simulated: "+simulatedEKS)
	w.trialsAreSimulated(6)
	w.says(w.call(command.ExitOK, "results", "show", "--lab", file).out, "imulated")
	// What differs from the study's cluster stands in the report as in the plan.
	w.call(command.ExitOK, "results", "report", "--lab", file, "--file", filepath.Join(w.dir, "report.html"))
	page, err := os.ReadFile(filepath.Join(w.dir, "report.html"))
	if err != nil {
		t.Fatal(err)
	}
	w.says(string(page), "The cluster is not as the study")
	w.says(string(page), "Live labels will not decide")
	started := 0
	for _, c := range w.aws.Calls() {
		if c.Operation == "SetDesiredCapacity" {
			started++
		}
	}
	if started == 0 {
		t.Error("no machine was started through the Auto Scaling service")
	}

	w.aws.LeaveVolume("study") // as the EBS driver does
	w.says(w.call(command.ExitOK, "down", "--lab", file).out, "lab study is down", "nothing is left")
	if left := w.aws.Inventory(); len(left) > 0 {
		t.Errorf("still there after down:\n%s", strings.Join(left, "\n"))
	}
	if data, err := os.ReadFile(mine); err != nil || strings.Contains(string(data), "study") {
		t.Errorf("the user's own kubeconfig after down: %v\n%s", err, data)
	}
	if _, err := os.Stat(filepath.Join(w.dir, "state")); err == nil {
		t.Error("the state folder is still there")
	}
}

// studyWorld is an account with a real control plane behind its cluster, and a lab file.
func studyWorld(t *testing.T, gate *gate) (*world, string) {
	t.Helper()
	log, err := os.Create(filepath.Join(t.TempDir(), "components.log"))
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	t.Cleanup(func() {
		if data, err := os.ReadFile(log.Name()); err == nil && t.Failed() {
			t.Logf("the last words of the components:\n%s", data[max(0, len(data)-4000):])
		}
	})
	b := newBeside(t, log)
	w := newWorld(t, awstest.Options{ControlPlane: b.cluster(log, []string{"t3.2xlarge"}), Delay: gate.delay})
	b.scaler = simcluster.Autoscaler(w.aws.URL, w.aws.Region(), "study", time.Second, 50*time.Millisecond)
	b.registry, b.login = strings.TrimPrefix(w.aws.URL, "http://"), auth.Credential{Username: "AWS", Password: awstest.RegistryPassword}
	w.env.Webhook = &provision.WebhookEndpoint{URL: "https://" + b.listener.Addr().String(), CABundle: b.env.CAPEM}
	return w, w.write("lab.yaml", "apiVersion: ocifit-lab/v1alpha1\nname: study\nprovider: eks\nexperiment:\n  results: "+filepath.Join(w.dir, "results")+"\n")
}

// asksFirst wants nothing to be made before somebody agreed to the price: without --yes and without a terminal, and after a no.
func (w *world) asksFirst(file string) {
	w.t.Helper()
	r := w.call(command.ExitError, "up", "--lab", file)
	w.says(r.err, "this costs", "AWS Pricing service", "there is no terminal to ask on", "--yes", "quotas of vCPUs")
	w.in = "n\n"
	w.says(w.call(command.ExitError, "up", "--lab", file).err, "Make cluster study in us-east-1? [y/N]", "the answer was no")
	w.in = ""
	w.untouched()
}

// staysUp wants up to find nothing to do, and status to say what is simulated.
func (w *world) staysUp(file string) {
	w.t.Helper()
	w.aws.Reset()
	w.says(w.call(command.ExitOK, "up", "--lab", file).out, "nothing to do", simulatedEKS)
	for _, c := range w.aws.Calls() {
		if c.Mutates() {
			w.t.Errorf("up again asked for a change: %s %s", c.Operation, c.Subject)
		}
	}
	r := w.call(command.ExitOK, "status", "--lab", file)
	w.says(r.out, "lab        study on eks: up", "cluster    running https://", "simulated  "+simulatedEKS, "answers in its place (AWS_ENDPOINT_URL)",
		"t3.2xlarge", "artifact", "webhook", "none of 180 has run")
	if strings.Contains(r.out, "does not work") {
		w.t.Errorf("an addon does not work:\n%s", r.out)
	}
}

// trialsAreSimulated wants so many complete trials, each with the note of its replay.
func (w *world) trialsAreSimulated(want int) {
	w.t.Helper()
	files, err := filepath.Glob(filepath.Join(w.dir, "results", "study", "procedure", "logs", "hpcg", "*", "[0-9]*", "trial.json"))
	if err != nil || len(files) != want {
		w.t.Fatalf("%d trials, want %d: %v", len(files), want, err)
	}
	for _, f := range files {
		var trial struct {
			Simulated bool
			Verdict   string
			Replay    struct{ Simulated bool }
			Decision  struct{ ArtifactRef string }
		}
		data, err := os.ReadFile(f)
		if err == nil {
			err = json.Unmarshal(data, &trial)
		}
		if err != nil || !trial.Simulated || !trial.Replay.Simulated || trial.Verdict != "complete" {
			w.t.Errorf("%s: %+v, %v", f, trial, err)
		}
		if !strings.Contains(trial.Decision.ArtifactRef, "/study/ocifit-k8s-compatibility@sha256:") {
			w.t.Errorf("%s was decided by the artifact %s", f, trial.Decision.ArtifactRef)
		}
	}
}

// gate holds the experiments' node groups back until the addons that need the API server alone work: if these waited for the groups, both
// would wait for each other, until the gate gives up.
type gate struct {
	mu     sync.Mutex
	events []string
	open   chan struct{}
	held   bool
	late   bool
}

func newGate() *gate { return &gate{open: make(chan struct{})} }

func (g *gate) delay(w awstest.Work) time.Duration {
	if w.Delete || w.Type != "AWS::EKS::Nodegroup" || strings.HasSuffix(w.Stack, "-sticky") {
		return 0
	}
	g.mu.Lock()
	g.held = true
	g.mu.Unlock()
	select {
	case <-g.open:
	case <-time.After(2 * time.Minute):
		g.mu.Lock()
		g.late = true
		g.mu.Unlock()
	}
	return 0
}

// watch reads the events of up.
func (g *gate) watch(w *world) {
	w.watch = func(line string) {
		var e struct{ Event, Name string }
		if json.Unmarshal([]byte(line), &e) != nil || e.Name == "" {
			return
		}
		g.mu.Lock()
		defer g.mu.Unlock()
		if e.Event == "start" || e.Event == "end" {
			g.events = append(g.events, e.Event+" "+e.Name)
		}
		if e.Event == "end" && e.Name == "webhook" {
			close(g.open)
		}
	}
}

func (g *gate) check(t *testing.T) {
	t.Helper()
	g.mu.Lock()
	defer g.mu.Unlock()
	if !g.held || g.late {
		t.Errorf("node groups were held back: %v, for too long: %v", g.held, g.late)
	}
	at := func(event string) int { return slices.Index(g.events, event) }
	for _, addon := range []string{"node-features", "artifact", "webhook"} {
		if !(at("end "+eks.StepKubeconfig) < at("start "+addon)) || !(at("end "+addon) < at("end "+eks.StepGroups)) {
			t.Errorf("%s is out of order:\n%s", addon, strings.Join(g.events, "\n"))
		}
	}
}
