package release

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/go-cmp/cmp"
	"helm.sh/helm/v3/pkg/action"
	"helm.sh/helm/v3/pkg/chartutil"
	helmkube "helm.sh/helm/v3/pkg/kube"
	kubefake "helm.sh/helm/v3/pkg/kube/fake"
	"helm.sh/helm/v3/pkg/release"
	"helm.sh/helm/v3/pkg/storage"
	"helm.sh/helm/v3/pkg/storage/driver"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/cli-runtime/pkg/resource"
	"k8s.io/client-go/kubernetes/fake"
	"k8s.io/client-go/kubernetes/scheme"
	restfake "k8s.io/client-go/rest/fake"

	"github.com/compspec/ocifit-lab/provision/chart"
	"github.com/compspec/ocifit-lab/provision/kube"
	"github.com/compspec/ocifit-lab/provision/step"
)

// helm is a Client on Helm's memory driver and fake client, with a record of what was asked of the cluster.
type helm struct {
	*Client
	records *driver.Memory
	mapper  *resets

	mu      sync.Mutex
	calls   []string
	fail    map[string]error // by the first word of a call
	logged  []string
	unknown map[string]bool // kinds that are not served
}

type resets struct {
	*meta.DefaultRESTMapper
	n int
}

func (r *resets) Reset() { r.n++ }

func newHelm(t *testing.T) *helm {
	t.Helper()
	h := &helm{records: driver.NewMemory(), mapper: &resets{DefaultRESTMapper: meta.NewDefaultRESTMapper(nil)}, fail: map[string]error{}, unknown: map[string]bool{}}
	h.records.SetNamespace("trials")
	cluster := &kube.Cluster{Name: "lab", Clientset: fake.NewClientset(), Mapper: h.mapper}
	h.Client = ForCluster(cluster, "trials", func(format string, args ...any) { h.logged = append(h.logged, fmt.Sprintf(format, args...)) })
	h.open = func(ctx context.Context) (*action.Configuration, error) {
		return &action.Configuration{
			Releases: storage.Init(&records{Driver: h.records}), KubeClient: &fakeClient{PrintingKubeClient: kubefake.PrintingKubeClient{Out: io.Discard, LogOutput: io.Discard}, helm: h, ctx: ctx},
			Capabilities: chartutil.DefaultCapabilities.Copy(), Log: h.log,
		}, nil
	}
	return h
}

func (h *helm) call(format string, args ...any) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	text := fmt.Sprintf(format, args...)
	h.calls = append(h.calls, text)
	verb, _, _ := strings.Cut(text, " ")
	return h.fail[verb]
}

// fakeClient is Helm's fake with objects read from manifests, none of which exist.
type fakeClient struct {
	kubefake.PrintingKubeClient
	helm *helm
	ctx  context.Context
}

func (f *fakeClient) Build(r io.Reader, _ bool) (helmkube.ResourceList, error) {
	data, err := io.ReadAll(r)
	if err != nil {
		return nil, err
	}
	objects, err := kube.Objects(data)
	if err != nil {
		return nil, err
	}
	absent := restfake.CreateHTTPClient(func(*http.Request) (*http.Response, error) {
		return &http.Response{StatusCode: http.StatusNotFound, Body: http.NoBody, Header: http.Header{}}, nil
	})
	var list helmkube.ResourceList
	for _, o := range objects {
		if f.helm.unknown[o.GetKind()] {
			return nil, fmt.Errorf(`unable to recognize "": no matches for kind %q in version "v1"`, o.GetKind())
		}
		gvk := o.GroupVersionKind()
		list = append(list, &resource.Info{
			Client:    &restfake.RESTClient{NegotiatedSerializer: scheme.Codecs.WithoutConversion(), Client: absent},
			Mapping:   &meta.RESTMapping{Resource: schema.GroupVersionResource{Group: gvk.Group, Version: gvk.Version, Resource: strings.ToLower(gvk.Kind) + "s"}, GroupVersionKind: gvk, Scope: meta.RESTScopeNamespace},
			Namespace: "trials", Name: o.GetName(), Object: o,
		})
	}
	return list, nil
}

func (f *fakeClient) each(verb string, list helmkube.ResourceList) error {
	if err := f.ctx.Err(); err != nil {
		return err
	}
	for _, o := range list {
		if err := f.helm.call("%s %s/%s", verb, o.Mapping.GroupVersionKind.Kind, o.Name); err != nil {
			return err
		}
	}
	return nil
}

func (f *fakeClient) Create(list helmkube.ResourceList) (*helmkube.Result, error) {
	return &helmkube.Result{}, f.each("create", list)
}

func (f *fakeClient) WatchUntilReady(list helmkube.ResourceList, _ time.Duration) error {
	return f.each("hook", list)
}

func (f *fakeClient) DeleteWithPropagationPolicy(list helmkube.ResourceList, policy metav1.DeletionPropagation) (*helmkube.Result, []error) {
	if err := f.each("delete-"+strings.ToLower(string(policy)), list); err != nil {
		return nil, []error{err}
	}
	return &helmkube.Result{}, nil
}

func (f *fakeClient) WaitForDelete(list helmkube.ResourceList, _ time.Duration) error {
	return f.each("gone", list)
}

var trialFiles = fstest.MapFS{
	"Chart.yaml":  {Data: []byte("apiVersion: v2\nname: hpcg\nversion: 0.1.0\n")},
	"values.yaml": {Data: []byte("experiment: {tasks: \"\", iterations: 1}\nlabels: {}\nlist: []\n")},
	"values.schema.json": {Data: []byte(`{"type":"object","properties":{"experiment":{"type":"object",
		"properties":{"tasks":{"type":"string"},"iterations":{"type":"integer","minimum":1}},"additionalProperties":false}}}`)},
	"templates/minicluster.yaml": {Data: []byte(`apiVersion: v1
kind: MiniCluster
metadata:
  name: {{ .Release.Name }}
  namespace: {{ .Release.Namespace }}
  labels: {{ toJson .Values.labels }}
spec: {tasks: {{ .Values.experiment.tasks | quote }}, iterations: {{ .Values.experiment.iterations }}, list: {{ toJson .Values.list }}}
`)},
	"templates/settings.yaml": {Data: []byte("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: settings}\n")},
}

func trialChart(t *testing.T) *chart.Chart {
	t.Helper()
	ch, err := chart.FromFS(trialFiles)
	if err != nil {
		t.Fatal(err)
	}
	return ch
}

func objectManifest(kind, name string) string {
	return fmt.Sprintf("---\n# Source: hpcg/templates/x.yaml\napiVersion: v1\nkind: %s\nmetadata:\n  name: %s\n", kind, name)
}

// record puts a revision into the store.
func (h *helm) record(t *testing.T, ch *chart.Chart, revision int, status release.Status, manifest string) {
	t.Helper()
	rel := &release.Release{Name: "t1", Namespace: "trials", Version: revision, Info: &release.Info{Status: status}, Chart: ch.Chart, Manifest: manifest}
	rel.Hooks = []*release.Hook{{Name: "farewell", Kind: "Job", Path: "x", Manifest: "apiVersion: v1\nkind: Job\nmetadata: {name: farewell}", Events: []release.HookEvent{release.HookPreDelete}, DeletePolicies: []release.HookDeletePolicy{release.HookFailed}}}
	if err := storage.Init(h.records).Create(rel); err != nil {
		t.Fatal(err)
	}
}

func (h *helm) statuses(t *testing.T) []string {
	t.Helper()
	infos, err := h.List(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, i := range infos {
		out = append(out, fmt.Sprintf("%s.v%d %s", i.Name, i.Revision, i.Status))
	}
	return out
}

// What is there under the name decides what Install and Uninstall do first.
func TestRecoveryByStatus(t *testing.T) {
	one := objectManifest("MiniCluster", "old")
	swept := []string{"delete-foreground MiniCluster/old", "gone MiniCluster/old"}
	hooked := []string{"create Job/farewell", "hook Job/farewell", "delete-foreground MiniCluster/old", "gone MiniCluster/old"}
	two := []string{
		"delete-foreground MiniCluster/new", "delete-foreground ConfigMap/shared", "delete-foreground MiniCluster/old",
		"gone MiniCluster/new", "gone ConfigMap/shared", "gone MiniCluster/old",
	}
	type revision struct {
		status   release.Status
		manifest string
	}
	for name, tc := range map[string]struct {
		left []revision
		want []string
	}{
		"none":                 {nil, nil},
		"deployed":             {[]revision{{release.StatusDeployed, one}}, hooked},
		"failed":               {[]revision{{release.StatusFailed, one}}, swept},
		"pending-install":      {[]revision{{release.StatusPendingInstall, one}}, swept},
		"pending-rollback":     {[]revision{{release.StatusPendingRollback, one}}, swept},
		"uninstalling":         {[]revision{{release.StatusUninstalling, one}}, swept},
		"uninstalled":          {[]revision{{release.StatusUninstalled, one}}, swept},
		"superseded":           {[]revision{{release.StatusSuperseded, one}}, swept},
		"unknown":              {[]revision{{release.StatusUnknown, one}}, swept},
		"of a later Helm":      {[]revision{{release.Status("paused"), one}}, swept},
		"failed without parts": {[]revision{{release.StatusFailed, ""}}, nil},
		"pending-upgrade": {[]revision{
			{release.StatusSuperseded, one + objectManifest("ConfigMap", "shared")},
			{release.StatusPendingUpgrade, objectManifest("MiniCluster", "new") + objectManifest("ConfigMap", "shared")},
		}, two},
	} {
		t.Run(name, func(t *testing.T) {
			prepare := func() *helm {
				h := newHelm(t)
				for i, r := range tc.left {
					h.record(t, trialChart(t), i+1, r.status, r.manifest)
				}
				return h
			}
			h := prepare()
			if err := h.Uninstall(t.Context(), "t1"); err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(sorted(tc.want), sorted(h.calls)); d != "" {
				t.Errorf("uninstall: %s", d)
			}
			if got := h.statuses(t); len(got) != 0 {
				t.Errorf("left: %v", got)
			}
			h = prepare()
			if _, err := h.Install(t.Context(), "t1", trialChart(t), nil); err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(sorted(append(slices.Clone(tc.want), "create ConfigMap/settings", "create MiniCluster/t1")), sorted(h.calls)); d != "" {
				t.Errorf("install: %s", d)
			}
			if d := cmp.Diff([]string{"t1.v1 deployed"}, h.statuses(t)); d != "" {
				t.Error(d)
			}
		})
	}
}

func sorted(s []string) []string {
	s = slices.Clone(s)
	slices.Sort(s)
	return s
}

func TestRemovalThatBreaksIsTakenUpAgain(t *testing.T) {
	for _, broken := range []string{"delete-foreground", "gone"} {
		for _, status := range []release.Status{release.StatusDeployed, release.StatusFailed} {
			t.Run(broken+"/"+status.String(), func(t *testing.T) {
				h := newHelm(t)
				h.record(t, trialChart(t), 1, status, objectManifest("MiniCluster", "old"))
				cause := errors.New("held by a finalizer")
				h.fail[broken] = cause
				for range 2 {
					if err := h.Uninstall(t.Context(), "t1"); !errors.Is(err, cause) {
						t.Fatalf("error = %v", err)
					}
					if got := h.statuses(t); len(got) != 1 {
						t.Fatalf("the record is lost while objects may be there: %v", got)
					}
				}
				delete(h.fail, broken)
				h.calls = nil
				if err := h.Uninstall(t.Context(), "t1"); err != nil {
					t.Fatal(err)
				}
				if d := cmp.Diff([]string{"delete-foreground MiniCluster/old", "gone MiniCluster/old"}, h.calls); d != "" {
					t.Error(d)
				}
			})
		}
	}
}

func TestKindsThatAreGoneAndObjectsToKeep(t *testing.T) {
	h := newHelm(t)
	h.unknown["Widget"] = true
	kept := "---\napiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: kept\n  annotations: {helm.sh/resource-policy: keep}\n"
	h.record(t, trialChart(t), 1, release.StatusFailed, objectManifest("Widget", "a")+kept+objectManifest("MiniCluster", "b"))
	if err := h.Uninstall(t.Context(), "t1"); err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff([]string{"delete-foreground MiniCluster/b", "gone MiniCluster/b"}, h.calls); d != "" {
		t.Error(d)
	}
}

func TestLeaveDependents(t *testing.T) {
	for status, want := range map[release.Status]string{release.StatusDeployed: "by Helm", release.StatusFailed: "swept"} {
		t.Run(want, func(t *testing.T) {
			h := newHelm(t)
			h.LeaveDependents()
			h.record(t, trialChart(t), 1, status, objectManifest("MiniCluster", "b"))
			if err := h.Uninstall(t.Context(), "t1"); err != nil {
				t.Fatal(err)
			}
			if !slices.Contains(h.calls, "delete-background MiniCluster/b") || slices.Contains(h.calls, "delete-foreground MiniCluster/b") {
				t.Errorf("calls: %q", h.calls)
			}
			if left := h.statuses(t); len(left) != 0 {
				t.Errorf("records left: %q", left)
			}
		})
	}
}

func TestInstallThatFails(t *testing.T) {
	h := newHelm(t)
	cause := errors.New("admission webhook denied the request")
	h.fail["create"] = cause
	manifest, err := h.Install(t.Context(), "t1", trialChart(t), nil)
	if !errors.Is(err, cause) || !strings.Contains(err.Error(), "install release t1 in trials") || manifest == "" {
		t.Errorf("error = %v, manifest %q", err, manifest)
	}
	if d := cmp.Diff([]string{"t1.v1 failed"}, h.statuses(t)); d != "" {
		t.Error(d)
	}
	delete(h.fail, "create")
	if _, err := h.Install(t.Context(), "t1", trialChart(t), nil); err != nil {
		t.Errorf("again: %v", err)
	}
}

func TestInstallLooksAgainForAKindThatIsNew(t *testing.T) {
	h := newHelm(t)
	h.unknown["MiniCluster"] = true
	_, err := h.Install(t.Context(), "t1", trialChart(t), nil)
	if err == nil || !strings.Contains(err.Error(), "no matches for kind") || h.mapper.n != 1 || len(h.calls) != 0 {
		t.Errorf("error = %v, %d resets, %v", err, h.mapper.n, h.calls)
	}
	if got := h.statuses(t); len(got) != 0 {
		t.Errorf("recorded: %v", got)
	}
}

func TestInstallHonoursItsContext(t *testing.T) {
	h := newHelm(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := h.Install(ctx, "t1", trialChart(t), nil); !errors.Is(err, context.Canceled) || errors.Is(err, step.ErrTimeout) {
		t.Errorf("cancelled: %v", err)
	}
	late, stop := context.WithTimeout(t.Context(), 0)
	defer stop()
	if _, err := h.Install(late, "t1", trialChart(t), nil); !errors.Is(err, step.ErrTimeout) {
		t.Errorf("out of time: %v", err)
	}
	if err := h.Uninstall(late, "t1"); !errors.Is(err, step.ErrTimeout) {
		t.Errorf("uninstall out of time: %v", err)
	}
}

func TestValuesAreCheckedAndKept(t *testing.T) {
	ch, values := trialChart(t), map[string]any{
		"experiment": map[string]any{"tasks": "4", "iterations": 3},
		"labels":     map[string]string{"ocifit-lab/run": "r1"},
		"list":       []string{"a"},
	}
	h := newHelm(t)
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			if _, err := h.Install(t.Context(), fmt.Sprintf("t%d", i), ch, values); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if d := cmp.Diff(map[string]string{"ocifit-lab/run": "r1"}, values["labels"]); d != "" {
		t.Errorf("the caller's values changed: %s", d)
	}
	manifest, err := ch.Render(values, chart.Target{Release: "t9", Namespace: "trials"})
	if err != nil {
		t.Fatal(err)
	}
	want := "  name: t9\n  namespace: trials\n  labels: {\"ocifit-lab/run\":\"r1\"}\nspec: {tasks: \"4\", iterations: 3, list: [\"a\"]}\n"
	if !strings.Contains(manifest, want) {
		t.Errorf("manifest\n%s", manifest)
	}

	for _, bad := range []map[string]any{
		{"experiment": map[string]any{"tasks": 4}},
		{"experiment": map[string]any{"iterations": 0}},
		{"experiment": map[string]any{"all_tasks": true}},
	} {
		_, err := h.Install(t.Context(), "bad", ch, bad)
		if err == nil || !strings.Contains(err.Error(), "schema") {
			t.Errorf("%v: %v", bad, err)
		}
		if _, err := ch.Render(bad, chart.Target{Release: "bad", Namespace: "trials"}); err == nil {
			t.Errorf("rendered %v", bad)
		}
	}
	if got := len(h.statuses(t)); got != 8 {
		t.Errorf("%d releases", got)
	}
}

func TestList(t *testing.T) {
	h := newHelm(t)
	for _, name := range []string{"b", "a"} {
		if _, err := h.Install(t.Context(), name, trialChart(t), nil); err != nil {
			t.Fatal(err)
		}
	}
	infos, err := h.List(t.Context())
	if err != nil || len(infos) != 2 {
		t.Fatalf("%v %v", infos, err)
	}
	if got := infos[0]; got.Name != "a" || got.Chart != "hpcg-0.1.0" || got.Namespace != "trials" || got.Updated.IsZero() {
		t.Errorf("%+v", got)
	}
}

func TestInstallRefuses(t *testing.T) {
	if _, err := newHelm(t).Install(t.Context(), "a", nil, nil); err == nil {
		t.Error("installed no chart")
	}
	if _, err := newHelm(t).Install(t.Context(), "Not A Name", trialChart(t), nil); err == nil {
		t.Error("installed under an invalid name")
	}
}
