// Package ecr gets credentials for Amazon's container registries from AWS's own credentials, where no docker
// configuration has any.
package ecr

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"regexp"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/aws/aws-sdk-go-v2/config"
	"oras.land/oras-go/v2/registry/remote/auth"
)

// hosts are the names of private registries: account, region and the partition's domain.
var hosts = regexp.MustCompile(`^\d{12}\.dkr\.ecr(?:-fips)?\.([a-z0-9-]+)\.(amazonaws\.com(?:\.cn)?)$`)

const (
	action = "AmazonEC2ContainerRegistry_V20150921.GetAuthorizationToken"
	// early is how long before its end a token is replaced.
	early = 5 * time.Minute
)

// Source asks for registry tokens and remembers them. The zero value is ready.
type Source struct {
	// HTTPClient does the requests; nil means http.DefaultClient.
	HTTPClient *http.Client
	// Now is the clock; nil means time.Now.
	Now func() time.Time

	mu     sync.Mutex
	tokens map[string]token // by region
}

type token struct {
	credential auth.Credential
	got, until time.Time
}

// Credential asks first and then, for a registry of ECR that first knows nothing about, AWS: with the credentials of
// the environment, the shared files, the pod's role or the machine's, in the SDK's order.
func (s *Source) Credential(first auth.CredentialFunc) auth.CredentialFunc {
	return func(ctx context.Context, host string) (auth.Credential, error) {
		if first != nil {
			cred, err := first(ctx, host)
			if err != nil || cred != auth.EmptyCredential {
				return cred, err
			}
		}
		m := hosts.FindStringSubmatch(host)
		if m == nil {
			return auth.EmptyCredential, nil
		}
		return s.token(ctx, m[1], m[2])
	}
}

// token returns the token of a region; one question at a time.
func (s *Source) token(ctx context.Context, region, domain string) (auth.Credential, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.now()
	old, had := s.tokens[region]
	if had && now.Before(old.until.Add(-early)) {
		return old.credential, nil
	}
	t, err := s.ask(ctx, region, domain)
	if err != nil && had && now.Before(old.until) {
		return old.credential, nil // it still serves; the next question asks again
	}
	if err != nil {
		return auth.EmptyCredential, fmt.Errorf("ask AWS for a token of the registry in %s: %w; the role needs ecr:GetAuthorizationToken", region, err)
	}
	if s.tokens == nil {
		s.tokens = map[string]token{}
	}
	t.got = now
	s.tokens[region] = t
	return t.credential, nil
}

// young is the age up to which a token that a registry refuses is not replaced: the reason is another one then.
const young = time.Minute

// Forget drops the token of a registry that refused it, so that the next question gets a new one.
func (s *Source) Forget(host string) {
	m := hosts.FindStringSubmatch(host)
	if m == nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if t, ok := s.tokens[m[1]]; ok && s.now().Sub(t.got) >= young {
		delete(s.tokens, m[1])
	}
}

func (s *Source) now() time.Time {
	if s.Now != nil {
		return s.Now()
	}
	return time.Now()
}

func (s *Source) ask(ctx context.Context, region, domain string) (token, error) {
	cfg, err := config.LoadDefaultConfig(ctx, config.WithRegion(region))
	if err != nil {
		return token{}, err
	}
	creds, err := cfg.Credentials.Retrieve(ctx)
	if err != nil {
		return token{}, err
	}
	req, err := request(ctx, creds, region, endpoint(cfg, region, domain))
	if err != nil {
		return token{}, err
	}
	client := s.HTTPClient
	if client == nil {
		client = http.DefaultClient
	}
	resp, err := client.Do(req)
	if err != nil {
		return token{}, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	if err != nil {
		return token{}, err
	}
	if resp.StatusCode != http.StatusOK {
		return token{}, fmt.Errorf("%s: %s", resp.Status, strings.TrimSpace(string(body)))
	}
	return parse(body)
}

// endpoint is ECR's in the region, or the one that the environment names.
func endpoint(cfg aws.Config, region, domain string) string {
	for _, custom := range []string{os.Getenv("AWS_ENDPOINT_URL_ECR"), os.Getenv("AWS_ENDPOINT_URL"), aws.ToString(cfg.BaseEndpoint)} {
		if custom != "" {
			return strings.TrimSuffix(custom, "/") + "/"
		}
	}
	return "https://api.ecr." + region + "." + domain + "/"
}

// request is a signed GetAuthorizationToken (signature version 4).
func request(ctx context.Context, creds aws.Credentials, region, url string) (*http.Request, error) {
	const body = "{}"
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, strings.NewReader(body))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/x-amz-json-1.1")
	req.Header.Set("X-Amz-Target", action)
	hash := sha256.Sum256([]byte(body))
	return req, v4.NewSigner().SignHTTP(ctx, creds, req, hex.EncodeToString(hash[:]), "ecr", region, time.Now())
}

func parse(body []byte) (token, error) {
	var answer struct {
		AuthorizationData []struct {
			AuthorizationToken string
			ExpiresAt          float64
		}
	}
	if err := json.Unmarshal(body, &answer); err != nil {
		return token{}, err
	}
	if len(answer.AuthorizationData) == 0 {
		return token{}, fmt.Errorf("the answer has no token")
	}
	data := answer.AuthorizationData[0]
	plain, err := base64.StdEncoding.DecodeString(data.AuthorizationToken)
	if err != nil {
		return token{}, fmt.Errorf("the token is not base64: %w", err)
	}
	user, password, ok := strings.Cut(string(plain), ":")
	if !ok {
		return token{}, fmt.Errorf("the token has no user and password")
	}
	return token{credential: auth.Credential{Username: user, Password: password}, until: time.UnixMilli(int64(data.ExpiresAt * 1000))}, nil
}
