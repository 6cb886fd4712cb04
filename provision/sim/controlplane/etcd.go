package controlplane

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/url"
	"path/filepath"
	"time"

	"go.etcd.io/etcd/server/v3/embed"
	"go.etcd.io/etcd/server/v3/etcdserver/api/v3rpc"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"google.golang.org/grpc"
	"google.golang.org/grpc/test/bufconn"
)

// pipeSize is what a connection to etcd holds in each direction; the API server opens some seventy.
const pipeSize = 32 << 10

// etcdServer is a member without a network: its one client, the API server, runs in the same process and reaches it through memory.
type etcdServer struct {
	*embed.Etcd
	api  *grpc.Server
	pipe *bufconn.Listener
}

// dial connects to etcd, whatever the address.
func (e *etcdServer) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	return e.pipe.DialContext(ctx)
}

func (c *ControlPlane) startEtcd(ctx context.Context, o Options) error {
	server, err := newEtcd(ctx, filepath.Join(o.Dir, "etcd"), o.Log)
	if err != nil {
		return err
	}
	c.etcd = server
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

func newEtcd(ctx context.Context, dir string, log io.Writer) (*etcdServer, error) {
	// A single member needs no listener, only names for itself in the membership.
	self := []url.URL{{Scheme: "http", Host: "127.0.0.1:2380"}}
	cfg := embed.NewConfig()
	cfg.Name, cfg.Dir = "ocifit-lab", dir
	cfg.ListenClientUrls, cfg.AdvertiseClientUrls = nil, self
	cfg.ListenPeerUrls, cfg.AdvertisePeerUrls = nil, self
	cfg.InitialCluster = cfg.Name + "=" + self[0].String()
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
	if err != nil {
		return nil, fmt.Errorf("start etcd: %w", err)
	}
	select {
	case <-e.Server.ReadyNotify():
	case err := <-e.Err():
		e.Close()
		return nil, fmt.Errorf("etcd: %w", err)
	case <-ctx.Done():
		e.Close()
		return nil, fmt.Errorf("etcd has no leader yet: %w", ctx.Err())
	}
	server := &etcdServer{Etcd: e, api: v3rpc.Server(e.Server, nil, nil), pipe: bufconn.Listen(pipeSize)}
	go func() { _ = server.api.Serve(server.pipe) }()
	return server, nil
}

func (e *etcdServer) stop(ctx context.Context) error {
	done := make(chan struct{})
	go func() { e.api.Stop(); e.Close(); close(done) }()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("etcd did not end in time: %w", ctx.Err())
	}
}

func zapLogger(w io.Writer) *zap.Logger {
	encoder := zapcore.NewConsoleEncoder(zap.NewProductionEncoderConfig())
	return zap.New(zapcore.NewCore(encoder, zapcore.Lock(zapcore.AddSync(logOrStderr(w))), zapcore.ErrorLevel))
}
