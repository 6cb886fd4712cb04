package cli

import (
	"bytes"
	"context"
	"io"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"k8s.io/client-go/kubernetes"
	"oras.land/oras-go/v2/registry/remote/auth"

	"github.com/compspec/ocifit-lab/addons/builtin/minicluster"
	"github.com/compspec/ocifit-lab/cmd/cli/command"
	"github.com/compspec/ocifit-lab/cmd/supervisor"
	"github.com/compspec/ocifit-lab/provision"
	"github.com/compspec/ocifit-lab/provision/eks"
	"github.com/compspec/ocifit-lab/provision/eks/awstest"
	"github.com/compspec/ocifit-lab/provision/eks/awstest/simcluster"
	"github.com/compspec/ocifit-lab/provision/pki"
	"github.com/compspec/ocifit-lab/provision/sim"
	"github.com/compspec/ocifit-lab/provision/sim/simclock"
	"github.com/compspec/ocifit-lab/templates"
	"github.com/compspec/ocifit-lab/webhook/serve"
)

// simulatedEKS is what a lab on the test endpoint has to say of itself wherever it reports.
const simulatedEKS = "AWS is a test endpoint on this machine, nodes are simulated, and benchmark figures are replayed, not measured"

// world is an account on the test endpoint and a folder from which the command line is called.
type world struct {
	t   *testing.T
	aws *awstest.Server
	dir string
	env provision.Environment

	in    string // what a person types; empty: there is no terminal
	watch func(line string)
}

func newWorld(t *testing.T, o awstest.Options) *world {
	t.Helper()
	srv, err := awstest.New(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := srv.Close(); err != nil {
			t.Error(err)
		}
	})
	w := &world{t: t, aws: srv, dir: t.TempDir(), env: provision.Environment{
		// Refusals come before anybody asks for it.
		Webhook: &provision.WebhookEndpoint{URL: "https://127.0.0.1:1"}, Simulated: simulatedEKS,
	}}
	for _, e := range srv.Env() {
		k, v, _ := strings.Cut(e, "=")
		t.Setenv(k, v)
	}
	return w
}

// result is what a call of the command line printed.
type result struct{ out, err string }

// call runs the command line and wants an exit code.
func (w *world) call(want int, args ...string) result {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Minute)
	defer cancel()
	var out bytes.Buffer
	talk := &lineWriter{watch: w.watch}
	a := newApp(command.Streams{In: strings.NewReader(w.in), Out: &out, Err: talk})
	a.EKS = func(o *eks.Options) { o.Environment, o.Poll = w.env, 20*time.Millisecond }
	a.interactive = func() bool { return w.in != "" }
	args = append(args, "--state", filepath.Join(w.dir, "state"))
	got := a.run(ctx, args)
	r := result{out.String(), talk.String()}
	if got != want {
		w.t.Fatalf("ocifit-lab %s: exit code %d, want %d\n%s\n%s", strings.Join(args, " "), got, want, r.out, r.err)
	}
	return r
}

// says wants texts in what was printed.
func (w *world) says(printed string, texts ...string) {
	w.t.Helper()
	for _, text := range texts {
		if !strings.Contains(printed, text) {
			w.t.Errorf("no %q in\n%s", text, printed)
		}
	}
}

// untouched wants an empty account of which no change was asked, and no state.
func (w *world) untouched() {
	w.t.Helper()
	for _, c := range w.aws.Calls() {
		if c.Mutates() {
			w.t.Errorf("a change was asked for: %s %s", c.Operation, c.Subject)
		}
	}
	if left, _ := os.ReadDir(filepath.Join(w.dir, "state")); len(left) > 0 {
		w.t.Errorf("the state folder has %v", left)
	}
}

func (w *world) write(name, text string) string {
	w.t.Helper()
	file := filepath.Join(w.dir, name)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		w.t.Fatal(err)
	}
	return file
}

// lineWriter keeps what is written and shows its lines to a watcher.
type lineWriter struct {
	mu    sync.Mutex
	all   bytes.Buffer
	line  []byte
	watch func(string)
}

func (l *lineWriter) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.all.Write(p)
	l.line = append(l.line, p...)
	for i := slices.Index(l.line, '\n'); i >= 0; i = slices.Index(l.line, '\n') {
		if l.watch != nil {
			l.watch(string(l.line[:i]))
		}
		l.line = l.line[i+1:]
	}
	return len(p), nil
}

func (l *lineWriter) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.all.String()
}

// beside is what runs beside a simulated EKS cluster, in the place of what runs in a real one: the webhook, the MiniCluster controller, the
// autoscaler, and the replay of the benchmark.
type beside struct {
	t        *testing.T
	dir      string
	listener net.Listener
	env      sim.Env // of the webhook: its certificate
	scaler   simcluster.Part
	registry string // host and port of the account's registry
	login    auth.Credential
}

func newBeside(t *testing.T, log io.Writer) *beside {
	t.Helper()
	b := &beside{t: t, dir: t.TempDir()}
	var err error
	if b.listener, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	ca, err := pki.LoadOrCreate(b.dir, "ca")
	if err != nil {
		t.Fatal(err)
	}
	b.env = sim.Env{Dir: filepath.Join(b.dir, "webhook"), CAPEM: ca.CertPEM, Log: log}
	b.env.CertFile, b.env.KeyFile, err = ca.IssueTo(b.dir, "webhook", pki.Request{CommonName: "webhook", IPs: []net.IP{net.IPv4(127, 0, 0, 1)}})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// cluster is the control plane of the account's only cluster, with everything beside it.
func (b *beside) cluster(log io.Writer, skip []string) *simcluster.Cluster {
	b.t.Helper()
	clock, err := simclock.New(0, time.Now().UTC().Truncate(time.Second))
	if err != nil {
		b.t.Fatal(err)
	}
	types := map[string]map[string]string{}
	for _, t := range templates.InstanceTypes() {
		types[t.Name] = t.Labels
	}
	part := func(p sim.Part) simcluster.Part {
		return func(ctx context.Context, env simcluster.Env) error {
			return p(ctx, sim.Env{Config: env.Config, Clock: clock, LogDir: env.LogDir, Log: env.Log}, func(string) {})
		}
	}
	return simcluster.New(simcluster.Options{
		Dir: filepath.Join(b.dir, "cluster"), Log: log, Types: types, Prepare: minicluster.Install,
		Parts: []simcluster.Part{
			part(supervisor.MiniClusters), part(supervisor.Playback),
			func(ctx context.Context, env simcluster.Env) error { return b.webhook(ctx, env, skip) },
			func(ctx context.Context, env simcluster.Env) error { return b.scaler(ctx, env) },
		},
	})
}

func (b *beside) webhook(ctx context.Context, env simcluster.Env, skip []string) error {
	client, err := kubernetes.NewForConfig(env.Config)
	if err != nil {
		return err
	}
	cluster, err := serve.Connect(env.Config)
	if err != nil {
		return err
	}
	return supervisor.ServeWebhook(ctx, b.env, client, serve.Config{
		Listener: b.listener, Cluster: cluster, Skip: skip, TieBreak: "price", PlainHTTPRegistries: []string{b.registry},
		Credential: func(_ context.Context, host string) (auth.Credential, error) {
			if host != b.registry {
				return auth.EmptyCredential, nil
			}
			return b.login, nil
		},
	})
}
