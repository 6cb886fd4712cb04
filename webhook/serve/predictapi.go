package serve

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"strconv"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/compspec/ocifit-lab/webhook/predict"
)

// PathPredict is where the predict API answers.
const PathPredict = "/predict"

// servePredictions starts the predict API in the group.
func (s *server) servePredictions(ctx context.Context, g *errgroup.Group) error {
	ln, err := new(net.ListenConfig).Listen(ctx, "tcp", s.cfg.PredictListen)
	if err != nil {
		return fmt.Errorf("predict API: %w", err)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("POST "+PathPredict, s.predict)
	mux.HandleFunc("GET "+PathHealth, func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "ok\n") })
	web := &http.Server{
		Handler:           s.guarded(mux),
		ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 15 * time.Second, WriteTimeout: 30 * time.Second, IdleTimeout: 2 * time.Minute,
		MaxHeaderBytes: 64 << 10,
		ErrorLog:       slog.NewLogLogger(s.cfg.Log.Handler(), slog.LevelDebug),
	}
	g.Go(func() error {
		if err := web.Serve(ln); !errors.Is(err, http.ErrServerClosed) {
			return fmt.Errorf("predict API: %w", err)
		}
		return nil
	})
	g.Go(func() error { return s.stop(ctx, web) })
	if s.cfg.OnPredictListen != nil {
		s.cfg.OnPredictListen(ln.Addr().String())
	}
	return nil
}

// predict answers a question in the study's protocol.
func (s *server) predict(w http.ResponseWriter, r *http.Request) {
	var q predict.Request
	body, release, code, err := s.bodies.read(w, r)
	if err != nil {
		s.sendPrediction(w, code, predict.Refusal{Error: err.Error()})
		return
	}
	defer release()
	if err := json.Unmarshal(body, &q); err != nil {
		s.sendPrediction(w, http.StatusBadRequest, predict.Refusal{Error: "Invalid JSON input: " + err.Error()})
		return
	}
	answer, refusal, code := predict.Answer(s.models, q, rand.Uint64())
	if refusal != nil {
		s.sendPrediction(w, code, refusal)
		return
	}
	s.sendPrediction(w, code, answer)
}

func (s *server) sendPrediction(w http.ResponseWriter, code int, v any) {
	s.metrics.predictions.WithLabelValues(strconv.Itoa(code)).Inc()
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	if err := json.NewEncoder(w).Encode(v); err != nil {
		s.cfg.Log.Warn("the prediction could not be sent", "error", err)
	}
}
