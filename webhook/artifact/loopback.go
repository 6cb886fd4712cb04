package artifact

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/netip"
	"time"
)

// probeTime bounds the question whether a registry on this machine has TLS.
const probeTime = 2 * time.Second

// PlainLoopback tells whether a registry (host:port) is on this machine and has no TLS, which other clients of registries take for granted
// there: nobody else can listen. A registry that does not answer, or answers with TLS, is not one.
func PlainLoopback(ctx context.Context, registry string) bool {
	host, _, err := net.SplitHostPort(registry)
	if err != nil {
		return false
	}
	if ip, err := netip.ParseAddr(host); host != "localhost" && (err != nil || !ip.IsLoopback()) {
		return false
	}
	ctx, cancel := context.WithTimeout(ctx, probeTime)
	defer cancel()
	// No certificate is trusted by this: only whether there is one is asked, and the connection is not used.
	conn, err := (&tls.Dialer{Config: &tls.Config{InsecureSkipVerify: true}}).DialContext(ctx, "tcp", registry)
	if err == nil {
		conn.Close()
	}
	_, other := errors.AsType[tls.RecordHeaderError](err)
	return other
}
