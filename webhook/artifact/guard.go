package artifact

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"slices"
	"strings"
	"syscall"
	"time"
)

// ErrNotAllowed: the registry, or an address that it sends its clients to, is not one that may be asked.
var ErrNotAllowed = errors.New("not an allowed registry")

// Guard limits where a reference that a stranger wrote may lead. Whoever creates a pod names a registry, and a registry
// names further servers, as redirects and as the realm of its tokens; without limits the process would ask any address
// that it can reach and they cannot. It is an http.RoundTripper.
type Guard struct {
	allowed   []string
	trusted   []string
	transport *http.Transport
	lookup    func(ctx context.Context, network, host string) ([]netip.Addr, error)
}

// NewGuard allows references to the given registries alone, or to all when there are none. Connections go to public
// addresses only, except to the allowed registries and to the trusted hosts. A host is host or host:port; *.domain
// stands for all hosts below it.
func NewGuard(allowed, trusted []string) *Guard {
	g := &Guard{allowed: allowed, trusted: slices.Concat(allowed, trusted, proxies()), lookup: net.DefaultResolver.LookupNetIP}
	g.transport = http.DefaultTransport.(*http.Transport).Clone()
	g.transport.DialContext = g.dial
	return g
}

// proxies are the hosts that the environment sends all requests through.
func proxies() []string {
	var out []string
	for _, name := range []string{"HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"} {
		text := os.Getenv(name)
		if !strings.Contains(text, "://") {
			text = "http://" + text
		}
		if u, err := url.Parse(text); err == nil && u.Host != "" {
			out = append(out, u.Host)
		}
	}
	return out
}

// permits reports whether references to a registry are allowed. A nil guard permits everything.
func (g *Guard) permits(host string) error {
	if g == nil || len(g.allowed) == 0 || among(g.trusted, host) {
		return nil
	}
	return &failure{ErrNotAllowed, fmt.Sprintf("%s; allowed are %s; %s", host, strings.Join(g.allowed, ", "), advice(ErrNotAllowed)), ErrReference}
}

// among reports whether a list has a host, with its port or with any usual one.
func among(list []string, host string) bool {
	name, port, err := net.SplitHostPort(host)
	if err != nil {
		name, port = host, ""
	}
	for _, have := range list {
		if have == host || (port == "" || port == "443" || port == "80") && have == name {
			return true
		}
		if domain, wild := strings.CutPrefix(have, "*"); wild && strings.HasPrefix(domain, ".") && strings.HasSuffix(name, domain) {
			return true
		}
	}
	return false
}

// RoundTrip implements http.RoundTripper. A proxy looks names up itself and connects, so that what is plainly inside, or has an inner
// address as seen from here, is refused here.
func (g *Guard) RoundTrip(req *http.Request) (*http.Response, error) {
	host := req.URL.Hostname()
	inside := host == "localhost"
	for _, suffix := range []string{".localhost", ".svc", ".cluster.local", ".internal", ".local"} {
		inside = inside || strings.HasSuffix(strings.TrimSuffix(host, "."), suffix)
	}
	trusted := among(g.trusted, req.URL.Host)
	if ip, err := netip.ParseAddr(host); err == nil {
		inside = !public(ip)
	} else if !inside && !trusted {
		inside = g.proxiedInside(req, host)
	}
	if inside && !trusted {
		return nil, refuse(req.URL.Host)
	}
	return g.transport.RoundTrip(req)
}

// proxiedInside tells whether a name that a proxy would connect to has an address that is not public. A name that cannot be looked up
// here, as where only the proxy has names, is the proxy's to judge.
func (g *Guard) proxiedInside(req *http.Request, host string) bool {
	if g.transport.Proxy == nil {
		return false
	}
	if proxy, err := g.transport.Proxy(req); err != nil || proxy == nil {
		return false
	}
	ctx, cancel := context.WithTimeout(req.Context(), time.Second)
	defer cancel()
	addresses, err := g.lookup(ctx, "ip", host)
	return err == nil && slices.ContainsFunc(addresses, func(ip netip.Addr) bool { return !public(ip) })
}

func refuse(host string) error {
	return fmt.Errorf("%w: %s is not a public address", ErrNotAllowed, host)
}

func (g *Guard) dial(ctx context.Context, network, address string) (net.Conn, error) {
	d := net.Dialer{Timeout: 10 * time.Second}
	if !among(g.trusted, address) {
		// The check is of the address that is connected to, not of one that was looked up before.
		d.ControlContext = func(_ context.Context, _, real string, _ syscall.RawConn) error {
			if to, err := netip.ParseAddrPort(real); err != nil || !public(to.Addr()) {
				return refuse(address)
			}
			return nil
		}
	}
	return d.DialContext(ctx, network, address)
}

// inner are further ranges that lead nowhere public: shared address space, protocol assignments, benchmarking, and
// IPv4 addresses wrapped in IPv6 ones.
var inner = []netip.Prefix{
	netip.MustParsePrefix("0.0.0.0/8"), netip.MustParsePrefix("100.64.0.0/10"), netip.MustParsePrefix("192.0.0.0/24"),
	netip.MustParsePrefix("198.18.0.0/15"), netip.MustParsePrefix("240.0.0.0/4"), netip.MustParsePrefix("64:ff9b::/96"),
	netip.MustParsePrefix("64:ff9b:1::/48"), netip.MustParsePrefix("2002::/16"),
	netip.MustParsePrefix("::/96"),
}

// public reports whether an address is one of the internet's: not of this machine, its link, its network or a cluster.
func public(ip netip.Addr) bool {
	ip = ip.Unmap()
	return ip.IsGlobalUnicast() && !ip.IsPrivate() && !slices.ContainsFunc(inner, func(p netip.Prefix) bool { return p.Contains(ip) })
}
