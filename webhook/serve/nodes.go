package serve

import (
	"sync"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	coreinformers "k8s.io/client-go/informers/core/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/cache"

	"github.com/compspec/ocifit-lab/webhook/features"
)

// nodeInformer keeps the index in step with the cluster's nodes.
func nodeInformer(client kubernetes.Interface, index *features.Index) (cache.SharedIndexInformer, error) {
	informer := coreinformers.NewNodeInformer(client, 0, cache.Indexers{})
	shared := &interner{texts: map[string]string{}}
	if err := informer.SetTransform(shared.strip); err != nil {
		return nil, err
	}
	put := func(obj any) {
		if n, ok := obj.(*corev1.Node); ok {
			index.Put(features.Node{Name: n.Name, Labels: n.Labels, Cordoned: n.Spec.Unschedulable || n.DeletionTimestamp != nil})
		}
	}
	_, err := informer.AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc:    put,
		UpdateFunc: func(_, obj any) { put(obj) },
		DeleteFunc: func(obj any) {
			if gone, ok := obj.(cache.DeletedFinalStateUnknown); ok {
				index.Remove(gone.Key)
			} else if o, err := meta.Accessor(obj); err == nil {
				index.Remove(o.GetName())
			}
		},
	})
	return informer, err
}

// interner makes equal texts one text: the labels of 10,000 nodes have a few hundred keys and values.
type interner struct {
	mu    sync.Mutex
	texts map[string]string
}

// maxShared bounds the texts that are shared, and with it what names that occur once can cost.
const maxShared = 1 << 15

func (t *interner) of(text string) string {
	if known, ok := t.texts[text]; ok {
		return known
	}
	if len(t.texts) < maxShared {
		t.texts[text] = text
	}
	return text
}

// strip drops what the index never reads, so that 10,000 nodes stay cheap to remember.
func (t *interner) strip(obj any) (any, error) {
	n, ok := obj.(*corev1.Node)
	if !ok {
		return obj, nil
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	labels := make(map[string]string, len(n.Labels))
	for k, v := range n.Labels {
		if v == n.Name {
			v = n.Name // a node's name is no other's
		} else {
			v = t.of(v)
		}
		labels[t.of(k)] = v
	}
	return &corev1.Node{
		ObjectMeta: metav1.ObjectMeta{
			Name: n.Name, UID: n.UID, ResourceVersion: n.ResourceVersion, Labels: labels, DeletionTimestamp: n.DeletionTimestamp,
		},
		Spec: corev1.NodeSpec{Unschedulable: n.Spec.Unschedulable},
	}, nil
}
