// Package registry runs an OCI registry inside this process, with its blobs in a folder.
package registry

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/distribution/distribution/v3/configuration"
	"github.com/distribution/distribution/v3/registry/handlers"
	_ "github.com/distribution/distribution/v3/registry/storage/driver/filesystem" // the storage that settings names

	"github.com/compspec/ocifit-lab/provision/registry/login"
)

// stopTimeout is how long requests under way may go on after a stop.
const stopTimeout = 500 * time.Millisecond

// Options says where a registry listens and stores.
type Options struct {
	// Addr is host:port to listen on. Empty means a free port of the loopback interface.
	Addr string
	// Dir holds the content and is made when absent. It must be given.
	Dir string
	// CertFile and KeyFile switch from plain HTTP to HTTPS. Both or neither.
	CertFile, KeyFile string
	// Login is asked for; the zero value lets everybody in. With Readable, only those who write are asked.
	Login    login.Login
	Readable bool
	// Log takes the registry's own log lines. Nil throws them away.
	Log io.Writer
}

// Registry is a running registry.
type Registry struct {
	addr   string
	server *http.Server
	stop   func() error
	done   chan struct{}
	err    error // why serving ended; read it after done is closed
}

// Start serves until ctx ends or Stop is called. When it returns the port is open.
func Start(ctx context.Context, opts Options) (*Registry, error) {
	if opts.Dir == "" {
		return nil, errors.New("registry: no folder given for its content")
	}
	dir, err := filepath.Abs(opts.Dir)
	if err != nil {
		return nil, fmt.Errorf("registry folder: %w", err)
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("registry folder: %w", err)
	}
	tlsConfig, err := opts.tls()
	if err != nil {
		return nil, err
	}
	quiet := withLog(context.WithoutCancel(ctx), opts.Log)
	app, err := newApp(quiet, dir)
	if err != nil {
		return nil, err
	}
	listener, err := listen(ctx, opts.Addr)
	if err != nil {
		return nil, err
	}
	r := &Registry{addr: listener.Addr().String(), done: make(chan struct{})}
	if tlsConfig != nil {
		listener = tls.NewListener(listener, tlsConfig)
	}
	r.server = &http.Server{
		Handler:           opts.Login.Guard(app, opts.Readable),
		BaseContext:       func(net.Listener) context.Context { return quiet },
		ErrorLog:          errorLog(opts.Log),
		ReadHeaderTimeout: 10 * time.Second,
		IdleTimeout:       time.Minute,
	}
	r.stop = sync.OnceValue(r.shutdown)
	context.AfterFunc(ctx, func() { _ = r.Stop() })
	go func() {
		defer close(r.done)
		if err := r.server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			r.err = fmt.Errorf("registry on %s: %w", r.addr, err)
		}
	}()
	return r, nil
}

// Addr is the host:port that clients use, without a scheme.
func (r *Registry) Addr() string { return r.addr }

// Done is closed when the registry no longer serves.
func (r *Registry) Done() <-chan struct{} { return r.done }

// Stop lets the requests under way finish for half a second, closes the port and returns why serving ended, if that was
// not by a stop. It may be called more than once.
func (r *Registry) Stop() error { return r.stop() }

func (r *Registry) shutdown() error {
	ctx, cancel := context.WithTimeout(context.Background(), stopTimeout)
	defer cancel()
	if err := r.server.Shutdown(ctx); err != nil {
		_ = r.server.Close() // the connections that did not end in time
	}
	<-r.done
	return r.err
}

func (o Options) tls() (*tls.Config, error) {
	if o.CertFile == "" && o.KeyFile == "" {
		return nil, nil
	}
	cert, err := tls.LoadX509KeyPair(o.CertFile, o.KeyFile)
	if err != nil {
		return nil, fmt.Errorf("registry certificate: %w", err)
	}
	return &tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS12, NextProtos: []string{"h2", "http/1.1"}}, nil
}

func listen(ctx context.Context, addr string) (net.Listener, error) {
	if addr == "" {
		addr = "127.0.0.1:0"
	}
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("registry: cannot listen on %s, give it another address or free that port: %w", addr, err)
	}
	return l, nil
}

// newApp turns the panics by which the library reports bad settings into errors.
func newApp(ctx context.Context, dir string) (app *handlers.App, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("registry in %s: %v", dir, p)
		}
	}()
	return handlers.NewApp(ctx, settings(dir)), nil
}

func settings(dir string) *configuration.Configuration {
	return &configuration.Configuration{
		Version: configuration.CurrentVersion,
		Storage: configuration.Storage{
			"filesystem": {"rootdirectory": dir},
			"cache":      {"blobdescriptor": "inmemory"},
			"delete":     {"enabled": true},
			// The purger would outlive the registry: it sleeps up to an hour and knows no end.
			"maintenance": {"uploadpurging": map[any]any{"enabled": false}},
		},
		Catalog: configuration.Catalog{MaxEntries: 1000},
		Tags:    configuration.Tags{MaxTags: 1000},
	}
}
