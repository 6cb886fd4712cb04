// Package pki is the lab's own certificate authority, which stands in for cert-manager and proves every TLS connection of the simulated
// cluster.
package pki

import (
	"cmp"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"time"

	"github.com/compspec/ocifit-lab/provision/atomicfile"
)

const (
	authorityLife = 10 * 365 * 24 * time.Hour
	leafLife      = 365 * 24 * time.Hour
	// backdate keeps certificates valid for clients whose clock is a little behind.
	backdate = time.Hour
)

// Authority signs certificates. Its key never leaves the state folder, or the memory.
type Authority struct {
	Name    string
	CertPEM []byte
	CertFile,
	KeyFile string
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

// Request says what a certificate is for. Without addresses and names it is a client certificate, otherwise a server certificate that can also act as a client.
type Request struct {
	CommonName   string
	Organization []string
	IPs          []net.IP
	DNSNames     []string
	// From is when the certificate's life begins; zero is now. Life is how long it is; zero is a year.
	From time.Time
	Life time.Duration
}

// Pair is a certificate with its key, both PEM encoded.
type Pair struct {
	CertPEM, KeyPEM []byte
}

// LoadOrCreate reads the authority <dir>/<name>.crt and .key, or makes and writes it when absent, damaged or close to its end.
func LoadOrCreate(dir, name string) (*Authority, error) {
	a := &Authority{Name: name, CertFile: filepath.Join(dir, name+".crt"), KeyFile: filepath.Join(dir, name+".key")}
	if a.load() == nil {
		return a, nil
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("certificate folder: %w", err)
	}
	made, err := New(name, time.Now())
	if err != nil {
		return nil, err
	}
	keyPEM, err := encodeKey(made.key)
	if err != nil {
		return nil, err
	}
	pair := Pair{CertPEM: made.CertPEM, KeyPEM: keyPEM}
	if _, _, err := pair.Write(dir, name); err != nil {
		return nil, err
	}
	return a, a.load()
}

// New makes an authority whose key is in memory alone: once that is dropped, nobody can issue another certificate.
func New(name string, now time.Time) (*Authority, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("make key of authority %s: %w", name, err)
	}
	template, err := newTemplate(pkix.Name{CommonName: "ocifit-lab " + name}, now, authorityLife)
	if err != nil {
		return nil, err
	}
	template.IsCA, template.BasicConstraintsValid = true, true
	template.KeyUsage = x509.KeyUsageCertSign | x509.KeyUsageCRLSign | x509.KeyUsageDigitalSignature
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return nil, fmt.Errorf("sign authority %s: %w", name, err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, fmt.Errorf("authority %s: %w", name, err)
	}
	return &Authority{Name: name, CertPEM: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), cert: cert, key: key}, nil
}

func (a *Authority) load() error {
	pair, err := tls.LoadX509KeyPair(a.CertFile, a.KeyFile)
	if err != nil {
		return fmt.Errorf("load authority %s: %w", a.Name, err)
	}
	key, ok := pair.PrivateKey.(*ecdsa.PrivateKey)
	if !ok {
		return fmt.Errorf("authority %s: key is %T, want ECDSA", a.Name, pair.PrivateKey)
	}
	cert, err := x509.ParseCertificate(pair.Certificate[0])
	if err != nil {
		return fmt.Errorf("authority %s: %w", a.Name, err)
	}
	if time.Until(cert.NotAfter) < leafLife {
		return fmt.Errorf("authority %s ends on %s", a.Name, cert.NotAfter)
	}
	a.cert, a.key = cert, key
	a.CertPEM = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert.Raw})
	return nil
}

// Pool holds this authority alone, for verifying its certificates.
func (a *Authority) Pool() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(a.cert)
	return pool
}

// Issue signs a new certificate, valid for one year.
func (a *Authority) Issue(r Request) (*Pair, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("make key for %s: %w", r.CommonName, err)
	}
	from := r.From
	if from.IsZero() {
		from = time.Now()
	}
	template, err := newTemplate(pkix.Name{CommonName: r.CommonName, Organization: r.Organization}, from, cmp.Or(r.Life, leafLife))
	if err != nil {
		return nil, err
	}
	template.KeyUsage = x509.KeyUsageDigitalSignature
	template.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
	if len(r.IPs)+len(r.DNSNames) > 0 {
		template.ExtKeyUsage = append(template.ExtKeyUsage, x509.ExtKeyUsageServerAuth)
		template.IPAddresses, template.DNSNames = r.IPs, r.DNSNames
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, key.Public(), a.key)
	if err != nil {
		return nil, fmt.Errorf("sign certificate for %s: %w", r.CommonName, err)
	}
	keyPEM, err := encodeKey(key)
	if err != nil {
		return nil, err
	}
	return &Pair{CertPEM: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), KeyPEM: keyPEM}, nil
}

// IssueTo signs a certificate and writes it to <dir>/<name>.crt and .key.
func (a *Authority) IssueTo(dir, name string, r Request) (certFile, keyFile string, err error) {
	pair, err := a.Issue(r)
	if err != nil {
		return "", "", err
	}
	return pair.Write(dir, name)
}

// Write stores the pair as <dir>/<name>.crt and, readable by the owner alone, <dir>/<name>.key.
func (p *Pair) Write(dir, name string) (certFile, keyFile string, err error) {
	certFile, keyFile = filepath.Join(dir, name+".crt"), filepath.Join(dir, name+".key")
	if err := atomicfile.Write(keyFile, p.KeyPEM, 0o600); err != nil {
		return "", "", err
	}
	return certFile, keyFile, atomicfile.Write(certFile, p.CertPEM, 0o600)
}

// TLS is the pair as Go's TLS stack wants it.
func (p *Pair) TLS() (tls.Certificate, error) {
	return tls.X509KeyPair(p.CertPEM, p.KeyPEM)
}

// SigningKey returns the file with the key that signs service account tokens, made at the first call and kept, so that tokens survive a restart.
func SigningKey(dir string) (string, error) {
	file := filepath.Join(dir, "service-account.key")
	if _, err := os.Stat(file); err == nil {
		return file, nil
	} else if !errors.Is(err, fs.ErrNotExist) {
		return "", fmt.Errorf("service account key: %w", err)
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return "", fmt.Errorf("make service account key: %w", err)
	}
	data, err := encodeKey(key)
	if err != nil {
		return "", err
	}
	return file, atomicfile.Write(file, data, 0o600)
}

func newTemplate(subject pkix.Name, from time.Time, life time.Duration) (*x509.Certificate, error) {
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	if err != nil {
		return nil, fmt.Errorf("draw serial number: %w", err)
	}
	return &x509.Certificate{SerialNumber: serial, Subject: subject, NotBefore: from.Add(-backdate), NotAfter: from.Add(life)}, nil
}

func encodeKey(key *ecdsa.PrivateKey) ([]byte, error) {
	der, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		return nil, fmt.Errorf("encode key: %w", err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: der}), nil
}
