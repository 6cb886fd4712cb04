package eks

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	clientauth "k8s.io/client-go/pkg/apis/clientauthentication/v1"
	"k8s.io/client-go/tools/clientcmd"
	api "k8s.io/client-go/tools/clientcmd/api"

	"github.com/compspec/ocifit-lab/provision/eks/account"
	"github.com/compspec/ocifit-lab/provision/step"
)

// Token returns a client.authentication.k8s.io/v1 ExecCredential in JSON for a cluster: what kubectl reads from the program that a
// kubeconfig names. The token is a request to STS that is signed here and sent by EKS.
func Token(ctx context.Context, cluster, region, profile string) ([]byte, error) {
	c, err := account.Open(ctx, region, profile)
	if err != nil {
		return nil, err
	}
	token, expires, err := c.Token(ctx, cluster)
	if err != nil {
		return nil, err
	}
	end := metav1.NewTime(expires.UTC().Truncate(time.Second))
	return json.Marshal(&clientauth.ExecCredential{
		TypeMeta: metav1.TypeMeta{APIVersion: clientauth.SchemeGroupVersion.String(), Kind: "ExecCredential"},
		Status:   &clientauth.ExecCredentialStatus{Token: token, ExpirationTimestamp: &end},
	})
}

// kubeconfig makes the file for the cluster as it is now.
func (p *Provider) kubeconfig(ctx context.Context) (*api.Config, error) {
	v, err := p.snapshot(ctx)
	if err != nil {
		return nil, err
	}
	if v.cluster == nil || v.cluster.Endpoint == "" {
		return nil, fmt.Errorf("cluster %s has no API server yet", p.opts.Name)
	}
	if !v.ours(p.opts.Name) {
		return nil, fmt.Errorf("cluster %s is %w", p.opts.Name, ErrNotOurs)
	}
	if len(p.opts.TokenCommand) == 0 {
		return nil, errors.New("no command for tokens is set")
	}
	name := p.opts.Name
	args := append([]string(nil), p.opts.TokenCommand[1:]...)
	args = append(args, "--cluster", name, "--region", p.opts.Region)
	if p.opts.Profile != "" {
		args = append(args, "--profile", p.opts.Profile)
	}
	cfg := api.NewConfig()
	cfg.Clusters[name] = &api.Cluster{Server: v.cluster.Endpoint, CertificateAuthorityData: v.cluster.CA}
	cfg.AuthInfos[name] = &api.AuthInfo{Exec: &api.ExecConfig{
		APIVersion: clientauth.SchemeGroupVersion.String(), Command: p.opts.TokenCommand[0], Args: args,
		InteractiveMode: api.NeverExecInteractiveMode,
	}}
	cfg.Contexts[name] = &api.Context{Cluster: name, AuthInfo: name}
	cfg.CurrentContext = name
	return cfg, nil
}

func (p *Provider) writeKubeconfig(ctx context.Context, log step.Log) error {
	p.invalidate()
	cfg, err := p.kubeconfig(ctx)
	if err != nil {
		return err
	}
	data, err := clientcmd.Write(*cfg)
	if err != nil {
		return err
	}
	if err := writeFile(p.opts.Kubeconfig, data, 0o600); err != nil {
		return err
	}
	c, err := p.Connect(ctx)
	if err != nil {
		return err
	}
	log("waiting for the API server")
	return c.WaitReady(ctx)
}

func (p *Provider) kubeconfigMade(ctx context.Context) (bool, error) {
	have, err := os.ReadFile(p.opts.Kubeconfig)
	if err != nil {
		return false, nil
	}
	v, err := p.snapshot(ctx)
	if err != nil || v.cluster == nil {
		return false, err
	}
	want, err := p.kubeconfig(ctx)
	if err != nil {
		return false, nil
	}
	data, err := clientcmd.Write(*want)
	return err == nil && bytes.Equal(have, data), nil
}

func (p *Provider) removeKubeconfig(context.Context, step.Log) error {
	if err := os.Remove(p.opts.Kubeconfig); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// Merge puts the cluster into another kubeconfig file, as the user's own, under the lab's name, which it returns. The file's current context stays what it
// was. Something else of the same name is not replaced.
func (p *Provider) Merge(ctx context.Context, file string) (string, error) {
	ours, err := p.kubeconfig(ctx)
	if err != nil {
		return "", err
	}
	return p.opts.Name, edit(file, func(cfg *api.Config) error {
		name := p.opts.Name
		if old := cfg.Clusters[name]; old != nil && old.Server != ours.Clusters[name].Server {
			return step.Try(fmt.Errorf("%s has another cluster named %s (%s)", file, name, old.Server), "rename it there, or use the lab's own file %s", p.opts.Kubeconfig)
		}
		cfg.Clusters[name], cfg.AuthInfos[name], cfg.Contexts[name] = ours.Clusters[name], ours.AuthInfos[name], ours.Contexts[name]
		return nil
	})
}

// Unmerge takes out what Merge put in. endpoint is the API server that was merged: an entry for another one is somebody else's.
func (p *Provider) Unmerge(file, endpoint string) error {
	return edit(file, func(cfg *api.Config) error {
		name := p.opts.Name
		if c := cfg.Clusters[name]; c == nil || c.Server != endpoint {
			return nil
		}
		delete(cfg.Clusters, name)
		delete(cfg.AuthInfos, name)
		delete(cfg.Contexts, name)
		if cfg.CurrentContext == name {
			cfg.CurrentContext = ""
		}
		return nil
	})
}

// edit changes a kubeconfig file under the lock that kubectl takes too.
func edit(file string, change func(*api.Config) error) error {
	lock, err := os.OpenFile(file+".lock", os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return step.Try(fmt.Errorf("lock %s: %w", file, err), "another program is changing the file; remove %s.lock if none is", file)
	}
	defer os.Remove(file + ".lock")
	defer lock.Close()
	cfg, err := clientcmd.LoadFromFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		cfg, err = api.NewConfig(), nil
	}
	if err != nil {
		return err
	}
	if err := change(cfg); err != nil {
		return err
	}
	data, err := clientcmd.Write(*cfg)
	if err != nil {
		return err
	}
	return writeFile(file, data, 0o600)
}
