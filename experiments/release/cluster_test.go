package release

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/version"
	"k8s.io/client-go/kubernetes/scheme"

	"github.com/compspec/ocifit-lab/provision/chart"
	"github.com/compspec/ocifit-lab/provision/step"
)

// server stands in for an API server with namespaces, secrets and config maps.
type server struct {
	mu      sync.Mutex
	objects map[string]map[string]any // by path
	asked   []string
	hanging atomic.Bool   // whether the creation of config maps is never answered,
	hangs   chan struct{} // and a sign that one was asked for
}

func serve(t *testing.T) (*server, string) {
	t.Helper()
	s := &server{objects: map[string]map[string]any{}, hangs: make(chan struct{}, 10)}
	srv := httptest.NewServer(s)
	t.Cleanup(func() {
		srv.CloseClientConnections()
		srv.Close()
	})
	file := filepath.Join(t.TempDir(), "kubeconfig")
	config := fmt.Sprintf("apiVersion: v1\nkind: Config\ncurrent-context: a\ncontexts: [{name: a, context: {cluster: a, user: a}}]\nclusters: [{name: a, cluster: {server: %q}}]\nusers: [{name: a}]\n", srv.URL)
	if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	return s, file
}

func (s *server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	path := r.URL.Path
	if s.hanging.Load() && r.Method == http.MethodPost && strings.Contains(path, "configmaps") {
		_, _ = io.Copy(io.Discard, r.Body) // only then does a server notice that its client has gone
		s.hangs <- struct{}{}
		<-r.Context().Done()
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	short := strings.NewReplacer("/api/v1/namespaces/trials/", "", "sh.helm.release.v1.", "").Replace(path)
	if r.URL.Query().Get("watch") != "" {
		short += "?watch"
	}
	s.asked = append(s.asked, r.Method+" "+short)
	w.Header().Set("Content-Type", "application/json")
	switch parts := strings.Split(path, "/"); {
	case path == "/version":
		s.reply(w, 200, version.Info{Major: "1", Minor: "36", GitVersion: "v1.36.3"})
	case path == "/api":
		s.reply(w, 200, metav1.APIVersions{TypeMeta: metav1.TypeMeta{Kind: "APIVersions"}, Versions: []string{"v1"}})
	case path == "/apis":
		s.reply(w, 200, metav1.APIGroupList{TypeMeta: metav1.TypeMeta{Kind: "APIGroupList", APIVersion: "v1"}})
	case path == "/api/v1":
		list := metav1.APIResourceList{TypeMeta: metav1.TypeMeta{Kind: "APIResourceList", APIVersion: "v1"}, GroupVersion: "v1"}
		for kind, name := range map[string]string{"Secret": "secrets", "ConfigMap": "configmaps"} {
			list.APIResources = append(list.APIResources, metav1.APIResource{Name: name, Kind: kind, Namespaced: true, Verbs: metav1.Verbs{"get"}})
		}
		s.reply(w, 200, list)
	case r.Method == http.MethodPost:
		o := sent(r)
		path += "/" + o["metadata"].(map[string]any)["name"].(string)
		s.objects[path] = o
		s.reply(w, 201, o)
	case len(parts) == 6: // a list
		items := []any{}
		selector, err := labels.Parse(r.URL.Query().Get("labelSelector"))
		if err != nil {
			panic(err)
		}
		for p, o := range s.objects {
			if strings.HasPrefix(p, path+"/") && selector.Matches(labels.Set((&unstructured.Unstructured{Object: o}).GetLabels())) {
				items = append(items, o)
			}
		}
		kind := map[string]string{"secrets": "SecretList", "configmaps": "ConfigMapList"}[parts[5]]
		s.reply(w, 200, map[string]any{"kind": kind, "apiVersion": "v1", "metadata": map[string]any{"resourceVersion": "1"}, "items": items})
	default:
		s.object(w, r, path)
	}
}

// sent reads what a client sends: JSON, or the binary form that typed clients prefer.
func sent(r *http.Request) map[string]any {
	data, err := io.ReadAll(r.Body)
	if err != nil {
		panic(err)
	}
	typed, kind, err := scheme.Codecs.UniversalDeserializer().Decode(data, nil, nil)
	if err != nil {
		panic(err)
	}
	o, err := runtime.DefaultUnstructuredConverter.ToUnstructured(typed)
	if err != nil {
		panic(err)
	}
	o["kind"], o["apiVersion"] = kind.Kind, kind.GroupVersion().String()
	return o
}

func (s *server) object(w http.ResponseWriter, r *http.Request, path string) {
	o, ok := s.objects[path]
	if !ok {
		s.reply(w, 404, metav1.Status{TypeMeta: metav1.TypeMeta{Kind: "Status", APIVersion: "v1"}, Status: "Failure", Reason: metav1.StatusReasonNotFound, Code: 404})
		return
	}
	switch r.Method {
	case http.MethodPut:
		o = sent(r)
		s.objects[path] = o
	case http.MethodDelete:
		delete(s.objects, path)
	}
	s.reply(w, 200, o)
}

func (s *server) reply(w http.ResponseWriter, code int, o any) {
	w.WriteHeader(code)
	_ = json.NewEncoder(w).Encode(o)
}

func (s *server) requests() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	asked := s.asked
	s.asked = nil
	return asked
}

func settings(t *testing.T) fstest.MapFS {
	t.Helper()
	return fstest.MapFS{
		"Chart.yaml":          {Data: []byte("apiVersion: v2\nname: settings\nversion: 1.0.0\n")},
		"templates/file.yaml": {Data: []byte("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: {{ .Release.Name }}}\ndata: {version: {{ .Capabilities.KubeVersion.Version }}}\n")},
	}
}

// The second installation asks only what belongs to it, and no Helm installation of the user's has a say.
func TestAgainstAnAPI(t *testing.T) {
	home := t.TempDir()
	for k, v := range map[string]string{"HOME": home, "HELM_DRIVER": "configmap", "HELM_NAMESPACE": "elsewhere", "HELM_KUBEAPISERVER": "http://127.0.0.1:1", "KUBECONFIG": "/nowhere"} {
		t.Setenv(k, v)
	}
	s, file := serve(t)
	c, err := New(file, "trials", nil)
	if err != nil {
		t.Fatal(err)
	}
	ch, err := chart.FromFS(settings(t))
	if err != nil {
		t.Fatal(err)
	}
	if got := s.requests(); len(got) != 0 {
		t.Errorf("New asked for %v", got)
	}
	manifest, err := c.Install(t.Context(), "t1", ch, nil)
	if err != nil || !strings.Contains(manifest, "version: v1.36.3") {
		t.Fatalf("%v\n%s", err, manifest)
	}
	s.requests()
	if _, err := c.Install(t.Context(), "t2", ch, nil); err != nil {
		t.Fatal(err)
	}
	want := []string{"GET secrets", "GET configmaps/t2", "POST secrets", "POST configmaps", "PUT secrets/t2.v1"}
	if d := cmp.Diff(want, s.requests()); d != "" {
		t.Error(d)
	}
	record := &unstructured.Unstructured{Object: s.objects["/api/v1/namespaces/trials/secrets/sh.helm.release.v1.t2.v1"]}
	if l := record.GetLabels(); l["owner"] != "helm" || l["name"] != "t2" || l["status"] != "deployed" {
		t.Errorf("labels of the record: %v", l)
	}
	if err := c.Uninstall(t.Context(), "t2"); err != nil {
		t.Fatal(err)
	}
	want = []string{"GET secrets", "PUT secrets/t2.v1", "DELETE configmaps/t2", "GET configmaps", "DELETE secrets/t2.v1"}
	if d := cmp.Diff(want, s.requests()); d != "" {
		t.Error(d)
	}
	for _, name := range []string{"t1", "t3"} {
		if err := c.Uninstall(t.Context(), name); err != nil {
			t.Error(err)
		}
	}
	if len(s.objects) != 1 || s.objects["/api/v1/namespaces/trials"] == nil {
		t.Errorf("left: %v", s.objects)
	}
	if left, _ := os.ReadDir(home); len(left) != 0 {
		t.Errorf("written to the home folder: %v", left)
	}
}

// A request that never answers ends with the operation, and what it left is found by the next.
func TestInstallIsCutByItsContext(t *testing.T) {
	s, file := serve(t)
	c, err := New(file, "trials", nil)
	if err != nil {
		t.Fatal(err)
	}
	ch, err := chart.FromFS(settings(t))
	if err != nil {
		t.Fatal(err)
	}
	s.hanging.Store(true)
	ctx, cancel := context.WithCancel(t.Context())
	go func() { <-s.hangs; cancel() }()
	_, err = c.Install(ctx, "t1", ch, nil)
	if !errors.Is(err, context.Canceled) || errors.Is(err, step.ErrTimeout) {
		t.Errorf("error = %v", err)
	}
	s.hanging.Store(false)
	infos, err := c.List(t.Context())
	if err != nil || len(infos) != 1 || infos[0].Status != "pending-install" {
		t.Fatalf("%v %v", infos, err)
	}
	if _, err := c.Install(t.Context(), "t1", ch, nil); err != nil {
		t.Error(err)
	}
}

func TestNothingAnswers(t *testing.T) {
	if _, err := New(filepath.Join(t.TempDir(), "none"), "trials", nil); step.HintOf(err) == "" {
		t.Errorf("error without a hint: %v", err)
	}
	_, file := serve(t)
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	gone := httptest.NewServer(http.NotFoundHandler())
	gone.Close()
	text := string(data)
	start := strings.Index(text, "http://")
	text = text[:start] + gone.URL + text[start+strings.Index(text[start:], `"`):]
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := New(file, "trials", nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Uninstall(t.Context(), "t1"); !strings.Contains(step.HintOf(err), "is the lab up?") {
		t.Errorf("error %v, hint %q", err, step.HintOf(err))
	}
}
