// Package autoscaler installs the cluster-autoscaler of the cluster's minor version and proves it by what it reports of itself.
package autoscaler

import (
	"context"
	"errors"
	"fmt"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/compspec/ocifit-lab/addons"
	"github.com/compspec/ocifit-lab/addons/component"
	"github.com/compspec/ocifit-lab/provision/kube"
)

const (
	statusName = "cluster-autoscaler-status"
	updated    = "cluster-autoscaler.kubernetes.io/last-updated"
	// stale is several of its rounds of ten seconds.
	stale = 2 * time.Minute
)

// Options describe an autoscaler on EKS.
type Options struct {
	Cluster, Region string
	// Role is the ARN of the IAM role that its service account takes.
	Role string
	// ServiceAccount is one that exists already, with its role; empty makes one.
	ServiceAccount string
	// ScaleDownAfter is when a node that nobody needs goes.
	ScaleDownAfter time.Duration
	// Image is the autoscaler of the cluster's minor.
	Repository, Tag string
}

// Values are what the lab sets in the chart.
func Values(o Options) map[string]any {
	account := map[string]any{"create": true, "name": "cluster-autoscaler"}
	if o.Role != "" {
		account["annotations"] = map[string]any{"eks.amazonaws.com/role-arn": o.Role}
	}
	if o.ServiceAccount != "" {
		account = map[string]any{"create": false, "name": o.ServiceAccount}
	}
	values := map[string]any{
		"cloudProvider": "aws",
		"awsRegion":     o.Region,
		"autoDiscovery": map[string]any{"clusterName": o.Cluster},
		"rbac":          map[string]any{"serviceAccount": account},
		"extraArgs": map[string]any{
			"balance-similar-node-groups":   false,
			"skip-nodes-with-local-storage": false,
			"scale-down-unneeded-time":      o.ScaleDownAfter.String(),
			// Any longer, and trials side by side would keep every idle node for as long as one of them starts a node.
			"scale-down-delay-after-add": "0s",
			"write-status-configmap":     true,
		},
	}
	if o.Tag != "" {
		values["image"] = map[string]any{"repository": o.Repository, "tag": o.Tag}
	}
	return values
}

// Addon is the cluster-autoscaler.
type Addon struct {
	*component.Component
	// Now is the clock; nil is the real one.
	Now func() time.Time
}

// Name implements addons.Addon.
func (*Addon) Name() string { return "autoscaler" }

// Needs implements addons.Addon.
func (*Addon) Needs() []string { return nil }

// Requires implements addons.Addon.
func (*Addon) Requires() addons.Requirements { return addons.Requirements{Nodes: true, Identity: true} }

// Plan implements addons.Addon.
func (a *Addon) Plan() string {
	return fmt.Sprintf("install %s, and wait until it reports on the node groups", a.Title())
}

// Ready reads the autoscaler's own report, which it writes in every round that reached the cloud.
func (a *Addon) Ready(ctx context.Context, c *kube.Cluster) error {
	if err := a.Complete(ctx, c); err != nil {
		return err
	}
	cm, err := c.Clientset.CoreV1().ConfigMaps(a.Namespace).Get(ctx, statusName, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return errors.New("the autoscaler has not reported yet")
	}
	if err != nil {
		return c.Explain(err)
	}
	at, err := time.Parse("2006-01-02 15:04:05.999999999 -0700 MST", cm.Annotations[updated])
	if err != nil {
		return fmt.Errorf("the autoscaler's report has no date: %w", err)
	}
	now := time.Now
	if a.Now != nil {
		now = a.Now
	}
	if age := now().Sub(at); age > stale {
		return fmt.Errorf("the autoscaler's last report is %s old", age.Round(time.Second))
	}
	return nil
}
