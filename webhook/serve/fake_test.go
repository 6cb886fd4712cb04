package serve

import (
	"context"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/kubernetes/fake"
	typedcorev1 "k8s.io/client-go/kubernetes/typed/core/v1"
)

// fakeCluster is client-go's stand-in for a cluster.
type fakeCluster struct {
	*typedcorev1.EventSinkImpl
	client kubernetes.Interface
}

func clusterOf(client *fake.Clientset) Cluster {
	return fakeCluster{&typedcorev1.EventSinkImpl{Interface: client.CoreV1().Events("")}, client}
}

func (c fakeCluster) ListNodes(ctx context.Context, opts metav1.ListOptions) (*corev1.NodeList, error) {
	return c.client.CoreV1().Nodes().List(ctx, opts)
}

func (c fakeCluster) WatchNodes(ctx context.Context, opts metav1.ListOptions) (watch.Interface, error) {
	return c.client.CoreV1().Nodes().Watch(ctx, opts)
}

// IsWatchListSemanticsUnSupported says that the stand-in cannot stream its lists.
func (fakeCluster) IsWatchListSemanticsUnSupported() bool { return true }
