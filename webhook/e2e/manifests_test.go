package e2e_test

import (
	"context"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
	"sigs.k8s.io/yaml"

	"github.com/compspec/ocifit-lab/webhook/deploy"
)

// The API server accepts every object of the deployment, with strict field validation; cert-manager's kinds, which it does
// not have, are left out.
func TestManifestsAreAccepted(t *testing.T) {
	client, err := kubernetes.NewForConfig(cluster)
	if err != nil {
		t.Fatal(err)
	}
	ns := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: namespace}}
	if _, err := client.CoreV1().Namespaces().Create(t.Context(), ns, metav1.CreateOptions{}); err != nil && !apierrors.IsAlreadyExists(err) {
		t.Fatal(err)
	}
	objects, err := dynamic.NewForConfig(cluster)
	if err != nil {
		t.Fatal(err)
	}
	resources := map[string]schema.GroupVersionResource{
		"ServiceAccount":               {Version: "v1", Resource: "serviceaccounts"},
		"Service":                      {Version: "v1", Resource: "services"},
		"ClusterRole":                  {Group: "rbac.authorization.k8s.io", Version: "v1", Resource: "clusterroles"},
		"ClusterRoleBinding":           {Group: "rbac.authorization.k8s.io", Version: "v1", Resource: "clusterrolebindings"},
		"PodDisruptionBudget":          {Group: "policy", Version: "v1", Resource: "poddisruptionbudgets"},
		"NetworkPolicy":                {Group: "networking.k8s.io", Version: "v1", Resource: "networkpolicies"},
		"Deployment":                   {Group: "apps", Version: "v1", Resource: "deployments"},
		"MutatingWebhookConfiguration": {Group: "admissionregistration.k8s.io", Version: "v1", Resource: "mutatingwebhookconfigurations"},
	}
	for _, flavor := range []string{deploy.FlavorOurs, deploy.FlavorUpstream} {
		values, err := deploy.Defaults()
		if err != nil {
			t.Fatal(err)
		}
		values.Flavor = flavor
		manifests, err := deploy.Render(values, namespace)
		if err != nil {
			t.Fatal(err)
		}
		seen := 0
		for _, doc := range strings.Split("\n"+string(manifests), "\n---\n") {
			o := &unstructured.Unstructured{}
			if err := yaml.Unmarshal([]byte(doc), &o.Object); err != nil {
				t.Fatal(err)
			}
			gvr, ok := resources[o.GetKind()]
			if !ok {
				continue
			}
			seen++
			var to dynamic.ResourceInterface = objects.Resource(gvr)
			if o.GetNamespace() != "" {
				to = objects.Resource(gvr).Namespace(o.GetNamespace())
			}
			opts := metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}, FieldValidation: metav1.FieldValidationStrict}
			if _, err := to.Create(context.Background(), o, opts); err != nil {
				t.Errorf("%s: %s %s: %v", flavor, o.GetKind(), o.GetName(), err)
			}
		}
		if seen != 8 {
			t.Errorf("%s: %d objects were tried", flavor, seen)
		}
	}
	restricted(t, client)
}

// restricted creates a pod of the Deployment as a dry run in a namespace that enforces the strictest pod security.
func restricted(t *testing.T, client kubernetes.Interface) {
	t.Helper()
	ns := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "restricted", Labels: map[string]string{"pod-security.kubernetes.io/enforce": "restricted"}}}
	if _, err := client.CoreV1().Namespaces().Create(t.Context(), ns, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	values, err := deploy.Defaults()
	if err != nil {
		t.Fatal(err)
	}
	manifests, err := deploy.Render(values, "restricted")
	if err != nil {
		t.Fatal(err)
	}
	var d struct {
		Spec struct{ Template corev1.PodTemplateSpec }
	}
	for _, doc := range strings.Split("\n"+string(manifests), "\n---\n") {
		if strings.Contains(doc, "kind: Deployment") {
			if err := yaml.Unmarshal([]byte(doc), &d); err != nil {
				t.Fatal(err)
			}
		}
	}
	p := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "webhook", Namespace: "restricted", Labels: d.Spec.Template.Labels}, Spec: d.Spec.Template.Spec}
	account := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Name: p.Spec.ServiceAccountName, Namespace: "restricted"}}
	if _, err := client.CoreV1().ServiceAccounts("restricted").Create(t.Context(), account, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	if _, err := client.CoreV1().Pods("restricted").Create(t.Context(), p, metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}}); err != nil {
		t.Error(err)
	}
}
