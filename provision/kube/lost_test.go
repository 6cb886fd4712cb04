package kube

import (
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/rest"

	"github.com/compspec/ocifit-lab/provision/step"
)

// deadCluster is one on whose port nothing listens any more.
func deadCluster(t *testing.T) *Cluster {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	c, err := forConfig(&rest.Config{Host: "http://" + l.Addr().String(), QPS: -1}, "dead", "", "default")
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func isRunningNow(*corev1.Pod) (bool, error) { return false, nil }

// Every kind of wait ends within seconds when the cluster says of itself that it has ended, and names the way out.
func TestLostClusterEndsEveryWait(t *testing.T) {
	died := errors.New("its supervisor (process 7) has ended")
	for name, wait := range map[string]func(*Cluster) error{
		"pod":    func(c *Cluster) error { _, err := c.WaitPod(t.Context(), "trial", "", isRunningNow); return err },
		"object": func(c *Cluster) error { return c.WaitGone(t.Context(), crds, "", "") },
		"log": func(c *Cluster) error {
			return c.StreamLogs(t.Context(), "trial", "hpcg-0", "hpcg", &strings.Builder{})
		},
		"log of a container that has ended": func(c *Cluster) error {
			return c.CopyLogs(t.Context(), "trial", "hpcg-0", "hpcg", &strings.Builder{})
		},
		"apply": func(c *Cluster) error {
			return c.Apply(t.Context(), []byte("apiVersion: v1\nkind: Namespace\nmetadata: {name: x}\n"), "test")
		},
		"ready": func(c *Cluster) error { return c.WaitReady(t.Context()) },
	} {
		t.Run(name, func(t *testing.T) {
			c := deadCluster(t)
			c.Alive = func() error { return died }
			began := time.Now()
			err := wait(c)
			if !errors.Is(err, ErrLost) || !errors.Is(err, died) || !strings.Contains(step.HintOf(err), "`ocifit-lab up`") {
				t.Errorf("got %v; hint %q", err, step.HintOf(err))
			}
			if errors.Is(err, step.ErrTimeout) {
				t.Errorf("after %s it counts as a deadline: %v", time.Since(began), err)
			}
		})
	}
}

// Where nothing tells of the cluster itself, the time without an answer does.
func TestLostAfterSilence(t *testing.T) {
	c := deadCluster(t)
	c.LostAfter = 200 * time.Millisecond
	_, err := c.WaitPod(t.Context(), "trial", "", isRunningNow)
	if !errors.Is(err, ErrLost) || !strings.Contains(err.Error(), "no server took a request for 200ms") {
		t.Errorf("got %v", err)
	}
}

// A server that is alive and in trouble is waited for.
func TestTroubleIsNoLoss(t *testing.T) {
	tries := 0
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if tries++; tries < 4 {
			http.Error(w, "etcdserver: leader changed", http.StatusServiceUnavailable)
			return
		}
		_, _ = w.Write([]byte("ok"))
	}))
	defer server.Close()
	c, err := forConfig(&rest.Config{Host: server.URL, QPS: -1}, "slow", "", "default")
	if err != nil {
		t.Fatal(err)
	}
	c.Alive = func() error { return nil }
	c.LostAfter = time.Nanosecond
	if err := c.WaitReady(t.Context()); err != nil {
		t.Error(err)
	}
}
