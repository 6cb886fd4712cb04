package serve

import (
	"context"
	"fmt"
	"os"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	coreinformers "k8s.io/client-go/informers/core/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/cache"

	"github.com/compspec/ocifit-lab/webhook/features"
)

// loadCatalogue reads the features file into the index.
func loadCatalogue(file string, index *features.Index) (stamp, error) {
	s, err := stampOf(file)
	if err != nil {
		return s, fmt.Errorf("features file: %w", err)
	}
	if s.size > features.MaxCatalogueBytes {
		return s, fmt.Errorf("features file %s: %d bytes, the limit is %d", file, s.size, features.MaxCatalogueBytes)
	}
	data, err := os.ReadFile(file)
	if err != nil {
		return s, fmt.Errorf("features file: %w", err)
	}
	c, err := features.LoadCatalogue(data, index.Identity())
	if err != nil {
		return s, fmt.Errorf("features file %s: %w", file, err)
	}
	index.SetCatalogue(c)
	return s, nil
}

// watchCatalogue loads the features file again when it changes, until ctx ends. A broken file leaves the last
// good catalogue in use.
func (s *server) watchCatalogue(ctx context.Context, last stamp) {
	tick := time.NewTicker(2 * time.Second)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		now, err := stampOf(s.cfg.FeaturesFile)
		if err == nil && now == last {
			continue
		}
		if err == nil {
			last = now
			_, err = loadCatalogue(s.cfg.FeaturesFile, s.index)
		}
		if err != nil {
			s.metrics.reloadErrors.Inc()
			s.cfg.Log.Warn("the catalogue could not be read again; the last good one stays", "error", err)
			continue
		}
		s.cfg.Log.Info("catalogue read again", "hash", s.index.Hash())
	}
}

// nodeInformer keeps the index in step with the cluster's nodes.
func nodeInformer(client kubernetes.Interface, index *features.Index) (cache.SharedIndexInformer, error) {
	informer := coreinformers.NewNodeInformer(client, 0, cache.Indexers{})
	if err := informer.SetTransform(strip); err != nil {
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

// strip drops what the index never reads, so that 10,000 nodes stay cheap to remember.
func strip(obj any) (any, error) {
	n, ok := obj.(*corev1.Node)
	if !ok {
		return obj, nil
	}
	return &corev1.Node{
		ObjectMeta: metav1.ObjectMeta{
			Name: n.Name, UID: n.UID, ResourceVersion: n.ResourceVersion, Labels: n.Labels, DeletionTimestamp: n.DeletionTimestamp,
		},
		Spec: corev1.NodeSpec{Unschedulable: n.Spec.Unschedulable},
	}, nil
}
