package bench

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"slices"
	"strconv"
	"time"

	admissionv1 "k8s.io/api/admission/v1"
	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/compspec/ocifit-lab/provision/kube"
	"github.com/compspec/ocifit-lab/provision/pki"
	"github.com/compspec/ocifit-lab/webhook/compat"
)

const noopLabel = "bench.ocifit-lab/noop"

// admission measures how long the API server takes to make a pod (dry run) that the lab's webhook decides about, and one that goes to a
// webhook which decodes the review and allows it, in turns.
func (b *bench) admission(ctx context.Context) error {
	b.Say("%d admissions by each webhook", b.Admissions)
	cluster, err := kube.Connect(b.kubeconfig())
	if err != nil {
		return err
	}
	remove, err := b.registerNoop(ctx, cluster)
	if err != nil {
		return fmt.Errorf("webhook that does nothing: %w", err)
	}
	defer remove()
	const namespace = metav1.NamespaceDefault
	ours := pod(map[string]string{compat.LabelEnabled: "true"}, map[string]string{
		compat.AnnotationImageRef: compat.PublishedRegistry + "/" + compat.PublishedArtifact, compat.AnnotationModel: "fom",
	})
	noop := pod(map[string]string{noopLabel: "true"}, nil)
	var deciding, allowing []float64
	ask := func(p *corev1.Pod) (*corev1.Pod, float64, error) {
		start := time.Now()
		made, err := cluster.Clientset.CoreV1().Pods(namespace).Create(ctx, p, metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}})
		return made, float64(time.Since(start).Microseconds()) / 1000, err
	}
	for i := range b.Admissions + warmUp {
		made, decided, err := ask(ours)
		if err != nil {
			return fmt.Errorf("admission by the lab's webhook: %w", err)
		}
		if made.Annotations[compat.AnnotationDecision] == "" {
			return errors.New("admission by the lab's webhook: the pod carries no decision")
		}
		_, allowed, err := ask(noop)
		if err != nil {
			return fmt.Errorf("admission by a webhook that does nothing: %w", err)
		}
		if i >= warmUp {
			deciding, allowing = append(deciding, decided), append(allowing, allowed)
		}
	}
	for _, q := range []float64{0.5, 0.99} {
		b.row(Row{
			Name: fmt.Sprintf("pod with a decision, p%.0f", q*100), Value: quantile(deciding, q), Unit: "ms",
			Against: "webhook that does nothing", Reference: quantile(allowing, q),
		})
	}
	return nil
}

// warmUp is how many first admissions do not count: connections and caches are made then.
const warmUp = 20

// quantile is the nearest-rank quantile.
func quantile(values []float64, q float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	return sorted[min(int(q*float64(len(sorted))), len(sorted)-1)]
}

func pod(labels, annotations map[string]string) *corev1.Pod {
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{GenerateName: "bench-", Labels: labels, Annotations: annotations},
		Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: "main", Image: "placeholder:latest"}}},
	}
}

// registerNoop serves a webhook that decodes and allows, on loopback, and tells the API server of it.
func (b *bench) registerNoop(ctx context.Context, cluster *kube.Cluster) (remove func(), err error) {
	authority, err := pki.New("ocifit-lab bench", time.Now())
	if err != nil {
		return nil, err
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	server := &http.Server{
		Handler: http.HandlerFunc(allow), ErrorLog: log.New(io.Discard, "", 0), ReadHeaderTimeout: 10 * time.Second,
		TLSConfig: &tls.Config{MinVersion: tls.VersionTLS12, GetCertificate: authority.Serve(pki.Request{
			CommonName: "ocifit-lab bench", IPs: []net.IP{net.IPv4(127, 0, 0, 1)},
		})},
	}
	go func() { _ = server.ServeTLS(listener, "", "") }()
	url := "https://127.0.0.1:" + strconv.Itoa(listener.Addr().(*net.TCPAddr).Port)
	none, fail := admissionregistrationv1.SideEffectClassNone, admissionregistrationv1.Fail
	configurations := cluster.Clientset.AdmissionregistrationV1().MutatingWebhookConfigurations()
	const name = "bench.ocifit-lab"
	_, err = configurations.Create(ctx, &admissionregistrationv1.MutatingWebhookConfiguration{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Webhooks: []admissionregistrationv1.MutatingWebhook{{
			Name:                    "noop.bench.ocifit-lab",
			ClientConfig:            admissionregistrationv1.WebhookClientConfig{URL: &url, CABundle: authority.CertPEM},
			Rules:                   []admissionregistrationv1.RuleWithOperations{{Operations: []admissionregistrationv1.OperationType{admissionregistrationv1.Create}, Rule: admissionregistrationv1.Rule{APIGroups: []string{""}, APIVersions: []string{"v1"}, Resources: []string{"pods"}}}},
			ObjectSelector:          &metav1.LabelSelector{MatchLabels: map[string]string{noopLabel: "true"}},
			SideEffects:             &none,
			FailurePolicy:           &fail,
			AdmissionReviewVersions: []string{"v1"},
		}},
	}, metav1.CreateOptions{})
	if err != nil && !apierrors.IsAlreadyExists(err) {
		return nil, errors.Join(err, server.Close())
	}
	return func() {
		// The lab goes in a moment; an error leaves nothing behind.
		_ = configurations.Delete(context.WithoutCancel(ctx), name, metav1.DeleteOptions{})
		_ = server.Close()
	}, nil
}

func allow(w http.ResponseWriter, r *http.Request) {
	var review admissionv1.AdmissionReview
	if err := json.NewDecoder(r.Body).Decode(&review); err != nil || review.Request == nil {
		http.Error(w, "not a review", http.StatusBadRequest)
		return
	}
	review.Response = &admissionv1.AdmissionResponse{UID: review.Request.UID, Allowed: true}
	review.Request = nil
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(review)
}
