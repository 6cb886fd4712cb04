package serve

import (
	"fmt"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/tools/record"

	"github.com/compspec/ocifit-lab/webhook/admit"
)

// component is the source that events name.
const component = "ocifit-lab-webhook"

// recorder writes events, in the background: many alike become one with a count, and when too many come some are
// dropped rather than an admission delayed.
type recorder struct {
	broadcaster record.EventBroadcaster
	events      record.EventRecorder
}

// eventTimeout bounds the writing of one event.
const eventTimeout = 10 * time.Second

func newRecorder(cluster Cluster) *recorder {
	b := record.NewBroadcaster()
	b.StartRecordingToSink(cluster)
	// What an event is about is given as a reference, so that no type has to be known.
	return &recorder{b, b.NewRecorder(runtime.NewScheme(), corev1.EventSource{Component: component})}
}

// record writes an event for a review that selected or denied; a dry run leaves none.
func (r *recorder) record(report admit.Report) {
	if r == nil || report.DryRun || report.Regarding.Name == "" {
		return
	}
	about := report.Regarding
	switch report.Result {
	case admit.ResultDenied:
		r.events.Event(&about, corev1.EventTypeWarning, "SelectionDenied", report.Message)
	case admit.ResultSelected:
		r.events.Event(&about, corev1.EventTypeNormal, "InstanceSelected", sentence(report))
	}
}

// sentence tells a selection in one line.
func sentence(report admit.Report) string {
	d := report.Outcome.Decision
	var b strings.Builder
	fmt.Fprintf(&b, "%s: image %s", report.Kind, d.Image)
	if d.InstanceType != "" {
		fmt.Fprintf(&b, " on %s", d.InstanceType)
	}
	switch {
	case d.Seed != nil:
		fmt.Fprintf(&b, ", drawn from %d types with seed %d", d.Candidates, *d.Seed)
	case d.Model == "":
		fmt.Fprintf(&b, ", which fits all %d kinds of machines that the pod may meet", d.Candidates)
	default:
		fmt.Fprintf(&b, ", chosen by model %s among %d types", d.Model, d.Candidates)
	}
	if d.Score != nil {
		fmt.Fprintf(&b, ", score %.6g", *d.Score)
	}
	if d.RunnerUp != nil {
		fmt.Fprintf(&b, " (next %s: %.6g)", d.RunnerUp.InstanceType, d.RunnerUp.Score)
	}
	if len(d.Tied) > 1 {
		fmt.Fprintf(&b, "; %d types tied, %s decided", len(d.Tied), d.TieBreak)
	}
	return b.String()
}

// close writes what is still queued, as far as that is quick.
func (r *recorder) close() {
	if r != nil {
		r.broadcaster.Shutdown()
	}
}
