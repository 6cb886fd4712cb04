package trial

import (
	"context"
	"fmt"
	"strings"
	"sync"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/yaml"

	"github.com/compspec/ocifit-lab/provision/chart"
	"github.com/compspec/ocifit-lab/webhook/compat"
)

var (
	miniClusters = schema.GroupVersionResource{Group: compat.FluxGroup, Version: compat.FluxVersion, Resource: compat.FluxResource}
	jobs         = schema.GroupVersionResource{Group: "batch", Version: "v1", Resource: "jobs"}
	pods         = schema.GroupVersionResource{Version: "v1", Resource: "pods"}
)

// Nodes hands out instance types to trials that run at the same time. Each type has one node at most, so two trials on
// one type would share it and measure each other. A nil Nodes is for trials that run one by one.
type Nodes struct {
	mu    sync.Mutex
	inUse map[string]chan struct{}
}

// NewNodes is needed when trials run side by side.
func NewNodes() *Nodes { return &Nodes{inUse: map[string]chan struct{}{}} }

// take waits until the type is free.
func (n *Nodes) take(ctx context.Context, instanceType string, now func(format string, args ...any)) (release func(), err error) {
	if n == nil {
		return func() {}, nil
	}
	for {
		n.mu.Lock()
		busy := n.inUse[instanceType]
		if busy == nil {
			mine := make(chan struct{})
			n.inUse[instanceType] = mine
			n.mu.Unlock()
			return func() {
				n.mu.Lock()
				delete(n.inUse, instanceType)
				n.mu.Unlock()
				close(mine)
			}, nil
		}
		n.mu.Unlock()
		now("waiting for another trial on %s", instanceType)
		select {
		case <-busy:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// decide creates the trial's MiniCluster as a dry run and returns the instance type that came back.
func (a *attempt) decide(ctx context.Context) (string, error) {
	values, err := a.values(a.trial)
	if err != nil {
		return "", err
	}
	text, err := a.Chart.Render(values, chart.Target{Release: a.release, Namespace: a.Namespace})
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
		object.SetGenerateName(a.release + "-")
		got, err := a.Cluster.Dynamic.Resource(miniClusters).Namespace(a.Namespace).Create(ctx, &object, metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}})
		if err != nil {
			return "", beforePod(&Failure{"webhook", a.Cluster.Explain(err)})
		}
		decision, err := compat.ParseDecision(got.GetAnnotations()[compat.AnnotationDecision])
		if err != nil {
			return "", beforePod(&Failure{"webhook", fmt.Errorf(noDecision+": %w", err)})
		}
		return decision.InstanceType, nil
	}
	return "", &Failure{"chart", fmt.Errorf("it renders no MiniCluster")}
}
