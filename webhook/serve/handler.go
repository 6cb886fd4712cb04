package serve

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"mime"
	"net/http"
	"runtime/debug"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus/promhttp"
	admissionv1 "k8s.io/api/admission/v1"

	"github.com/compspec/ocifit-lab/webhook/admit"
)

// Paths that the server answers.
const (
	PathMutate  = "/mutate"
	PathHealth  = "/healthz"
	PathReady   = "/readyz"
	PathMetrics = "/metrics"
)

// handler routes the paths.
func (s *server) handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST "+PathMutate, s.mutate)
	mux.HandleFunc("GET "+PathHealth, func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "ok\n") })
	mux.HandleFunc("GET "+PathReady, s.readyz)
	mux.Handle("GET "+PathMetrics, promhttp.HandlerFor(s.metrics.registry, promhttp.HandlerOpts{}))
	return s.guarded(mux)
}

// guarded turns a panic into a 500 for that request alone.
func (s *server) guarded(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer func() {
			p := recover()
			if p == nil {
				return
			}
			if p == http.ErrAbortHandler { //nolint:errorlint // net/http compares it this way
				panic(p)
			}
			s.metrics.panics.Inc()
			s.cfg.Log.Error("panic", "path", r.URL.Path, "panic", fmt.Sprint(p), "stack", string(debug.Stack()))
			http.Error(w, "internal error; the webhook's log has the details", http.StatusInternalServerError)
		}()
		next.ServeHTTP(w, r)
	})
}

func (s *server) readyz(w http.ResponseWriter, _ *http.Request) {
	if missing := s.missing(); missing != "" {
		http.Error(w, missing, http.StatusServiceUnavailable)
		return
	}
	_, _ = io.WriteString(w, "ok\n")
}

// mutate answers an AdmissionReview.
func (s *server) mutate(w http.ResponseWriter, r *http.Request) {
	start := time.Now()
	review, release, code, err := s.read(w, r)
	if err != nil {
		s.metrics.rejected.WithLabelValues(strconv.Itoa(code)).Inc()
		s.cfg.Log.Warn("bad request", "code", code, "error", err, "from", r.RemoteAddr)
		refuse(w, err.Error(), code)
		return
	}
	defer release()
	ctx, cancel := context.WithTimeout(r.Context(), s.budget(r))
	defer cancel()
	response, report := s.decider.Review(ctx, review.Request)
	answer, err := json.Marshal(admissionv1.AdmissionReview{TypeMeta: review.TypeMeta, Response: response})
	if err != nil {
		http.Error(w, "encode the answer: "+err.Error(), http.StatusInternalServerError)
		return
	}
	took := time.Since(start)
	s.metrics.observe(report, took)
	s.logReview(report, took)
	s.recorder.record(report)
	if s.cfg.OnReview != nil {
		s.cfg.OnReview(report)
	}
	w.Header().Set("Content-Type", "application/json")
	if _, err := w.Write(answer); err != nil {
		s.cfg.Log.Warn("the answer could not be sent", "error", err)
	}
}

// refuse answers with an error; whoever comes at a busy time may come again.
func refuse(w http.ResponseWriter, text string, code int) {
	if code == http.StatusServiceUnavailable {
		w.Header().Set("Retry-After", "1")
	}
	http.Error(w, text, code)
}

// read decodes the body, which the review is a part of until it is released; the code is the HTTP status of the error.
func (s *server) read(w http.ResponseWriter, r *http.Request) (*admissionv1.AdmissionReview, func(), int, error) {
	if t := r.Header.Get("Content-Type"); t != "application/json" {
		if t, _, err := mime.ParseMediaType(t); err != nil || t != "application/json" {
			return nil, nil, http.StatusUnsupportedMediaType, fmt.Errorf("content type is %q, must be application/json", r.Header.Get("Content-Type"))
		}
	}
	body, release, code, err := s.bodies.read(w, r)
	if err != nil {
		return nil, nil, code, err
	}
	review, err := decodeReview(body)
	if err != nil {
		release()
		return nil, nil, http.StatusBadRequest, err
	}
	return review, release, 0, nil
}

// budget is the time for one decision: the configured one, or nine tenths of the timeout that the API server
// names in the query, so that our answer and not its timeout reaches the user.
func (s *server) budget(r *http.Request) time.Duration {
	budget := s.cfg.DecisionTimeout
	if d, err := time.ParseDuration(r.URL.Query().Get("timeout")); err == nil && d > 0 {
		budget = min(budget, d*9/10)
	}
	return budget
}

// logReview writes one line per selection or denial.
func (s *server) logReview(r admit.Report, took time.Duration) {
	level := slog.LevelInfo
	switch r.Result {
	case admit.ResultUnchanged:
		level = slog.LevelDebug
	case admit.ResultDenied:
		level = slog.LevelWarn
	}
	if !s.cfg.Log.Enabled(context.Background(), level) {
		return
	}
	attrs := append(make([]slog.Attr, 0, 20), slog.String("kind", r.Kind), slog.String("namespace", r.Namespace), slog.String("name", r.Name),
		slog.Bool("dryRun", r.DryRun), slog.Duration("took", took))
	if r.Result == admit.ResultDenied {
		attrs = append(attrs, slog.String("reason", r.Reason), slog.String("message", r.Message))
	}
	if o := r.Outcome; o != nil && (r.Result == admit.ResultSelected || r.Result == admit.ResultKept) {
		attrs = append(attrs, slog.String("model", o.Decision.Model), slog.String("instanceType", o.Decision.InstanceType),
			slog.String("image", o.Decision.Image), slog.Int("candidates", o.Decision.Candidates),
			slog.Int("outOfDomain", len(o.Decision.OutOfDomain)), slog.String("artifactDigest", o.Decision.ArtifactDigest),
			slog.String("catalogueHash", o.Decision.CatalogueHash))
		if o.Decision.Score != nil {
			attrs = append(attrs, slog.Float64("score", *o.Decision.Score), slog.Int("tied", len(o.Decision.Tied)))
		}
		if u := o.Decision.RunnerUp; u != nil {
			attrs = append(attrs, slog.String("runnerUp", u.InstanceType))
		}
		if o.Decision.Seed != nil {
			attrs = append(attrs, slog.Uint64("seed", *o.Decision.Seed))
		}
	}
	s.cfg.Log.LogAttrs(context.Background(), level, r.Result, attrs...)
}
