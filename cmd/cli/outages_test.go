package cli

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"regexp"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/compspec/ocifit-lab/experiments/store"
	"github.com/compspec/ocifit-lab/provision/kube"
)

// outages take away for a while what all trials need, or make it slow: rows of GUARANTEES.md.
var outages = []struct {
	name string
	run  func(o *outage, begin func() <-chan error) error
}{
	{"each piece of an answer of the API server takes 100 ms", func(o *outage, begin func() <-chan error) error {
		o.server.delay.Store(int64(100 * time.Millisecond))
		defer o.server.delay.Store(0)
		return <-begin()
	}},
	{"connections to the API server end every second", func(o *outage, begin func() <-chan error) error {
		for ended := begin(); ; {
			select {
			case err := <-ended:
				return err
			case <-time.After(time.Second):
				o.server.cut()
			}
		}
	}},
	{"the API server is away for six seconds", func(o *outage, begin func() <-chan error) error {
		ended := begin()
		runningPod(o.T, o.cluster, ended)
		o.server.away.Store(true)
		o.server.cut()
		time.Sleep(6 * time.Second)
		o.server.away.Store(false)
		return <-ended
	}},
	{"the webhook is away, failurePolicy Fail", func(o *outage, begin func() <-chan error) error {
		return o.withoutWebhook(admissionv1.Fail, begin)
	}},
	{"the webhook is away, failurePolicy Ignore", func(o *outage, begin func() <-chan error) error {
		return o.withoutWebhook(admissionv1.Ignore, begin)
	}},
}

// TestOutages holds that the trial waits, and counts at its first attempt.
func TestOutages(t *testing.T) {
	if testing.Short() {
		t.Skip("runs a lab")
	}
	l, cluster := faultLab(t)
	server := newRelay(t, l.kubeconfig())
	for i, row := range outages {
		t.Run(row.name, func(t *testing.T) {
			run := fmt.Sprintf("run-%d", i)
			if err := row.run(&outage{t, cluster, server}, func() <-chan error { return l.begin(run) }); err != nil {
				t.Fatal(err)
			}
			if done := readTrial(t, l.trial(run, "1")); done.Verdict != store.Complete || done.Attempt != 1 {
				t.Errorf("the trial is %s at attempt %d: %s", done.Verdict, done.Attempt, done.Reason)
			}
		})
	}
	l.nothingRuns()
	l.must("down")
	l.gone("lab.yaml", "study.yaml")
}

// outage is what a row can disturb.
type outage struct {
	*testing.T
	cluster *kube.Cluster // not by the relay
	server  *relay
}

// withoutWebhook puts something that answers nothing in the webhook's place until it has been asked.
func (o *outage) withoutWebhook(policy admissionv1.FailurePolicyType, begin func() <-chan error) error {
	mute, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	asked := make(chan struct{}, 1)
	go func() {
		for {
			c, err := mute.Accept()
			if err != nil {
				return
			}
			c.Close()
			select {
			case asked <- struct{}{}:
			default:
			}
		}
	}()
	defer mute.Close()
	api := o.cluster.Clientset.AdmissionregistrationV1().MutatingWebhookConfigurations()
	list, err := api.List(o.Context(), metav1.ListOptions{})
	if err != nil || len(list.Items) != 1 {
		return fmt.Errorf("%d webhooks are registered: %w", len(list.Items), err)
	}
	instead := list.Items[0].DeepCopy()
	address := "https://" + mute.Addr().String() + "/mutate"
	instead.Webhooks[0].FailurePolicy, instead.Webhooks[0].ClientConfig.URL = &policy, &address
	if instead, err = api.Update(o.Context(), instead, metav1.UpdateOptions{}); err != nil {
		return err
	}
	ended := begin()
	select {
	case <-asked:
	case err := <-ended:
		return fmt.Errorf("the study ended before the webhook was asked: %w", err)
	}
	instead.Webhooks = list.Items[0].Webhooks
	if _, err := api.Update(o.Context(), instead, metav1.UpdateOptions{}); err != nil {
		return err
	}
	return <-ended
}

// relay stands between the program and the API server.
type relay struct {
	delay atomic.Int64 // of each piece that the server sends
	away  atomic.Bool  // no connection is taken

	mu   sync.Mutex
	open map[net.Conn]bool
}

// newRelay has the kubeconfig name a relay in the server's place.
func newRelay(t *testing.T, kubeconfig string) *relay {
	t.Helper()
	data, err := os.ReadFile(kubeconfig)
	if err != nil {
		t.Fatal(err)
	}
	server, err := url.Parse(string(regexp.MustCompile(`https://127\.0\.0\.1:\d+`).Find(data)))
	if err != nil || server.Host == "" {
		t.Fatalf("no server in %s: %v", data, err)
	}
	in, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(kubeconfig, bytes.ReplaceAll(data, []byte(server.Host), []byte(in.Addr().String())), 0o600); err != nil {
		t.Fatal(err)
	}
	r := &relay{open: map[net.Conn]bool{}}
	t.Cleanup(func() {
		in.Close()
		r.cut()
	})
	go func() {
		for {
			c, err := in.Accept()
			if err != nil {
				return
			}
			if r.away.Load() {
				c.Close()
				continue
			}
			go r.join(c, server.Host)
		}
	}()
	return r
}

func (r *relay) join(c net.Conn, address string) {
	defer c.Close()
	to, err := new(net.Dialer).DialContext(context.Background(), "tcp", address)
	if err != nil {
		return
	}
	defer to.Close()
	r.mu.Lock()
	r.open[c] = true
	r.mu.Unlock()
	go func() {
		defer to.Close()
		_, _ = io.Copy(to, c)
	}()
	buffer := make([]byte, 1<<16)
	for {
		n, err := to.Read(buffer)
		time.Sleep(time.Duration(r.delay.Load()))
		if _, e := c.Write(buffer[:n]); e != nil || err != nil {
			break
		}
	}
	r.mu.Lock()
	delete(r.open, c)
	r.mu.Unlock()
}

// cut ends all connections.
func (r *relay) cut() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for c := range r.open {
		c.Close()
	}
}
