package kind

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"sigs.k8s.io/kind/pkg/cluster/nodes"
	"sigs.k8s.io/kind/pkg/cluster/nodeutils"

	"github.com/compspec/ocifit-lab/provision/atomicfile"
	"github.com/compspec/ocifit-lab/provision/registry/login"
	"github.com/compspec/ocifit-lab/provision/step"
	"github.com/compspec/ocifit-lab/provision/wait"
)

// registryPort is where the registry listens within the cluster's network.
const registryPort = 5000

// RegistryCommand is the hidden command of the program that serves a registry; its arguments are address and folder.
const RegistryCommand = "registry-serve"

func (p *Provider) registryName() string { return p.opts.Cluster + "-registry" }

// registryAddress is where the registry is reached from this machine.
func (p *Provider) registryAddress(ctx context.Context, e engine) (string, error) {
	out, err := e.ask(ctx, "port", p.registryName(), fmt.Sprint(registryPort, "/tcp"))
	if err != nil {
		return "", fmt.Errorf("the registry does not run: %w", err)
	}
	address, _, _ := strings.Cut(out, "\n")
	if address == "" {
		return "", errors.New("the registry does not run")
	}
	return strings.TrimSpace(address), nil
}

// registryDone tells whether the registry runs, from the image of this program, and answers.
func (p *Provider) registryDone(ctx context.Context) (bool, error) {
	e, err := p.engine(ctx)
	if err != nil {
		return false, err
	}
	ref, err := p.ProgramImage()
	if err != nil {
		return false, nil
	}
	image, err := e.ask(ctx, "inspect", "--format", "{{.Config.Image}}", p.registryName())
	if err != nil || image != ref {
		return false, nil
	}
	address, err := p.registryAddress(ctx, e)
	return err == nil && answers(ctx, address) == nil, nil
}

func answers(ctx context.Context, address string) error {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+address+"/v2/", nil)
	if err != nil {
		return err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("the registry on %s answers %s", address, resp.Status)
	}
	return nil
}

func (p *Provider) startRegistry(ctx context.Context, log step.Log) error {
	e, err := p.engine(ctx)
	if err != nil {
		return err
	}
	ref, err := p.ProgramImage()
	if err != nil {
		return err
	}
	if err := p.removeRegistry(ctx, log); err != nil {
		return err
	}
	log("starting %s", p.registryName())
	secrets, err := p.registrySecrets()
	if err != nil {
		return err
	}
	// Data stays in the container: what the lab puts into its registry it can put there again.
	if _, err := e.run(ctx, nil, "run", "--detach", "--name", p.registryName(), "--network", p.opts.Cluster,
		"--label", labelLab+"="+p.opts.Cluster, "--restart", "on-failure:1", "--publish", fmt.Sprintf("127.0.0.1:%s:%d", p.keptPort(), registryPort), "--env-file", secrets,
		"--user", "0", ref, RegistryCommand, fmt.Sprint(":", registryPort), "/var/lib/registry"); err != nil {
		return err
	}
	err = wait.Retry(ctx, "wait for the registry", wait.Every(100*time.Millisecond), func(ctx context.Context) error {
		address, err := p.registryAddress(ctx, e)
		if err != nil {
			return err
		}
		return answers(ctx, address)
	})
	if err != nil {
		said, _ := e.ask(context.WithoutCancel(ctx), "logs", "--tail", "5", p.registryName())
		return fmt.Errorf("%w\n%s", err, said)
	}
	return p.keepPort(ctx, e)
}

// RegistryPassword is the variable by which the container of the registry is told its password.
const RegistryPassword = "OCIFIT_LAB_REGISTRY_PASSWORD"

// registryLogin opens the registry for those who write to it. Nodes and the webhook read without it: the network that they are in is the
// lab's own.
func (p *Provider) registryLogin() (login.Login, error) {
	return login.Load(filepath.Join(p.opts.Dir, "registry.password"))
}

// registrySecrets writes the password as the engine reads variables, so that no process list shows it.
func (p *Provider) registrySecrets() (file string, err error) {
	key, err := p.registryLogin()
	if err != nil {
		return "", err
	}
	file = filepath.Join(p.opts.Dir, "registry.env")
	return file, atomicfile.Write(file, []byte(RegistryPassword+"="+key.Password+"\n"), 0o600)
}

func (p *Provider) portFile() string { return filepath.Join(p.opts.Dir, "registry.port") }

// keptPort is the port that the registry had before, if it is still free, so that names of what was pushed stay good; empty for any.
func (p *Provider) keptPort() string {
	data, err := os.ReadFile(p.portFile())
	port := strings.TrimSpace(string(data))
	if err != nil || port == "" {
		return ""
	}
	l, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", port))
	if err != nil {
		return ""
	}
	l.Close()
	return port
}

func (p *Provider) keepPort(ctx context.Context, e engine) error {
	address, err := p.registryAddress(ctx, e)
	if err != nil {
		return err
	}
	_, port, err := net.SplitHostPort(address)
	if err != nil {
		return fmt.Errorf("the registry's address %q: %w", address, err)
	}
	return atomicfile.Write(p.portFile(), []byte(port+"\n"), 0o600)
}

func (p *Provider) removeRegistry(ctx context.Context, _ step.Log) error {
	e, err := p.engine(ctx)
	if err != nil {
		return p.nothingWithout(err)
	}
	if !p.ours(ctx, e) {
		return nil
	}
	if _, err := e.run(ctx, nil, "rm", "-f", "-v", p.registryName()); err != nil && !absent(err) {
		return err
	}
	return nil
}

// hostsFiles are containerd's files by registry: how it reaches the lab's own, and which mirrors it asks before others.
func (p *Provider) hostsFiles(address string) map[string]string {
	inside := fmt.Sprintf("%s:%d", p.registryName(), registryPort)
	own := fmt.Sprintf("[host.%q]\n  capabilities = [\"pull\", \"resolve\"]\n", "http://"+inside)
	files := map[string]string{inside: own, address: own}
	for registry, mirrors := range p.opts.Mirrors {
		var b strings.Builder
		fmt.Fprintf(&b, "server = %q\n", "https://"+registry)
		for _, m := range mirrors {
			if !strings.Contains(m, "://") {
				m = "https://" + m
			}
			// A mirror below a path is asked for /v2/<path>/<repository>.
			host, path, below := strings.Cut(strings.SplitN(m, "://", 2)[1], "/")
			if below {
				fmt.Fprintf(&b, "[host.%q]\n  capabilities = [\"pull\", \"resolve\"]\n  override_path = true\n", strings.SplitN(m, "://", 2)[0]+"://"+host+"/v2/"+path)
			} else {
				fmt.Fprintf(&b, "[host.%q]\n  capabilities = [\"pull\", \"resolve\"]\n", m)
			}
		}
		files[registry] = b.String()
	}
	return files
}

func hostsFile(registry string) string { return "/etc/containerd/certs.d/" + registry + "/hosts.toml" }

func (p *Provider) nodes(e engine) ([]nodes.Node, error) {
	k, err := p.kind(e, &logger{})
	if err != nil {
		return nil, err
	}
	return k.ListInternalNodes(p.opts.Cluster)
}

func (p *Provider) wired(ctx context.Context) (bool, error) {
	e, err := p.engine(ctx)
	if err != nil {
		return false, err
	}
	address, err := p.registryAddress(ctx, e)
	if err != nil {
		return false, nil
	}
	for _, node := range p.nodeNames() {
		for registry, want := range p.hostsFiles(address) {
			got, err := e.ask(ctx, "exec", node, "cat", hostsFile(registry))
			if err != nil || got != strings.TrimSpace(want) {
				return false, nil
			}
		}
	}
	return true, nil
}

func (p *Provider) wireRegistry(ctx context.Context, _ step.Log) error {
	e, err := p.engine(ctx)
	if err != nil {
		return err
	}
	address, err := p.registryAddress(ctx, e)
	if err != nil {
		return err
	}
	list, err := p.nodes(e)
	if err != nil {
		return err
	}
	for _, n := range list {
		for registry, text := range p.hostsFiles(address) {
			if err := nodeutils.WriteFile(n, hostsFile(registry), text); err != nil {
				return fmt.Errorf("%s: %w", n.String(), err)
			}
		}
	}
	return nil
}
