package serve

import (
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/kubernetes/scheme"
	typedcorev1 "k8s.io/client-go/kubernetes/typed/core/v1"
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

func newRecorder(client kubernetes.Interface) *recorder {
	b := record.NewBroadcaster()
	b.StartRecordingToSink(&typedcorev1.EventSinkImpl{Interface: client.CoreV1().Events("")})
	return &recorder{b, b.NewRecorder(scheme.Scheme, corev1.EventSource{Component: component})}
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
