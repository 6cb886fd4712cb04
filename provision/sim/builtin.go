package sim

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"

	"k8s.io/client-go/rest"

	"github.com/compspec/ocifit-lab/provision/pki"
	"github.com/compspec/ocifit-lab/provision/sim/controlplane"
	"github.com/compspec/ocifit-lab/provision/sim/nodes"
	"github.com/compspec/ocifit-lab/provision/sim/scaler"
)

// startParts launches everything that works on the API server, side by side.
func (s *supervisor) startParts(ctx context.Context, config *rest.Config, registry string) ([]*starting, error) {
	pkiDir := filepath.Join(s.dir.controlPlane(), "pki")
	authority, err := pki.LoadOrCreate(pkiDir, "ca")
	if err != nil {
		return nil, err
	}
	internal, err := pki.LoadOrCreate(pkiDir, "internal-ca")
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(s.dir.serving(), 0o700); err != nil {
		return nil, err
	}
	env := Env{Config: config, Kubeconfig: s.dir.kubeconfig(), CAFile: authority.CertFile, CAPEM: authority.CertPEM, Registry: registry}
	issue := func() (certFile, keyFile string, err error) {
		return authority.IssueTo(s.dir.serving(), "server", pki.Request{
			CommonName: "ocifit-lab", Life: pki.ShortLife,
			IPs: []net.IP{net.IPv4(127, 0, 0, 1)}, DNSNames: []string{"localhost"},
		})
	}
	if env.CertFile, env.KeyFile, err = issue(); err != nil {
		return nil, err
	}
	again := func() error { _, _, err := issue(); return err }
	go pki.Renew(ctx, pki.ShortLife, again, func(err error) { fmt.Fprintln(s.log, "renew the certificate of the webhook:", err) })
	return []*starting{
		s.startPart(ctx, "nodes", s.runNodes(internal), env),
		s.startPart(ctx, "scaler", s.runScaler, env),
		s.startPart(ctx, "webhook", s.Webhook, env),
		s.startPart(ctx, "minicluster", s.MiniCluster, env),
		s.startPart(ctx, "playback", s.Playback, env),
	}, nil
}

func (s *supervisor) runNodes(internal *pki.Authority) Part {
	return func(ctx context.Context, env Env, ready func(string)) error {
		n, err := nodes.Start(ctx, nodes.Options{Config: env.Config, LogDir: env.LogDir, CA: internal, ClientName: controlplane.KubeletClient, Log: env.Log})
		if err != nil {
			return err
		}
		ready(net.JoinHostPort("127.0.0.1", strconv.Itoa(n.KubeletPort())))
		select {
		case <-ctx.Done():
			return nil
		case err := <-n.Failed():
			return err
		}
	}
}

func (s *supervisor) runScaler(ctx context.Context, env Env, ready func(string)) error {
	return scaler.Run(ctx, scaler.Options{
		Config: env.Config, Groups: s.settings.Groups, Clock: s.clock, BootDelay: s.settings.NodeStart,
		UnneededTime: s.settings.ScaleDownAfter, Ready: func() { ready("") },
		Log: func(format string, args ...any) { fmt.Fprintf(s.log, "scaler: "+format+"\n", args...) },
	})
}
