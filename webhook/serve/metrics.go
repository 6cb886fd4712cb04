package serve

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/compspec/ocifit-lab/webhook/admit"
	"github.com/compspec/ocifit-lab/webhook/artifact"
	"github.com/compspec/ocifit-lab/webhook/features"
	"github.com/compspec/ocifit-lab/webhook/patch"
)

// metrics are what /metrics shows.
type metrics struct {
	registry     *prometheus.Registry
	admissions   *prometheus.CounterVec
	seconds      prometheus.Histogram
	rejected     *prometheus.CounterVec
	predictions  *prometheus.CounterVec
	outOfDomain  prometheus.Counter
	ties         prometheus.Counter
	panics       prometheus.Counter
	reloadErrors prometheus.Counter
}

func newMetrics(index *features.Index, specs *artifact.Cache) *metrics {
	counter := func(name, help string) prometheus.Counter {
		return prometheus.NewCounter(prometheus.CounterOpts{Name: name, Help: help})
	}
	m := &metrics{
		registry: prometheus.NewRegistry(),
		admissions: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "ocifit_admissions_total", Help: "Answered admission requests by kind, result and reason of denial.",
		}, []string{"kind", "result", "reason"}),
		seconds: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "ocifit_admission_seconds", Help: "Time to answer an admission request.",
			Buckets: []float64{.0001, .00025, .0005, .001, .002, .005, .01, .05, .25, 1, 4},
		}),
		rejected: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "ocifit_bad_requests_total", Help: "HTTP requests that were no admission request, by status code.",
		}, []string{"code"}),
		predictions: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "ocifit_predictions_total", Help: "Questions to the predict API, by status code.",
		}, []string{"code"}),
		outOfDomain:  counter("ocifit_out_of_domain_total", "Candidates left out of a selection because the model does not know their labels."),
		ties:         counter("ocifit_ties_total", "Selections in which several types had the best score."),
		panics:       counter("ocifit_panics_total", "Requests that ended in a panic."),
		reloadErrors: counter("ocifit_catalogue_reload_errors_total", "Failed attempts to read the catalogue again."),
	}
	m.registry.MustRegister(m.admissions, m.seconds, m.rejected, m.predictions, m.outOfDomain, m.ties, m.panics, m.reloadErrors)
	for result, read := range map[string]func(artifact.Stats) uint64{
		"hit": func(s artifact.Stats) uint64 { return s.Hits }, "miss": func(s artifact.Stats) uint64 { return s.Misses },
		"stale": func(s artifact.Stats) uint64 { return s.Stale }, "failure": func(s artifact.Stats) uint64 { return s.Failures },
	} {
		m.registry.MustRegister(prometheus.NewCounterFunc(prometheus.CounterOpts{
			Name: "ocifit_artifact_cache_total", Help: "Questions to the artifact cache by result.", ConstLabels: prometheus.Labels{"result": result},
		}, func() float64 { return float64(read(specs.Stats())) }))
	}
	gauge := func(name, help string, read func() int) {
		m.registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help}, func() float64 { return float64(read()) }))
	}
	gauge("ocifit_catalogue_types", "Instance types in the catalogue.", func() int { n, _ := index.Size(); return n })
	gauge("ocifit_live_nodes", "Live nodes that count as candidates.", func() int { _, n := index.Size(); return n })
	return m
}

// observe counts one answered review.
func (m *metrics) observe(r admit.Report, took time.Duration) {
	kind := r.Kind
	if !patch.Kind(kind).Valid() {
		kind = "other"
	}
	m.admissions.WithLabelValues(kind, r.Result, r.Reason).Inc()
	m.seconds.Observe(took.Seconds())
	if r.Outcome == nil || r.Result != admit.ResultSelected {
		return
	}
	m.outOfDomain.Add(float64(len(r.Outcome.Decision.OutOfDomain)))
	if len(r.Outcome.Decision.Tied) > 1 {
		m.ties.Inc()
	}
}
