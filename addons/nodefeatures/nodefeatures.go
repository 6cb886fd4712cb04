// Package nodefeatures puts the cached node features into the cluster, so that instance types without a node can be chosen.
package nodefeatures

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"

	"github.com/compspec/ocifit-lab/addons"
	"github.com/compspec/ocifit-lab/provision/kube"
	"github.com/compspec/ocifit-lab/provision/step"
)

// ConfigMap is the name, and File the key, that the study's webhook reads.
const (
	ConfigMap = "node-features"
	File      = "node-features.json"
)

const fieldOwner = "ocifit-lab"

// Addon is the ConfigMap with the cached features.
type Addon struct {
	// Namespace is where the webhook runs.
	Namespace string
	// Features is a JSON list with one label map per instance type.
	Features []byte
	// Types is how many there are.
	Types int
}

// Name implements addons.Addon.
func (*Addon) Name() string { return "node-features" }

// Needs implements addons.Addon.
func (*Addon) Needs() []string { return nil }

// Requires implements addons.Addon.
func (*Addon) Requires() addons.Requirements { return addons.Requirements{} }

// Plan implements addons.Addon.
func (a *Addon) Plan() string {
	return fmt.Sprintf("store the cached node features of %d instance types in ConfigMap %s/%s", a.Types, a.Namespace, ConfigMap)
}

// Install implements addons.Addon.
func (a *Addon) Install(ctx context.Context, c *kube.Cluster, _ step.Log) error {
	return c.ApplyTyped(ctx, fieldOwner, kube.Namespace(a.Namespace), a.configMap())
}

// Ready implements addons.Addon.
func (a *Addon) Ready(ctx context.Context, c *kube.Cluster) error {
	cm, err := c.Clientset.CoreV1().ConfigMaps(a.Namespace).Get(ctx, ConfigMap, metav1.GetOptions{})
	if err != nil {
		return err
	}
	if cm.Data[File] != string(a.Features) {
		return fmt.Errorf("ConfigMap %s/%s holds other features than this lab's", a.Namespace, ConfigMap)
	}
	return nil
}

// Remove implements addons.Addon. The namespace stays: others may use it, and it goes with the cluster.
func (a *Addon) Remove(ctx context.Context, c *kube.Cluster, _ step.Log) error {
	cm, err := yaml.Marshal(a.configMap())
	if err != nil {
		return err
	}
	return c.Delete(ctx, cm)
}

func (a *Addon) configMap() *corev1.ConfigMap {
	return &corev1.ConfigMap{
		TypeMeta:   metav1.TypeMeta{APIVersion: "v1", Kind: "ConfigMap"},
		ObjectMeta: metav1.ObjectMeta{Name: ConfigMap, Namespace: a.Namespace},
		Data:       map[string]string{File: string(a.Features)},
	}
}
