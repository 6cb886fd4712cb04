package minicluster

import (
	"maps"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

const (
	// LabelCluster is on everything made for a MiniCluster; its value is the MiniCluster's name.
	LabelCluster = "flux-framework.org/minicluster"
	// labelNetwork finds the pods behind a headless service, which several MiniClusters may share.
	labelNetwork = "flux-framework.org/network"
	labelAppName = "app.kubernetes.io/name"
)

// reference makes an object go away with its MiniCluster.
func (c *cluster) reference(controller bool) metav1.OwnerReference {
	ref := metav1.OwnerReference{APIVersion: GVK.GroupVersion().String(), Kind: GVK.Kind, Name: c.Name, UID: c.UID}
	if controller {
		yes := true
		ref.Controller, ref.BlockOwnerDeletion = &yes, &yes
	}
	return ref
}

func (c *cluster) meta(name string, labels map[string]string) metav1.ObjectMeta {
	all := maps.Clone(labels)
	if all == nil {
		all = map[string]string{}
	}
	all[LabelCluster] = c.Name
	return metav1.ObjectMeta{Name: name, Namespace: c.Namespace, Labels: all, OwnerReferences: []metav1.OwnerReference{c.reference(true)}}
}

// service gives the pods of all MiniClusters that name it their host names. No MiniCluster controls it: it goes when
// the last one of them goes.
func (c *cluster) service() *corev1.Service {
	meta := c.meta(c.Spec.Network.HeadlessName, nil)
	meta.OwnerReferences = []metav1.OwnerReference{c.reference(false)}
	return &corev1.Service{
		ObjectMeta: meta,
		Spec: corev1.ServiceSpec{
			ClusterIP: corev1.ClusterIPNone,
			Selector:  c.serviceSelector(),
			// Brokers must find each other before any of them is ready.
			PublishNotReadyAddresses: true,
		},
	}
}

// serviceSelector finds the cluster's pods, or those of all clusters that share a service.
func (c *cluster) serviceSelector() map[string]string {
	if c.Spec.Network.HeadlessName == c.Name {
		return map[string]string{"job-name": c.Name}
	}
	return map[string]string{labelNetwork: c.Spec.Network.HeadlessName}
}

func (c *cluster) configMapName() string { return c.Name + "-entrypoint" }

// configMap carries the start scripts and the brokers' configuration.
func (c *cluster) configMap() (*corev1.ConfigMap, error) {
	files, err := scripts(c)
	if err != nil {
		return nil, err
	}
	if files[keyCurve], err = curveCert(c.Name); err != nil {
		return nil, err
	}
	return &corev1.ConfigMap{ObjectMeta: c.meta(c.configMapName(), nil), Data: files}, nil
}
