package controlplane

import (
	"context"
	"fmt"
	"time"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apiextensions-apiserver/pkg/client/clientset/clientset"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/util/retry"
)

// definitionsSettle is how long the API server holds back the creation of objects whose definition is new, so that others of its kind
// have seen it.
const definitionsSettle = 2 * time.Second

// settleDefinitions dates back when definitions took effect: here the API server is the only one.
func settleDefinitions(ctx context.Context, config *rest.Config) error {
	client, err := clientset.NewForConfig(config)
	if err != nil {
		return fmt.Errorf("definitions: %w", err)
	}
	definitions := client.ApiextensionsV1().CustomResourceDefinitions()
	all, err := definitions.List(ctx, metav1.ListOptions{})
	if err != nil {
		return fmt.Errorf("definitions: %w", err)
	}
	for _, one := range all.Items {
		err := retry.RetryOnConflict(retry.DefaultBackoff, func() error {
			d, err := definitions.Get(ctx, one.Name, metav1.GetOptions{})
			if err != nil {
				return err
			}
			for i, c := range d.Status.Conditions {
				if c.Type == apiextensionsv1.Established && time.Since(c.LastTransitionTime.Time) < definitionsSettle {
					d.Status.Conditions[i].LastTransitionTime = metav1.NewTime(c.LastTransitionTime.Add(-definitionsSettle))
				}
			}
			_, err = definitions.UpdateStatus(ctx, d, metav1.UpdateOptions{})
			return err
		})
		if err != nil {
			return fmt.Errorf("definition %s: %w", one.Name, err)
		}
	}
	return nil
}
