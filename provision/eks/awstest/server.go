// Package awstest is an endpoint that answers as AWS does, in memory and on loopback, for the calls the eks provider and eksctl really make.
package awstest

import (
	"context"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"time"
)

// AccessKey, SecretKey and Account belong to the only caller that the endpoint knows.
const (
	AccessKey = "AKIAOCIFITLABTEST00"
	SecretKey = "ocifit-lab/test/secret"
	Account   = "123456789012"
)

// quiet drops what the HTTP servers say about clients that went away: killed children are part of the tests.
var quiet = log.New(io.Discard, "", 0)

// Options say how the endpoint's region looks and how it behaves. The zero value is a quick us-east-1 with everything allowed.
type Options struct {
	// Region is the only region that answers; empty means us-east-1.
	Region string
	// ControlPlane stands behind the EKS clusters; nil means a small one inside the endpoint, enough for eksctl.
	ControlPlane ControlPlane
	// Delay tells how long creating or deleting a resource takes; nil means no time at all. See TypicalDelays.
	Delay func(Work) time.Duration
	// Deny lists IAM actions ("eks:CreateCluster") that the caller may not do.
	Deny []string
	// Quotas overrides service quotas by code.
	Quotas map[string]float64
	// Versions are the Kubernetes minors that EKS offers, the first being the default; empty means a usual set.
	Versions []string
	// StandardUntil is when minors leave standard support; others are in it for a year.
	StandardUntil map[string]time.Time
	// Caller is the ARN of who calls; empty is a user. Roles maps the roles that IAM knows to their ARNs.
	Caller string
	Roles  map[string]string
	// Addr is where to listen; empty means a free port on loopback.
	Addr string
	// Log, when set, is told about every call.
	Log func(format string, args ...any)
}

// Work is a piece of work whose time Options.Delay gives.
type Work struct {
	Delete bool
	Type   string // CloudFormation type, as AWS::EKS::Nodegroup
	Stack  string // name of the stack it belongs to
}

// TypicalDelays gives the times AWS usually takes, divided by scale.
func TypicalDelays(scale float64) func(Work) time.Duration {
	create := map[string]time.Duration{
		"AWS::EKS::Cluster": 9 * time.Minute, "AWS::EKS::Nodegroup": 3 * time.Minute, "AWS::IAM::Role": 18 * time.Second,
		"AWS::EC2::NatGateway": 100 * time.Second, "AWS::EC2::VPC": 15 * time.Second,
	}
	remove := map[string]time.Duration{
		"AWS::EKS::Cluster": 3 * time.Minute, "AWS::EKS::Nodegroup": 4 * time.Minute, "AWS::EC2::NatGateway": time.Minute,
	}
	return func(w Work) time.Duration {
		d := create[w.Type]
		if w.Delete {
			d = remove[w.Type]
		}
		return time.Duration(float64(d) / scale)
	}
}

// Server is a running endpoint.
type Server struct {
	URL string // of the AWS services
	CA  []byte // PEM that the OIDC issuer and the built-in control plane are checked with

	opts   Options
	dir    string
	http   *http.Server
	tls    *secureServer
	ctx    context.Context
	cancel context.CancelFunc
	work   sync.WaitGroup

	mu     sync.Mutex // guards all below
	acct   *account
	faults []*Fault
	broken []*ResourceFault
	// exhausted are the instance types of which EC2 has none.
	exhausted map[string]bool
	watch     []func(Call)
	calls     []Call
	answers   []Answer
	serial    int
}

// New starts an endpoint. Close ends it.
func New(opts Options) (*Server, error) {
	if opts.Region == "" {
		opts.Region = "us-east-1"
	}
	if len(opts.Versions) == 0 {
		opts.Versions = []string{"1.34", "1.35", "1.33", "1.32", "1.31"}
	}
	if opts.Caller == "" {
		opts.Caller = callerARN
	}
	if opts.Addr == "" {
		opts.Addr = "127.0.0.1:0"
	}
	if opts.Log == nil {
		opts.Log = func(string, ...any) {}
	}
	dir, err := os.MkdirTemp("", "awstest-")
	if err != nil {
		return nil, err
	}
	s := &Server{opts: opts, dir: dir, acct: newAccount(opts.Region)}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	if err := s.listen(); err != nil {
		s.Close()
		return nil, err
	}
	return s, nil
}

func (s *Server) listen() error {
	secure, err := startSecure(s)
	if err != nil {
		return err
	}
	s.tls, s.CA = secure, secure.caPEM
	if s.opts.ControlPlane == nil {
		s.opts.ControlPlane = secure
	}
	if err := os.WriteFile(filepath.Join(s.dir, "ca.pem"), s.CA, 0o600); err != nil {
		return err
	}
	ln, err := net.Listen("tcp", s.opts.Addr)
	if err != nil {
		return fmt.Errorf("endpoint: %w", err)
	}
	s.URL = "http://" + ln.Addr().String()
	s.http = &http.Server{Handler: s, ReadHeaderTimeout: 10 * time.Second, ErrorLog: quiet}
	go s.http.Serve(ln)
	return nil
}

// Close ends the endpoint and everything it started.
func (s *Server) Close() error {
	s.cancel()
	if s.http != nil {
		s.http.Close()
	}
	s.work.Wait()
	if s.tls != nil {
		s.tls.close()
	}
	return os.RemoveAll(s.dir)
}

// Env is the environment that makes AWS clients of a process speak to this endpoint and to nothing else.
func (s *Server) Env() []string {
	none := filepath.Join(s.dir, "none")
	return []string{
		"AWS_ENDPOINT_URL=" + s.URL,
		"AWS_ACCESS_KEY_ID=" + AccessKey,
		"AWS_SECRET_ACCESS_KEY=" + SecretKey,
		"AWS_SESSION_TOKEN=",
		"AWS_PROFILE=",
		"AWS_REGION=" + s.opts.Region,
		"AWS_CONFIG_FILE=" + none,
		"AWS_SHARED_CREDENTIALS_FILE=" + none,
		"AWS_EC2_METADATA_DISABLED=true",
		"SSL_CERT_FILE=" + filepath.Join(s.dir, "ca.pem"),
	}
}

// ResourceTypes lists the CloudFormation types of everything that stacks made so far.
func (s *Server) ResourceTypes() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	types := map[string]bool{}
	for _, st := range s.acct.stacks {
		for _, r := range st.resources {
			types[r.kind] = true
		}
	}
	return sortedKeys(types)
}

// Region is the region that the endpoint is.
func (s *Server) Region() string { return s.opts.Region }

// Calls returns the calls answered so far, in the order of their arrival.
func (s *Server) Calls() []Call {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]Call(nil), s.calls...)
}

// OnCall has f told about every call before it is worked on. f may be slow; it must not call the server.
func (s *Server) OnCall(f func(Call)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.watch = append(s.watch, f)
}

// Reset forgets faults, watchers and recorded calls; what exists in the account stays.
func (s *Server) Reset() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults, s.broken, s.watch, s.calls = nil, nil, nil, nil
}

// sleep waits for d, or for the end of the server.
func (s *Server) sleep(d time.Duration) error {
	if d <= 0 {
		return s.ctx.Err()
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-s.ctx.Done():
		return s.ctx.Err()
	}
}

// id makes a new identifier with an AWS prefix. The lock is held.
func (s *Server) id(prefix string) string {
	s.serial++
	return fmt.Sprintf("%s-%017x", prefix, s.serial)
}
