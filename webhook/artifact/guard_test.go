package artifact

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/compspec/ocifit-lab/webhook/artifact/artifacttest"
	"github.com/compspec/ocifit-lab/webhook/compat"
)

// A registry that somebody named sends its clients further, by the realm of its tokens or by a redirect: nothing inside is
// asked, and nothing of what it would say comes back.
func TestGuardStaysOutside(t *testing.T) {
	var inner atomic.Int32
	secret := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		inner.Add(1)
		http.Error(w, `{"errors":[{"code":"SECRET","message":"the-secret"}]}`, http.StatusForbidden)
	}))
	defer secret.Close()
	for name, answer := range map[string]http.HandlerFunc{
		"realm": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Www-Authenticate", `Bearer realm="`+secret.URL+`/token",service="x",scope="y"`)
			w.WriteHeader(http.StatusUnauthorized)
		},
		"redirect": func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, secret.URL+"/x", http.StatusFound) },
		"metadata": func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "http://169.254.169.254/latest", http.StatusFound)
		},
		"a service": func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "http://secret.default.svc/", http.StatusFound)
		},
	} {
		t.Run(name, func(t *testing.T) {
			front := httptest.NewServer(answer)
			defer front.Close()
			host := strings.TrimPrefix(front.URL, "http://")
			opts := Options{PlainHTTP: []string{host}, Timeout: 5 * time.Second, Guard: NewGuard(nil, []string{host})}
			_, err := Pull(t.Context(), host+"/a:v1", opts)
			if !errors.Is(err, ErrNotAllowed) || !errors.Is(err, ErrUnavailable) || !strings.Contains(err.Error(), "--allow-registry") {
				t.Errorf("%v", err)
			}
			if inner.Load() != 0 {
				t.Error("an inner address was asked")
			}
			if err != nil && strings.Contains(err.Error(), "the-secret") {
				t.Errorf("%v", err)
			}
		})
	}
	t.Run("a loopback registry that nobody configured", func(t *testing.T) {
		host := strings.TrimPrefix(secret.URL, "http://")
		if _, err := Pull(t.Context(), host+"/a:v1", Options{PlainHTTP: []string{host}, Timeout: 5 * time.Second, Guard: NewGuard(nil, nil)}); !errors.Is(err, ErrNotAllowed) || inner.Load() != 0 {
			t.Errorf("%v", err)
		}
	})
	t.Run("a registry off the list", func(t *testing.T) {
		_, err := Pull(t.Context(), "ghcr.io/a/b:v1", Options{Guard: NewGuard([]string{"*.dkr.ecr.eu-west-1.amazonaws.com"}, nil)})
		if !errors.Is(err, ErrNotAllowed) || !errors.Is(err, ErrReference) {
			t.Errorf("%v", err)
		}
	})
}

// A proxy connects for us: a name with an inner address must not reach it.
func TestGuardBehindAProxy(t *testing.T) {
	var asked atomic.Int32
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		asked.Add(1)
		w.WriteHeader(http.StatusNotFound)
	}))
	defer proxy.Close()
	at, err := url.Parse(proxy.URL)
	if err != nil {
		t.Fatal(err)
	}
	addresses := map[string]string{"inner.example": "10.1.2.3", "metadata.example": "169.254.169.254", "outer.example": "8.8.8.8"}
	for host, reaches := range map[string]bool{"inner.example": false, "metadata.example": false, "outer.example": true, "only-the-proxy-knows.example": true, "trusted.example": true} {
		asked.Store(0)
		g := NewGuard(nil, []string{at.Host, "trusted.example"})
		g.transport.Proxy = http.ProxyURL(at)
		g.lookup = func(_ context.Context, _, name string) ([]netip.Addr, error) {
			if a, ok := addresses[name]; ok {
				return []netip.Addr{netip.MustParseAddr("8.8.4.4"), netip.MustParseAddr(a)}, nil
			}
			return nil, errors.New("no such host")
		}
		_, err := Pull(t.Context(), host+"/a:v1", Options{PlainHTTP: []string{host}, Timeout: 5 * time.Second, Guard: g})
		if (asked.Load() > 0) != reaches || errors.Is(err, ErrNotAllowed) == reaches {
			t.Errorf("%s: the proxy was asked %d times, %v", host, asked.Load(), err)
		}
	}
}

// What a stranger's server says is not repeated, whatever the kind of its answer.
func TestNoForeignWords(t *testing.T) {
	for name, answer := range map[string]http.HandlerFunc{
		"errors": func(w http.ResponseWriter, _ *http.Request) {
			http.Error(w, `{"errors":[{"code":"the-secret","message":"the-secret"},{"code":"DENIED","message":"the-secret"}]}`, http.StatusForbidden)
		},
		"text": func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "the-secret", http.StatusBadRequest) },
		"token": func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/token" {
				http.Error(w, "the-secret", http.StatusInternalServerError)
				return
			}
			w.Header().Set("Www-Authenticate", `Bearer realm="http://`+r.Host+`/token",service="x"`)
			w.WriteHeader(http.StatusUnauthorized)
		},
		"no JSON": func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/token" {
				_, _ = w.Write([]byte("the-secret"))
				return
			}
			w.Header().Set("Www-Authenticate", `Bearer realm="http://`+r.Host+`/token",service="x"`)
			w.WriteHeader(http.StatusUnauthorized)
		},
	} {
		front := httptest.NewServer(answer)
		host := strings.TrimPrefix(front.URL, "http://")
		_, err := Pull(t.Context(), host+"/a:v1", Options{PlainHTTP: []string{host}, Timeout: 5 * time.Second, Guard: NewGuard([]string{host}, nil)})
		if !errors.Is(err, ErrUnavailable) || strings.Contains(err.Error(), "the-secret") {
			t.Errorf("%s: %v", name, err)
		}
		front.Close()
	}
}

func TestPublic(t *testing.T) {
	for ip, want := range map[string]bool{
		"8.8.8.8": true, "2606:4700::1": true, "127.0.0.1": false, "::1": false, "10.0.0.1": false, "172.20.0.1": false, "192.168.1.1": false,
		"169.254.169.254": false, "fe80::1": false, "fd00:ec2::254": false, "100.64.0.1": false, "0.0.0.0": false, "::ffff:127.0.0.1": false,
		"64:ff9b::7f00:1": false, "::169.254.169.254": false, "::10.0.0.1": false, "224.0.0.1": false, "255.255.255.255": false,
	} {
		if got := public(netip.MustParseAddr(ip)); got != want {
			t.Errorf("%s: %v", ip, got)
		}
	}
}

// A mirror that hangs, or has the manifest alone, leaves time and reason to ask the registry.
func TestMirrorsThatFailHalfway(t *testing.T) {
	r := artifacttest.New(t)
	if _, err := Push(t.Context(), r.Ref("a:v1"), study(t), compat.MediaTypeModels, plain(r)); err != nil {
		t.Fatal(err)
	}
	for name, answer := range map[string]http.HandlerFunc{
		"hangs": func(_ http.ResponseWriter, q *http.Request) { <-q.Context().Done() },
		"no blobs": func(w http.ResponseWriter, q *http.Request) {
			if strings.Contains(q.URL.Path, "/blobs/") {
				http.Error(w, `{"errors":[{"code":"BLOB_UNKNOWN"}]}`, http.StatusNotFound)
				return
			}
			r.ServeHTTP(w, q)
		},
		"blobs hang": func(w http.ResponseWriter, q *http.Request) {
			if strings.Contains(q.URL.Path, "/blobs/") {
				<-q.Context().Done()
				return
			}
			r.ServeHTTP(w, q)
		},
		"wrong blobs": func(w http.ResponseWriter, q *http.Request) {
			if strings.Contains(q.URL.Path, "/blobs/") {
				_, _ = w.Write([]byte("x"))
				return
			}
			r.ServeHTTP(w, q)
		},
	} {
		t.Run(name, func(t *testing.T) {
			m := httptest.NewServer(answer)
			defer m.Close()
			mirror := strings.TrimPrefix(m.URL, "http://")
			o := Options{PlainHTTP: []string{r.Host, mirror}, Timeout: 4 * time.Second, Mirrors: map[string][]string{r.Host: {mirror}}}
			if c, err := Pull(t.Context(), r.Ref("a:v1"), o); err != nil || len(c.Data) == 0 {
				t.Errorf("%v", err)
			}
			o.health = &health{}
			if _, err := Pull(t.Context(), r.Ref("a:v1"), o); err != nil {
				t.Error(err)
			}
			if name == "hangs" {
				p, err := o.open(t.Context(), r.Ref("a:v1"))
				if err != nil || p.sources[0].repo.Reference.Registry != r.Host {
					t.Errorf("the mirror that hung is asked first again: %v", err)
				}
			}
		})
	}
}

// A registry that refuses HEAD, or does not tell digests, is asked by GET.
func TestHeadIsRetriedByGet(t *testing.T) {
	r := artifacttest.New(t)
	want, err := Push(t.Context(), r.Ref("a:v1"), study(t), compat.MediaTypeModels, plain(r))
	if err != nil {
		t.Fatal(err)
	}
	for _, kind := range []string{"405", "no digest", "501"} {
		front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
			if q.Method == http.MethodHead && kind != "no digest" {
				w.WriteHeader(map[string]int{"405": 405, "501": 501}[kind])
				return
			}
			rec := httptest.NewRecorder()
			r.ServeHTTP(rec, q)
			for k, v := range rec.Header() {
				w.Header()[k] = v
			}
			w.Header().Del("Docker-Content-Digest")
			w.WriteHeader(rec.Code)
			_, _ = w.Write(rec.Body.Bytes())
		}))
		host := strings.TrimPrefix(front.URL, "http://")
		c, err := Pull(t.Context(), host+"/a:v1", Options{PlainHTTP: []string{host}, Timeout: 5 * time.Second})
		if err != nil || c.Digest != want {
			t.Errorf("%s: %v", kind, err)
		}
		if _, err := Pull(t.Context(), host+"/a:none", Options{PlainHTTP: []string{host}, Timeout: 5 * time.Second}); !errors.Is(err, ErrUnavailable) || !strings.Contains(err.Error(), "push it first") {
			t.Errorf("%s: %v", kind, err)
		}
		front.Close()
	}
}

func TestAdviceFitsTheFault(t *testing.T) {
	r := artifacttest.New(t)
	if _, err := Pull(t.Context(), r.Ref("a:v1"), Options{Timeout: 5 * time.Second}); err == nil || !strings.Contains(err.Error(), "--plain-http") {
		t.Errorf("HTTP taken for HTTPS: %v", err)
	}
	secure := httptest.NewTLSServer(r)
	defer secure.Close()
	secure.Config.ErrorLog = nil
	host := strings.TrimPrefix(secure.URL, "https://")
	if _, err := Pull(t.Context(), host+"/a:v1", Options{PlainHTTP: []string{host}, Timeout: 5 * time.Second}); err == nil || !strings.Contains(err.Error(), "take it off") {
		t.Errorf("HTTPS taken for HTTP: %v", err)
	}
	if _, err := Pull(t.Context(), host+"/a:v1", Options{Timeout: 5 * time.Second}); err == nil || !strings.Contains(err.Error(), "certificate") {
		t.Errorf("an unknown authority: %v", err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Nanosecond)
	defer cancel()
	if _, err := Pull(ctx, r.Ref("a:v1"), plain(r)); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("%v", err)
	}
}
