package assembly

import (
	"context"
	"os"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/compspec/ocifit-lab/addons"
	"github.com/compspec/ocifit-lab/addons/builtin/minicluster"
	"github.com/compspec/ocifit-lab/addons/nodefeatures"
	"github.com/compspec/ocifit-lab/provision/kube"
	"github.com/compspec/ocifit-lab/webhook/features"
)

// clientset is that of a kubeconfig; nil outside of a cluster when none is named.
func clientset(kubeconfig string) (kubernetes.Interface, error) {
	if kubeconfig == "" && os.Getenv("KUBERNETES_SERVICE_HOST") == "" {
		return nil, nil
	}
	config, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
	if err != nil {
		return nil, err
	}
	// Nodes are large, and there may be 10,000 of them.
	config.ContentType = "application/vnd.kubernetes.protobuf"
	return kubernetes.NewForConfig(config)
}

// PutCandidates puts what the webhook of the lab chooses from into an index: the node features in its cluster, and its nodes.
func (l *Lab) PutCandidates(ctx context.Context, index *features.Index) error {
	cluster, err := l.Provider.Connect(ctx)
	if err != nil {
		return err
	}
	cm, err := cluster.Clientset.CoreV1().ConfigMaps(addons.Namespace).Get(ctx, nodefeatures.ConfigMap, metav1.GetOptions{})
	if err != nil {
		return err
	}
	catalogue, err := features.LoadCatalogue([]byte(cm.Data[nodefeatures.File]), "")
	if err != nil {
		return err
	}
	index.SetCatalogue(catalogue)
	return putNodes(ctx, cluster.Clientset, index)
}

// PutNodes puts the nodes of a kubeconfig's cluster into an index.
func PutNodes(ctx context.Context, kubeconfig string, index *features.Index) error {
	client, err := clientset(kubeconfig)
	if err != nil {
		return err
	}
	return putNodes(ctx, client, index)
}

func putNodes(ctx context.Context, client kubernetes.Interface, index *features.Index) error {
	nodes, err := client.CoreV1().Nodes().List(ctx, metav1.ListOptions{})
	if err != nil {
		return err
	}
	for _, n := range nodes.Items {
		index.Put(features.NodeOf(&n))
	}
	return nil
}

// NodeLabels are the labels of a node of a cluster.
func NodeLabels(ctx context.Context, cluster *kube.Cluster, node string) (map[string]string, error) {
	n, err := cluster.Clientset.CoreV1().Nodes().Get(ctx, node, metav1.GetOptions{})
	if err != nil {
		return nil, err
	}
	return n.Labels, nil
}

// RunMiniClusters runs the builtin MiniCluster controller in the cluster that this program is a pod of.
func RunMiniClusters(ctx context.Context, o minicluster.Options) error {
	config, err := rest.InClusterConfig()
	if err != nil {
		return err
	}
	return minicluster.Run(ctx, config, o)
}
