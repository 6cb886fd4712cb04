package artifact

import (
	"context"
	"errors"
	"net/http"
	"sync"

	"oras.land/oras-go/v2/registry/remote/auth"
	"oras.land/oras-go/v2/registry/remote/errcode"
)

// login is how one registry is asked in one pull. Tokens are not kept for longer: a registry such as ECR refuses one
// past its life with 403, which no client takes for a reason to get another.
type login struct {
	opts Options

	mu sync.Mutex
	// failed is why there are no credentials; used says that some were sent.
	failed error
	used   bool
}

func newLogin(o Options) *login { return &login{opts: o} }

// client returns a client without memory.
func (l *login) client() *auth.Client {
	client := l.opts.HTTPClient
	if client == nil {
		client = &http.Client{}
	}
	if l.opts.Guard != nil {
		client = &http.Client{Transport: l.opts.Guard}
	}
	return &auth.Client{Client: client, Cache: auth.NewCache(), Credential: l.credential, ClientID: "ocifit-lab"}
}

// credential asks for credentials, and goes on without when that fails.
func (l *login) credential(ctx context.Context, host string) (auth.Credential, error) {
	if l.opts.Credential == nil {
		return auth.EmptyCredential, nil
	}
	cred, err := l.opts.Credential(ctx, host)
	l.mu.Lock()
	defer l.mu.Unlock()
	if err != nil {
		l.failed = err
		return auth.EmptyCredential, nil
	}
	l.used = l.used || cred != auth.EmptyCredential
	return cred, nil
}

// trouble is why there are no credentials; nil when there are, or when none were asked for.
func (l *login) trouble() error {
	if l == nil {
		return nil
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.failed
}

// with does something with the registry, and once more with new credentials when those sent were refused.
func (s *source) with(ctx context.Context, do func() error) error {
	err := do()
	if s.login == nil || !refused(err) || ctx.Err() != nil {
		return err
	}
	s.login.mu.Lock()
	used := s.login.used
	s.login.used = false
	s.login.mu.Unlock()
	if !used {
		return err
	}
	if s.login.opts.Forget != nil {
		s.login.opts.Forget(s.repo.Reference.Host())
	}
	s.repo.Client = s.login.client()
	return do()
}

// refused reports whether a registry did not accept the credentials.
func refused(err error) bool {
	var resp *errcode.ErrorResponse
	return errors.As(err, &resp) && (resp.StatusCode == http.StatusUnauthorized || resp.StatusCode == http.StatusForbidden)
}
