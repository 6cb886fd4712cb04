package kind

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/compspec/ocifit-lab/provision/step"
)

// Labels of a node that say which group it belongs to, as on EKS, and that its identity was given to it.
const (
	labelGroup     = "eks.amazonaws.com/nodegroup"
	labelPretended = "kind.ocifit-lab/pretended"
)

// featurePrefix begins the labels that node-feature-discovery finds out by itself.
const featurePrefix = "feature.node.kubernetes.io/"

// wanted are the labels of a node that are missing or differ. Features that are there already stay: where
// node-feature-discovery runs they are its findings, and it would put them back.
func wanted(id Identity, have map[string]string) map[string]string {
	want := map[string]string{labelGroup: id.Group, labelPretended: "true"}
	for k, v := range id.Labels {
		switch {
		case k == corev1.LabelArchStable || k == corev1.LabelOSStable || k == corev1.LabelHostname:
			// kubelet knows better
		case strings.HasPrefix(k, featurePrefix):
			if _, there := have[k]; !there {
				want[k] = v
			}
		default:
			want[k] = v
		}
	}
	maps.DeleteFunc(want, func(k, v string) bool { return have[k] == v })
	return want
}

// identities are the nodes' names with what they stand for.
func (p *Provider) identities() map[string]Identity {
	ids := map[string]Identity{p.opts.Cluster + "-control-plane": p.opts.ControlPlane}
	for i, w := range p.opts.Workers {
		ids[p.workerName(i)] = w
	}
	return ids
}

func (p *Provider) identified(ctx context.Context) (bool, error) {
	missing, err := p.missingLabels(ctx)
	return err == nil && len(missing) == 0, nil
}

// missingLabels are the labels that identify has to set, by node.
func (p *Provider) missingLabels(ctx context.Context) (map[string]map[string]string, error) {
	_, c, err := p.cluster(ctx)
	if err != nil {
		return nil, err
	}
	missing := map[string]map[string]string{}
	for name, id := range p.identities() {
		node, err := c.Clientset.CoreV1().Nodes().Get(ctx, name, metav1.GetOptions{})
		if err != nil {
			return nil, err
		}
		if labels := wanted(id, node.Labels); len(labels) > 0 {
			missing[name] = labels
		}
	}
	return missing, nil
}

// identify labels the nodes. kubelet may not set such labels by itself, so they come after the creation.
func (p *Provider) identify(ctx context.Context, log step.Log) error {
	missing, err := p.missingLabels(ctx)
	if err != nil {
		return err
	}
	_, c, err := p.cluster(ctx)
	if err != nil {
		return err
	}
	for name, labels := range missing {
		log("%s is a %s now", name, p.identities()[name].InstanceType)
		patch, err := json.Marshal(map[string]any{"metadata": map[string]any{"labels": labels}})
		if err != nil {
			return err
		}
		if _, err := c.Clientset.CoreV1().Nodes().Patch(ctx, name, types.MergePatchType, patch, metav1.PatchOptions{}); err != nil {
			return fmt.Errorf("label node %s: %w", name, err)
		}
	}
	return nil
}
