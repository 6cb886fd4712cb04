package kind

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/compspec/ocifit-lab/provision/atomicfile"
	"github.com/compspec/ocifit-lab/provision/step"
)

// labelLab is on every container, network and image that this package makes by itself; kind puts labelKind on its nodes.
const (
	labelLab   = "ocifit-lab.cluster"
	labelState = "ocifit-lab.state"
	labelKind  = "io.x-k8s.kind.cluster"
)

// mark is written when a cluster is complete. Without it nodes that exist are the rest of a creation that was cut short.
type mark struct {
	Fingerprint string   `json:"fingerprint"`
	Nodes       []string `json:"nodes"`
	// Volumes hold the nodes' data; they have no names of ours by which they could be found later.
	Volumes []string `json:"volumes"`
}

func (p *Provider) markFile() string { return filepath.Join(p.dir, "cluster.json") }

// readMark returns nil when there is no usable mark.
func (p *Provider) readMark() *mark {
	data, err := os.ReadFile(p.markFile())
	var m mark
	if err != nil || json.Unmarshal(data, &m) != nil {
		return nil
	}
	return &m
}

func (p *Provider) writeMark(m *mark) error {
	if err := os.MkdirAll(p.dir, 0o700); err != nil {
		return err
	}
	data, err := json.MarshalIndent(m, "", "  ")
	if err != nil {
		return err
	}
	return atomicfile.Write(p.markFile(), append(data, '\n'), 0o600)
}

// note remembers for preflight whether the cluster is there.
func (p *Provider) note(ctx context.Context) {
	if e, err := p.engine(ctx); err == nil {
		all, _, err := p.nodeContainers(ctx, e)
		p.mu.Lock()
		p.exists = err == nil && len(all) > 0
		p.mu.Unlock()
	}
}

// nodeContainers lists the cluster's nodes, and those of them that run.
func (p *Provider) nodeContainers(ctx context.Context, e engine) (all, running []string, err error) {
	filter := "label=" + labelKind + "=" + p.opts.Cluster
	if all, err = e.list(ctx, "ps", "-a", "--filter", filter, "--format", "{{.Names}}"); err != nil {
		return nil, nil, err
	}
	running, err = e.list(ctx, "ps", "--filter", filter, "--format", "{{.Names}}")
	slices.Sort(all)
	slices.Sort(running)
	return all, running, err
}

// volumesOf lists the volumes of containers.
func volumesOf(ctx context.Context, e engine, containers []string) ([]string, error) {
	if len(containers) == 0 {
		return nil, nil
	}
	return e.list(ctx, append([]string{"inspect", "--format", `{{range .Mounts}}{{if eq .Type "volume"}}{{println .Name}}{{end}}{{end}}`}, containers...)...)
}

func (p *Provider) networkDone(ctx context.Context) (bool, error) {
	e, err := p.engine(ctx)
	if err != nil {
		return false, err
	}
	owner, err := p.networkOwner(ctx, e)
	return err == nil && owner == p.opts.Dir, nil
}

// networkOwner is the state folder that the network was made for; fs.ErrNotExist when there is none.
func (p *Provider) networkOwner(ctx context.Context, e engine) (string, error) {
	out, err := e.ask(ctx, "network", "inspect", "--format", `{{index .Labels "`+labelState+`"}}`, p.opts.Cluster)
	if absent(err) {
		return "", fs.ErrNotExist
	}
	return out, err
}

// createNetwork makes a network of the lab's own, so that nothing of it is left when the lab goes.
func (p *Provider) createNetwork(ctx context.Context, log step.Log) error {
	e, err := p.engine(ctx)
	if err != nil {
		return err
	}
	switch owner, err := p.networkOwner(ctx, e); {
	case err == nil && owner == p.opts.Dir:
		return nil
	case err == nil:
		return step.Try(fmt.Errorf("network %s belongs to another lab, with its state in %q", p.opts.Cluster, owner),
			"give this lab another name, or take that one down: in its folder, or with `ocifit-lab down --local --name %s` if its state folder is gone", p.opts.Lab)
	case !errors.Is(err, fs.ErrNotExist):
		return err
	}
	log("creating network %s", p.opts.Cluster)
	_, err = e.ask(ctx, "network", "create", "--driver", "bridge", "--label", labelLab+"="+p.opts.Cluster, "--label", labelState+"="+p.opts.Dir, p.opts.Cluster)
	return err
}

// removeNetwork leaves a network alone that another lab made.
func (p *Provider) removeNetwork(ctx context.Context, _ step.Log) error {
	e, err := p.engine(ctx)
	if err != nil {
		return p.nothingWithout(err)
	}
	owner, err := p.networkOwner(ctx, e)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err == nil && !p.owns(owner) && p.opts.Abandoned:
		return step.Try(fmt.Errorf("lab %s has its state in %q", p.opts.Lab, owner), "take it down there, with `ocifit-lab down`")
	case err == nil && !p.owns(owner):
		return nil
	case err != nil:
		return err
	}
	_, err = e.ask(ctx, "network", "rm", p.opts.Cluster)
	if absent(err) {
		return nil
	}
	return err
}

// nothingWithout forgives a missing engine to a lab that never got as far as making anything.
func (p *Provider) nothingWithout(err error) error {
	if _, statErr := os.Stat(p.dir); errors.Is(statErr, fs.ErrNotExist) {
		return nil
	}
	return err
}

// ours tells whether the cluster's containers belong to this lab's state folder.
func (p *Provider) ours(ctx context.Context, e engine) bool {
	owner, err := p.networkOwner(ctx, e)
	return errors.Is(err, fs.ErrNotExist) || err == nil && p.owns(owner)
}

// owns tells whether what was made for a state folder is this lab's: its own, or one that is gone and was asked for by name.
func (p *Provider) owns(owner string) bool {
	if owner == p.opts.Dir {
		return true
	}
	_, err := os.Stat(owner)
	return p.opts.Abandoned && filepath.IsAbs(owner) && errors.Is(err, fs.ErrNotExist)
}

// Leftovers lists containers, networks, volumes, images and files of the lab that still exist.
func (p *Provider) Leftovers(ctx context.Context) ([]string, error) {
	var left []string
	for _, path := range []string{p.dir, p.opts.Kubeconfig} {
		if _, err := os.Lstat(path); err == nil {
			left = append(left, path)
		}
	}
	e, err := p.engine(ctx)
	if err != nil {
		return left, p.nothingWithout(err)
	}
	if !p.ours(ctx, e) {
		return left, nil
	}
	own, kinds := "label="+labelLab+"="+p.opts.Cluster, "label="+labelKind+"="+p.opts.Cluster
	for _, q := range []struct {
		what string
		args []string
	}{
		{"container", []string{"ps", "-a", "--filter", own, "--format", "{{.Names}}"}},
		{"container", []string{"ps", "-a", "--filter", kinds, "--format", "{{.Names}}"}},
		{"network", []string{"network", "ls", "--filter", own, "--format", "{{.Name}}"}},
		{"volume", []string{"volume", "ls", "--format", "{{.Name}}"}},
	} {
		names, err := e.list(ctx, q.args...)
		if err != nil {
			return left, err
		}
		for _, n := range names {
			if q.what != "volume" || slices.Contains(p.volumes(), n) {
				left = append(left, q.what+" "+n)
			}
		}
	}
	return left, nil
}

func (p *Provider) volumes() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]string(nil), p.volume...)
}

// remember keeps the names of volumes for Leftovers.
func (p *Provider) remember(volumes []string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.volume = append(p.volume, volumes...)
}

// lastLines returns the end of a text.
func lastLines(text string, n int) string {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	return strings.Join(lines[max(0, len(lines)-n):], "\n")
}
