package ocifit

import (
	"context"
	"encoding/base64"
	"fmt"
	"maps"
	"slices"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/compspec/ocifit-lab/addons"
	"github.com/compspec/ocifit-lab/provision/kube"
	"github.com/compspec/ocifit-lab/provision/step"
	"github.com/compspec/ocifit-lab/webhook/compat"
	"github.com/compspec/ocifit-lab/webhook/deploy"
)

// Service and Secret are the names of the webhook's service and certificate in the cluster.
const (
	Service = "ocifit-lab-webhook"
	Secret  = "ocifit-lab-webhook-tls"
)

// InCluster runs the webhook as a deployment in the cluster.
type InCluster struct {
	// Namespace is the lab's own.
	Namespace string
	// CertManager says that cert-manager issues the certificate; otherwise it is in Secret already, with its authority.
	CertManager bool
	// Image names the image of this program, Artifact the reference that the proof asks for, PlainHTTP the registries that are
	// spoken to without TLS, all once they are known.
	Image, Artifact func(ctx context.Context) (string, error)
	PlainHTTP       func(ctx context.Context) ([]string, error)
	// Model is the model that the proof asks for.
	Model string
	// Skip and TieBreak steer the choice.
	Skip     []string
	TieBreak string
	// Mirrors are asked before a registry.
	Mirrors map[string][]string
	// Registries are further ones that pods may name artifacts in.
	Registries []string
	// NodeSelector keeps the webhook's pods on the nodes that are always there.
	NodeSelector map[string]string
	// EgressPorts are ports of registries besides 443.
	EgressPorts []int
}

// Name implements addons.Addon.
func (*InCluster) Name() string { return "webhook" }

// Needs implements addons.Addon.
func (*InCluster) Needs() []string { return []string{"node-features", "artifact", "certificates"} }

// Requires implements addons.Addon.
func (*InCluster) Requires() addons.Requirements {
	return addons.Requirements{Nodes: true, ProgramImage: true}
}

// Plan implements addons.Addon.
func (a *InCluster) Plan() string {
	return "run the selection webhook in namespace " + a.Namespace + " with two replicas, and prove it with a dry run"
}

// Install implements addons.Addon.
func (a *InCluster) Install(ctx context.Context, c *kube.Cluster, log step.Log) error {
	manifests, err := a.render(ctx, c)
	if err != nil {
		return err
	}
	if err := c.Apply(ctx, manifests, fieldOwner); err != nil {
		return err
	}
	log("waiting for the webhook's pods")
	return c.WaitRuns(ctx, a.Namespace, Service)
}

func (a *InCluster) render(ctx context.Context, c *kube.Cluster) ([]byte, error) {
	v, err := deploy.Defaults()
	if err != nil {
		return nil, err
	}
	if v.Image, err = a.Image(ctx); err != nil {
		return nil, err
	}
	if v.PlainHTTP, err = a.PlainHTTP(ctx); err != nil {
		return nil, err
	}
	if v.AllowRegistries, err = a.registries(ctx); err != nil {
		return nil, err
	}
	v.Skip, v.TieBreak, v.NodeSelector = a.Skip, a.TieBreak, a.NodeSelector
	for registry, mirrors := range a.Mirrors {
		for _, m := range mirrors {
			v.Mirrors = append(v.Mirrors, registry+"="+m)
		}
	}
	for _, own := range v.PlainHTTP { // the lab's registry
		v.Mirrors = append(v.Mirrors, compat.PublishedRegistry+"="+own)
	}
	v.NetworkPolicy.EgressPorts = append(v.NetworkPolicy.EgressPorts, a.EgressPorts...)
	if !a.CertManager {
		secret, err := c.Clientset.CoreV1().Secrets(a.Namespace).Get(ctx, Secret, metav1.GetOptions{})
		if err != nil {
			return nil, fmt.Errorf("the webhook's certificate: %w", err)
		}
		v.Certificates = deploy.Certificates{Source: "secret", Secret: Secret, CABundle: base64.StdEncoding.EncodeToString(secret.Data["ca.crt"])}
	}
	return deploy.Render(v, a.Namespace)
}

// registries lists those that the lab's own artifact and its mirrors are in: nobody in the cluster makes the webhook ask others.
func (a *InCluster) registries(ctx context.Context) ([]string, error) {
	ref, err := a.Artifact(ctx)
	if err != nil {
		return nil, err
	}
	host, _, _ := strings.Cut(ref, "/")
	own, err := a.PlainHTTP(ctx)
	if err != nil {
		return nil, err
	}
	list := append([]string{host}, a.Registries...)
	if len(own) > 0 { // the lab's registry stands for the published one
		list = append(list, compat.PublishedRegistry)
	}
	list = slices.AppendSeq(list, maps.Keys(a.Mirrors))
	slices.Sort(list)
	return slices.Compact(list), nil
}

// Ready looks at the deployment and then uses the webhook.
func (a *InCluster) Ready(ctx context.Context, c *kube.Cluster) error {
	image, err := a.Image(ctx)
	if err != nil {
		return err
	}
	if err := c.Runs(ctx, a.Namespace, Service, image); err != nil {
		return err
	}
	return prove(ctx, c, Service, a.Artifact, a.Model)
}

// Remove takes the registration away before the webhook that it leads to.
func (a *InCluster) Remove(ctx context.Context, c *kube.Cluster, _ step.Log) error {
	registrations := c.Clientset.AdmissionregistrationV1().MutatingWebhookConfigurations()
	if err := registrations.Delete(ctx, Service, metav1.DeleteOptions{}); err != nil && !apierrors.IsNotFound(err) {
		return err
	}
	v, err := deploy.Defaults()
	if err != nil {
		return err
	}
	if !a.CertManager {
		v.Certificates = deploy.Certificates{Source: "secret", Secret: Secret, CABundle: base64.StdEncoding.EncodeToString([]byte("none"))}
	}
	v.Image, v.TieBreak = "none", "price"
	manifests, err := deploy.Render(v, a.Namespace)
	if err != nil {
		return err
	}
	if err := c.Delete(ctx, manifests); err != nil {
		return err
	}
	if !a.CertManager {
		return nil
	}
	// cert-manager leaves the secrets of its certificates behind.
	for _, name := range []string{Secret, Service + "-ca"} {
		if err := c.Clientset.CoreV1().Secrets(a.Namespace).Delete(ctx, name, metav1.DeleteOptions{}); err != nil && !apierrors.IsNotFound(err) {
			return err
		}
	}
	return nil
}
