package nodes

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/kubernetes/fake"

	"github.com/compspec/ocifit-lab/provision/pki"
)

var started = time.Date(2025, 7, 21, 0, 49, 0, 0, time.UTC)

// fakePods knows one pod, whose container ends when gone is closed.
type fakePods struct {
	pod  *corev1.Pod
	gone chan struct{}
}

func (f fakePods) Get(_ context.Context, namespace, name string) (*corev1.Pod, error) {
	if f.pod.Namespace != namespace || f.pod.Name != name {
		return nil, apierrors.NewNotFound(schema.GroupResource{Resource: "pods"}, name)
	}
	return f.pod, nil
}

func (f fakePods) Gone(ctx context.Context, _ *corev1.Pod, _ string) error {
	select {
	case <-f.gone:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

type logServer struct {
	*testing.T
	url, dir string
	gone     chan struct{}
}

func serveLogs(t *testing.T, state corev1.ContainerState) *logServer {
	t.Helper()
	pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "p", Namespace: "n"}}
	pod.Status.ContainerStatuses = []corev1.ContainerStatus{{Name: "main", State: state}}
	s := &logServer{T: t, dir: t.TempDir(), gone: make(chan struct{})}
	k := &kubelet{pods: fakePods{pod, s.gone}, logDir: s.dir}
	server := httptest.NewServer(k.handler())
	t.Cleanup(server.Close)
	s.url = server.URL
	return s
}

func runs() corev1.ContainerState {
	return corev1.ContainerState{Running: &corev1.ContainerStateRunning{StartedAt: metav1.NewTime(started)}}
}

func ran() corev1.ContainerState {
	return corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{StartedAt: metav1.NewTime(started)}}
}

func (s *logServer) write(name, text string) {
	s.Helper()
	dir := filepath.Join(s.dir, "n_p")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		s.Fatal(err)
	}
	f, err := os.OpenFile(filepath.Join(dir, name), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		s.Fatal(err)
	}
	defer f.Close()
	if _, err := f.WriteString(text); err != nil {
		s.Fatal(err)
	}
}

func (s *logServer) get(query string) (int, string) {
	s.Helper()
	response, err := http.Get(s.url + "/containerLogs/n/p/main" + query)
	if err != nil {
		s.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		s.Fatal(err)
	}
	return response.StatusCode, string(body)
}

func TestLogOptions(t *testing.T) {
	s := serveLogs(t, ran())
	s.write("main.log", "one\ntwo\nthree")
	stamp := func(n int) string { return fmt.Sprintf("2025-07-21T00:49:00.%06dZ ", n) }
	for query, want := range map[string]string{
		"":                          "one\ntwo\nthree",
		"?follow=true":              "one\ntwo\nthree",
		"?tailLines=2":              "two\nthree",
		"?tailLines=0":              "",
		"?tailLines=99":             "one\ntwo\nthree",
		"?limitBytes=5":             "one\nt",
		"?limitBytes=500":           "one\ntwo\nthree",
		"?limitBytes=4&follow=1":    "one\n",
		"?timestamps=true":          stamp(1) + "one\n" + stamp(2) + "two\n" + stamp(3) + "three",
		"?timestamps=1&tailLines=1": stamp(3) + "three",
		"?sinceTime=" + url.QueryEscape(started.Format(time.RFC3339)):                    "one\ntwo\nthree",
		"?sinceTime=" + url.QueryEscape(started.Add(time.Second).Format(time.RFC3339)):   "",
		"?sinceTime=" + url.QueryEscape("2025-07-21T00:49:00.000002Z") + "&timestamps=1": stamp(2) + "two\n" + stamp(3) + "three",
		"?sinceSeconds=1": "",
	} {
		if status, got := s.get(query); status != http.StatusOK || got != want {
			t.Errorf("%s: %d %q, want %q", query, status, got, want)
		}
	}
	for _, query := range []string{"?tailLines=x", "?follow=perhaps", "?sinceTime=yesterday"} {
		if status, _ := s.get(query); status != http.StatusBadRequest {
			t.Errorf("%s: status %d, want 400", query, status)
		}
	}
}

func TestLogsThatAreNotThere(t *testing.T) {
	s := serveLogs(t, corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: "ContainerCreating"}})
	if status, text := s.get(""); status != http.StatusBadRequest || !strings.Contains(text, "waiting to start: ContainerCreating") {
		t.Errorf("%d %q", status, text)
	}
	for path, want := range map[string]int{
		"/containerLogs/n/p/other":            http.StatusBadRequest,
		"/containerLogs/n/other/main":         http.StatusNotFound,
		"/containerLogs/n/p%2F..%2Fp/main":    http.StatusBadRequest,
		"/containerLogs/n/p/main?previous=1":  http.StatusBadRequest,
		"/exec/n/p/main":                      http.StatusNotImplemented,
		"/containerLogs/n/p/..%2Fother%2Flog": http.StatusBadRequest,
	} {
		response, err := http.Get(s.url + path)
		if err != nil {
			t.Fatal(err)
		}
		response.Body.Close()
		if response.StatusCode != want {
			t.Errorf("%s: %d, want %d", path, response.StatusCode, want)
		}
	}
	silent := serveLogs(t, ran())
	if status, text := silent.get(""); status != http.StatusOK || text != "" {
		t.Errorf("a container that wrote nothing: %d %q", status, text)
	}
}

func TestFollow(t *testing.T) {
	for name, end := range map[string]func(*logServer){
		"until the log is complete": func(s *logServer) { s.write("main.done", "") },
		"until the container ends":  func(s *logServer) { close(s.gone) },
	} {
		t.Run(name, func(t *testing.T) {
			s := serveLogs(t, runs())
			response, err := http.Get(s.url + "/containerLogs/n/p/main?follow=true")
			if err != nil {
				t.Fatal(err)
			}
			defer response.Body.Close()
			// The log does not exist yet when the follower comes.
			want := ""
			buffer := make([]byte, 64)
			for i := range 5 {
				line := fmt.Sprintf("line %d\n", i)
				want += line
				s.write("main.log", line)
				n, err := io.ReadFull(response.Body, buffer[:len(line)])
				if err != nil || string(buffer[:n]) != line {
					t.Fatalf("line %d: %q, %v", i, buffer[:n], err)
				}
			}
			s.write("main.log", "last words")
			end(s)
			rest, err := io.ReadAll(response.Body)
			if err != nil || string(rest) != "last words" {
				t.Errorf("the end: %q, %v", rest, err)
			}
		})
	}
}

func TestGoneSeesTheEnd(t *testing.T) {
	running := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "p", Namespace: "n", UID: "u"}}
	running.Status.ContainerStatuses = []corev1.ContainerStatus{{Name: "main", State: runs()}}
	client := fake.NewClientset(running)
	done := make(chan error, 1)
	go func() { done <- podClient{client: client}.Gone(t.Context(), running, "main") }()
	ended := running.DeepCopy()
	ended.Status.ContainerStatuses[0].State = ran()
	// The watch may begin after an update, so update until it is seen.
	for {
		if _, err := client.CoreV1().Pods("n").UpdateStatus(t.Context(), ended, metav1.UpdateOptions{}); err != nil {
			t.Fatal(err)
		}
		select {
		case err := <-done:
			if err != nil {
				t.Error(err)
			}
			return
		case <-time.After(5 * time.Millisecond):
		}
	}
}

func TestOnlyTheAPIServerMayAsk(t *testing.T) {
	ca, err := pki.LoadOrCreate(t.TempDir(), "internal-ca")
	if err != nil {
		t.Fatal(err)
	}
	k, err := startKubelet(t.Context(), fake.NewClientset(), Options{LogDir: t.TempDir(), CA: ca, ClientName: "api"})
	if err != nil {
		t.Fatal(err)
	}
	ask := func(config *tls.Config) error {
		config.RootCAs = ca.Pool()
		transport := &http.Transport{TLSClientConfig: config}
		defer transport.CloseIdleConnections()
		response, err := (&http.Client{Transport: transport}).Get(fmt.Sprintf("https://%s/healthz", net.JoinHostPort("127.0.0.1", fmt.Sprint(k.port))))
		if err != nil {
			return err
		}
		response.Body.Close()
		return nil
	}
	as := func(name string) *tls.Config {
		pair, err := ca.Issue(pki.Request{CommonName: name})
		if err != nil {
			t.Fatal(err)
		}
		certificate, err := pair.TLS()
		if err != nil {
			t.Fatal(err)
		}
		return &tls.Config{Certificates: []tls.Certificate{certificate}}
	}
	if err := ask(as("api")); err != nil {
		t.Errorf("the API server: %v", err)
	}
	if err := ask(as("somebody")); err == nil {
		t.Error("somebody else with a certificate of the same authority was let in")
	}
	if err := ask(&tls.Config{}); err == nil {
		t.Error("somebody without a certificate was let in")
	}
	var certificateError *tls.CertificateVerificationError
	if err := ask(as("api")); errors.As(err, &certificateError) {
		t.Errorf("the endpoint's own certificate: %v", err)
	}
}
