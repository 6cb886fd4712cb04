package minicluster

import (
	"context"
	"fmt"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/dynamic/dynamicinformer"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/tools/cache"
)

// startInformers watches the MiniClusters and what was made for them; every event names the MiniCluster to look at.
func (c *controller) startInformers(ctx context.Context) (stop func(), err error) {
	stop = func() {}
	miniclusters := dynamicinformer.NewDynamicSharedInformerFactory(c.dynamic, 0)
	owned := informers.NewSharedInformerFactoryWithOptions(c.kube, 0,
		informers.WithTweakListOptions(func(o *metav1.ListOptions) { o.LabelSelector = LabelCluster }),
		informers.WithTransform(withoutManagedFields))
	mc := miniclusters.ForResource(GVR)
	c.clusters = mc.Lister()
	for _, in := range []struct {
		informer cache.SharedIndexInformer
		indexer  *cache.Indexer
		handler  cache.ResourceEventHandler
	}{
		{mc.Informer(), nil, onAny(c.enqueue(ownKey))},
		{owned.Batch().V1().Jobs().Informer(), &c.jobs, onAny(c.enqueue(ownerKeys))},
		{owned.Core().V1().ConfigMaps().Informer(), &c.configMaps, c.onLoss()},
		{owned.Core().V1().Services().Informer(), &c.services, c.onLoss()},
	} {
		registration, err := in.informer.AddEventHandler(in.handler)
		if err != nil {
			return stop, fmt.Errorf("minicluster controller: %w", err)
		}
		c.handlersRun = append(c.handlersRun, registration.HasSynced)
		if in.indexer != nil {
			*in.indexer = in.informer.GetIndexer()
		}
	}
	miniclusters.Start(ctx.Done())
	owned.Start(ctx.Done())
	return func() { miniclusters.Shutdown(); owned.Shutdown() }, nil
}

func (c *controller) waitForCaches(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, c.options.SyncTimeout)
	defer cancel()
	if !cache.WaitForCacheSync(ctx.Done(), c.handlersRun...) {
		missing := 0
		for _, synced := range c.handlersRun {
			if !synced() {
				missing++
			}
		}
		return fmt.Errorf("minicluster controller: %d of its %d watches have not started in %s; is the MiniCluster resource installed, and may this user list jobs, config maps and services? %w",
			missing, len(c.handlersRun), c.options.SyncTimeout, context.Cause(ctx))
	}
	return nil
}

func (c *controller) enqueue(keys func(obj any) []string) func(obj any) {
	return func(obj any) {
		if gone, ok := obj.(cache.DeletedFinalStateUnknown); ok {
			obj = gone.Obj
		}
		for _, key := range keys(obj) {
			c.queue.Add(key)
		}
	}
}

func onAny(do func(obj any)) cache.ResourceEventHandler {
	return cache.ResourceEventHandlerFuncs{AddFunc: do, UpdateFunc: func(_, obj any) { do(obj) }, DeleteFunc: do}
}

// onLoss leaves out the events that come of the controller's own work: of a config map or a service only its end
// matters, and its being there when its MiniCluster no longer is.
func (c *controller) onLoss() cache.ResourceEventHandler {
	return cache.ResourceEventHandlerFuncs{
		AddFunc: c.enqueue(func(obj any) (lost []string) {
			for _, key := range ownerKeys(obj) {
				if _, err := c.clusters.Get(key); err != nil {
					lost = append(lost, key)
				}
			}
			return lost
		}),
		DeleteFunc: c.enqueue(ownerKeys),
	}
}

func ownKey(obj any) []string {
	key, err := cache.MetaNamespaceKeyFunc(obj)
	if err != nil {
		return nil
	}
	return []string{key}
}

func ownerKeys(obj any) []string {
	meta, ok := obj.(metav1.Object)
	if !ok {
		return nil
	}
	var keys []string
	for _, ref := range meta.GetOwnerReferences() {
		if ref.Kind == GVK.Kind && ref.APIVersion == GVK.GroupVersion().String() {
			keys = append(keys, meta.GetNamespace()+"/"+ref.Name)
		}
	}
	return keys
}

// withoutManagedFields halves what the caches hold; of config maps it keeps the fact that they exist.
func withoutManagedFields(obj any) (any, error) {
	switch o := obj.(type) {
	case *corev1.ConfigMap:
		o.ManagedFields, o.Data = nil, nil
	case *corev1.Service:
		o.ManagedFields = nil
	case *batchv1.Job:
		o.ManagedFields = nil
	}
	return obj, nil
}
