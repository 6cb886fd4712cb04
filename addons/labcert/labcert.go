// Package labcert issues the webhook's certificate by an authority of the lab's own, where cert-manager cannot be installed.
package labcert

import (
	"context"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"

	"github.com/compspec/ocifit-lab/addons"
	"github.com/compspec/ocifit-lab/provision/kube"
	"github.com/compspec/ocifit-lab/provision/pki"
	"github.com/compspec/ocifit-lab/provision/step"
)

const (
	fieldOwner = "ocifit-lab"
	// caKey is where the secret holds the authority's certificate, as cert-manager does.
	caKey = "ca.crt"
	// renewBefore is when the next up makes a new one; a certificate is good for a year.
	renewBefore = 30 * 24 * time.Hour
)

// Addon is a TLS secret whose certificate names one service.
type Addon struct {
	Namespace, Secret, Service string
	// Now is the clock; nil is the real one.
	Now func() time.Time
}

// Name implements addons.Addon.
func (*Addon) Name() string { return "certificates" }

// Needs implements addons.Addon.
func (*Addon) Needs() []string { return nil }

// Requires implements addons.Addon.
func (*Addon) Requires() addons.Requirements { return addons.Requirements{} }

// Plan implements addons.Addon.
func (a *Addon) Plan() string {
	return fmt.Sprintf("issue the webhook's certificate by the lab's own authority into secret %s/%s (stands in for cert-manager)", a.Namespace, a.Secret)
}

// hosts are the names that the API server calls the service by.
func (a *Addon) hosts() []string {
	name := a.Service + "." + a.Namespace + ".svc"
	return []string{name, name + ".cluster.local"}
}

// Install issues a certificate unless a good one is there.
func (a *Addon) Install(ctx context.Context, c *kube.Cluster, log step.Log) error {
	why := a.Ready(ctx, c)
	if why == nil {
		return nil
	}
	log("issuing a certificate: %v", why)
	authority, cert, err := issue(a.now(), a.hosts())
	if err != nil {
		return err
	}
	secret := a.secret()
	secret.Data = map[string][]byte{caKey: authority, corev1.TLSCertKey: cert.CertPEM, corev1.TLSPrivateKeyKey: cert.KeyPEM}
	return c.ApplyTyped(ctx, fieldOwner, kube.Namespace(a.Namespace), secret)
}

// Ready verifies the certificate as the API server would.
func (a *Addon) Ready(ctx context.Context, c *kube.Cluster) error {
	secret, err := c.Clientset.CoreV1().Secrets(a.Namespace).Get(ctx, a.Secret, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return errors.New("there is no certificate")
	}
	if err != nil {
		return err
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(secret.Data[caKey]) {
		return fmt.Errorf("secret %s/%s holds no authority", a.Namespace, a.Secret)
	}
	block, _ := pem.Decode(secret.Data[corev1.TLSCertKey])
	if block == nil {
		return fmt.Errorf("secret %s/%s holds no certificate", a.Namespace, a.Secret)
	}
	cert, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return fmt.Errorf("secret %s/%s: %w", a.Namespace, a.Secret, err)
	}
	for _, host := range a.hosts() {
		if _, err := cert.Verify(x509.VerifyOptions{Roots: roots, DNSName: host, CurrentTime: a.now()}); err != nil {
			return fmt.Errorf("the certificate in %s/%s: %w", a.Namespace, a.Secret, err)
		}
	}
	if left := cert.NotAfter.Sub(a.now()); left < renewBefore {
		return fmt.Errorf("the certificate in %s/%s expires in %s", a.Namespace, a.Secret, left.Round(time.Hour))
	}
	return nil
}

// Remove implements addons.Addon.
func (a *Addon) Remove(ctx context.Context, c *kube.Cluster, _ step.Log) error {
	text, err := yaml.Marshal(a.secret())
	if err != nil {
		return err
	}
	return c.Delete(ctx, text)
}

func (a *Addon) secret() *corev1.Secret {
	return &corev1.Secret{
		TypeMeta:   metav1.TypeMeta{APIVersion: "v1", Kind: "Secret"},
		ObjectMeta: metav1.ObjectMeta{Name: a.Secret, Namespace: a.Namespace},
		Type:       corev1.SecretTypeTLS,
	}
}

func (a *Addon) now() time.Time {
	if a.Now != nil {
		return a.Now()
	}
	return time.Now()
}

// issue uses an authority's key once and throws it away: nobody can issue another certificate that the API server trusts.
func issue(now time.Time, hosts []string) (authority []byte, cert *pki.Pair, err error) {
	ca, err := pki.New("webhook", now)
	if err != nil {
		return nil, nil, err
	}
	cert, err = ca.Issue(pki.Request{CommonName: hosts[0], DNSNames: hosts, From: now})
	return ca.CertPEM, cert, err
}
