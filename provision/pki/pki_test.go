package pki

import (
	"crypto/tls"
	"crypto/x509"
	"net"
	"net/http"
	"os"
	"testing"
)

func TestServerAndClient(t *testing.T) {
	dir := t.TempDir()
	ca, err := LoadOrCreate(dir, "ca")
	if err != nil {
		t.Fatal(err)
	}
	other, err := LoadOrCreate(dir, "other")
	if err != nil {
		t.Fatal(err)
	}
	pair := func(a *Authority, r Request) tls.Certificate {
		p, err := a.Issue(r)
		if err != nil {
			t.Fatal(err)
		}
		c, err := p.TLS()
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = w.Write([]byte(r.TLS.PeerCertificates[0].Subject.CommonName))
	})}
	defer server.Close()
	listener, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{
		ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: ca.Pool(),
		Certificates: []tls.Certificate{pair(ca, Request{CommonName: "server", IPs: []net.IP{net.IPv4(127, 0, 0, 1)}})},
	})
	if err != nil {
		t.Fatal(err)
	}
	go func() { _ = server.Serve(listener) }()
	get := func(roots *x509.CertPool, client tls.Certificate) error {
		transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots, Certificates: []tls.Certificate{client}}}
		defer transport.CloseIdleConnections()
		response, err := (&http.Client{Transport: transport}).Get("https://" + listener.Addr().String())
		if err == nil {
			response.Body.Close()
		}
		return err
	}
	if err := get(ca.Pool(), pair(ca, Request{CommonName: "client"})); err != nil {
		t.Errorf("both of one authority: %v", err)
	}
	if err := get(ca.Pool(), pair(other, Request{CommonName: "client"})); err == nil {
		t.Error("a client of another authority was let in")
	}
	if err := get(other.Pool(), pair(ca, Request{CommonName: "client"})); err == nil {
		t.Error("a server of another authority was believed")
	}
}

func TestAuthorityIsKept(t *testing.T) {
	dir := t.TempDir()
	first, err := LoadOrCreate(dir, "ca")
	if err != nil {
		t.Fatal(err)
	}
	second, err := LoadOrCreate(dir, "ca")
	if err != nil || string(first.CertPEM) != string(second.CertPEM) {
		t.Errorf("the second call made another authority (%v)", err)
	}
	if err := os.WriteFile(first.KeyFile, []byte("damaged"), 0o600); err != nil {
		t.Fatal(err)
	}
	third, err := LoadOrCreate(dir, "ca")
	if err != nil || string(first.CertPEM) == string(third.CertPEM) {
		t.Errorf("an authority without its key was kept (%v)", err)
	}
}

func TestKeysAreSecret(t *testing.T) {
	dir := t.TempDir()
	ca, err := LoadOrCreate(dir, "ca")
	if err != nil {
		t.Fatal(err)
	}
	_, key, err := ca.IssueTo(dir, "leaf", Request{CommonName: "leaf"})
	if err != nil {
		t.Fatal(err)
	}
	signing, err := SigningKey(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range []string{ca.KeyFile, key, signing} {
		if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v, %v; want mode 0600", file, info, err)
		}
	}
	before, _ := os.ReadFile(signing)
	if _, err := SigningKey(dir); err != nil {
		t.Fatal(err)
	}
	if after, _ := os.ReadFile(signing); string(before) != string(after) {
		t.Error("the signing key changed at the second call")
	}
}
