package deploy

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"helm.sh/helm/v3/pkg/chart/loader"
	admissionv1 "k8s.io/api/admissionregistration/v1"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	policyv1 "k8s.io/api/policy/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	"sigs.k8s.io/yaml"

	"github.com/compspec/ocifit-lab/webhook/compat"
)

var update = flag.Bool("update", false, "write the golden files")

func defaults(t *testing.T, edit func(*Values)) Values {
	t.Helper()
	v, err := Defaults()
	if err != nil {
		t.Fatal(err)
	}
	if edit != nil {
		edit(&v)
	}
	return v
}

var cases = map[string]func(*Values){
	"default": nil,
	"upstream": func(v *Values) {
		v.Flavor, v.FailurePolicy, v.Skip = FlavorUpstream, "Ignore", []string{"t3.2xlarge"}
	},
	"full": func(v *Values) {
		v.Image, v.Replicas, v.Seed, v.Skip, v.TieBreak = "registry.example:5000/lab@sha256:"+strings.Repeat("a", 64), 3, 1234567890123, []string{"t3.2xlarge", "a1.large"}, "first"
		v.ImagePullSecrets, v.RegistrySecret, v.PlainHTTP, v.Mirrors = []string{"pull"}, "artifacts", []string{"r:5000"}, []string{"ghcr.io=mirror:5000/ghcr"}
		v.ServiceAccountAnnotations = map[string]string{"eks.amazonaws.com/role-arn": "arn:aws:iam::123456789012:role/ecr"}
		v.Certificates = Certificates{Source: "secret", Secret: "mine", CABundle: "Q0E="}
		v.ModelServerURL, v.FeaturesConfigMap, v.Events, v.NetworkPolicy.Enabled = "http://models:5000", "", false, false
	},
}

// documents parses the manifests, by kind and name.
func documents(t *testing.T, data string) map[string]map[string]any {
	t.Helper()
	out := map[string]map[string]any{}
	for _, doc := range strings.Split("\n"+data, "\n---") {
		m := map[string]any{}
		if err := yaml.UnmarshalStrict([]byte(doc), &m); err != nil {
			t.Fatalf("%v in\n%s", err, doc)
		}
		if len(m) > 0 {
			key := m["kind"].(string) + "/" + m["metadata"].(map[string]any)["name"].(string)
			if out[key] != nil {
				t.Errorf("%s is there twice", key)
			}
			out[key] = m
		}
	}
	return out
}

func TestRender(t *testing.T) {
	for name, edit := range cases {
		t.Run(name, func(t *testing.T) {
			got, err := Render(defaults(t, edit), "ocifit-system")
			if err != nil {
				t.Fatal(err)
			}
			golden := filepath.Join("testdata", name+".yaml")
			if *update {
				if err := os.WriteFile(golden, got, 0o600); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), string(got)); diff != "" {
				t.Errorf("%s; if that is meant: go test ./webhook/deploy -update", diff)
			}
		})
	}
}

// The packed chart is one that Helm installs, with any release name.
func TestChartIsValid(t *testing.T) {
	for name, edit := range cases {
		t.Run(name, func(t *testing.T) {
			files, err := Chart(defaults(t, edit))
			if err != nil {
				t.Fatal(err)
			}
			var list []*loader.BufferedFile
			for path, data := range files {
				list = append(list, &loader.BufferedFile{Name: path, Data: data})
			}
			chart, err := loader.LoadFiles(list)
			if err != nil {
				t.Fatal(err)
			}
			if err := chart.Validate(); err != nil {
				t.Fatal(err)
			}
			if chart.Name() != chartName {
				t.Errorf("the chart is called %s", chart.Name())
			}
		})
	}
}

// into decodes a document strictly into the API's own type: no field is misspelt or in the wrong place.
func into(t *testing.T, docs map[string]map[string]any, key string, typed any) {
	t.Helper()
	data, err := json.Marshal(docs[key])
	if err != nil {
		t.Fatal(err)
	}
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.DisallowUnknownFields()
	if docs[key] == nil {
		t.Fatalf("there is no %s", key)
	}
	if err := dec.Decode(typed); err != nil {
		t.Fatalf("%s: %v", key, err)
	}
}

func TestManifestsAreSafe(t *testing.T) {
	for name, edit := range cases {
		data, err := Render(defaults(t, edit), "ns1")
		if err != nil {
			t.Fatal(err)
		}
		docs := documents(t, string(data))
		var hook admissionv1.MutatingWebhookConfiguration
		into(t, docs, "MutatingWebhookConfiguration/ocifit-lab-webhook", &hook)
		w := hook.Webhooks[0]
		if w.ObjectSelector.MatchLabels[compat.LabelEnabled] != "true" || len(w.ObjectSelector.MatchLabels) != 1 {
			t.Errorf("%s: object selector %v", name, w.ObjectSelector)
		}
		if out := w.NamespaceSelector.MatchExpressions[0].Values; !slices.Contains(out, "ns1") || !slices.Contains(out, "kube-system") {
			t.Errorf("%s: namespaces left out: %v", name, out)
		}
		seconds := int32(5)
		if strings.HasPrefix(name, FlavorUpstream) {
			seconds = 10 // as published
		}
		if *w.TimeoutSeconds != seconds || len(w.Rules) != 2 || w.Rules[1].Resources[0] != "miniclusters" {
			t.Errorf("%s: %+v", name, w)
		}
		var service corev1.Service
		into(t, docs, "Service/ocifit-lab-webhook", &service)
		var pdb policyv1.PodDisruptionBudget
		into(t, docs, "PodDisruptionBudget/ocifit-lab-webhook", &pdb)
		var deployment appsv1.Deployment
		into(t, docs, "Deployment/ocifit-lab-webhook", &deployment)
		labels := deployment.Spec.Template.Labels
		for _, selector := range []map[string]string{service.Spec.Selector, pdb.Spec.Selector.MatchLabels, deployment.Spec.Selector.MatchLabels} {
			if diff := cmp.Diff(labels, selector); diff != "" {
				t.Errorf("%s: %s", name, diff)
			}
		}
		if labels[compat.LabelEnabled] != "" {
			t.Errorf("%s: the webhook asks for a selection itself", name)
		}
		var role rbacv1.ClusterRole
		into(t, docs, "ClusterRole/ocifit-lab-webhook", &role)
		for _, r := range role.Rules {
			if slices.Contains(r.Verbs, "*") || slices.Contains(r.Resources, "*") || slices.Contains(r.Resources, "secrets") {
				t.Errorf("%s: %+v", name, r)
			}
		}
		var binding rbacv1.ClusterRoleBinding
		into(t, docs, "ClusterRoleBinding/ocifit-lab-webhook", &binding)
		var account corev1.ServiceAccount
		into(t, docs, "ServiceAccount/ocifit-lab-webhook", &account)
		if name == "default" {
			hardened(t, deployment)
			var policy networkingv1.NetworkPolicy
			into(t, docs, "NetworkPolicy/ocifit-lab-webhook", &policy)
			if len(docs) != 12 {
				t.Errorf("%d documents", len(docs))
			}
		}
	}
}

func hardened(t *testing.T, d appsv1.Deployment) {
	t.Helper()
	pod, c := d.Spec.Template.Spec, d.Spec.Template.Spec.Containers[0]
	switch {
	case *d.Spec.Replicas != 2, len(pod.TopologySpreadConstraints) != 2:
		t.Error("replicas, spread")
	case !*pod.SecurityContext.RunAsNonRoot, pod.SecurityContext.SeccompProfile.Type != corev1.SeccompProfileTypeRuntimeDefault:
		t.Error("pod's security")
	case !*c.SecurityContext.ReadOnlyRootFilesystem, *c.SecurityContext.AllowPrivilegeEscalation, c.SecurityContext.Capabilities.Drop[0] != "ALL":
		t.Error("container's security")
	case c.Resources.Requests.Cpu().IsZero(), c.Resources.Requests.Memory().IsZero(), c.Resources.Limits.Memory().IsZero():
		t.Error("resources")
	case c.ReadinessProbe.HTTPGet.Path != "/readyz", c.LivenessProbe.HTTPGet.Path != "/healthz":
		t.Error("probes")
	}
}

func TestValuesAreChecked(t *testing.T) {
	for name, c := range map[string]struct {
		edit func(*Values)
		says string
	}{
		"flavor":      {func(v *Values) { v.Flavor = "vanilla" }, "flavor"},
		"policy":      {func(v *Values) { v.FailurePolicy = "Maybe" }, "failurePolicy"},
		"timeout":     {func(v *Values) { v.TimeoutSeconds = 31 }, "timeoutSeconds"},
		"replicas":    {func(v *Values) { v.Replicas = 0 }, "replicas"},
		"image":       {func(v *Values) { v.Image = "a b" }, "image reference"},
		"injection":   {func(v *Values) { v.Image = "a\n  privileged: true" }, "image reference"},
		"namespace":   {func(v *Values) { v.ExcludeNamespaces = []string{"A"} }, "Kubernetes name"},
		"tie-break":   {func(v *Values) { v.TieBreak = "dice" }, "tieBreak"},
		"stale":       {func(v *Values) { v.ArtifactMaxStale = "long" }, "artifactMaxStale"},
		"certificate": {func(v *Values) { v.Certificates.Source = "magic" }, "certificates.source"},
		"no CA":       {func(v *Values) { v.Certificates.Source = "secret" }, "caBundle"},
		"registry":    {func(v *Values) { v.PlainHTTP = []string{"r:5000\n"} }, "registry"},
		"seed":        {func(v *Values) { v.Seed = 1 << 60 }, "seed"},
	} {
		if _, err := Render(defaults(t, c.edit), "ns"); err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v", name, err)
		}
		if _, err := Chart(defaults(t, c.edit)); err == nil {
			t.Errorf("%s: a chart was made", name)
		}
	}
	for _, ns := range []string{"", "kube-system", "No"} {
		if _, err := Render(defaults(t, nil), ns); err == nil {
			t.Errorf("namespace %q was accepted", ns)
		}
	}
	if _, err := readValues([]byte("flavour: x")); err == nil {
		t.Error("an unknown value was accepted")
	}
}
