package awstest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"math/big"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"
)

// secureServer is the part that needs TLS: the clusters' OIDC issuers, the review of EKS tokens, and the built-in control planes.
type secureServer struct {
	url   string
	caPEM []byte

	cert tls.Certificate
	http *http.Server
	mu   sync.Mutex
	apis map[string]*kubeAPI
}

func startSecure(s *Server) (*secureServer, error) {
	sec := &secureServer{apis: map[string]*kubeAPI{}}
	if err := sec.makeCertificate(); err != nil {
		return nil, err
	}
	mux := http.NewServeMux()
	mux.HandleFunc("/id/", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(map[string]any{"issuer": sec.url + strings.TrimSuffix(r.URL.Path, "/.well-known/openid-configuration")})
	})
	mux.HandleFunc("/token-review", reviewToken)
	ln, err := sec.listen()
	if err != nil {
		return nil, err
	}
	sec.url = "https://" + ln.Addr().String()
	sec.http = &http.Server{Handler: mux, ReadHeaderTimeout: 10 * time.Second, ErrorLog: quiet}
	go sec.http.Serve(ln)
	return sec, nil
}

func (sec *secureServer) listen() (net.Listener, error) {
	return tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{sec.cert}, MinVersion: tls.VersionTLS12})
}

func (sec *secureServer) makeCertificate() error {
	caKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	from, to := time.Now().Add(-time.Hour), time.Now().Add(48*time.Hour)
	ca := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "awstest CA"}, NotBefore: from, NotAfter: to,
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	caDER, err := x509.CreateCertificate(rand.Reader, ca, ca, &caKey.PublicKey, caKey)
	if err != nil {
		return err
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	leaf := &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: "awstest"}, NotBefore: from, NotAfter: to,
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, DNSNames: []string{"localhost"},
	}
	der, err := x509.CreateCertificate(rand.Reader, leaf, ca, &key.PublicKey, caKey)
	if err != nil {
		return err
	}
	sec.caPEM = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: caDER})
	sec.cert = tls.Certificate{Certificate: [][]byte{der, caDER}, PrivateKey: key}
	return nil
}

func (sec *secureServer) close() {
	if sec.http != nil {
		sec.http.Close()
	}
	sec.mu.Lock()
	defer sec.mu.Unlock()
	for _, api := range sec.apis {
		api.close()
	}
}

// checkToken reads a bearer token of EKS: a presigned request to STS that names the cluster in a signed header.
func checkToken(token string) error {
	raw, ok := strings.CutPrefix(token, "k8s-aws-v1.")
	if !ok {
		return errors.New("not a token of EKS")
	}
	data, err := base64.RawURLEncoding.DecodeString(raw)
	if err != nil {
		return err
	}
	u, err := url.Parse(string(data))
	if err != nil {
		return err
	}
	q := u.Query()
	switch {
	case q.Get("Action") != "GetCallerIdentity":
		return errors.New("the token asks for another action than GetCallerIdentity")
	case !strings.HasPrefix(q.Get("X-Amz-Credential"), AccessKey+"/"):
		return errors.New("the token is signed with an unknown key")
	case !strings.Contains(q.Get("X-Amz-SignedHeaders"), "x-k8s-aws-id"):
		return errors.New("the token does not sign the cluster's name")
	case q.Get("X-Amz-Signature") == "":
		return errors.New("the token is not signed")
	}
	return nil
}

// reviewToken is an authentication webhook for API servers: TokenReview of authentication.k8s.io/v1.
func reviewToken(w http.ResponseWriter, r *http.Request) {
	var in struct{ Spec struct{ Token string } }
	if err := json.NewDecoder(r.Body).Decode(&in); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	status := map[string]any{"authenticated": false}
	if err := checkToken(in.Spec.Token); err == nil {
		status = map[string]any{"authenticated": true, "user": map[string]any{"username": "lab", "uid": callerARN, "groups": []string{"system:masters"}}}
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(map[string]any{"apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview", "status": status})
}
