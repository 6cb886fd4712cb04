package kube

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/rest"

	"github.com/compspec/ocifit-lab/provision/step"
)

// serve makes a Cluster for a stand-in of an API server.
func serve(t *testing.T, handler http.HandlerFunc) *Cluster {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	c, err := forConfig(&rest.Config{Host: server.URL, QPS: -1}, "lab", "kubeconfig", "default")
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func reply(w http.ResponseWriter, code int, o runtime.Object) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	_ = json.NewEncoder(w).Encode(o)
}

func refuse(w http.ResponseWriter, code int, reason metav1.StatusReason, message string) {
	reply(w, code, &metav1.Status{TypeMeta: metav1.TypeMeta{Kind: "Status", APIVersion: "v1"}, Status: "Failure", Code: int32(code), Reason: reason, Message: message})
}

func podList(version string, pods ...*corev1.Pod) *corev1.PodList {
	l := &corev1.PodList{TypeMeta: metav1.TypeMeta{Kind: "PodList", APIVersion: "v1"}, ListMeta: metav1.ListMeta{ResourceVersion: version}}
	for _, p := range pods {
		l.Items = append(l.Items, *p)
	}
	return l
}

func change(w http.ResponseWriter, kind string, o runtime.Object) {
	w.Header().Set("Content-Type", "application/json")
	raw, _ := json.Marshal(o)
	_ = json.NewEncoder(w).Encode(metav1.WatchEvent{Type: kind, Object: runtime.RawExtension{Raw: raw}})
	w.(http.Flusher).Flush()
}

func versioned(p *corev1.Pod, version string) *corev1.Pod {
	p.TypeMeta = metav1.TypeMeta{Kind: "Pod", APIVersion: "v1"}
	p.ResourceVersion = version
	return p
}

func TestWatchIsResumedWhereItBroke(t *testing.T) {
	var mu sync.Mutex
	var asked []string
	c := serve(t, func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		version := r.URL.Query().Get("resourceVersion")
		if r.URL.Query().Get("watch") == "" {
			asked = append(asked, "list")
			if len(asked) == 1 {
				refuse(w, 503, metav1.StatusReasonServiceUnavailable, "starting")
				return
			}
			reply(w, 200, podList(fmt.Sprint(len(asked)*10)))
			return
		}
		asked = append(asked, "watch from "+version)
		switch len(asked) {
		case 3: // a change, then the connection breaks in the middle of an event
			change(w, "ADDED", versioned(pod("hpcg-0"), "21"))
			_, _ = w.Write([]byte(`{"type":"MODIF`))
			w.(http.Flusher).Flush()
			panic(http.ErrAbortHandler)
		case 4: // nothing new but a later version
			change(w, "BOOKMARK", versioned(&corev1.Pod{}, "25"))
		case 5: // too old
			change(w, "ERROR", &metav1.Status{TypeMeta: metav1.TypeMeta{Kind: "Status", APIVersion: "v1"}, Code: 410, Reason: metav1.StatusReasonExpired})
		case 7:
			refuse(w, 410, metav1.StatusReasonGone, "too old")
		default:
			change(w, "ADDED", versioned(pod("hpcg-1", phase(corev1.PodRunning)), "99"))
		}
	})
	got, err := c.WaitPod(t.Context(), "trial", "job-name=hpcg", isRunning)
	if err != nil || got.Name != "hpcg-1" {
		t.Fatalf("%v %v", got, err)
	}
	want := "list; list; watch from 20; watch from 21; watch from 25; list; watch from 60; list; watch from 80"
	if got := strings.Join(asked, "; "); got != want {
		t.Errorf("asked for\n%s\nwant\n%s", got, want)
	}
}

func TestReady(t *testing.T) {
	failing, expire := 2, func() {}
	c := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/readyz" {
			t.Errorf("asked for %s", r.URL)
		}
		if failing > 0 {
			failing--
			if failing < 10 {
				expire()
			}
			w.WriteHeader(500)
			fmt.Fprint(w, "[+]ping ok\n[-]etcd failed: reason withheld\n[-]poststarthook/rbac failed: reason withheld\nreadyz check failed\n")
			return
		}
		fmt.Fprint(w, "ok")
	})
	contains(t, c.Ready(t.Context()), "etcd failed, poststarthook/rbac failed")
	if err := c.WaitReady(t.Context()); err != nil {
		t.Error(err)
	}
	ctx := newLate(t)
	failing, expire = 11, ctx.expire // the first answer is seen, the second comes too late
	err := c.WaitReady(ctx)
	contains(t, err, "wait for the API server: timed out", "etcd failed")
	if !errors.Is(err, step.ErrTimeout) {
		t.Errorf("not a timeout: %v", err)
	}
}

const kubeconfig = `
apiVersion: v1
kind: Config
current-context: lab
contexts: [{name: lab, context: {cluster: study, user: me, namespace: trials}}]
clusters: [{name: study, cluster: {server: "%s"}}]
users: [{name: me, user: {token: x}}]
`

func TestConnect(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "kubeconfig")
	_, err := Connect(file)
	contains(t, err, "read kubeconfig")
	if !strings.Contains(step.HintOf(err), "ocifit-lab up") {
		t.Errorf("hint %q", step.HintOf(err))
	}
	if err := os.WriteFile(file, []byte("not: [a kubeconfig"), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err = Connect(file)
	contains(t, err, "kubeconfig")

	server := httptest.NewServer(http.NotFoundHandler())
	gone := server.URL
	server.Close()
	if err := os.WriteFile(file, fmt.Appendf(nil, kubeconfig, gone), 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := Connect(file)
	if err != nil {
		t.Fatal(err)
	}
	if c.Name != "study" || c.Namespace != "trials" || c.Kubeconfig != file || c.Config.QPS != -1 {
		t.Errorf("%+v", c)
	}
	err = c.Ready(t.Context())
	if hint := step.HintOf(err); !strings.Contains(hint, gone) || !strings.Contains(hint, "is the lab up?") {
		t.Errorf("error %v, hint %q", err, hint)
	}
	ctx, tries := newLate(t), 0
	c.Config.Wrap(func(next http.RoundTripper) http.RoundTripper {
		return transport(func(r *http.Request) (*http.Response, error) {
			if tries++; tries == 2 {
				ctx.expire()
			}
			return next.RoundTrip(r)
		})
	})
	if c, err = forConfig(c.Config, "", "", ""); err != nil {
		t.Fatal(err)
	}
	_, err = c.WaitPod(ctx, "trial", "", isRunning)
	contains(t, err, "timed out", "refused")
	if step.HintOf(err) == "" {
		t.Errorf("no hint: %v", err)
	}
}

type transport func(*http.Request) (*http.Response, error)

func (f transport) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }
