package serve

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/compspec/ocifit-lab/webhook/admit"
	"github.com/compspec/ocifit-lab/webhook/artifact"
	"github.com/compspec/ocifit-lab/webhook/features"
	"github.com/compspec/ocifit-lab/webhook/predict"
	"golang.org/x/sync/errgroup"
)

// server is a running webhook.
type server struct {
	cfg      Config
	index    *features.Index
	decider  *admit.Decider
	metrics  *metrics
	nodes    *nodeWatch // nil without a cluster
	recorder *recorder  // nil without events
	models   map[string]*predict.Model
	bodies   *inflight
	stopping atomic.Bool
}

// Run serves admissions until ctx ends; then it lets running requests finish and returns nil. It returns an
// error when it cannot start or when serving fails.
func Run(ctx context.Context, cfg Config) error {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return err
	}
	cert, err := newCertificate(cfg.CertFile, cfg.KeyFile, cfg.Log)
	if err != nil {
		return err
	}
	s, last, err := prepare(cfg)
	if err != nil {
		return err
	}
	ln := cfg.Listener
	if ln == nil {
		if ln, err = new(net.ListenConfig).Listen(ctx, "tcp", cfg.Listen); err != nil {
			return fmt.Errorf("webhook: %w", err)
		}
	}
	defer ln.Close()

	defer s.recorder.close()

	g, ctx := errgroup.WithContext(ctx)
	if cfg.PredictListen != "" {
		if err := s.servePredictions(ctx, g); err != nil {
			return err
		}
	}
	if s.nodes != nil {
		g.Go(func() error { s.nodes.run(ctx); return nil })
	}
	if cfg.FeaturesFile != "" {
		g.Go(func() error { s.watchCatalogue(ctx, last); return nil })
	}
	web := s.httpServer(cert)
	g.Go(func() error {
		if err := web.ServeTLS(ln, "", ""); !errors.Is(err, http.ErrServerClosed) {
			return fmt.Errorf("webhook: %w", err)
		}
		return nil
	})
	g.Go(func() error { return s.stop(ctx, web) })
	cfg.Log.Info("webhook listens", "address", ln.Addr().String(), "models", len(cfg.Models), "catalogue", s.index.Hash())
	if cfg.OnListen != nil {
		cfg.OnListen(ln.Addr().String())
	}
	return g.Wait()
}

// prepare loads the catalogue and puts the parts together.
func prepare(cfg Config) (*server, string, error) {
	s := &server{cfg: cfg, bodies: newInflight(cfg.MaxInFlight, cfg.MaxBody), index: features.NewIndex(cfg.IdentityLabel), models: make(map[string]*predict.Model, len(cfg.Models))}
	for _, m := range cfg.Models {
		s.models[m.Name] = m
	}
	var last string
	var err error
	if cfg.FeaturesFile != "" {
		if last, err = loadCatalogue(cfg.FeaturesFile, s.index); err != nil {
			return nil, last, err
		}
	}
	specs := artifact.NewCache(artifact.CacheOptions{
		Options: artifact.Options{
			PlainHTTP: cfg.PlainHTTPRegistries, Mirrors: cfg.Mirrors, Timeout: cfg.DecisionTimeout, Credential: cfg.Credential, Forget: cfg.Forget,
			Guard: artifact.NewGuard(cfg.AllowRegistries, cfg.trustedHosts()),
			Warn:  func(err error) { cfg.Log.Warn("a registry", "error", err) },
		},
		Fresh: cfg.ArtifactFresh, MaxStale: cfg.ArtifactMaxStale, Now: cfg.Now,
	})
	s.metrics = newMetrics(s.index, specs)
	decide := admit.Config{
		Specs: specs, Features: s.index, Models: cfg.Models, ModelServerURL: cfg.ModelServerURL,
		Prices: cfg.Prices, Skip: cfg.Skip, TieBreak: cfg.TieBreak, Seed: cfg.Seed, Allocatable: cfg.Allocatable,
	}
	if cfg.ModelServerURL != "" {
		decide.ModelServer = &predict.Client{URL: cfg.ModelServerURL}
	}
	if s.decider, err = admit.New(decide); err != nil {
		return nil, last, err
	}
	if cfg.Events && cfg.Cluster != nil {
		s.recorder = newRecorder(cfg.Cluster)
	}
	if cfg.Cluster != nil {
		s.nodes = newNodeWatch(cfg.Cluster, s.index, cfg.Log)
	}
	return s, last, nil
}

func (s *server) httpServer(cert *certificate) *http.Server {
	return &http.Server{
		Handler:           s.handler(),
		TLSConfig:         &tls.Config{MinVersion: tls.VersionTLS12, GetCertificate: cert.get},
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       15 * time.Second,
		WriteTimeout:      s.cfg.DecisionTimeout + 15*time.Second,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    64 << 10,
		ErrorLog:          slog.NewLogLogger(s.cfg.Log.Handler(), slog.LevelDebug),
	}
}

// stop waits for the end of ctx, then for the running requests, but not for ever.
func (s *server) stop(ctx context.Context, web *http.Server) error {
	<-ctx.Done()
	s.stopping.Store(true)
	end, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.cfg.ShutdownTimeout)
	defer cancel()
	if err := web.Shutdown(end); err != nil {
		return errors.Join(fmt.Errorf("webhook: requests were still running after %s: %w", s.cfg.ShutdownTimeout, err), web.Close())
	}
	return nil
}

// missing says what keeps the server from being ready; empty when nothing does.
func (s *server) missing() string {
	switch {
	case s.stopping.Load():
		return "stopping"
	case s.nodes != nil && !s.nodes.synced.Load():
		return "the nodes of the cluster are not known yet"
	case len(s.models) == 0 && s.cfg.ModelServerURL == "":
		return "no model is loaded"
	}
	if types, nodes := s.index.Size(); types+nodes == 0 {
		return "no instance type is known: the catalogue is empty and no node is live"
	}
	return ""
}
