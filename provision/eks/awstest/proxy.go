package awstest

import (
	"net/http"
	"net/http/httputil"
	"net/url"
	"strings"
	"time"

	"k8s.io/client-go/rest"
)

// front is a reverse proxy that asks for EKS's tokens and goes on as whoever config is.
func (sec *secureServer) front(config *rest.Config) (string, []byte, func(), error) {
	target, err := url.Parse(config.Host)
	if err != nil {
		return "", nil, nil, err
	}
	transport, err := rest.TransportFor(config)
	if err != nil {
		return "", nil, nil, err
	}
	proxy := &httputil.ReverseProxy{
		Rewrite:       func(r *httputil.ProxyRequest) { r.SetURL(target); r.Out.Header.Del("Authorization") },
		Transport:     transport,
		FlushInterval: -1, // watches and logs have no end to wait for
		ErrorLog:      quiet,
	}
	ln, err := sec.listen()
	if err != nil {
		return "", nil, nil, err
	}
	srv := &http.Server{ReadHeaderTimeout: 10 * time.Second, ErrorLog: quiet, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := checkToken(strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")); err != nil {
			status(w, http.StatusUnauthorized, "Unauthorized", err.Error())
			return
		}
		proxy.ServeHTTP(w, r)
	})}
	go srv.Serve(ln)
	return "https://" + ln.Addr().String(), sec.caPEM, func() { srv.Close() }, nil
}
