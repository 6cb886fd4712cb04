package serve

import (
	"context"
	"log/slog"
	"sync/atomic"

	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/tools/cache"

	"github.com/compspec/ocifit-lab/webhook/features"
)

// pageSize bounds how many whole nodes are in memory at once where the API server cannot stream its list.
const pageSize = 500

// nodeWatch keeps the index in step with the cluster's nodes. It is the watch of an informer without its store: a
// node goes into the index as it arrives and is forgotten, so that 10,000 nodes cost what the index keeps of them.
type nodeWatch struct {
	index  *features.Index
	lw     cache.ListerWatcher
	log    *slog.Logger
	synced atomic.Bool
}

func newNodeWatch(cluster Cluster, index *features.Index, log *slog.Logger) *nodeWatch {
	w := &nodeWatch{index: index, log: log}
	w.lw = cache.ToListWatcherWithWatchListSemantics(&cache.ListWatch{
		ListWithContextFunc: func(ctx context.Context, opts metav1.ListOptions) (runtime.Object, error) {
			list, err := cluster.ListNodes(ctx, opts)
			if err != nil {
				return nil, err
			}
			for i := range list.Items {
				n := &list.Items[i]
				w.put(n)
				*n = corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: n.Name, ResourceVersion: n.ResourceVersion}}
			}
			return list, nil
		},
		WatchFuncWithContext: func(ctx context.Context, opts metav1.ListOptions) (watch.Interface, error) {
			return cluster.WatchNodes(ctx, opts)
		},
	}, cluster)
	return w
}

// run watches until ctx ends.
func (w *nodeWatch) run(ctx context.Context) {
	log := logr.FromSlogHandler(w.log.Handler())
	r := cache.NewReflectorWithOptions(w.lw, &corev1.Node{}, w, cache.ReflectorOptions{Name: "nodes", Logger: &log})
	r.WatchListPageSize = pageSize
	r.RunWithContext(ctx)
}

func (w *nodeWatch) put(n *corev1.Node) {
	w.index.Put(features.NodeOf(n))
}

// Transformer implements cache.TransformingStore: nodes of a streamed list go into the index before the list is
// complete, and only their names are kept until then.
func (w *nodeWatch) Transformer() cache.TransformFunc {
	return func(obj any) (any, error) {
		n, ok := obj.(*corev1.Node)
		if !ok {
			return obj, nil
		}
		w.put(n)
		return &metav1.PartialObjectMetadata{ObjectMeta: metav1.ObjectMeta{Name: n.Name, ResourceVersion: n.ResourceVersion}}, nil
	}
}

// Add implements cache.ReflectorStore.
func (w *nodeWatch) Add(obj any) error {
	if n, ok := obj.(*corev1.Node); ok {
		w.put(n)
	}
	return nil
}

// Update implements cache.ReflectorStore.
func (w *nodeWatch) Update(obj any) error { return w.Add(obj) }

// Delete implements cache.ReflectorStore.
func (w *nodeWatch) Delete(obj any) error {
	o, err := meta.Accessor(obj)
	if err != nil {
		return err
	}
	w.index.Remove(o.GetName())
	return nil
}

// Replace implements cache.ReflectorStore: the list is complete, its nodes are in the index, and all others are gone.
func (w *nodeWatch) Replace(list []any, _ string) error {
	there := make(map[string]bool, len(list))
	for _, obj := range list {
		o, err := meta.Accessor(obj)
		if err != nil {
			return err
		}
		there[o.GetName()] = true
	}
	w.index.Keep(there)
	w.synced.Store(true)
	return nil
}

// Resync implements cache.ReflectorStore.
func (w *nodeWatch) Resync() error { return nil }
