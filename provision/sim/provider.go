package sim

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"time"

	"github.com/compspec/ocifit-lab/provision"
	"github.com/compspec/ocifit-lab/provision/atomicfile"
	"github.com/compspec/ocifit-lab/provision/kube"
	"github.com/compspec/ocifit-lab/provision/registry/login"
	"github.com/compspec/ocifit-lab/provision/step"
)

// stepName is the name of the step that makes the cluster.
const stepName = "control-plane"

// Options say where the cluster lives and how it is started.
type Options struct {
	// Dir is the lab's state folder. The provider owns its subfolder sim and the file Kubeconfig.
	Dir string
	// Kubeconfig is written when the cluster runs; empty means <Dir>/kubeconfig.
	Kubeconfig string
	Settings   Settings
	// Executable and Command start a supervisor: the settings file is appended as the last argument, and the process has to
	// call Supervise with it.
	Executable string
	Command    []string
}

// Provider makes, finds and removes a simulated cluster.
type Provider struct {
	opts Options
	dir  folder

	mu    sync.Mutex
	known []report // supervisors that were undone, for Leftovers
}

var _ provision.Provider = (*Provider)(nil)

// New describes a cluster and touches nothing.
func New(o Options) *Provider {
	if o.Kubeconfig == "" {
		o.Kubeconfig = filepath.Join(o.Dir, "kubeconfig")
	}
	dir, err := filepath.Abs(filepath.Join(o.Dir, "sim"))
	if err != nil {
		dir = filepath.Join(o.Dir, "sim")
	}
	return &Provider{opts: o, dir: folder(dir)}
}

// Name is "sim".
func (p *Provider) Name() string { return "sim" }

var _ provision.NodeReplacer = (*Provider)(nil)

// Traits implements provision.Provider.
func (p *Provider) Traits() provision.Traits {
	return provision.Traits{Outside: true, StandIns: map[string]string{"certificates": "the lab's own authority", "miniclusters": "builtin controller"}}
}

// Steps is the one step that starts the supervisor and whose Undo ends it and removes its state.
func (p *Provider) Steps() []step.Step {
	return []step.Step{{
		Name: stepName,
		Plan: fmt.Sprintf("start etcd, kube-apiserver, kube-controller-manager, kube-scheduler, registry and %d simulated node groups in a background process of this machine",
			len(p.opts.Settings.Groups)),
		Timeout: startWithin + 10*time.Second,
		Done:    p.done,
		Run:     p.up,
		Undo:    p.down,
	}}
}

// Connect returns the running cluster.
func (p *Provider) Connect(context.Context) (*kube.Cluster, error) {
	r, err := readReport(p.dir)
	if err != nil {
		return nil, err
	}
	if r == nil || !r.Process.alive() || r.Phase != phaseRunning {
		return nil, step.Try(errors.New("the simulated cluster does not run"), "run `ocifit-lab up`")
	}
	cluster, err := kube.Connect(p.opts.Kubeconfig)
	if err != nil {
		return nil, err
	}
	process := r.Process
	cluster.Alive = func() error {
		if process.alive() {
			return nil
		}
		return fmt.Errorf("its supervisor (process %d) has ended%s", process.PID, p.lastWords(process))
	}
	return cluster, nil
}

// lastWords is what a supervisor that has ended reported of its end, if it did.
func (p *Provider) lastWords(of process) string {
	r, err := readReport(p.dir)
	switch {
	case err != nil || r == nil || r.Process != of:
		return ""
	case r.Error != "":
		return ": " + r.Error
	case r.Phase == phaseStopped:
		return ": it was told to stop"
	}
	return ", killed or crashed; see " + p.dir.log()
}

// Environment tells where the supervisor serves registry and webhook.
func (p *Provider) Environment(context.Context) (provision.Environment, error) {
	r, err := readReport(p.dir)
	if err != nil {
		return provision.Environment{}, err
	}
	if r == nil || !r.Process.alive() {
		return provision.Environment{}, step.Try(errors.New("the simulated cluster does not run"), "run `ocifit-lab up`")
	}
	key, err := login.Load(p.dir.registryPassword())
	if err != nil {
		return provision.Environment{}, err
	}
	env := provision.Environment{Registry: r.Registry, RegistryLogin: key, PlainHTTP: true, Simulated: simulatedNote}
	if r.Webhook != "" {
		ca, err := os.ReadFile(filepath.Join(p.dir.controlPlane(), "pki", "ca.crt"))
		if err != nil {
			return env, fmt.Errorf("authority of the webhook: %w", err)
		}
		env.Webhook = &provision.WebhookEndpoint{URL: "https://" + r.Webhook, CABundle: ca}
	}
	return env, nil
}

// Status describes the cluster, also when nothing runs.
func (p *Provider) Status(context.Context) (provision.Status, error) {
	s := provision.Status{Provider: p.Name(), State: provision.Absent, Simulated: simulatedNote}
	r, err := readReport(p.dir)
	if err != nil {
		s.State, s.Detail = provision.Broken, err.Error()
		return s, nil
	}
	if r == nil || r.Phase == phaseStopped && !r.Process.alive() {
		return s, nil
	}
	s.Endpoint = r.Server
	switch {
	case r.Phase == phaseFailed:
		s.State, s.Detail = provision.Broken, r.Error
	case !r.Process.alive():
		s.State, s.Detail = provision.Broken, fmt.Sprintf("the supervisor (process %d) died; its log %s ends:\n%s", r.Process.PID, p.dir.log(), logEnd(p.dir.log(), 0))
	case r.Phase == phaseStarting:
		s.State, s.Detail = provision.Starting, r.Doing
	default:
		s.State = provision.Running
		s.Facts = p.facts(r)
	}
	return s, nil
}

func (p *Provider) facts(r *report) map[string]string {
	facts := map[string]string{
		"pid":       strconv.Itoa(r.Process.PID),
		"log":       p.dir.log(),
		"timeScale": strconv.FormatFloat(p.opts.Settings.TimeScale, 'g', -1, 64),
		"since":     r.Since.Format(time.RFC3339),
		"readyIn":   (time.Duration(r.ReadyMillis) * time.Millisecond).String(),
	}
	if r.Registry != "" {
		facts["registry"] = r.Registry
		if key, err := login.Load(p.dir.registryPassword()); err == nil {
			facts["registryLogin"], _ = key.Commands(r.Registry)
		}
	}
	if now, peak := r.Process.memory(); now > 0 {
		facts["memoryMiB"], facts["peakMemoryMiB"] = strconv.FormatInt(now>>20, 10), strconv.FormatInt(peak>>20, 10)
	}
	return facts
}

// Leftovers lists processes, ports and files of the cluster that still exist.
func (p *Provider) Leftovers(ctx context.Context) ([]string, error) {
	p.mu.Lock()
	reports := append([]report(nil), p.known...)
	p.mu.Unlock()
	if r, err := readReport(p.dir); err == nil && r != nil {
		reports = append(reports, *r)
	}
	var left []string
	for _, r := range reports {
		if r.Process.alive() {
			left = append(left, fmt.Sprintf("supervisor process %d", r.Process.PID))
		}
		for _, port := range r.Ports {
			if listening(ctx, port) {
				left = append(left, fmt.Sprintf("listener on 127.0.0.1:%d", port))
			}
		}
	}
	for _, path := range []string{string(p.dir), p.opts.Kubeconfig} {
		if _, err := os.Lstat(path); err == nil {
			left = append(left, path)
		} else if !errors.Is(err, fs.ErrNotExist) {
			return left, err
		}
	}
	return left, nil
}

func listening(ctx context.Context, port int) bool {
	dialer := net.Dialer{Timeout: 200 * time.Millisecond}
	conn, err := dialer.DialContext(ctx, "tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
	if err != nil {
		return false
	}
	conn.Close()
	return true
}

func portFree(port int) bool {
	l, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
	if err != nil {
		return false
	}
	l.Close()
	return true
}

// sameSettings tells whether the supervisor that was started last was told the same.
func (p *Provider) sameSettings() bool {
	var before, now bytes.Buffer
	data, err := os.ReadFile(p.dir.settings())
	if err != nil || json.Compact(&before, data) != nil {
		return false
	}
	want, err := json.Marshal(p.opts.Settings)
	return err == nil && json.Compact(&now, want) == nil && bytes.Equal(before.Bytes(), now.Bytes())
}

func (p *Provider) copyKubeconfig() error {
	data, err := os.ReadFile(p.dir.kubeconfig())
	if err != nil {
		return fmt.Errorf("kubeconfig of the simulated cluster: %w", err)
	}
	return atomicfile.Write(p.opts.Kubeconfig, data, 0o600)
}
