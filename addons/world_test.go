package addons_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"sort"
	"strings"
	"testing"
	"time"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"oras.land/oras-go/v2"
	"oras.land/oras-go/v2/content/memory"
	"oras.land/oras-go/v2/registry/remote"

	builtin "github.com/compspec/ocifit-lab/addons/builtin/minicluster"
	"github.com/compspec/ocifit-lab/provision/kube"
)

func digestOf(data []byte) string { return digest.FromBytes(data).String() }

// chart packs templates into a chart's archive. Equal templates give equal bytes.
func chartArchive(t *testing.T, name string, version int, templates ...string) []byte {
	t.Helper()
	files := map[string]string{"Chart.yaml": fmt.Sprintf("apiVersion: v2\nname: %s\nversion: 1.0.%d\n", name, version), "values.yaml": "extraArgs: {}\n"}
	for i, text := range templates {
		files[fmt.Sprintf("templates/%d.yaml", i)] = text
	}
	var names []string
	for n := range files {
		names = append(names, n)
	}
	sort.Strings(names)
	var b bytes.Buffer
	zip := gzip.NewWriter(&b)
	out := tar.NewWriter(zip)
	for _, n := range names {
		if err := out.WriteHeader(&tar.Header{Name: name + "/" + n, Mode: 0o644, Size: int64(len(files[n])), ModTime: time.Unix(0, 0)}); err != nil {
			t.Fatal(err)
		}
		if _, err := out.Write([]byte(files[n])); err != nil {
			t.Fatal(err)
		}
	}
	out.Close()
	zip.Close()
	return b.Bytes()
}

// push puts a chart into the registry as Helm does, and returns its reference without the tag.
func (w *world) push(t *testing.T, repository, version string, data []byte) string {
	t.Helper()
	ctx := t.Context()
	store := memory.New()
	layer, err := oras.PushBytes(ctx, store, "application/vnd.cncf.helm.chart.content.v1.tar+gzip", data)
	if err != nil {
		t.Fatal(err)
	}
	config, err := oras.PushBytes(ctx, store, "application/vnd.cncf.helm.config.v1+json", []byte("{}"))
	if err != nil {
		t.Fatal(err)
	}
	manifest, err := oras.PackManifest(ctx, store, oras.PackManifestVersion1_1, "",
		oras.PackManifestOptions{ConfigDescriptor: &config, Layers: []ocispec.Descriptor{layer}})
	if err != nil {
		t.Fatal(err)
	}
	if err := store.Tag(ctx, manifest, version); err != nil {
		t.Fatal(err)
	}
	repo, err := remote.NewRepository(w.registry + "/" + repository)
	if err != nil {
		t.Fatal(err)
	}
	repo.PlainHTTP = true
	if _, err := oras.Copy(ctx, store, version, repo, version, oras.DefaultCopyOptions); err != nil {
		t.Fatal(err)
	}
	return "oci://" + w.registry + "/" + repository
}

// workload is a template of a Deployment or DaemonSet with a config map that has another name in each version.
func workload(kind, name string, version int) string {
	return fmt.Sprintf(`apiVersion: apps/v1
kind: %s
metadata: {name: %s, namespace: "{{ .Release.Namespace }}"}
spec:
  selector: {matchLabels: {app: %s}}
  template:
    metadata: {labels: {app: %s}}
    spec: {containers: [{name: main, image: "main:%d"}]}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: %s-v%d, namespace: "{{ .Release.Namespace }}"}
data: {version: "%d"}
`, kind, name, name, name, version, name, version, version)
}

// blocker is an admission webhook that nobody serves and that forbids the removal of deployments: with the wrong order a removal
// never ends.
func blocker(version int) string {
	return fmt.Sprintf(`apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingWebhookConfiguration
metadata: {name: blocker}
webhooks:
- name: blocker.conformance.test
  clientConfig: {url: "https://127.0.0.1:1/v%d"}
  rules: [{operations: [DELETE], apiGroups: [apps], apiVersions: [v1], resources: [deployments]}]
  namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: flux-operator}}
  failurePolicy: Fail
  sideEffects: None
  timeoutSeconds: 1
  admissionReviewVersions: [v1]
`, version)
}

func crd(group, version, kind string) string {
	plural := strings.ToLower(kind) + "s"
	return fmt.Sprintf(`apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: %s.%s}
spec:
  group: %s
  scope: Namespaced
  names: {kind: %s, plural: %s}
  versions:
  - name: %s
    served: true
    storage: true
    subresources: {status: {}}
    schema: {openAPIV3Schema: {type: object, x-kubernetes-preserve-unknown-fields: true}}
`, plural, group, group, kind, plural, version)
}

var (
	certificateCRDs = crd("cert-manager.io", "v1", "Issuer") + "---\n" + crd("cert-manager.io", "v1", "Certificate")
	miniclusterCRD  = crd("flux-framework.org", "v1alpha2", "MiniCluster")
	certificates    = schema.GroupVersionResource{Group: "cert-manager.io", Version: "v1", Resource: "certificates"}
	jobs            = schema.GroupVersionResource{Group: "batch", Version: "v1", Resource: "jobs"}
	secrets         = schema.GroupVersionResource{Version: "v1", Resource: "secrets"}
	deployments     = schema.GroupVersionResource{Group: "apps", Version: "v1", Resource: "deployments"}
	daemonSets      = schema.GroupVersionResource{Group: "apps", Version: "v1", Resource: "daemonsets"}
	configMaps      = schema.GroupVersionResource{Version: "v1", Resource: "configmaps"}
	definitions     = schema.GroupVersionResource{Group: "apiextensions.k8s.io", Version: "v1", Resource: "customresourcedefinitions"}
	validating      = schema.GroupVersionResource{Group: "admissionregistration.k8s.io", Version: "v1", Resource: "validatingwebhookconfigurations"}
)

// standIns do what the real controllers would do, as far as the proofs look.
func standIns(ctx context.Context, c *kube.Cluster) {
	list := func(gvr schema.GroupVersionResource) []unstructured.Unstructured {
		l, err := c.Dynamic.Resource(gvr).List(ctx, metav1.ListOptions{})
		if err != nil {
			return nil
		}
		return l.Items
	}
	named := func(gvr schema.GroupVersionResource, name string) bool {
		for _, o := range list(gvr) {
			if o.GetName() == name {
				return true
			}
		}
		return false
	}
	patch := func(gvr schema.GroupVersionResource, namespace, name, text string, sub ...string) {
		_, _ = c.Dynamic.Resource(gvr).Namespace(namespace).Patch(ctx, name, types.MergePatchType, []byte(text), metav1.PatchOptions{}, sub...)
	}
	create := func(gvr schema.GroupVersionResource, namespace string, o map[string]any) {
		_, _ = c.Dynamic.Resource(gvr).Namespace(namespace).Create(ctx, &unstructured.Unstructured{Object: o}, metav1.CreateOptions{})
	}
	for ctx.Err() == nil {
		time.Sleep(50 * time.Millisecond)
		for _, o := range list(certificates) {
			create(secrets, o.GetNamespace(), map[string]any{"apiVersion": "v1", "kind": "Secret", "metadata": map[string]any{"name": o.GetName()}, "stringData": map[string]any{"tls.crt": "x"}})
			patch(certificates, o.GetNamespace(), o.GetName(), `{"status": {"conditions": [{"type": "Ready", "status": "True"}]}}`, "status")
		}
		for _, o := range list(builtin.GVR) {
			create(jobs, o.GetNamespace(), map[string]any{
				"apiVersion": "batch/v1", "kind": "Job",
				"metadata": map[string]any{"name": o.GetName(), "ownerReferences": []any{map[string]any{
					"apiVersion": o.GetAPIVersion(), "kind": o.GetKind(), "name": o.GetName(), "uid": string(o.GetUID()),
				}}},
				"spec": map[string]any{"suspend": true, "template": map[string]any{"spec": map[string]any{
					"restartPolicy": "Never", "containers": []any{map[string]any{"name": "a", "image": "a"}},
				}}},
			})
		}
		nodeNotes := `{"metadata": {"annotations": {"nfd.node.kubernetes.io/feature-labels": null}}}`
		if named(daemonSets, "worker") {
			nodeNotes = `{"metadata": {"annotations": {"nfd.node.kubernetes.io/feature-labels": "cpu-model.id"}}}`
		}
		patch(schema.GroupVersionResource{Version: "v1", Resource: "nodes"}, "", "node", nodeNotes)
		if named(deployments, "autoscaler") {
			create(configMaps, "autoscaler", map[string]any{"apiVersion": "v1", "kind": "ConfigMap", "metadata": map[string]any{"name": "cluster-autoscaler-status"}})
			patch(configMaps, "autoscaler", "cluster-autoscaler-status",
				`{"metadata": {"annotations": {"cluster-autoscaler.kubernetes.io/last-updated": "`+time.Now().UTC().Format("2006-01-02 15:04:05.999999999 -0700 MST")+`"}}}`)
		}
	}
}

func (w *world) namespace(t *testing.T, name string) {
	t.Helper()
	if err := w.cluster.Apply(t.Context(), []byte("apiVersion: v1\nkind: Namespace\nmetadata: {name: "+name+"}\n"), "test"); err != nil {
		t.Fatal(err)
	}
}

// fingerprint tells one state of what addons make from another; what controllers write about it does not count.
func (w *world) fingerprint(ctx context.Context, t *testing.T) string {
	t.Helper()
	var lines []string
	for _, gvr := range []schema.GroupVersionResource{deployments, daemonSets, definitions, validating, configMaps, secrets} {
		list, err := w.cluster.Dynamic.Resource(gvr).List(ctx, metav1.ListOptions{})
		if err != nil {
			t.Fatal(err)
		}
		for _, o := range list.Items {
			if strings.HasPrefix(o.GetName(), "ocifit-probe") || o.GetName() == "cluster-autoscaler-status" {
				continue
			}
			state := fmt.Sprint(o.GetGeneration())
			if o.GetGeneration() == 0 {
				state = o.GetResourceVersion()
			}
			lines = append(lines, fmt.Sprintf("%s %s/%s %s", gvr.Resource, o.GetNamespace(), o.GetName(), state))
		}
	}
	sort.Strings(lines)
	return strings.Join(lines, "\n")
}

// nothingOf looks for what a removed addon has left.
func (w *world) nothingOf(ctx context.Context, t *testing.T, name string) {
	t.Helper()
	for line := range strings.Lines(w.fingerprint(ctx, t)) {
		what, rest, _ := strings.Cut(strings.TrimSpace(line), " ")
		if strings.Contains(rest, "kube-root-ca.crt") || strings.Contains(rest, "/kube-") || strings.HasPrefix(rest, "kube-") {
			continue
		}
		t.Errorf("%s left %s %s", name, what, rest)
	}
}
