// Package certmanager installs cert-manager and proves it by a certificate.
package certmanager

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/hashicorp/go-multierror"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/compspec/ocifit-lab/addons"
	"github.com/compspec/ocifit-lab/addons/component"
	"github.com/compspec/ocifit-lab/provision/kube"
	"github.com/compspec/ocifit-lab/provision/step"
)

// proofTime bounds one proof; issuing takes a second or two.
const proofTime = 8 * time.Second

const group = "cert-manager.io"

var (
	issuers      = schema.GroupVersionResource{Group: group, Version: "v1", Resource: "issuers"}
	certificates = schema.GroupVersionResource{Group: group, Version: "v1", Resource: "certificates"}
)

// Kinds are those that the proof makes, as group/version/kind.
func Kinds() []string { return []string{group + "/v1/Issuer", group + "/v1/Certificate"} }

// Values are what the lab sets in the chart.
func Values() map[string]any {
	return map[string]any{
		// With the chart, so that a removal takes the definitions along.
		"crds": map[string]any{"enabled": true, "keep": false},
	}
}

// Addon is cert-manager.
type Addon struct {
	*component.Component
	// Proof is the namespace where Ready issues its certificate.
	Proof string
}

// Name implements addons.Addon.
func (*Addon) Name() string { return "certificates" }

// Needs implements addons.Addon.
func (*Addon) Needs() []string { return nil }

// Requires implements addons.Addon.
func (*Addon) Requires() addons.Requirements { return addons.Requirements{Nodes: true} }

// Plan implements addons.Addon.
func (a *Addon) Plan() string {
	return fmt.Sprintf("install %s, and prove it by a test certificate", a.Title())
}

// Install implements addons.Addon.
func (a *Addon) Install(ctx context.Context, c *kube.Cluster, log step.Log) error {
	return a.Component.Install(ctx, c, log)
}

// Ready issues a certificate. The first ones are refused while cert-manager's own webhook starts.
func (a *Addon) Ready(ctx context.Context, c *kube.Cluster) (err error) {
	if err := a.Complete(ctx, c); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, proofTime)
	defer cancel()
	name := "ocifit-probe-" + strings.ToLower(rand.Text()[:8])
	defer func() { err = errors.Join(err, a.clean(ctx, c, name)) }()
	if err := a.create(ctx, c, issuers, "Issuer", name, map[string]any{"selfSigned": map[string]any{}}); err != nil {
		return err
	}
	if err := a.create(ctx, c, certificates, "Certificate", name, map[string]any{
		"secretName": name, "dnsNames": []any{name + ".invalid"}, "privateKey": map[string]any{"algorithm": "ECDSA", "size": int64(256)},
		"issuerRef": map[string]any{"kind": "Issuer", "name": name},
	}); err != nil {
		return err
	}
	if _, err := c.WaitNamed(ctx, certificates, a.Proof, name, issued); err != nil {
		return fmt.Errorf("a test certificate was not issued: %w", err)
	}
	secret, err := c.Clientset.CoreV1().Secrets(a.Proof).Get(ctx, name, metav1.GetOptions{})
	if err != nil {
		return fmt.Errorf("a test certificate was said to be issued, but its secret cannot be read: %w", err)
	}
	if len(secret.Data["tls.crt"]) == 0 {
		return errors.New("a test certificate was said to be issued, but its secret holds none")
	}
	return nil
}

func issued(o *unstructured.Unstructured) (bool, string, error) {
	list, _, _ := unstructured.NestedSlice(o.Object, "status", "conditions")
	for _, item := range list {
		if c, _ := item.(map[string]any); c["type"] == "Ready" {
			return c["status"] == "True", fmt.Sprintf("%v: %v", c["reason"], c["message"]), nil
		}
	}
	return false, "cert-manager has not looked at it", nil
}

func (a *Addon) create(ctx context.Context, c *kube.Cluster, gvr schema.GroupVersionResource, kind, name string, spec map[string]any) error {
	_, err := c.Dynamic.Resource(gvr).Namespace(a.Proof).Create(ctx, &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": group + "/v1", "kind": kind, "metadata": map[string]any{"name": name, "namespace": a.Proof}, "spec": spec,
	}}, metav1.CreateOptions{})
	if err != nil {
		return fmt.Errorf("try a certificate: %w", err)
	}
	return nil
}

// clean removes what the proof has made; the secret would stay otherwise.
func (a *Addon) clean(ctx context.Context, c *kube.Cluster, name string) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), proofTime)
	defer cancel()
	var errs *multierror.Error
	for _, gvr := range []schema.GroupVersionResource{certificates, issuers, {Version: "v1", Resource: "secrets"}} {
		if err := c.Dynamic.Resource(gvr).Namespace(a.Proof).Delete(ctx, name, metav1.DeleteOptions{}); err != nil && !apierrors.IsNotFound(err) {
			errs = multierror.Append(errs, err)
		}
	}
	return errs.ErrorOrNil()
}

// Remove implements addons.Addon.
func (a *Addon) Remove(ctx context.Context, c *kube.Cluster, log step.Log) error {
	return a.Component.Remove(ctx, c, log)
}
