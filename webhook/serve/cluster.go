package serve

import (
	"context"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/record"
)

// Cluster is what the webhook needs of a cluster: its nodes, and a place for events.
type Cluster interface {
	ListNodes(ctx context.Context, opts metav1.ListOptions) (*corev1.NodeList, error)
	WatchNodes(ctx context.Context, opts metav1.ListOptions) (watch.Interface, error)
	record.EventSink
}

// connection speaks to a cluster. It knows the types of core/v1 alone: client-go's clientset links those of every API group, which is most
// of a small program.
type connection struct {
	client *rest.RESTClient
	params runtime.ParameterCodec
}

// Connect returns the cluster that a configuration names. Nothing is asked yet.
func Connect(config *rest.Config) (Cluster, error) {
	scheme := runtime.NewScheme()
	if err := corev1.AddToScheme(scheme); err != nil {
		return nil, err
	}
	metav1.AddToGroupVersion(scheme, corev1.SchemeGroupVersion)
	own := rest.CopyConfig(config)
	own.APIPath, own.GroupVersion = "/api", &corev1.SchemeGroupVersion
	own.NegotiatedSerializer = serializer.NewCodecFactory(scheme).WithoutConversion()
	// Nodes are large, and there may be 10,000 of them.
	own.ContentType, own.AcceptContentTypes = runtime.ContentTypeProtobuf, runtime.ContentTypeProtobuf+","+runtime.ContentTypeJSON
	if own.UserAgent == "" {
		own.UserAgent = rest.DefaultKubernetesUserAgent()
	}
	client, err := rest.RESTClientFor(own)
	if err != nil {
		return nil, err
	}
	return &connection{client, runtime.NewParameterCodec(scheme)}, nil
}

// ListNodes implements Cluster.
func (c *connection) ListNodes(ctx context.Context, opts metav1.ListOptions) (*corev1.NodeList, error) {
	list := &corev1.NodeList{}
	return list, c.client.Get().Resource("nodes").VersionedParams(&opts, c.params).Do(ctx).Into(list)
}

// WatchNodes implements Cluster.
func (c *connection) WatchNodes(ctx context.Context, opts metav1.ListOptions) (watch.Interface, error) {
	opts.Watch = true
	return c.client.Get().Resource("nodes").VersionedParams(&opts, c.params).Watch(ctx)
}

// Create implements record.EventSink.
func (c *connection) Create(event *corev1.Event) (*corev1.Event, error) {
	return c.send(c.client.Post(), event, "", event)
}

// Update implements record.EventSink.
func (c *connection) Update(event *corev1.Event) (*corev1.Event, error) {
	return c.send(c.client.Put(), event, event.Name, event)
}

// Patch implements record.EventSink.
func (c *connection) Patch(event *corev1.Event, data []byte) (*corev1.Event, error) {
	return c.send(c.client.Patch(types.StrategicMergePatchType), event, event.Name, data)
}

// send writes an event. The interface gives no context; the client's own timeout bounds it.
func (c *connection) send(r *rest.Request, event *corev1.Event, name string, body any) (*corev1.Event, error) {
	out := &corev1.Event{}
	if name != "" {
		r = r.Name(name)
	}
	return out, r.Namespace(event.Namespace).Resource("events").Body(body).Timeout(eventTimeout).Do(context.Background()).Into(out)
}
