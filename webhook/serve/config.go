// Package serve is the webhook's HTTPS server: certificates that reload, limits, health, metrics, and the watch on
// nodes and on the catalogue.
package serve

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"oras.land/oras-go/v2/registry/remote/auth"

	"github.com/compspec/ocifit-lab/webhook/admit"
	"github.com/compspec/ocifit-lab/webhook/predict"
)

// Config is everything the server is started with.
type Config struct {
	// Listen is the address, host:port; Listener, if set, is used instead (and closed at the end).
	Listen   string
	Listener net.Listener
	// CertFile and KeyFile are PEM files; they are read again when they change.
	CertFile, KeyFile string
	// FeaturesFile is the catalogue (a JSON list of label maps), or a folder whose *.json files make it up together;
	// it is read again when it changes. Empty means that only live nodes are candidates.
	FeaturesFile string
	// IdentityLabel tells the type of a node; empty means the instance type label.
	IdentityLabel string
	// Cluster, if set, has the nodes that are candidates.
	Cluster Cluster

	// Events writes an event for each selection and denial that is no dry run; it needs Cluster.
	Events bool

	// Models score; nil means the published ones.
	Models []*predict.Model
	// ModelServerURL, if set, is where models are asked instead (POST /predict).
	ModelServerURL string
	// PredictListen, if set, is a further address at which POST /predict is answered with Models, over plain HTTP.
	PredictListen string
	// Prices, Skip, TieBreak and Seed are those of admit.Config.
	Prices   map[string]float64
	Skip     []string
	TieBreak string
	Seed     uint64
	// Allocatable is that of admit.Config.
	Allocatable map[string]corev1.ResourceList

	// PlainHTTPRegistries lists the registries (host:port) that are reached without TLS.
	PlainHTTPRegistries []string
	// Mirrors lists, by registry, what is asked before it.
	Mirrors map[string][]string
	// AllowRegistries lists the registries that objects may name artifacts in; empty means all that have public addresses.
	// Registries reached without TLS and mirrors are configured by name and need no public address.
	AllowRegistries []string
	// Credential gives the credentials for a registry; nil means none. Forget, if set, makes it ask anew for a registry
	// that refused them.
	Credential auth.CredentialFunc
	Forget     func(host string)
	// Now is the clock by which artifacts age; nil means time.Now.
	Now func() time.Time
	// ArtifactFresh is how long a tag is believed; 0 means 10 s.
	ArtifactFresh time.Duration
	// ArtifactMaxStale is how long the last good copy serves while its registry is down; 0 means 1 h, negative never.
	ArtifactMaxStale time.Duration

	// DecisionTimeout bounds one admission; 0 means 4 s. A shorter timeout that the API server names wins.
	DecisionTimeout time.Duration
	// ShutdownTimeout bounds the wait for running requests at the end; 0 means 10 s.
	ShutdownTimeout time.Duration
	// MaxBody bounds a request's body in bytes; 0 means 8 MiB.
	MaxBody int64
	// MaxInFlight bounds the bytes of all bodies that are being read or answered; 0 means 64 MiB. Whoever comes when it is
	// reached is told to come again.
	MaxInFlight int64
	// Log receives a line per decision; nil means none.
	Log *slog.Logger
	// OnListen is called with the address once the server accepts connections; OnPredictListen likewise.
	OnListen, OnPredictListen func(addr string)
	// OnReview, if set, sees every review before its answer is sent; it must be quick.
	OnReview func(admit.Report)
}

// withDefaults checks the configuration and fills in what was left out.
func (c Config) withDefaults() (Config, error) {
	if c.CertFile == "" || c.KeyFile == "" {
		return c, errors.New("the webhook needs a certificate: name its files with --tls-cert and --tls-key, or in TLS_CERT_PATH and TLS_KEY_PATH")
	}
	if c.Listen == "" && c.Listener == nil {
		return c, errors.New("the webhook needs an address to listen on")
	}
	if c.FeaturesFile == "" && c.Cluster == nil {
		return c, errors.New("the webhook knows no instance types: name the cached node features (--features-dir, FEATURES_CACHE_DIR), or a cluster whose nodes it may watch (--kubeconfig)")
	}
	if c.ModelServerURL != "" {
		if u, err := url.Parse(c.ModelServerURL); err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
			return c, fmt.Errorf("the model server's URL is %q; write http://host:port", c.ModelServerURL)
		}
	}
	if c.Models == nil {
		var err error
		if c.Models, err = predict.BuiltIn(); err != nil {
			return c, err
		}
	}
	if c.MaxBody == 0 {
		c.MaxBody = 8 << 20
	}
	if c.MaxInFlight == 0 {
		c.MaxInFlight = 64 << 20
	}
	for name, d := range map[string]*time.Duration{
		"DecisionTimeout": &c.DecisionTimeout, "ShutdownTimeout": &c.ShutdownTimeout,
		"ArtifactFresh": &c.ArtifactFresh,
	} {
		if *d < 0 {
			return c, fmt.Errorf("%s is %s, must not be negative", name, *d)
		}
	}
	if c.DecisionTimeout == 0 {
		c.DecisionTimeout = 4 * time.Second
	}
	if c.ShutdownTimeout == 0 {
		c.ShutdownTimeout = 10 * time.Second
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	return c, nil
}

// trustedHosts are those that the configuration itself names: registries without TLS and mirrors.
func (c Config) trustedHosts() []string {
	out := slices.Clone(c.PlainHTTPRegistries)
	for _, mirrors := range c.Mirrors {
		for _, m := range mirrors {
			host, _, _ := strings.Cut(m, "/")
			out = append(out, host)
		}
	}
	return out
}
