package trial

import (
	"context"
	"fmt"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/yaml"

	"github.com/compspec/ocifit-lab/experiments/study"
	"github.com/compspec/ocifit-lab/provision/chart"
	"github.com/compspec/ocifit-lab/webhook/compat"
)

var (
	miniClusters = schema.GroupVersionResource{Group: compat.FluxGroup, Version: compat.FluxVersion, Resource: compat.FluxResource}
	jobs         = schema.GroupVersionResource{Group: "batch", Version: "v1", Resource: "jobs"}
	pods         = schema.GroupVersionResource{Version: "v1", Resource: "pods"}
)

// decide creates a trial's MiniCluster as a dry run and returns the instance type that came back.
func (r *Runner) decide(ctx context.Context, t study.Trial) (string, error) {
	release := releaseName(r.Study.Application, r.Store.ID(), t)
	values, err := r.values(t)
	if err != nil {
		return "", err
	}
	text, err := r.Chart.Render(values, chart.Target{Release: release, Namespace: r.Namespace})
	if err != nil {
		return "", &Failure{"chart", err}
	}
	for doc := range strings.SplitSeq(text, "\n---\n") {
		var object unstructured.Unstructured
		if err := yaml.Unmarshal([]byte(doc), &object.Object); err != nil {
			return "", &Failure{"chart", err}
		}
		if object.GetKind() != "MiniCluster" {
			continue
		}
		// A killed program may have left the trial's own MiniCluster.
		object.SetName("")
		object.SetGenerateName(release + "-")
		got, err := r.Cluster.Dynamic.Resource(miniClusters).Namespace(r.Namespace).Create(ctx, &object, metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}})
		if err != nil {
			return "", beforePod(&Failure{"webhook", r.Cluster.Explain(err)})
		}
		decision, err := compat.ParseDecision(got.GetAnnotations()[compat.AnnotationDecision])
		if err != nil {
			return "", beforePod(&Failure{"webhook", fmt.Errorf(noDecision+": %w", err)})
		}
		return decision.InstanceType, nil
	}
	return "", &Failure{"chart", fmt.Errorf("it renders no MiniCluster")}
}
