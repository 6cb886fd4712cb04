package controlplane

import (
	"context"
	"fmt"
	"time"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apiextensions-apiserver/pkg/client/clientset/clientset"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
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
	for i := range all.Items {
		d := &all.Items[i]
		err := retry.RetryOnConflict(retry.DefaultBackoff, func() error {
			if !dateBack(d) {
				return nil
			}
			_, err := definitions.UpdateStatus(ctx, d, metav1.UpdateOptions{})
			if apierrors.IsConflict(err) {
				if now, getErr := definitions.Get(ctx, d.Name, metav1.GetOptions{}); getErr == nil {
					d = now
				}
			}
			return err
		})
		if err != nil {
			return fmt.Errorf("definition %s: %w", d.Name, err)
		}
	}
	return nil
}

// dateBack tells whether objects of the definition would be held back, and changes it so that they are not.
func dateBack(d *apiextensionsv1.CustomResourceDefinition) bool {
	for i := range d.Status.Conditions {
		c := &d.Status.Conditions[i]
		if c.Type == apiextensionsv1.Established && time.Since(c.LastTransitionTime.Time) < definitionsSettle {
			c.LastTransitionTime = metav1.NewTime(c.LastTransitionTime.Add(-definitionsSettle))
			return true
		}
	}
	return false
}
