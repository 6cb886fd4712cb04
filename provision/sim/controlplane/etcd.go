package controlplane

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"go.etcd.io/etcd/client/pkg/v3/transport"
	"go.etcd.io/etcd/server/v3/embed"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
)

type etcdServer struct {
	*embed.Etcd
	endpoint string
	port     int
}

func (c *ControlPlane) startEtcd(ctx context.Context, o Options) error {
	server, err := newEtcd(ctx, filepath.Join(o.Dir, "etcd"), o.Ports.Etcd, c.certs, o.Log)
	if err != nil {
		return err
	}
	c.etcd, c.ports.Etcd = server, server.port
	c.run(&c.apiServer, "etcd", func() error {
		select {
		case err := <-server.Err():
			return err
		case <-server.Server.StopNotify():
			return nil
		case <-c.stopping:
			return nil
		}
	})
	return nil
}

func newEtcd(ctx context.Context, dir string, port int, certs *certificates, log io.Writer) (*etcdServer, error) {
	client := url.URL{Scheme: "https", Host: net.JoinHostPort("127.0.0.1", strconv.Itoa(port))}
	// A single member needs no peer listener, only a name for itself in the membership.
	peer := url.URL{Scheme: "http", Host: "127.0.0.1:2380"}
	cfg := embed.NewConfig()
	cfg.Name, cfg.Dir = "ocifit-lab", dir
	cfg.ListenClientUrls, cfg.AdvertiseClientUrls = []url.URL{client}, []url.URL{client}
	cfg.ListenPeerUrls, cfg.AdvertisePeerUrls = nil, []url.URL{peer}
	cfg.InitialCluster = cfg.Name + "=" + peer.String()
	cfg.ClientTLSInfo = transport.TLSInfo{
		CertFile: certs.file("etcd.crt"), KeyFile: certs.file("etcd.key"),
		TrustedCAFile: certs.file("internal-ca.crt"), ClientCertAuth: true,
	}
	// The data lives as long as the lab: a power cut costs a rehearsal, not a study.
	cfg.UnsafeNoFsync = true
	// The only member elects itself after about ten ticks.
	cfg.TickMs, cfg.ElectionMs = 10, 100
	// Entries kept for followers that do not exist are only memory.
	cfg.SnapshotCount, cfg.SnapshotCatchUpEntries = 5000, 100
	cfg.QuotaBackendBytes = 1 << 30
	cfg.EnableGRPCGateway = false
	cfg.WarningApplyDuration, cfg.WarningUnaryRequestDuration = time.Second, time.Second
	cfg.ZapLoggerBuilder = embed.NewZapLoggerBuilder(zapLogger(log))

	e, err := embed.StartEtcd(cfg)
	if errors.Is(err, syscall.EADDRINUSE) {
		return nil, &PortTakenError{Part: "etcd", Port: port}
	}
	if err != nil {
		return nil, fmt.Errorf("start etcd: %w", err)
	}
	server := &etcdServer{Etcd: e}
	select {
	case <-e.Server.ReadyNotify():
	case err := <-e.Err():
		e.Close()
		return nil, fmt.Errorf("etcd: %w", err)
	case <-ctx.Done():
		e.Close()
		return nil, fmt.Errorf("etcd has no leader yet: %w", ctx.Err())
	}
	address := e.Clients[0].Addr().(*net.TCPAddr)
	server.endpoint, server.port = "https://"+address.String(), address.Port
	return server, nil
}

func (e *etcdServer) stop(ctx context.Context) error {
	done := make(chan struct{})
	go func() { e.Close(); close(done) }()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("etcd did not end in time: %w", ctx.Err())
	}
}

// PortTakenError says that another program listens on a port that was asked for.
type PortTakenError struct {
	Part string
	Port int
}

func (e *PortTakenError) Error() string {
	return fmt.Sprintf("port %d for %s is taken by another program", e.Port, e.Part)
}

func zapLogger(w io.Writer) *zap.Logger {
	encoder := zapcore.NewConsoleEncoder(zap.NewProductionEncoderConfig())
	return zap.New(zapcore.NewCore(encoder, zapcore.Lock(zapcore.AddSync(logOrStderr(w))), zapcore.ErrorLevel))
}
