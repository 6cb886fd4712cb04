package minicluster

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"time"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apiextensions-apiserver/pkg/client/clientset/clientset"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/cache"
	watchtools "k8s.io/client-go/tools/watch"
	"sigs.k8s.io/yaml"
)

//go:embed crd.yaml
var crdYAML []byte

// CRD is the YAML of the definition of MiniClusters.
func CRD() []byte { return append([]byte(nil), crdYAML...) }

const (
	crdName      = "miniclusters.flux-framework.org"
	fieldManager = "ocifit-lab-minicluster"
	// installTimeout bounds the wait for the API server to serve the resource.
	installTimeout = time.Minute
)

// Install applies the definition and waits, at most a minute, until the API server serves MiniClusters. It may be called
// again at any time.
func Install(ctx context.Context, cfg *rest.Config) error {
	ctx, cancel := context.WithTimeout(ctx, installTimeout)
	defer cancel()
	client, err := clientset.NewForConfig(cfg)
	if err != nil {
		return fmt.Errorf("define MiniClusters: %w", err)
	}
	body, err := yaml.YAMLToJSON(crdYAML)
	if err != nil {
		return fmt.Errorf("define MiniClusters: %w", err)
	}
	crds := client.ApiextensionsV1().CustomResourceDefinitions()
	force := true
	applied, err := crds.Patch(ctx, crdName, types.ApplyPatchType, body, metav1.PatchOptions{FieldManager: fieldManager, Force: &force})
	if err != nil {
		return fmt.Errorf("define MiniClusters: %w", err)
	}
	if !served(applied) {
		if err := waitEstablished(ctx, client, conditionsOf(applied)); err != nil {
			return err
		}
	}
	return waitWatchable(ctx, client)
}

func waitEstablished(ctx context.Context, client clientset.Interface, last string) error {
	crds := client.ApiextensionsV1().CustomResourceDefinitions()
	byName := fields.OneTermEqualSelector("metadata.name", crdName).String()
	lw := &cache.ListWatch{
		ListWithContextFunc: func(ctx context.Context, o metav1.ListOptions) (runtime.Object, error) {
			o.FieldSelector = byName
			return crds.List(ctx, o)
		},
		WatchFuncWithContext: func(ctx context.Context, o metav1.ListOptions) (watch.Interface, error) {
			o.FieldSelector = byName
			return crds.Watch(ctx, o)
		},
	}
	_, err := watchtools.UntilWithSync(ctx, lw, &apiextensionsv1.CustomResourceDefinition{}, nil, func(e watch.Event) (bool, error) {
		crd, ok := e.Object.(*apiextensionsv1.CustomResourceDefinition)
		if !ok || e.Type == watch.Deleted {
			return false, errors.New("the definition was removed meanwhile")
		}
		last = conditionsOf(crd)
		return served(crd), nil
	})
	if err != nil {
		return fmt.Errorf("wait until MiniClusters are served (last seen: %s): %w", last, err)
	}
	return nil
}

// waitWatchable returns when MiniClusters can be watched. For a moment after their definition the API server refuses that
// and asks to come again after a whole second, which is what an informer would do.
func waitWatchable(ctx context.Context, client clientset.Interface) error {
	path := "/apis/" + GVR.Group + "/" + GVR.Version + "/" + GVR.Resource
	for {
		stream, err := client.Discovery().RESTClient().Get().AbsPath(path).Param("watch", "true").MaxRetries(0).Stream(ctx)
		if err == nil {
			return stream.Close()
		}
		if !apierrors.IsTooManyRequests(err) && !apierrors.IsNotFound(err) {
			return fmt.Errorf("watch MiniClusters: %w", err)
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("wait until MiniClusters can be watched (last seen: %w): %w", err, ctx.Err())
		case <-time.After(10 * time.Millisecond):
		}
	}
}

func served(crd *apiextensionsv1.CustomResourceDefinition) bool {
	for _, c := range crd.Status.Conditions {
		if c.Type == apiextensionsv1.Established {
			return c.Status == apiextensionsv1.ConditionTrue
		}
	}
	return false
}

func conditionsOf(crd *apiextensionsv1.CustomResourceDefinition) string {
	if len(crd.Status.Conditions) == 0 {
		return "no condition yet"
	}
	text := ""
	for _, c := range crd.Status.Conditions {
		if text != "" {
			text += ", "
		}
		text += fmt.Sprintf("%s=%s (%s)", c.Type, c.Status, c.Reason)
	}
	return text
}
