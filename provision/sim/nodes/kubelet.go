package nodes

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	stdlog "log"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	listers "k8s.io/client-go/listers/core/v1"

	"github.com/compspec/ocifit-lab/provision/pki"
	"github.com/compspec/ocifit-lab/provision/wait"
)

// kubelet answers for all nodes what the API server asks kubelets: the logs of containers.
type kubelet struct {
	pods   podSource
	logDir string
	port   int
	failed chan error
}

// podSource tells how a pod is.
type podSource interface {
	Get(ctx context.Context, namespace, name string) (*corev1.Pod, error)
	// Gone returns when the container no longer runs, or with the context's error.
	Gone(ctx context.Context, pod *corev1.Pod, container string) error
}

func startKubelet(ctx context.Context, client kubernetes.Interface, o Options) (*kubelet, error) {
	loopback := net.IPv4(127, 0, 0, 1)
	listener, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{
		MinVersion: tls.VersionTLS12, NextProtos: []string{"h2", "http/1.1"},
		GetCertificate: o.CA.Serve(pki.Request{CommonName: "kubelet", IPs: []net.IP{loopback}, Life: pki.ShortLife}), ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: o.CA.Pool(),
		VerifyConnection: func(s tls.ConnectionState) error { return allowClient(s.PeerCertificates, o.ClientName) },
	})
	if err != nil {
		return nil, fmt.Errorf("listen for the kubelet endpoint: %w", err)
	}
	pods, err := watchPods(ctx, client)
	if err != nil {
		listener.Close()
		return nil, err
	}
	k := &kubelet{pods: pods, logDir: o.LogDir, port: listener.Addr().(*net.TCPAddr).Port, failed: make(chan error, 1)}
	errorLog := stdlog.New(logOrDiscard(o.Log), "kubelet endpoint: ", stdlog.LstdFlags)
	server := &http.Server{
		Handler: k.handler(), ReadHeaderTimeout: 10 * time.Second, ErrorLog: errorLog,
		BaseContext: func(net.Listener) context.Context { return ctx },
	}
	context.AfterFunc(ctx, func() { _ = server.Close() })
	go func() {
		if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			k.failed <- fmt.Errorf("kubelet endpoint: %w", err)
		}
	}()
	return k, nil
}

func allowClient(chain []*x509.Certificate, name string) error {
	if len(chain) == 0 || chain[0].Subject.CommonName != name {
		return errors.New("only the API server may ask")
	}
	return nil
}

func (k *kubelet) handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /containerLogs/{namespace}/{pod}/{container}", k.containerLogs)
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("ok")) })
	for _, verb := range []string{"exec", "attach", "portForward", "run"} {
		mux.HandleFunc("/"+verb+"/", func(w http.ResponseWriter, _ *http.Request) {
			http.Error(w, verb+": the pod is simulated, nothing runs in it; its logs can be read", http.StatusNotImplemented)
		})
	}
	return mux
}

func (k *kubelet) containerLogs(w http.ResponseWriter, r *http.Request) {
	namespace, name, container := r.PathValue("namespace"), r.PathValue("pod"), r.PathValue("container")
	for _, part := range []string{namespace, name, container} {
		if part == "" || part == ".." || strings.ContainsAny(part, `/\`) {
			http.Error(w, fmt.Sprintf("bad name %q", part), http.StatusBadRequest)
			return
		}
	}
	options, err := parseLogOptions(r.URL.Query())
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	pod, err := k.pods.Get(r.Context(), namespace, name)
	if apierrors.IsNotFound(err) {
		http.Error(w, fmt.Sprintf("pod %q does not exist", name), http.StatusNotFound)
		return
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	state, err := containerState(pod, container)
	if err != nil || options.previous {
		if err == nil {
			err = fmt.Errorf("previous terminated container %q in pod %q not found", container, name)
		}
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	source := logFile{path: filepath.Join(k.logDir, namespace+"_"+name, container+".log"), started: state.started}
	if options.follow && state.running {
		ctx, cancel := context.WithCancel(r.Context())
		defer cancel()
		gone := make(chan struct{})
		go func() {
			if k.pods.Gone(ctx, pod, container) == nil {
				close(gone)
			}
		}()
		source.gone = gone
	}
	source.noteReading()
	w.Header().Set("Content-Type", "text/plain")
	w.WriteHeader(http.StatusOK)
	// A follower wants to know that it follows before the first line is there.
	if flusher, ok := w.(http.Flusher); ok {
		flusher.Flush()
	}
	// The answer has begun: an error can only end it, and then the client sees the end of the stream.
	_ = source.copyTo(r.Context(), flushWriter{w}, options)
}

type startState struct {
	started time.Time
	running bool
}

// containerState tells since when a container runs; the error says why it has no logs, in the words that clients know from the kubelet.
func containerState(pod *corev1.Pod, container string) (startState, error) {
	for _, statuses := range [][]corev1.ContainerStatus{pod.Status.ContainerStatuses, pod.Status.InitContainerStatuses} {
		for _, s := range statuses {
			if s.Name != container {
				continue
			}
			switch {
			case s.State.Running != nil:
				return startState{s.State.Running.StartedAt.Time, true}, nil
			case s.State.Terminated != nil:
				return startState{s.State.Terminated.StartedAt.Time, false}, nil
			case s.State.Waiting != nil && s.State.Waiting.Reason != "":
				return startState{}, fmt.Errorf("container %q in pod %q is waiting to start: %s", container, pod.Name, s.State.Waiting.Reason)
			}
		}
	}
	return startState{}, fmt.Errorf("container %q in pod %q is not available", container, pod.Name)
}

// podClient knows the pods from a watch.
type podClient struct {
	client kubernetes.Interface
	seen   listers.PodLister
}

func watchPods(ctx context.Context, client kubernetes.Interface) (podClient, error) {
	factory := informers.NewSharedInformerFactory(client, 0)
	pods := factory.Core().V1().Pods()
	c := podClient{client, pods.Lister()}
	factory.StartWithContext(ctx)
	for _, ok := range factory.WaitForCacheSync(ctx.Done()) {
		if !ok {
			return c, fmt.Errorf("kubelet endpoint: no list of pods: %w", context.Cause(ctx))
		}
	}
	return c, nil
}

// Get asks the API server for a pod that has not ended as far as is seen: the watch may be behind.
func (c podClient) Get(ctx context.Context, namespace, name string) (*corev1.Pod, error) {
	if pod, err := c.seen.Pods(namespace).Get(name); err == nil && (pod.Status.Phase == corev1.PodSucceeded || pod.Status.Phase == corev1.PodFailed) {
		return pod, nil
	}
	return c.client.CoreV1().Pods(namespace).Get(ctx, name, metav1.GetOptions{})
}

func (c podClient) Gone(ctx context.Context, pod *corev1.Pod, container string) error {
	for {
		watch, err := c.client.CoreV1().Pods(pod.Namespace).Watch(ctx, metav1.ListOptions{
			FieldSelector: "metadata.name=" + pod.Name, ResourceVersion: pod.ResourceVersion,
		})
		if err == nil {
			for event := range watch.ResultChan() {
				now, ok := event.Object.(*corev1.Pod)
				if !ok {
					break
				}
				state, err := containerState(now, container)
				if now.UID != pod.UID || event.Type == "DELETED" || err != nil || !state.running {
					watch.Stop()
					return nil
				}
			}
			watch.Stop()
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		// The watch broke or is too old: look afresh.
		now, err := c.Get(ctx, pod.Namespace, pod.Name)
		if apierrors.IsNotFound(err) {
			return nil
		}
		if err != nil {
			if err := wait.Pause(ctx, 100*time.Millisecond); err != nil {
				return err
			}
			continue
		}
		if state, err := containerState(now, container); now.UID != pod.UID || err != nil || !state.running {
			return nil
		}
		pod = now
	}
}
