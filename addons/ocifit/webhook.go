// Package ocifit registers the selection webhook with a cluster's API server and proves that it answers.
package ocifit

import (
	"context"
	"errors"
	"fmt"

	admission "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/compspec/ocifit-lab/addons"
	"github.com/compspec/ocifit-lab/provision"
	"github.com/compspec/ocifit-lab/provision/kube"
	"github.com/compspec/ocifit-lab/provision/step"
	"github.com/compspec/ocifit-lab/webhook/compat"
)

const (
	configuration = "ocifit-lab"
	fieldOwner    = "ocifit-lab"
	// timeoutSeconds leaves the API server time to answer its caller; a decision takes milliseconds.
	timeoutSeconds = 5
)

// Addon registers a webhook that is served outside the cluster.
type Addon struct {
	// Namespace is the lab's own, which the webhook never looks at.
	Namespace string
	// Endpoint tells where the API server reaches the webhook, once the cluster runs.
	Endpoint func(ctx context.Context) (*provision.WebhookEndpoint, error)
	// Artifact tells the reference of the artifact that the proof asks for.
	Artifact func(ctx context.Context) (string, error)
	// Model is the model that the proof asks for.
	Model string
}

// Name implements addons.Addon.
func (*Addon) Name() string { return "webhook" }

// Needs implements addons.Addon.
func (*Addon) Needs() []string { return []string{"node-features", "artifact"} }

// Requires implements addons.Addon.
func (*Addon) Requires() addons.Requirements { return addons.Requirements{} }

// Plan implements addons.Addon.
func (a *Addon) Plan() string {
	return "register the selection webhook for labelled pods and MiniClusters, and prove it with a dry run"
}

// Install implements addons.Addon.
func (a *Addon) Install(ctx context.Context, c *kube.Cluster, _ step.Log) error {
	endpoint, err := a.Endpoint(ctx)
	if err != nil {
		return err
	}
	return c.ApplyTyped(ctx, fieldOwner, a.configuration(endpoint))
}

// Ready creates a labelled pod as a dry run; it has to come back with an instance type and an image.
func (a *Addon) Ready(ctx context.Context, c *kube.Cluster) error {
	return prove(ctx, c, configuration, a.Artifact, a.Model)
}

// prove creates a labelled pod as a dry run, if the webhook is registered under the name.
func prove(ctx context.Context, c *kube.Cluster, name string, artifact func(context.Context) (string, error), model string) error {
	_, err := c.Clientset.AdmissionregistrationV1().MutatingWebhookConfigurations().Get(ctx, name, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return errors.New("the webhook is not registered")
	}
	if err != nil {
		return err
	}
	ref, err := artifact(ctx)
	if err != nil {
		return err
	}
	got, err := c.DryRunCreatePod(ctx, probe(ref, model))
	if err != nil {
		return err
	}
	if got.Spec.NodeSelector[corev1.LabelInstanceTypeStable] == "" || got.Spec.Containers[0].Image == compat.DefaultTargetImage {
		return fmt.Errorf("a labelled pod came back unchanged: node selector %v, image %s", got.Spec.NodeSelector, got.Spec.Containers[0].Image)
	}
	if _, err := compat.ParseDecision(got.Annotations[compat.AnnotationDecision]); err != nil {
		return fmt.Errorf("a labelled pod came back without the record of its decision: %w", err)
	}
	return nil
}

// Remove implements addons.Addon.
func (a *Addon) Remove(ctx context.Context, c *kube.Cluster, _ step.Log) error {
	err := c.Clientset.AdmissionregistrationV1().MutatingWebhookConfigurations().Delete(ctx, configuration, metav1.DeleteOptions{})
	if apierrors.IsNotFound(err) {
		return nil
	}
	return err
}

func probe(ref, model string) *corev1.Pod {
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{
			GenerateName: "webhook-probe-",
			Namespace:    metav1.NamespaceDefault,
			Labels:       map[string]string{compat.LabelEnabled: "true"},
			Annotations: map[string]string{
				compat.AnnotationImageRef: ref,
				compat.AnnotationModel:    model,
			},
		},
		Spec: corev1.PodSpec{
			RestartPolicy: corev1.RestartPolicyNever,
			Containers:    []corev1.Container{{Name: "probe", Image: compat.DefaultTargetImage}},
		},
	}
}

func (a *Addon) configuration(endpoint *provision.WebhookEndpoint) *admission.MutatingWebhookConfiguration {
	fail := admission.Fail
	noneOnDryRun := admission.SideEffectClassNoneOnDryRun
	equivalent := admission.Equivalent
	namespaced := admission.NamespacedScope
	seconds := int32(timeoutSeconds)
	rule := func(group, version, resource string) admission.RuleWithOperations {
		return admission.RuleWithOperations{
			Operations: []admission.OperationType{admission.Create, admission.Update},
			Rule: admission.Rule{
				APIGroups: []string{group}, APIVersions: []string{version}, Resources: []string{resource}, Scope: &namespaced,
			},
		}
	}
	return &admission.MutatingWebhookConfiguration{
		ObjectMeta: metav1.ObjectMeta{Name: configuration},
		Webhooks: []admission.MutatingWebhook{{
			Name:         compat.WebhookName,
			ClientConfig: admission.WebhookClientConfig{URL: &endpoint.URL, CABundle: endpoint.CABundle},
			Rules: []admission.RuleWithOperations{
				rule("", "v1", "pods"),
				rule(compat.FluxGroup, compat.FluxVersion, compat.FluxResource),
			},
			// Only what asks for a selection reaches the webhook: a webhook that matches its own pods can never start.
			ObjectSelector: &metav1.LabelSelector{MatchLabels: map[string]string{compat.LabelEnabled: "true"}},
			NamespaceSelector: &metav1.LabelSelector{MatchExpressions: []metav1.LabelSelectorRequirement{{
				Key: corev1.LabelMetadataName, Operator: metav1.LabelSelectorOpNotIn,
				Values: []string{metav1.NamespaceSystem, a.Namespace},
			}}},
			FailurePolicy:           &fail,
			MatchPolicy:             &equivalent,
			SideEffects:             &noneOnDryRun,
			TimeoutSeconds:          &seconds,
			AdmissionReviewVersions: []string{"v1"},
		}},
	}
}
