package controlplane

import (
	"context"
	"os"
	"testing"
	"time"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apiextensions-apiserver/pkg/client/clientset/clientset"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"github.com/compspec/ocifit-lab/provision/wait"
)

// TestStartStop is the only test that starts a control plane: a process can have one.
func TestStartStop(t *testing.T) {
	if testing.Short() {
		t.Skip("starts a control plane")
	}
	dir := t.TempDir()
	log, err := os.Create(dir + "/log")
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	begin := time.Now()
	cp, err := Start(ctx, Options{Dir: dir, Log: log, Prepare: defineProbes})
	if err != nil {
		data, _ := os.ReadFile(log.Name())
		t.Fatalf("%v\n%s", err, data)
	}
	t.Logf("ready after %s", time.Since(begin))
	client := kubernetes.NewForConfigOrDie(cp.RESTConfig())
	version, err := client.Discovery().ServerVersion()
	if err != nil {
		t.Fatal(err)
	}
	if version.GitVersion != Version {
		t.Errorf("server says version %q, want %q", version.GitVersion, Version)
	}
	checkStarted(ctx, t, cp)
	if info, err := os.Stat(cp.Kubeconfig()); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("kubeconfig: %v, %v; want mode 0600", info, err)
	}
	begin = time.Now()
	if err := cp.Stop(ctx); err != nil {
		t.Error(err)
	}
	t.Logf("stopped after %s", time.Since(begin))
	if err := cp.Wait(); err != nil {
		t.Errorf("Wait after Stop: %v", err)
	}
}

// checkStarted proves that a started control plane has what every cluster has, whoever made it, and that its first custom resource is not held back.
func checkStarted(ctx context.Context, t *testing.T, cp *ControlPlane) {
	t.Helper()
	client := kubernetes.NewForConfigOrDie(cp.RESTConfig())
	if _, err := client.RbacV1().ClusterRoles().Get(ctx, "system:aggregate-to-view", metav1.GetOptions{}); err != nil {
		t.Error(err)
	}
	if _, err := client.SchedulingV1().PriorityClasses().Get(ctx, "system-node-critical", metav1.GetOptions{}); err != nil {
		t.Error(err)
	}
	definition, err := clientset.NewForConfigOrDie(cp.RESTConfig()).ApiextensionsV1().CustomResourceDefinitions().Get(ctx, "probes.example.com", metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range definition.Status.Conditions {
		if c.Type == apiextensionsv1.Established && time.Since(c.LastTransitionTime.Time) < definitionsSettle {
			t.Errorf("the definition took effect at %s: objects of it would be held back", c.LastTransitionTime)
		}
	}
}

// defineProbes makes a definition and waits until it is in effect.
func defineProbes(ctx context.Context, config *rest.Config) error {
	definitions := clientset.NewForConfigOrDie(config).ApiextensionsV1().CustomResourceDefinitions()
	preserve := true
	_, err := definitions.Create(ctx, &apiextensionsv1.CustomResourceDefinition{
		ObjectMeta: metav1.ObjectMeta{Name: "probes.example.com"},
		Spec: apiextensionsv1.CustomResourceDefinitionSpec{
			Group: "example.com", Scope: apiextensionsv1.NamespaceScoped,
			Names: apiextensionsv1.CustomResourceDefinitionNames{Plural: "probes", Singular: "probe", Kind: "Probe", ListKind: "ProbeList"},
			Versions: []apiextensionsv1.CustomResourceDefinitionVersion{{
				Name: "v1", Served: true, Storage: true,
				Schema: &apiextensionsv1.CustomResourceValidation{OpenAPIV3Schema: &apiextensionsv1.JSONSchemaProps{Type: "object", XPreserveUnknownFields: &preserve}},
			}},
		},
	}, metav1.CreateOptions{})
	if err != nil {
		return err
	}
	return wait.Until(ctx, "wait for the definition", pauses, func(ctx context.Context) (bool, string, error) {
		d, err := definitions.Get(ctx, "probes.example.com", metav1.GetOptions{})
		if err != nil {
			return false, "", err
		}
		for _, c := range d.Status.Conditions {
			if c.Type == apiextensionsv1.Established && c.Status == apiextensionsv1.ConditionTrue {
				return true, "", nil
			}
		}
		return false, "not established", nil
	})
}
