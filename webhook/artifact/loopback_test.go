package artifact

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

func TestPlainLoopback(t *testing.T) {
	plain, secure := httptest.NewServer(http.NotFoundHandler()), httptest.NewTLSServer(http.NotFoundHandler())
	gone := httptest.NewServer(http.NotFoundHandler())
	gone.Close()
	t.Cleanup(func() { plain.Close(); secure.Close() })
	host := func(s *httptest.Server) string { return s.Listener.Addr().String() }
	for name, tc := range map[string]struct {
		registry string
		want     bool
	}{
		"plain":       {host(plain), true},
		"by name":     {strings.Replace(host(plain), "127.0.0.1", "localhost", 1), true},
		"with TLS":    {host(secure), false},
		"no answer":   {host(gone), false},
		"elsewhere":   {"192.0.2.1:5000", false},
		"public":      {"ghcr.io", false},
		"alike named": {"localhost.invalid:5000", false},
	} {
		if got := PlainLoopback(t.Context(), tc.registry); got != tc.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}
